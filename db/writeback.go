package db

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// The events that are written back.
const (
	WroteSent   = "sent"   // sent, or partly
	WroteFailed = "failed" // failed or expired
)

// WriteBack is a statement in the company's own tables that says what became of a mail of a run (on_sent, on_failed).
type WriteBack struct {
	Run       uint64
	Event     string         // WroteSent or WroteFailed
	Statement string         // one UPDATE, INSERT, DELETE or REPLACE
	Args      map[string]any // its parameters: see Bind
	Sent      bool           // the parameter sent_at is the time that the row gets with this outcome
	Zone      *time.Location // in which the statement's session is, so that NOW() is what the company's clocks show; nil means UTC
}

const (
	backTime  = 2 * time.Second  // for a write-back within a settlement
	backRest  = 30 * time.Second // in which none is tried after one that a lock has held up
	backFirst = 5 * time.Second  // until the first retry; each pause is twice the last
	backMost  = time.Hour        // the longest pause
)

// backs keeps a company's write-backs away from tables that somebody has locked.
type backs struct {
	mu    sync.Mutex
	now   func() time.Time // nil for the computer's
	until time.Time        // until then they are left for later
}

func (b *backs) time() time.Time {
	if b.now == nil {
		return time.Now()
	}
	return b.now()
}

// resting tells whether write-backs are left for later.
func (b *backs) resting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.time().Before(b.until)
}

func (b *backs) rest() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = b.time().Add(backRest)
}

// errResting says that a write-back is not tried.
var errResting = errors.New("another one waited for a lock in the company's tables just now")

// settleBack writes an outcome and its write-back in one transaction. On any error nothing was written, or, where the reply to
// COMMIT was lost, both were or neither: the settlement without the write-back finds out, by the row's lease.
func (s *Store) settleBack(ctx context.Context, t Settlement) error {
	if s.backs.resting() {
		return errResting
	}
	statement, args, err := Bind(t.WriteBack.Statement, t.WriteBack.Args)
	if err == nil {
		err = checkWriteBack(t.WriteBack.Statement)
	}
	if err != nil {
		return err
	}
	back := *t.WriteBack
	t.WriteBack = nil
	err = s.onOwn(ctx, settling, backTime, func(ctx context.Context, tx *sqlx.Tx, own *ownSession) error {
		if s.backs.resting() { // since it has waited for a connection
			return errResting
		}
		if err := s.apply(ctx, tx, []Settlement{t}); err != nil {
			return err
		}
		if back.Sent {
			var at time.Time
			if err := tx.GetContext(ctx, &at, s.sql.text("write-back-sent-at"), t.ID); err != nil {
				return err
			}
			back.Args = maps.Clone(back.Args)
			back.Args["sent_at"] = at
			_, args, _ = Bind(back.Statement, back.Args) // it went well before
		}
		if err := own.run(ctx, tx, back.Zone, statement, args); err != nil {
			return err
		}
		return s.markWritten(ctx, tx, back.Run, []uint64{t.ID})
	})
	if heldUp(err) {
		s.backs.rest()
	}
	return err
}

// heldUp tells whether a statement has waited for too long.
func heldUp(err error) bool {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return my.Number == lockTimeout || my.Number == timeOverMariaDB
	}
	return errors.Is(err, context.DeadlineExceeded)
}

const lockTimeout = 1205

// onOwn runs f in a transaction on one of the company's own connections, for so long at most.
func (s *Store) onOwn(caller context.Context, use ownUse, limit time.Duration, f func(ctx context.Context, tx *sqlx.Tx, own *ownSession) error) error {
	ctx, cancel := context.WithTimeout(caller, limit)
	defer cancel()
	return onSession(ctx, s.pool.own(s.sql.database, use), f)
}

// leaveWriteBacks notes, in the transaction of the outcomes, the write-backs that are left for later.
func (s *Store) leaveWriteBacks(ctx context.Context, tx *sqlx.Tx, batch []Settlement) error {
	var rows []any
	runs := map[uint64][]uint64{}
	for _, t := range batch {
		if w := t.WriteBack; w != nil {
			rows = append(rows, t.ID, w.Run, w.Event, micros(backFirst), null(cut(t.later, maxError)))
			runs[w.Run] = append(runs[w.Run], t.ID)
		}
	}
	return s.putWriteBacks(ctx, tx, rows, runs)
}

// queueWriteBacks notes write-backs of a run's outcomes that no settlement has written: those are due at once.
func (s *Store) queueWriteBacks(ctx context.Context, tx *sqlx.Tx, run uint64, ids []uint64, event string) error {
	var rows []any
	for _, id := range ids {
		rows = append(rows, id, run, event, 0, nil)
	}
	return s.putWriteBacks(ctx, tx, rows, map[uint64][]uint64{run: ids})
}

// putWriteBacks inserts pending write-backs, five values each. A later event takes the place of one that has not been written.
func (s *Store) putWriteBacks(ctx context.Context, tx *sqlx.Tx, rows []any, runs map[uint64][]uint64) error {
	for chunk := range chunks(rows, 5*enqueueRows) {
		statement := s.sql.rows("write-back-put", len(chunk)/5, "(?, ?, ?, 0, TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6)), ?)")
		if _, err := tx.ExecContext(ctx, statement, chunk...); err != nil {
			return err
		}
	}
	for run, ids := range runs {
		if err := s.markWritten(ctx, tx, run, ids); err != nil {
			return err
		}
	}
	return nil
}

// markWritten notes that the write-backs of mails are done, or noted.
func (s *Store) markWritten(ctx context.Context, tx *sqlx.Tx, run uint64, ids []uint64) error {
	for chunk := range chunks(ids, enqueueRows) {
		if _, err := tx.ExecContext(ctx, s.sql.list("write-back-written", len(chunk)), append([]any{run}, idArgs(chunk)...)...); err != nil {
			return err
		}
	}
	return nil
}
