package db

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// StateError says that a row's state does not allow what was asked.
type StateError struct {
	ID    uint64
	State State
	Held  bool
	Hint  string
	Final bool // its run does not let it go any more: neither now nor later
}

// Error names the row, its state and what would have been needed.
func (e *StateError) Error() string {
	state := string(e.State)
	if e.Held {
		state += ", held"
	}
	return fmt.Sprintf("row %d is %s: %s", e.ID, state, e.Hint)
}

// Retry queues a row again, to go at once: one that has ended unsent, or one that waits for its next try. One whose
// content was purged is a *PurgedError. One of a run goes when the run lets it; a run that was done goes on with it.
func (s *Store) Retry(ctx context.Context, id uint64) error {
	return s.change(ctx, id, "only a row that waits or ended unsent can be retried, and not after its expires_at", s.retryOfRun,
		edit{statement: "retry", args: []any{id}, again: true, held: true}, edit{statement: "retry-recipients", args: []any{id}, ended: true})
}

// SettleByHand ends an uncertain row as sent or failed: a person has found out. Of a row with several recipients those
// that are uncertain get the outcome, and the row ends as all of them together do.
func (s *Store) SettleByHand(ctx context.Context, id uint64, to State, reason string) error {
	each := RecipientAccepted
	if to != Sent {
		to, each = Failed, RecipientFailed
	}
	known, err := s.recipients(ctx, []uint64{id})
	if err != nil {
		return fmt.Errorf("read recipients of row %d of %s: %w", id, s.database, err)
	}
	all := known[id]
	for i := range all {
		if all[i].State == RecipientUncertain {
			all[i].State = each
		}
	}
	return s.change(ctx, id, "only an uncertain row can be settled", nil,
		edit{statement: "settle-by-hand", args: []any{Together(all, to), cut(reason, maxError), to == Sent, id}}, edit{statement: "settle-recipients", args: []any{each, cut(reason, maxError), id}})
}

// Hold keeps a queued row back until Release, also one that its run holds.
func (s *Store) Hold(ctx context.Context, id uint64, reason string) error {
	return s.change(ctx, id, "only a queued row can be held", s.holdOfRun, edit{statement: "hold", args: []any{cut(reason, maxError), id}})
}

// Release lets a held row go; one of a run when the run lets it. What the run alone holds is not released.
func (s *Store) Release(ctx context.Context, id uint64) error {
	return s.change(ctx, id, "only a held row can be released", s.releaseOfRun, edit{statement: "release", args: []any{id}, held: true})
}

type edit struct {
	statement string
	args      []any
	ended     bool // only where the row had ended: one that waits has recipients nobody has decided about
	again     bool // the row is to be sent again, which wants its content
	held      bool // the first value is by whom the row is held from now on
}

// runRule says what a run has to do with a change of one of its rows; both are locked. It returns by whom the row is held then.
type runRule func(ctx context.Context, tx *sqlx.Tx, r lockedRun, row lockedRow) (held int, err error)

// change runs the edits in one transaction. The first is guarded: when it touches nothing the row's state is the error. A row of
// a run is changed by the run's rule, nil for what is no matter of the run.
func (s *Store) change(ctx context.Context, id uint64, hint string, rule runRule, edits ...edit) error {
	err := s.lookForStep(ctx)
	if err == nil {
		err = s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.changeIn(ctx, tx, id, hint, rule, edits) })
	}
	return wrap(err, fmt.Sprintf("change row %d of %s", id, s.database))
}

func (s *Store) changeIn(ctx context.Context, tx *sqlx.Tx, id uint64, hint string, rule runRule, edits []edit) error {
	r, err := s.runOfRow(ctx, tx, id, rule)
	if err != nil {
		return err
	}
	rows, err := s.lock(ctx, tx, []uint64{id})
	if err != nil {
		return err
	}
	row, there := rows[id]
	if !there {
		return &NoRowError{s.database, id}
	}
	held := 0
	if r != nil {
		if held, err = rule(ctx, tx, *r, row); err != nil {
			return err
		}
	}
	for i, e := range edits {
		if e.ended && row.State == Queued {
			continue
		}
		if e.again {
			purged, err := s.purged(ctx, tx, []uint64{id})
			if err != nil {
				return err
			}
			if p, is := purged[id]; is {
				return &PurgedError{id, p.At}
			}
		}
		if e.held {
			e.args = append([]any{held}, e.args...)
		}
		r, err := tx.ExecContext(ctx, s.sql.text(e.statement), e.args...)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil {
			return err
		} else if n == 0 && i == 0 {
			return &StateError{ID: id, State: row.State, Held: row.Held != 0, Hint: hint}
		}
	}
	return nil
}
