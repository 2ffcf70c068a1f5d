package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// Arrival is a row as it came, whatever became of it.
type Arrival struct {
	ID        uint64    `db:"id"`
	CreatedAt time.Time `db:"created_at"`
	Account   string    `db:"account"`
	From      string    `db:"from_address"`
	Priority  int       `db:"priority"`
	Cancelled bool      `db:"cancelled"`
	Run       uint64    `db:"run_id"` // of which run it is; 0 for none
}

// Arrivals lists the rows that came after a number, in order, at most limit. Numbers that are not committed yet are
// missing and may come later.
func (s *Store) Arrivals(ctx context.Context, after uint64, limit int) ([]Arrival, error) {
	if err := s.lookForStep(ctx); err != nil {
		return nil, fmt.Errorf("read what arrived in %s: %w", s.database, err)
	}
	rows, err := selectAll[Arrival](ctx, s.pool.db, s.sql.text("arrivals"), after, limit)
	return rows, wrap(err, "read what arrived in "+s.database)
}

// Arrived is the first row from a number on; false when there is none.
func (s *Store) Arrived(ctx context.Context, from uint64) (Arrival, bool, error) {
	rows, err := selectAll[Arrival](ctx, s.pool.db, s.sql.text("arrived"), from)
	if err != nil || len(rows) == 0 {
		return Arrival{}, false, wrap(err, "look for a row of "+s.database)
	}
	return rows[0], true, nil
}

// ArrivedBefore is the number of the last row that came at t or before, or a number between it and the next. Numbers
// follow time but for what was inserted at the same moment, so it looks at a few rows only.
func (s *Store) ArrivedBefore(ctx context.Context, t time.Time) (uint64, error) {
	var old, young uint64
	if err := s.pool.db.GetContext(ctx, &young, s.sql.text("last-arrival")); err != nil {
		return 0, fmt.Errorf("look for the last row of %s: %w", s.database, err)
	}
	for young++; old+1 < young; {
		middle := old + (young-old)/2
		row, there, err := s.Arrived(ctx, middle)
		if err != nil {
			return 0, err
		}
		if there && !row.CreatedAt.After(t) {
			old = max(middle, min(row.ID, young-1))
		} else {
			young = middle
		}
	}
	return old, nil
}

// FirstWaiting is the lowest number of a row that waits, 0 when none does. It looks along all that wait.
func (s *Store) FirstWaiting(ctx context.Context) (uint64, error) {
	var id uint64
	err := s.pool.db.GetContext(ctx, &id, s.sql.text("first-waiting"))
	return id, wrap(err, "look for the first row that waits in "+s.database)
}

// CheckSurplus tells whether HoldSurplus can work: on a schema one step older NoTable is true of the error.
func (s *Store) CheckSurplus(ctx context.Context) error {
	_, err := selectAll[uint64](ctx, s.pool.db, s.sql.list("surplus-known", 1), 0)
	return wrap(err, "look for surplus rows of "+s.database)
}

const holdBatch = 1000

// HoldSurplus holds queued rows that are more than a job's hold_above allows, each only once: a row that it has held before
// stays as it is, so that it may be released. It returns how many it held, and the rows that it left alone because
// somebody has changed them and not yet committed.
func (s *Store) HoldSurplus(ctx context.Context, job, why string, ids []uint64) (held int, locked []uint64, err error) {
	for chunk := range chunks(ids, holdBatch) {
		var n int
		var left []uint64
		err := s.pool.tx(ctx, func(tx *sqlx.Tx) (err error) {
			n, left, err = s.holdSurplus(ctx, tx, job, why, chunk)
			return err
		})
		if err != nil {
			return held, locked, fmt.Errorf("hold surplus rows of %s: %w", s.database, err)
		}
		held, locked = held+n, append(locked, left...)
	}
	return held, locked, nil
}

func (s *Store) holdSurplus(ctx context.Context, tx *sqlx.Tx, job, why string, ids []uint64) (held int, locked []uint64, err error) {
	var free, known []uint64
	if err := tx.SelectContext(ctx, &free, s.sql.list("unlocked", len(ids)), idArgs(ids)...); err != nil {
		return 0, nil, err
	}
	locked = without(ids, free)
	if len(free) == 0 {
		return 0, locked, nil
	}
	if err := tx.SelectContext(ctx, &known, s.sql.list("surplus-known", len(free)), idArgs(free)...); err != nil {
		return 0, nil, err
	}
	fresh := without(free, known)
	if len(fresh) == 0 {
		return 0, locked, nil
	}
	var notes []any
	for _, id := range fresh {
		notes = append(notes, id, job)
	}
	if _, err := tx.ExecContext(ctx, s.sql.rows("surplus-note", len(fresh), "(?, ?)"), notes...); err != nil {
		return 0, nil, err
	}
	r, err := tx.ExecContext(ctx, s.sql.list("surplus-hold", len(fresh)), append([]any{cut(why, maxError)}, idArgs(fresh)...)...)
	if err != nil {
		return 0, nil, err
	}
	n, err := r.RowsAffected()
	return int(n), locked, err
}

// without returns the ids that are not among the others.
func without(ids, others []uint64) []uint64 {
	others = slices.Clone(others)
	slices.Sort(others)
	return slices.DeleteFunc(slices.Clone(ids), func(id uint64) bool {
		_, found := slices.BinarySearch(others, id)
		return found
	})
}

// HeldRows says which rows that a person or a guard holds are changed together, step by step in the order of their numbers. Those
// that their run holds stay.
type HeldRows struct {
	Surplus bool   // only those that a job's hold_above has held
	After   uint64 // numbers above this one
	Limit   int    // most rows of the step
}

// heldRow is one that a step meets.
type heldRow struct {
	ID   uint64 `db:"id"`
	Held int    `db:"held"`
	Run  uint64 `db:"run_id"`
}

// ReleaseHeld lets the held rows of a step go. It returns the last number of the step, 0 when there was none left, and how
// many rows were changed. A row of a run goes to its run, which may hold it still.
func (s *Store) ReleaseHeld(ctx context.Context, h HeldRows) (last uint64, changed int, err error) {
	rows, err := s.heldRows(ctx, h)
	if err != nil || len(rows) == 0 {
		return 0, 0, wrap(err, "release held rows of "+s.database)
	}
	var ids []uint64
	for _, r := range rows {
		if r.Held != heldByHand {
			continue
		}
		if r.Run == 0 {
			ids = append(ids, r.ID)
			continue
		}
		var state *StateError
		switch err := s.Release(ctx, r.ID); {
		case errors.As(err, &state): // somebody was faster
		case err != nil:
			return 0, changed, err
		default:
			changed++
		}
	}
	if len(ids) > 0 {
		n, err := s.pool.write(ctx, s.sql.list("release-rows", len(ids)), idArgs(ids)...)
		if err != nil {
			return 0, changed, fmt.Errorf("release held rows of %s: %w", s.database, err)
		}
		changed += int(n)
	}
	return rows[len(rows)-1].ID, changed, nil
}

func (s *Store) heldRows(ctx context.Context, h HeldRows) ([]heldRow, error) {
	if err := s.lookForStep(ctx); err != nil {
		return nil, err
	}
	find := s.sql.text("held-rows")
	if h.Surplus {
		find = s.sql.text("surplus-rows")
	}
	return selectAll[heldRow](ctx, s.pool.db, find, troubleHeld, h.After, h.Limit)
}
