package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// countedOf leaves out mails of runs that must stay: an open run would miss them, or its company's tables would never be told.
func (s *Store) countedOf(ctx context.Context, tx *sqlx.Tx, ids []uint64) ([]uint64, error) {
	if len(ids) == 0 || s.sql.older.Load() {
		return ids, nil
	}
	var open []uint64
	if err := tx.SelectContext(ctx, &open, s.sql.list("purge-uncounted", len(ids)), idArgs(ids)...); err != nil {
		return nil, err
	}
	return without(ids, open), nil
}

// removeFromRuns removes mails from what is known of their runs; the runs keep the counts.
func (s *Store) removeFromRuns(ctx context.Context, tx *sqlx.Tx, ids []uint64) error {
	if len(ids) == 0 || s.sql.older.Load() {
		return nil
	}
	var mails []struct {
		Run uint64 `db:"run_id"`
		ID  uint64 `db:"id"`
	}
	if err := tx.SelectContext(ctx, &mails, s.sql.list("purge-of-runs", len(ids)), idArgs(ids)...); err != nil {
		return err
	}
	for len(mails) > 0 {
		run, of := mails[0].Run, []uint64{}
		for len(mails) > 0 && mails[0].Run == run {
			of, mails = append(of, mails[0].ID), mails[1:]
		}
		if _, err := s.changeMails(ctx, tx, "purge-run-mails", of, run); err != nil {
			return err
		}
	}
	return nil
}

// purgeRest removes, in one step, what belongs to no mail: shared contents, then what runs remember of mails that were deleted by
// hand, then templates that were pinned for runs.
func (s *Store) purgeRest(ctx context.Context, p *Purge) (PurgeStep, error) {
	if !p.alone {
		if step, err := s.purgeShared(ctx, p); err != nil || !p.alone {
			return step, err
		}
	}
	if p.Pass != PassRows || s.sql.older.Load() {
		return PurgeStep{End: true}, nil
	}
	end := false
	err := s.pool.tx(ctx, func(tx *sqlx.Tx) (err error) {
		if err = s.lockRun(ctx, tx, p); err == nil {
			end, err = s.purgeRuns(ctx, tx, p)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, s.sql.text("run-step"), int(leaseTime/time.Second), 0, 0, p.Run.ID)
		}
		return err
	})
	if err != nil {
		return PurgeStep{}, fmt.Errorf("purge runs of %s: %w", s.database, err)
	}
	return PurgeStep{End: end}, nil
}

// purgeRuns does a step with one run, or at the end with what is pinned.
func (s *Store) purgeRuns(ctx context.Context, tx *sqlx.Tx, p *Purge) (end bool, err error) {
	var run uint64
	if err = tx.GetContext(ctx, &run, s.sql.text("purge-run"), p.ended, p.before()); err == nil {
		return false, s.purgeGone(ctx, tx, p, run)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	var pins []string
	if err := tx.SelectContext(ctx, &pins, s.sql.text("purge-pins"), p.before(), sharedBatch); err != nil || len(pins) == 0 {
		return true, err
	}
	args := make([]any, len(pins))
	for i, hash := range pins {
		args[i] = hash
	}
	_, err = tx.ExecContext(ctx, s.sql.list("purge-unpin", len(pins)), append(args, p.before())...)
	return len(pins) < sharedBatch, err
}

// purgeGone removes some mails of a run whose rows were deleted by hand.
func (s *Store) purgeGone(ctx context.Context, tx *sqlx.Tx, p *Purge, run uint64) error {
	var gone []uint64
	if err := tx.SelectContext(ctx, &gone, s.sql.text("purge-run-gone"), run, purgeBatch); err != nil {
		return err
	}
	if len(gone) < purgeBatch {
		p.ended = run // looked at again in the next pass, if that is not committed
	}
	_, err := s.changeMails(ctx, tx, "purge-run-mails", gone, run)
	return err
}
