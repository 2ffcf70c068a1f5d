package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// Pass is what a purge removes.
type Pass string

// The passes of a purge.
const (
	PassBodies Pass = "bodies" // the content of mails and attachments; hashes of it stay
	PassRows   Pass = "rows"   // whole rows with recipients, tries and attachments; their dedupe_keys stay
)

// Purge removes, in one run and a step at a time, what ended before a time. It walks along the primary key, from where
// the last run stopped: numbers are nearly in the order of time. What it meets on the way and is not to be removed yet, it
// remembers in outbox_purge_later and looks at again once that may be old enough; so no run begins from the start.
type Purge struct {
	Run     Run
	Pass    Pass
	Now     time.Time // the database's time when the run began
	Age     time.Duration
	Archive Archive // nil: none

	walking bool      // what was remembered has been looked at
	since   time.Time // how far that look has come
	id      uint64
	shared  shared // how far the look at shared contents has come
	alone   bool   // that look has come to its end
	ended   uint64 // runs up to this one have no mails left that are gone
}

// PurgeStep is what one step removed.
type PurgeStep struct {
	Contents, Removed int
	End               bool // there is nothing more to remove now
}

const (
	purgeBatch  = 500      // mails in one step
	purgeOctets = 32 << 20 // octets of content in one step
)

// met is a row that a purge looks at, or the number of a row that is gone and has left recipients or tries behind.
type met struct {
	ID        uint64       `db:"id"`
	State     State        `db:"state"` // "" for a row that is gone
	CreatedAt time.Time    `db:"created_at"`
	UpdatedAt sql.NullTime `db:"updated_at"`
	Size      int64        `db:"size"`
	Content   bool         `db:"content"` // there is something to be removed beside bodies and headers
}

// seen is when a remembered row was met.
type seen struct {
	ID    uint64    `db:"id"`
	Since time.Time `db:"since"`
}

// purgePlan is what one step is to do.
type purgePlan struct {
	old    []met    // rows to remove, or their content
	gone   []uint64 // rows that are gone: what they left behind is removed
	later  []seen   // to be remembered
	again  []seen   // were remembered before
	passed uint64   // the walk comes to this number; 0 leaves it where it is
}

// Step removes up to 500 mails, or their content, in one short transaction that locks nothing but these. A *RunLostError
// says that another daemon has the run; nothing was removed then.
func (s *Store) Step(ctx context.Context, p *Purge) (PurgeStep, error) {
	if err := s.lookForStep(ctx); err != nil {
		return PurgeStep{}, err
	}
	plan, err := s.planPurge(ctx, p)
	if err != nil {
		return PurgeStep{}, fmt.Errorf("look for what is to be purged in %s: %w", s.database, err)
	}
	if plan == nil {
		return s.purgeRest(ctx, p)
	}
	var done PurgeStep
	err = s.pool.tx(ctx, func(tx *sqlx.Tx) error {
		done = PurgeStep{}
		return s.purgeIn(ctx, tx, p, *plan, &done)
	})
	if err != nil {
		return PurgeStep{}, fmt.Errorf("purge %s of %s: %w", p.Pass, s.database, err)
	}
	if n := len(plan.again); n > 0 {
		p.since, p.id = plan.again[n-1].Since, plan.again[n-1].ID
	}
	return done, nil
}

// purgeIn does what was planned, as far as the run is still this daemon's and the rows are still as they were met.
func (s *Store) purgeIn(ctx context.Context, tx *sqlx.Tx, p *Purge, plan purgePlan, done *PurgeStep) error {
	if err := s.lockRun(ctx, tx, p); err != nil {
		return err
	}
	ids, err := s.lockOld(ctx, tx, p, &plan)
	if err != nil {
		return err
	}
	if err := s.archive(ctx, tx, p, ids, plan.gone); err != nil {
		return err
	}
	if err := s.remove(ctx, tx, p.Pass, ids, plan.gone); err != nil {
		return err
	}
	if err := s.remember(ctx, tx, p, plan, ids); err != nil {
		return err
	}
	if done.Contents = len(ids); p.Pass == PassRows {
		done.Contents, done.Removed = 0, len(ids)
	}
	_, err = tx.ExecContext(ctx, s.sql.text("run-step"), int(leaseTime/time.Second), done.Contents, done.Removed, p.Run.ID)
	return err
}

// lockRun is the fence of a step: a run that is another daemon's by now is a *RunLostError.
func (s *Store) lockRun(ctx context.Context, tx *sqlx.Tx, p *Purge) error {
	var run uint64
	err := tx.GetContext(ctx, &run, s.sql.text("run-lock"), p.Run.ID, p.Run.Token)
	if errors.Is(err, sql.ErrNoRows) {
		return &RunLostError{p.Run}
	}
	return err
}

// remove removes rows, or their content, and what rows that are gone have left behind.
func (s *Store) remove(ctx context.Context, tx *sqlx.Tx, pass Pass, ids, gone []uint64) error {
	if pass == PassBodies {
		return s.execIDs(ctx, tx, ids, "purge-attachments", "purge-hash", "purge-content")
	}
	if err := s.removeFromRuns(ctx, tx, ids); err != nil {
		return err
	}
	if err := s.execIDs(ctx, tx, ids, "purge-keys", "purge-rows"); err != nil {
		return err
	}
	return s.execIDs(ctx, tx, slices.Concat(gone, ids), "purge-attached", "purge-recipients", "purge-tries", "purge-hashes")
}

// lockOld locks the rows that are to go and returns them. What somebody else has in hand, or has changed, is remembered.
func (s *Store) lockOld(ctx context.Context, tx *sqlx.Tx, p *Purge, plan *purgePlan) (ids []uint64, err error) {
	if len(plan.old) == 0 {
		return nil, nil
	}
	args := make([]any, len(plan.old))
	for i, m := range plan.old {
		args[i] = m.ID
	}
	if err := tx.SelectContext(ctx, &ids, s.sql.list("purge-lock", len(args)), append(args, p.before())...); err != nil {
		return nil, err
	}
	if ids, err = s.countedOf(ctx, tx, ids); err != nil {
		return nil, err
	}
	plan.later = slices.Clone(plan.later) // the transaction may be run again
	for _, m := range plan.old {
		if _, locked := slices.BinarySearch(ids, m.ID); !locked {
			plan.later = append(plan.later, seen{m.ID, m.UpdatedAt.Time})
		}
	}
	return ids, nil
}

// remember notes how far the purge has come, and what it has passed by.
func (s *Store) remember(ctx context.Context, tx *sqlx.Tx, p *Purge, plan purgePlan, removed []uint64) error {
	if plan.passed > 0 {
		if _, err := tx.ExecContext(ctx, s.sql.text("purge-pass"), p.Pass, plan.passed); err != nil {
			return err
		}
	}
	forget := func(pass Pass, ids []uint64) error {
		if len(ids) == 0 {
			return nil
		}
		_, err := tx.ExecContext(ctx, s.sql.list("purge-forget", len(ids)), append([]any{pass}, idArgs(ids)...)...)
		return err
	}
	again := make([]uint64, len(plan.again))
	for i, a := range plan.again {
		again[i] = a.ID
	}
	if err := forget(p.Pass, again); err != nil {
		return err
	}
	if p.Pass == PassRows {
		if err := forget(PassBodies, removed); err != nil {
			return err
		}
	}
	if len(plan.later) == 0 {
		return nil
	}
	var args []any
	for _, l := range plan.later {
		args = append(args, p.Pass, l.ID, l.Since)
	}
	_, err := tx.ExecContext(ctx, s.sql.rows("purge-remember", len(plan.later), "(?, ?, ?)"), args...)
	return err
}

// execIDs runs statements on the same rows, one after the other.
func (s *Store) execIDs(ctx context.Context, tx *sqlx.Tx, ids []uint64, names ...string) error {
	if len(ids) == 0 {
		return nil
	}
	for _, name := range names {
		if _, err := tx.ExecContext(ctx, s.sql.list(name, len(ids)), idArgs(ids)...); err != nil {
			return err
		}
	}
	return nil
}
