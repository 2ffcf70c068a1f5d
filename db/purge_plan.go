package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"
)

// before is the time before which something must have ended to be removed.
func (p *Purge) before() time.Time { return p.Now.Add(-p.Age) }

// planPurge looks at the next rows, without locks: first at those that were remembered. Nil means that none is left.
func (s *Store) planPurge(ctx context.Context, p *Purge) (*purgePlan, error) {
	if !p.walking {
		if p.since.IsZero() {
			p.since = time.Unix(1, 0) // the first that a TIMESTAMP can be: MySQL compares with no other
		}
		again, err := selectAll[seen](ctx, s.pool.db, s.sql.text("purge-later"), p.Pass, p.before(), p.since, p.since, p.id, purgeBatch)
		if err != nil {
			return nil, err
		}
		if len(again) > 0 {
			return s.planAgain(ctx, p, again)
		}
		p.walking = true
	}
	return s.planWalk(ctx, p)
}

// planAgain plans for rows that were remembered, as many of them as one step takes.
func (s *Store) planAgain(ctx context.Context, p *Purge, again []seen) (*purgePlan, error) {
	ids := make([]uint64, len(again))
	for i, a := range again {
		ids[i] = a.ID
	}
	rows, err := selectAll[met](ctx, s.pool.db, s.sql.list("purge-again", len(ids)), idArgs(ids)...)
	if err != nil {
		return nil, err
	}
	// In the order in which they were asked for, so that a step may stop before the last one.
	slices.SortFunc(rows, func(a, b met) int { return cmp.Compare(slices.Index(ids, a.ID), slices.Index(ids, b.ID)) })
	light, err := s.weigh(ctx, p, rows)
	if err != nil {
		return nil, err
	}
	if len(light) < len(rows) {
		n := slices.Index(ids, rows[len(light)].ID)
		rows, again, ids = light, again[:n], ids[:n]
	}
	plan := &purgePlan{again: again}
	if p.Pass == PassRows {
		left, err := s.leftBehind(ctx, ids)
		if err != nil {
			return nil, err
		}
		rows = withGone(rows, left)
	}
	p.judge(plan, rows)
	return plan, nil
}

// planWalk plans for the next rows along the primary key, up to the last that is old enough by its birth.
func (s *Store) planWalk(ctx context.Context, p *Purge) (*purgePlan, error) {
	var passed uint64
	err := s.pool.db.GetContext(ctx, &passed, s.sql.text("purge-passed"), p.Pass)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	rows, err := selectAll[met](ctx, s.pool.db, s.sql.text("purge-window"), passed, purgeBatch)
	if err != nil {
		return nil, err
	}
	light, err := s.weigh(ctx, p, rows)
	if err != nil {
		return nil, err
	}
	top := uint64(math.MaxInt64)
	if len(rows) == purgeBatch || len(light) < len(rows) {
		top = light[len(light)-1].ID
	}
	rows = light
	if p.Pass == PassRows {
		if rows, err = s.walkGone(ctx, passed, top, rows); err != nil {
			return nil, err
		}
	}
	n := len(rows)
	for n > 0 && !rows[n-1].born().Before(p.before()) {
		n--
	}
	if n == 0 {
		return nil, nil
	}
	plan := &purgePlan{passed: rows[n-1].ID}
	p.judge(plan, rows[:n])
	return plan, nil
}

// walkGone adds the numbers of rows that are gone, between two numbers and as far as one step takes.
func (s *Store) walkGone(ctx context.Context, after, top uint64, rows []met) ([]met, error) {
	for _, name := range []string{"purge-window-attachments", "purge-window-tries", "purge-window-recipients"} {
		left, err := selectAll[met](ctx, s.pool.db, s.sql.text(name), after, top, purgeBatch)
		if err != nil {
			return nil, err
		}
		if len(left) == purgeBatch {
			top = left[purgeBatch-1].ID
		}
		rows = withGone(rows, left)
	}
	return slices.DeleteFunc(rows, func(m met) bool { return m.ID > top }), nil
}

// leftBehind reads which of the rows have attachments, tries or recipients.
func (s *Store) leftBehind(ctx context.Context, ids []uint64) ([]met, error) {
	var all []met
	for _, name := range []string{"purge-again-attachments", "purge-again-tries", "purge-again-recipients"} {
		found, err := selectAll[met](ctx, s.pool.db, s.sql.list(name, len(ids)), idArgs(ids)...)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// withGone adds what has no row, with the latest time of what it left behind, and sorts by number.
func withGone(rows, left []met) []met {
	at := make(map[uint64]int, len(rows))
	for i, m := range rows {
		at[m.ID] = i
	}
	for _, m := range left {
		i, known := at[m.ID]
		switch {
		case !known:
			at[m.ID] = len(rows)
			rows = append(rows, m)
		case rows[i].State == "" && rows[i].UpdatedAt.Time.Before(m.UpdatedAt.Time):
			rows[i] = m
		}
	}
	slices.SortFunc(rows, func(a, b met) int { return cmp.Compare(a.ID, b.ID) })
	return rows
}

// weigh returns the rows at the head whose contents are not too much for one step; at least one. It looks at few rows at
// first, as the server reads a finished message to tell its size.
func (s *Store) weigh(ctx context.Context, p *Purge, rows []met) ([]met, error) {
	octets, looked := int64(0), 0
	for i := range rows {
		if i == looked {
			looked = min(len(rows), max(4, 2*looked))
			if err := s.weighMore(ctx, p, rows[i:looked]); err != nil {
				return nil, err
			}
		}
		if octets += rows[i].Size; octets > purgeOctets && i > 0 {
			return rows[:i], nil
		}
	}
	return rows, nil
}

// weighMore adds what the rows that are to go have beside bodies and headers.
func (s *Store) weighMore(ctx context.Context, p *Purge, rows []met) error {
	at, ids := map[uint64]int{}, []uint64{}
	for i, m := range rows {
		if m.ended() && m.UpdatedAt.Time.Before(p.before()) {
			at[m.ID], ids = i, append(ids, m.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := selectAll[met](ctx, s.pool.db, s.sql.list("purge-weigh", len(ids)), idArgs(ids)...)
	for _, f := range found {
		m := &rows[at[f.ID]]
		m.Size, m.Content = m.Size+f.Size, f.Content
	}
	return err
}

func (m met) ended() bool { return m.State != Queued && m.State != Sending && m.State != Uncertain }

// born is when the row was inserted, or when a row that is gone was last heard of.
func (m met) born() time.Time {
	if m.State == "" {
		return m.UpdatedAt.Time
	}
	return m.CreatedAt
}

// judge sorts rows into what is removed and what is remembered. A row without content is not a matter of the bodies; an
// age counts from the last change, or from now at the earliest where the row has not ended.
func (p *Purge) judge(plan *purgePlan, rows []met) {
	for _, m := range rows {
		old := m.UpdatedAt.Time.Before(p.before())
		switch {
		case !m.ended():
			plan.later = append(plan.later, seen{m.ID, p.Now})
		case !old:
			plan.later = append(plan.later, seen{m.ID, m.UpdatedAt.Time})
		case p.Pass == PassBodies && m.Size == 0 && !m.Content:
		case m.State == "":
			plan.gone = append(plan.gone, m.ID)
		default:
			plan.old = append(plan.old, m)
		}
	}
}
