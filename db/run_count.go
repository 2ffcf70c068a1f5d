package db

import (
	"context"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
)

// ReconcileRun looks at mails of a run behind a number, at most limit, and counts those that have ended in the run, each once. It
// returns where the next look begins, 0 when this one came to the end, and how many it counted. Mails end nearly in the order of
// their numbers: a look from 0 finds most of them.
func (s *Store) ReconcileRun(ctx context.Context, id uint64, after uint64, limit int) (next uint64, ended int, err error) {
	if err = s.needNewest(ctx); err == nil {
		next, ended, err = s.reconcile(ctx, id, after, limit)
	}
	return next, ended, wrap(err, fmt.Sprintf("count the mails of run %d of %s", id, s.database))
}

func (s *Store) reconcile(ctx context.Context, id uint64, after uint64, limit int) (next uint64, ended int, err error) {
	// A look without a lock: mostly there is nothing to count.
	mails, err := s.unended(ctx, s.pool.db, id, after, limit)
	if err == nil && slices.ContainsFunc(mails, runMail.ended) {
		err = s.pool.tx(ctx, func(tx *sqlx.Tx) error {
			r, err := s.lockRunRow(ctx, tx, id)
			if err == nil {
				mails, err = s.unended(ctx, tx, id, after, limit)
			}
			if err == nil {
				ended, err = s.count(ctx, tx, r, mails)
			}
			return err
		})
	}
	if err != nil {
		return after, 0, err
	}
	if len(mails) == limit && limit > 0 {
		next = mails[limit-1].ID
	}
	return next, ended, nil
}

// add counts mails that ended in a state; it returns false for one that is no end.
func (c *RunCounts) add(state State, n int64) bool {
	column, is := map[State]*int64{Sent: &c.Sent, Partial: &c.Partial, Failed: &c.Failed, Skipped: &c.Skipped, Suppressed: &c.Suppressed,
		Cancelled: &c.Cancelled, Expired: &c.Expired, stateGone: &c.Gone}[state]
	if is {
		*column += n
	}
	return is
}

func (c RunCounts) args() []any {
	return []any{c.Sent, c.Partial, c.Failed, c.Skipped, c.Suppressed, c.Cancelled, c.Expired, c.Gone}
}

// count notes how mails have ended and adds them to the run, whose row is locked. Those that were not mailed free their keys, so
// that a later run of the period may mail them; those whose outcome the company's tables were not told stand in outbox_writeback.
func (s *Store) count(ctx context.Context, tx *sqlx.Tx, r Run, mails []runMail) (ended int, err error) {
	by := map[State][]uint64{}
	var unmailed, untold []runMail
	events := r.events()
	for _, m := range mails {
		if !m.ended() {
			continue
		}
		by[m.State] = append(by[m.State], m.ID)
		if m.State != Sent && m.State != Partial && m.Key != "" {
			unmailed = append(unmailed, m)
		}
		if events[m.State] != "" && !m.Written {
			untold = append(untold, m)
		}
	}
	var counts RunCounts
	for state, ids := range by {
		n, err := s.changeMails(ctx, tx, "run-mails-end", ids, state, r.ID)
		if err != nil {
			return 0, err
		}
		counts.add(state, int64(n))
	}
	if counts.Sum() == 0 {
		return 0, nil
	}
	if _, err := tx.ExecContext(ctx, s.sql.text("run-count"), append(counts.args(), r.ID)...); err != nil {
		return 0, err
	}
	if err := s.freeKeys(ctx, tx, r, unmailed); err != nil {
		return 0, err
	}
	return int(counts.Sum()), s.tellLater(ctx, tx, r, untold, events)
}

// events are the states that the company's tables are told of, with the name of the write-back.
func (r Run) events() map[State]string {
	all, spec := map[State]string{}, r.spec()
	if spec.OnSent != "" {
		all[Sent], all[Partial] = WroteSent, WroteSent
	}
	if spec.OnFailed != "" {
		all[Failed], all[Expired] = WroteFailed, WroteFailed
	}
	return all
}

// tellLater queues the write-backs of outcomes that were not settled: of mails that expired, or that a person has decided about.
func (s *Store) tellLater(ctx context.Context, tx *sqlx.Tx, r Run, mails []runMail, events map[State]string) error {
	for _, event := range []string{WroteSent, WroteFailed} {
		ids := idsOf(mails, func(m runMail) bool { return events[m.State] == event })
		if err := s.queueWriteBacks(ctx, tx, r.ID, ids, event); err != nil {
			return err
		}
	}
	return nil
}
