package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// PendingWriteBack is a write-back that is left for later.
type PendingWriteBack struct {
	ID        uint64    `db:"outbox_id" json:"id"` // the mail
	Run       uint64    `db:"run_id" json:"run"`
	Event     string    `db:"event" json:"event"`
	Tries     int       `db:"tries" json:"tries"` // retries that came to nothing
	Next      time.Time `db:"next_at" json:"next_at"`
	LastError string    `db:"last_error" json:"last_error,omitempty"`
	CreatedAt time.Time `db:"created_at" json:"created_at"`
}

// DueWriteBacks returns write-backs whose time has come, those that wait longest first.
func (s *Store) DueWriteBacks(ctx context.Context, limit int) ([]PendingWriteBack, error) {
	due, err := selectAll[PendingWriteBack](ctx, s.pool.db, s.sql.text("write-back-due"), limit)
	return due, wrap(err, "look for write-backs in "+s.database)
}

// WriteBackError says that a retried write-back has failed again. When it is due anew stands in the table.
type WriteBackError struct {
	Pending PendingWriteBack
	Text    string // why, with the remedy
	HeldUp  bool   // by a lock, or its own slowness: whoever has more to retry in this company does so later
}

// Error names the mail and the cause.
func (e *WriteBackError) Error() string {
	return fmt.Sprintf("write back that mail %d of run %d is %s: %s", e.Pending.ID, e.Pending.Run, e.Pending.Event, e.Text)
}

// RetryWriteBack does a pending write-back, exactly once however many try: the statement and the end of its row are one
// transaction. A *WriteBackError says that it has failed and is tried again, after a pause that grows up to an hour; any other error
// is the database's own. It returns nil also when somebody else is at it, or was.
func (s *Store) RetryWriteBack(ctx context.Context, p PendingWriteBack, w WriteBack) error {
	statement, args, err := Bind(w.Statement, w.Args)
	if err == nil {
		err = checkWriteBack(w.Statement)
	}
	if err == nil {
		err = s.onOwn(ctx, retrying, retrying.statement+readGrace, func(ctx context.Context, tx *sqlx.Tx, own *ownSession) error {
			var tries int
			err := tx.GetContext(ctx, &tries, s.sql.text("write-back-take"), p.ID, p.Run, p.Event, p.Tries)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := own.run(ctx, tx, w.Zone, statement, args); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, s.sql.text("write-back-done"), p.ID)
			return err
		})
	}
	var unknown *commitUnknownError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown), ctx.Err() != nil: // done, or still due
		return fmt.Errorf("write back mail %d of %s: %w", p.ID, s.database, err)
	}
	return s.FailWriteBack(ctx, p, err)
}

// DropWriteBack gives a pending write-back up that has nothing to say any more: its mail is gone, or its job has none for how it has
// ended. One that has taken its place since stays.
func (s *Store) DropWriteBack(ctx context.Context, p PendingWriteBack) error {
	_, err := s.pool.write(ctx, s.sql.text("write-back-drop"), p.ID, p.Run, p.Event, p.Tries)
	return wrap(err, fmt.Sprintf("give up the write-back of mail %d of %s", p.ID, s.database))
}

// FailWriteBack notes that a pending write-back has failed, also one that could not be made, and returns it as a *WriteBackError.
func (s *Store) FailWriteBack(ctx context.Context, p PendingWriteBack, why error) error {
	e := &WriteBackError{p, writeBackText(why), heldUp(why)}
	if _, err := s.pool.write(ctx, s.sql.text("write-back-failed"), micros(backPause(p.Tries)), cut(e.Text, maxError), p.ID, p.Run, p.Event, p.Tries); err != nil {
		return fmt.Errorf("note a failed write-back in %s: %w", s.database, err)
	}
	return e
}

// backPause is the time until the next retry, after so many.
func backPause(tries int) time.Duration {
	if tries > 10 {
		return backMost
	}
	return min(backFirst<<(tries+1), backMost)
}

// WriteBackCount is how many write-backs of a run are left for later.
type WriteBackCount struct {
	Run       uint64    `db:"run_id" json:"run"`
	Waiting   int64     `db:"waiting" json:"waiting"`
	Failing   int64     `db:"failing" json:"failing"` // of these: retried without success
	Since     time.Time `db:"since" json:"since"`     // of the one that waits longest
	LastError string    `db:"last_error" json:"last_error,omitempty"`
}

// WriteBackCounts tells how many write-backs are left for later, by the runs that have some.
func (s *Store) WriteBackCounts(ctx context.Context) (map[uint64]WriteBackCount, error) {
	found, err := selectAll[WriteBackCount](ctx, s.pool.db, s.sql.text("write-back-count"))
	if err != nil {
		return nil, fmt.Errorf("count write-backs in %s: %w", s.database, err)
	}
	all := make(map[uint64]WriteBackCount, len(found))
	for _, c := range found {
		all[c.Run] = c
	}
	return all, nil
}
