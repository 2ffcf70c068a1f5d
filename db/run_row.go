package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// lockedRun is a run that others wait for, and how far it has come with its mails.
type lockedRun struct {
	Run
	cursor uint64
}

// runOfRow locks the run of a row, if it has one and a rule is asked for. The run comes before its rows, as in its own steps: so
// two never wait for each other.
func (s *Store) runOfRow(ctx context.Context, tx *sqlx.Tx, id uint64, rule runRule) (*lockedRun, error) {
	if rule == nil || s.sql.older.Load() {
		return nil, nil
	}
	run, err := selectAll[uint64](ctx, tx, s.sql.text("run-of-row"), id)
	if err != nil || len(run) == 0 || run[0] == 0 {
		return nil, err
	}
	r, cursor, err := s.runAt(ctx, tx, run[0])
	var none *NoRunError
	if errors.As(err, &none) { // deleted by hand: the row is one as any other
		return nil, nil
	}
	return &lockedRun{r, cursor}, err
}

// waits says what a row waits for that its run holds.
func (r Run) waits() string {
	switch r.State {
	case RunHeld:
		return fmt.Sprintf("its run %d waits for approval: outboxd mailing approve %d", r.ID, r.ID)
	case RunStopped:
		return fmt.Sprintf("its run %d was stopped: outboxd mailing resume %d", r.ID, r.ID)
	case RunCancelling:
		return fmt.Sprintf("its run %d is being cancelled", r.ID)
	}
	return fmt.Sprintf("its run %d lets its mails go by itself: outboxd mailing list shows how far it is", r.ID)
}

// letGo gives a row that a person held to its run: it goes where the run has let go those around it.
func (s *Store) letGo(ctx context.Context, tx *sqlx.Tx, r lockedRun, row lockedRow) (held int, err error) {
	if r.State.Open() && (r.State != RunSending || row.ID > r.cursor) {
		return heldByRun, nil
	}
	_, err = tx.ExecContext(ctx, s.sql.text("run-released"), 1, r.cursor, true, r.ID)
	return 0, err
}

// releaseOfRun is the rule of Release.
func (s *Store) releaseOfRun(ctx context.Context, tx *sqlx.Tx, r lockedRun, row lockedRow) (held int, err error) {
	switch {
	case row.State != Queued || row.Held == 0:
		return 0, nil
	case row.Held == heldByRun:
		return 0, &StateError{ID: row.ID, State: row.State, Held: true, Hint: r.waits()}
	}
	return s.letGo(ctx, tx, r, row)
}

// holdOfRun is the rule of Hold: what was let go and is held is not let go any more.
func (s *Store) holdOfRun(ctx context.Context, tx *sqlx.Tx, r lockedRun, row lockedRow) (held int, err error) {
	if row.State == Queued && row.Held == 0 {
		_, err = tx.ExecContext(ctx, s.sql.text("run-unreleased"), 1, 1, r.ID)
	}
	return heldByHand, err
}

// retryOfRun is the rule of Retry: a row that has ended is taken off what the run has counted, and the run goes on if it was done.
func (s *Store) retryOfRun(ctx context.Context, tx *sqlx.Tx, r lockedRun, row lockedRow) (held int, err error) {
	switch {
	case row.State == Queued && row.Held == heldByHand:
		return s.letGo(ctx, tx, r, row)
	case row.State == Queued && row.Held == heldByRun:
		return 0, &StateError{ID: row.ID, State: row.State, Held: true, Hint: r.waits()}
	case row.State == Queued || row.State == Sending:
		return 0, nil
	case r.State == RunCancelling || !r.State.Open() && r.State != RunDone:
		return 0, &StateError{ID: row.ID, State: row.State, Final: true, Hint: fmt.Sprintf("its run %d is %s, so its mails do not go any more; start the mailing anew, or insert this mail by itself", r.ID, r.State)}
	}
	if row.State != Uncertain {
		if err := s.uncount(ctx, tx, r.Run, row); err != nil {
			return 0, err
		}
	}
	if r.State == RunSending || r.State == RunDone {
		_, err = tx.ExecContext(ctx, s.sql.text("run-released"), 0, r.cursor, true, r.ID) // of two nodes one sees that the other has stopped it
		return 0, err
	}
	return heldByRun, nil
}

// uncount takes a mail that has ended off what the run has counted. Its key has to be its own still: nobody gets what another
// mail of the period has brought meanwhile.
func (s *Store) uncount(ctx context.Context, tx *sqlx.Tx, r Run, row lockedRow) error {
	found, err := selectAll[runMail](ctx, tx, s.sql.text("run-mail"), r.ID, row.ID)
	if err != nil || len(found) == 0 {
		return err
	}
	m := found[0]
	m.State = State(m.Row.String)
	if !m.Row.Valid { // not counted yet. On several nodes of a cluster this makes one wait that is about to count it
		m.State, m.Written = row.State, true
		if _, err := s.count(ctx, tx, r, []runMail{m}); err != nil {
			return err
		}
	}
	if err := s.keepKey(ctx, tx, r, m, row); err != nil {
		return err
	}
	var counts RunCounts
	counts.add(m.State, 1)
	if _, err := tx.ExecContext(ctx, s.sql.text("run-uncount"), append(counts.args(), r.ID)...); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, s.sql.text("run-mail-again"), r.ID, row.ID); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, s.sql.text("run-write-no-more"), row.ID); err != nil {
		return err
	}
	if r.State == RunDone {
		_, err = tx.ExecContext(ctx, s.sql.text("run-reopen"), fmt.Sprintf("mail %d goes again", row.ID), r.ID)
	}
	return err
}
