package db

import (
	"context"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
)

// Cancel ends a queued row, held or not. One that some recipients have ends as partial, or as uncertain.
func (s *Store) Cancel(ctx context.Context, id uint64, reason string) error {
	err := s.lookForStep(ctx)
	if err == nil {
		err = s.pool.tx(ctx, func(tx *sqlx.Tx) error {
			rows, err := s.lock(ctx, tx, []uint64{id})
			if err != nil {
				return err
			}
			row, there := rows[id]
			if !there {
				return &NoRowError{s.database, id}
			}
			if row.State != Queued {
				return &StateError{ID: id, State: row.State, Held: row.Held != 0, Hint: "only a queued row can be cancelled"}
			}
			_, err = s.cancel(ctx, tx, []uint64{id}, reason)
			return err
		})
	}
	return wrap(err, fmt.Sprintf("cancel row %d of %s", id, s.database))
}

// CancelHeld ends the held rows of a step, as ReleaseHeld lets them go.
func (s *Store) CancelHeld(ctx context.Context, h HeldRows, reason string) (last uint64, changed int, err error) {
	found, err := s.heldRows(ctx, h)
	if err == nil && len(found) > 0 {
		last = found[len(found)-1].ID
		err = s.pool.tx(ctx, func(tx *sqlx.Tx) error {
			changed, err = s.cancelHeld(ctx, tx, found, reason)
			return err
		})
	}
	return last, changed, wrap(err, "cancel held rows of "+s.database)
}

func (s *Store) cancelHeld(ctx context.Context, tx *sqlx.Tx, found []heldRow, reason string) (int, error) {
	all := make([]uint64, len(found))
	for i, r := range found {
		all[i] = r.ID
	}
	rows, err := s.lock(ctx, tx, all)
	if err != nil {
		return 0, err
	}
	return s.cancel(ctx, tx, slices.DeleteFunc(all, func(id uint64) bool {
		r, there := rows[id]
		return !there || r.State != Queued || r.Held != heldByHand
	}), reason)
}

// cancel ends rows that wait and are locked, and counts them.
func (s *Store) cancel(ctx context.Context, tx *sqlx.Tx, ids []uint64, why string) (n int, err error) {
	some, err := s.someHave(ctx, tx, ids)
	if err != nil {
		return 0, err
	}
	for _, id := range some {
		err := s.endSome(ctx, tx, id, s.sql.text("cancel-some"), func(known []Recipient) (rest []Recipient, end State, reason string) {
			if rest, end = EndRest(known, Cancelled, why); end == Cancelled {
				return nil, end, why
			}
			return rest, end, fmt.Sprintf("%s: %d of %d recipients were not reached; outbox_recipient says who", why, len(rest), len(known))
		})
		if err != nil {
			return 0, err
		}
	}
	n, err = s.changeMails(ctx, tx, "cancel", without(ids, some), cut(why, maxError))
	return n + len(some), err
}
