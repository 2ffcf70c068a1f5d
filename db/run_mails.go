package db

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// The values of outbox.held beside 0.
const (
	heldByHand = 1
	heldByRun  = 2
)

// stateGone is what a mail of a run has ended as that was deleted by hand.
const stateGone State = "gone"

// runMail is a mail of a run that was not counted yet.
type runMail struct {
	ID      uint64 `db:"id"`
	Key     string `db:"business_key"`
	Written bool   `db:"written"`
	State   State  `db:"-"` // how it is by now
	Held    int    `db:"held"`

	Row sql.NullString `db:"state"` // its row's
}

func (m runMail) ended() bool {
	return m.State != "" && m.State != Queued && m.State != Sending && m.State != Uncertain
}

// runStep is one step through the mails of a run, in the order of their numbers.
type runStep struct {
	run   Run
	mails []runMail
	last  uint64 // how far the step came
	end   bool   // there are no more
}

// step does something with the next mails of a run that have not ended, in one transaction under the run's lock. In another
// state than the one that is wanted there is nothing to do.
func (s *Store) step(ctx context.Context, what string, id uint64, in RunState, limit int, do func(tx *sqlx.Tx, p *runStep) (int, error)) (n int, end bool, err error) {
	if err = s.needNewest(ctx); err == nil {
		err = s.pool.tx(ctx, func(tx *sqlx.Tx) error {
			r, cursor, err := s.runAt(ctx, tx, id)
			if err != nil || r.State != in {
				n, end = 0, true
				return err
			}
			p := &runStep{run: r, last: cursor}
			if p.mails, err = s.unended(ctx, tx, id, cursor, limit); err != nil {
				return err
			}
			if p.end = len(p.mails) < limit; len(p.mails) > 0 {
				p.last = p.mails[len(p.mails)-1].ID
			}
			n, err = do(tx, p)
			end = p.end
			return err
		})
	}
	if err != nil {
		return 0, false, fmt.Errorf("%s mails of run %d of %s: %w", what, id, s.database, err)
	}
	return n, end, nil
}

// runAt reads a run under a lock, and how far it has come.
func (s *Store) runAt(ctx context.Context, tx *sqlx.Tx, id uint64) (r Run, cursor uint64, err error) {
	if r, err = s.lockRunRow(ctx, tx, id); err == nil {
		err = tx.GetContext(ctx, &cursor, s.sql.text("run-cursor"), id)
	}
	return r, cursor, err
}

func (s *Store) unended(ctx context.Context, q sqlx.QueryerContext, run, after uint64, limit int) ([]runMail, error) {
	mails, err := selectAll[runMail](ctx, q, s.sql.text("run-mails-unended"), run, after, limit)
	for i, m := range mails {
		if mails[i].State = State(m.Row.String); !m.Row.Valid {
			mails[i].State = stateGone
		}
	}
	return mails, err
}

// idsOf returns the numbers of those mails that a test holds for.
func idsOf(mails []runMail, is func(runMail) bool) []uint64 {
	var ids []uint64
	for _, m := range mails {
		if is(m) {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// changeMails runs a statement on mails and returns how many it found.
func (s *Store) changeMails(ctx context.Context, tx *sqlx.Tx, name string, ids []uint64, args ...any) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	r, err := tx.ExecContext(ctx, s.sql.list(name, len(ids)), append(args, idArgs(ids)...)...)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	return int(n), err
}

// ReleaseRun lets go the next mails of a run that is sending, at most limit, and as many as it is allowed. End says that there is
// none left that may go now. Nothing is let go twice, and none is left out, whatever the connection loses and however many do it
// at once.
func (s *Store) ReleaseRun(ctx context.Context, id uint64, limit int) (n int, end bool, err error) {
	return s.step(ctx, "release", id, RunSending, limit, func(tx *sqlx.Tx, p *runStep) (int, error) {
		var ids []uint64
		for _, m := range p.mails {
			if m.Held != heldByRun || m.ended() {
				continue
			}
			if p.run.Allowed != nil && p.run.Released+int64(len(ids)) >= *p.run.Allowed {
				p.last, p.end = m.ID-1, true
				break
			}
			ids = append(ids, m.ID)
		}
		n, err := s.changeMails(ctx, tx, "run-release-mails", ids)
		if err != nil || len(p.mails) == 0 {
			return n, err
		}
		_, err = tx.ExecContext(ctx, s.sql.text("run-released"), n, p.last, n > 0, id)
		return n, err
	})
}

// HoldRun holds the next mails of a run that was stopped, at most limit, those that would go next first. One that is being sent
// is sent; it is held in case it comes back to the queue.
func (s *Store) HoldRun(ctx context.Context, id uint64, limit int) (n int, end bool, err error) {
	return s.step(ctx, "hold", id, RunStopped, limit, func(tx *sqlx.Tx, p *runStep) (int, error) {
		n, err := s.changeMails(ctx, tx, "run-hold-mails", idsOf(p.mails, func(m runMail) bool { return m.Held == 0 && !m.ended() }))
		if err != nil || len(p.mails) == 0 {
			return n, err
		}
		_, err = tx.ExecContext(ctx, s.sql.text("run-held"), n, n, p.last, id)
		return n, err
	})
}

// CancelRun cancels the next mails of a run that is being cancelled, at most limit, and counts them. One of which some recipients
// have it ends as partial, or as uncertain. When end says that it went through all of them, some may still be in hand: those are
// held, and cancelled by a later call if they come back to the queue.
func (s *Store) CancelRun(ctx context.Context, id uint64, why string, limit int) (n int, end bool, err error) {
	return s.step(ctx, "cancel", id, RunCancelling, limit, func(tx *sqlx.Tx, p *runStep) (int, error) {
		if len(p.mails) == 0 && p.last == 0 {
			return 0, nil
		}
		if _, err := s.changeMails(ctx, tx, "run-hold-mails", idsOf(p.mails, func(m runMail) bool { return m.State != Queued && m.Held == 0 && !m.ended() })); err != nil {
			return 0, err
		}
		n, err := s.cancel(ctx, tx, idsOf(p.mails, func(m runMail) bool { return m.State == Queued }), why)
		if err != nil {
			return n, err
		}
		if p.end {
			p.last = 0
		}
		if _, err := tx.ExecContext(ctx, s.sql.text("run-released"), 0, p.last, false, id); err != nil || len(p.mails) == 0 {
			return n, err
		}
		after, err := s.unended(ctx, tx, id, p.mails[0].ID-1, len(p.mails))
		if err == nil {
			_, err = s.count(ctx, tx, p.run, after)
		}
		return n, err
	})
}
