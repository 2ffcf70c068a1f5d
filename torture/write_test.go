//go:build unix

package torture

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// post is all that was inserted.
type post struct {
	mu      sync.Mutex
	letters []*letter
	batches int
	paced   int // of the limited account, committed or about to be
}

// next makes a transaction's letters and gives them their numbers. Of the limited account there are as many as paced.
func (w *post) next(rng *rand.Rand, most, paced int) []*letter {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(1+rng.IntN(60), most-len(w.letters))
	if n <= 0 {
		return nil
	}
	w.batches++
	batch := make([]*letter, n)
	for i := range batch {
		l := compose(rng, len(w.letters)+1)
		l.batch = w.batches
		if w.paced < paced && rng.IntN(4) == 0 {
			w.paced++
			l.account = "paced"
		}
		batch[i] = l
		w.letters = append(w.letters, l)
	}
	return batch
}

func (w *post) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.letters)
}

// became notes the fate of a transaction.
func (w *post) became(batch []*letter, f fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range batch {
		if l.fate = f; f != committed && l.account == "paced" {
			w.paced--
		}
	}
}

// write inserts rows as a customer's program does, somewhat ahead of the kills, until all are inserted.
func (s *site) write(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil && s.post.count() < s.plan.rows {
		tx, err := s.client.BeginTx(ctx, nil)
		if err != nil {
			pause(ctx.Done(), 50*time.Millisecond)
			continue
		}
		ahead := 1500 + s.plan.rows*(s.kills()+1)/s.plan.kills
		// The limited account always has some mails waiting; a few of its rows expire or fail before.
		reads := s.ledger.pacedReads()
		batch := s.post.next(rng, min(s.plan.rows, ahead), s.plan.offered+reads+reads/20)
		if batch == nil {
			_ = tx.Rollback()
			pause(ctx.Done(), 20*time.Millisecond)
			continue
		}
		f := s.insert(ctx, rng, tx, batch)
		s.tally.add("insert: " + f.String())
		s.post.became(batch, f)
		if f == committed && rng.IntN(5) == 0 {
			// A DBA cancels a row, if it still waits.
			_ = s.exec(ctx, `UPDATE {db}.outbox SET state = 'cancelled' WHERE reference = ? AND state = 'queued'`, batch[rng.IntN(len(batch))].key)
		}
	}
}

// twin is a second row with the same dedupe_key as one of the batch.
func (s *site) twin(batch []*letter) *letter {
	for _, l := range batch {
		if l.dedupe != nil {
			t := *l
			t.key = "x" + l.key
			t.to, t.cc, t.bcc, t.fate = []string{t.key + "a@d1.example"}, nil, nil, refused
			s.post.mu.Lock()
			s.post.letters = append(s.post.letters, &t)
			s.post.mu.Unlock()
			return &t
		}
	}
	return nil
}

// insert makes one transaction; one in ten is rolled back. Everything that fails before COMMIT is rolled back for certain.
func (s *site) insert(ctx context.Context, rng *rand.Rand, tx *sql.Tx, batch []*letter) fate {
	var args []any
	for _, l := range batch {
		args = append(args, l.columns()...)
	}
	_, err := tx.ExecContext(ctx, s.sql("INSERT "+insertHead+insertRow+strings.Repeat(", "+insertRow, len(batch)-1)), args...)
	if twin := s.twin(batch); err == nil && twin != nil {
		_, err = tx.ExecContext(ctx, s.sql("INSERT IGNORE "+insertHead+insertRow), twin.columns()...)
	}
	if err != nil || rng.IntN(10) == 0 {
		_ = tx.Rollback() // a lost connection rolls back too
		if err != nil {
			pause(ctx.Done(), 50*time.Millisecond)
		}
		return rolledBack
	}
	if rng.IntN(20) == 0 {
		pause(ctx.Done(), between(rng, 10*time.Millisecond, 500*time.Millisecond)) // a slow transaction
	}
	if tx.Commit() != nil {
		return unknown
	}
	return committed
}
