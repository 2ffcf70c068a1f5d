package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// NewMail is a mail that outboxd itself inserts: one of a run, or of its own, as a proof. Empty means NULL.
type NewMail struct {
	Identity                     [16]byte // tells the mail from the others of its run, also when the audience is read again
	Key                          string   // the business key: for people, and for outbox_key
	Recipients, Cc, Bcc          string
	From, ReplyTo                string
	Subject, Text, HTML, Headers string
	Template, Params, Language   string
	Reference, Account           string
	Priority                     int // 1 to 5; 0 means 3
	SendAfter, ExpiresAt         *time.Time
	State                        State  // Queued, or how it has ended at once, as Skipped; "" means Queued
	LastError                    string // why it has ended
	Attachments                  []NewAttachment
}

// NewAttachment is a content that goes with a mail. Equal contents are stored once.
type NewAttachment struct {
	Name, Type, ContentID string
	Content               []byte
}

// Batch are mails of a run that are enqueued together, at most about a thousand.
type Batch struct {
	Resumed bool // some may be there already: they are passed over
	Mails   []NewMail
}

// Enqueued is what became of a batch.
type Enqueued struct {
	Inserted int64 // rows, also those of Twice and those that had ended before
	Known    int64 // passed over: they were there
	Twice    int64 // inserted as skipped: their key was mailed in this period before
}

// Enqueue inserts mails of a run, held by it, with what tells them from others (outbox_run_mail) and what must not be mailed
// again (outbox_key), in one transaction that the run's lease guards: a *RunLostError says that the run is somebody else's by
// now, and nothing was inserted. Two batches of a run may be enqueued at a time.
//
// A mail whose key another one of the run's period has used up is inserted as skipped; without a period no key is looked up, and
// none is noted. Nobody is enqueued twice, whatever happens to the connection: when the reply to a COMMIT gets lost, it is looked what is there.
// A mail that the table does not take is inserted as failed, with the reason, and does not keep back the others.
func (s *Store) Enqueue(ctx context.Context, r Run, b Batch) (Enqueued, error) {
	done, err := s.enqueue(ctx, r, b)
	return done, wrap(err, fmt.Sprintf("enqueue mails of run %d of %s", r.ID, s.database))
}

// enqueue divides a batch of which the server refuses something, until what it refuses is alone.
func (s *Store) enqueue(ctx context.Context, r Run, b Batch) (Enqueued, error) {
	done, err := s.enqueueSurely(ctx, r, b)
	if Kind(err) != KindData || len(b.Mails) == 0 {
		return done, err
	}
	if len(b.Mails) == 1 {
		b.Mails = []NewMail{b.Mails[0].unfit(refusedValue(err))}
		return s.enqueueSurely(ctx, r, b)
	}
	half, rest := b, b
	half.Mails, rest.Mails = b.Mails[:len(b.Mails)/2], b.Mails[len(b.Mails)/2:]
	if done, err = s.enqueue(ctx, r, half); err != nil {
		return done, err
	}
	more, err := s.enqueue(ctx, r, rest)
	return Enqueued{done.Inserted + more.Inserted, done.Known + more.Known, done.Twice + more.Twice}, err
}

const enqueueTries = 5

// enqueueSurely enqueues all or nothing. What comes up as a duplicate, or may have been committed, is looked for.
func (s *Store) enqueueSurely(ctx context.Context, r Run, b Batch) (Enqueued, error) {
	var last Enqueued // of a COMMIT whose reply was lost
	for try := 1; ; try++ {
		var done Enqueued
		err := s.pool.tx(ctx, func(tx *sqlx.Tx) (err error) {
			done, err = s.enqueueIn(ctx, tx, r, b)
			return err
		})
		var unknown *commitUnknownError
		switch {
		case err == nil && last.Inserted > 0 && done.Known == last.Known+last.Inserted:
			return last, nil // it was committed
		case err == nil:
			return done, nil
		case errors.As(err, &unknown) && done.Inserted > 0:
			last = done
		case !errors.As(err, &unknown) && !duplicate(err) && !errors.Is(err, errNumbers):
			return Enqueued{}, err
		}
		if try == enqueueTries {
			return Enqueued{}, err
		}
		b.Resumed = true
	}
}

// enqueueIn is the transaction of Enqueue. The lease is looked at last: until then nobody has to wait for the run's row.
func (s *Store) enqueueIn(ctx context.Context, tx *sqlx.Tx, r Run, b Batch) (Enqueued, error) {
	mails, err := s.unknown(ctx, tx, r.ID, b)
	if err != nil {
		return Enqueued{}, err
	}
	done := Enqueued{Inserted: int64(len(mails)), Known: int64(len(b.Mails) - len(mails))}
	if done.Twice, err = s.skipTwice(ctx, tx, r, mails); err != nil {
		return done, err
	}
	ids, err := s.insertMails(ctx, tx, r.ID, mails)
	if err != nil {
		return done, err
	}
	if err := s.noteMails(ctx, tx, r, mails, ids); err != nil {
		return done, err
	}
	found, err := tx.ExecContext(ctx, s.sql.text("enqueue-note"), done.Inserted, int(leaseTime/time.Second), r.ID, r.Token)
	if err != nil {
		return done, err
	}
	if n, err := found.RowsAffected(); err != nil {
		return done, err
	} else if n == 0 {
		return done, &RunLostError{r}
	}
	return done, nil
}

// unknown returns copies of the mails that are not there yet, each identity once.
func (s *Store) unknown(ctx context.Context, tx *sqlx.Tx, run uint64, b Batch) ([]NewMail, error) {
	seen := make(map[[16]byte]bool, len(b.Mails))
	if b.Resumed {
		var err error
		if seen, err = s.known(ctx, tx, run, b.Mails); err != nil {
			return nil, err
		}
	}
	mails := make([]NewMail, 0, len(b.Mails))
	for _, m := range b.Mails {
		if !seen[m.Identity] {
			seen[m.Identity] = true
			mails = append(mails, m)
		}
	}
	return mails, nil
}

// KnownMails tells which mails of a run are enqueued already, by their identities.
func (s *Store) KnownMails(ctx context.Context, run uint64, mails []NewMail) (map[[16]byte]bool, error) {
	known, err := s.known(ctx, s.pool.db, run, mails)
	return known, wrap(err, fmt.Sprintf("look which mails of run %d of %s there are", run, s.database))
}

func (s *Store) known(ctx context.Context, q sqlx.QueryerContext, run uint64, mails []NewMail) (map[[16]byte]bool, error) {
	known := make(map[[16]byte]bool, len(mails))
	for chunk := range chunks(mails, enqueueRows) {
		args := []any{run}
		for _, m := range chunk {
			args = append(args, m.Identity[:])
		}
		found, err := selectAll[[]byte](ctx, q, s.sql.list("enqueue-known", len(chunk)), args...)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			known[[16]byte(f)] = true
		}
	}
	return known, nil
}

// RunMailID returns the number of a run's mail by what tells it from the others of the run. A *NoRowError says that there is none.
func (s *Store) RunMailID(ctx context.Context, run uint64, identity [16]byte) (id uint64, err error) {
	err = retry(ctx, func() error { return s.pool.db.GetContext(ctx, &id, s.sql.text("run-mail-id"), run, identity[:]) })
	if errors.Is(err, sql.ErrNoRows) {
		return 0, &NoRowError{s.database, 0}
	}
	return id, wrap(err, fmt.Sprintf("look for a mail of run %d of %s", run, s.database))
}

// usedKey is a key of the period that a mail has used up.
type usedKey struct {
	Value string    `db:"value"`
	ID    uint64    `db:"outbox_id"`
	Run   uint64    `db:"run_id"` // 0 when the mail is gone, or is of none
	At    time.Time `db:"at"`
}

// keyed tells whether the mail uses up a key. One that ends at once has mailed nobody.
func (r Run) keyed(m NewMail) bool { return r.Period != "" && m.Key != "" && m.queued() }

// sameKey is what the table takes for equal: spaces at the end do not count.
func sameKey(key string) string { return strings.TrimRight(key, " ") }

// skipTwice makes those skipped whose key was mailed before, and returns how many.
func (s *Store) skipTwice(ctx context.Context, tx *sqlx.Tx, r Run, mails []NewMail) (n int64, err error) {
	used := map[string]*usedKey{}
	for chunk := range chunks(mails, enqueueRows) {
		var keys []any
		for _, m := range chunk {
			if r.keyed(m) {
				keys = append(keys, m.Key)
			}
		}
		for _, kind := range r.keyKinds() {
			if len(keys) == 0 {
				break
			}
			var found []usedKey
			if err := tx.SelectContext(ctx, &found, s.sql.list("enqueue-used", len(keys)), append([]any{kind, r.Period}, keys...)...); err != nil {
				return 0, err
			}
			for _, f := range found {
				used[sameKey(f.Value)] = &f
			}
		}
	}
	for i, m := range mails {
		if !r.keyed(m) {
			continue
		}
		before, twice := used[sameKey(m.Key)]
		used[sameKey(m.Key)] = nil // this one, unless it is there
		if twice {
			used[sameKey(m.Key)] = before
			mails[i].State, mails[i].LastError = Skipped, before.text(m.Key, r.Period)
			n++
		}
	}
	return n, nil
}

// text says by which mail a key was used up; nil means by one of the same batch.
func (u *usedKey) text(key, period string) string {
	by := "another mail of this run"
	switch {
	case u != nil && u.Run > 0:
		by = fmt.Sprintf("mail %d of run %d, inserted at %s", u.ID, u.Run, u.At.Format(time.DateTime+" UTC"))
	case u != nil:
		by = fmt.Sprintf("mail %d, inserted at %s and gone by now", u.ID, u.At.Format(time.DateTime+" UTC"))
	}
	return fmt.Sprintf("%s was mailed in %s before, by %s: nobody gets it twice in a period; if it has to go again, insert it by itself", cut(key, 200), period, by)
}

// noteMails writes what tells the mails of a run, and the keys that they use up.
func (s *Store) noteMails(ctx context.Context, tx *sqlx.Tx, r Run, mails []NewMail, ids []uint64) error {
	var rows, keys []any
	kind := keyKind(r.Job)
	for i, m := range mails {
		rows = append(rows, r.ID, ids[i], m.Identity[:], null(m.Key))
		if r.keyed(m) {
			keys = append(keys, kind, m.Key, r.Period, ids[i])
		}
	}
	for chunk := range chunks(rows, 4*enqueueRows) {
		if _, err := tx.ExecContext(ctx, s.sql.rows("enqueue-mails", len(chunk)/4, "(?, ?, ?, ?)"), chunk...); err != nil {
			return err
		}
	}
	for chunk := range chunks(keys, 4*enqueueRows) {
		if _, err := tx.ExecContext(ctx, s.sql.rows("enqueue-keys", len(chunk)/4, "(?, ?, ?, ?, UTC_TIMESTAMP(6))"), chunk...); err != nil {
			return err
		}
	}
	return nil
}
