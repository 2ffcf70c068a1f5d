package db

import (
	"context"
	"fmt"
	"time"
)

// Counts is where a company's rows stand. Each number stops at CountLimit: a status must not cost more with the backlog.
type Counts struct {
	Queued    int            `json:"queued"`     // waiting, due or not, held ones not counted
	Due       int            `json:"due"`        // of these, due now and in none of the lanes that wait
	OldestDue int            `json:"oldest_due"` // seconds for which the oldest of these has been due
	Sending   int            `json:"sending"`
	Held      int            `json:"held"`
	HeldByRun int            `json:"held_by_runs"` // of these, as many as runs of mailings hold, and not a person or a guard
	Uncertain int            `json:"uncertain"`
	Failed    int            `json:"failed"`
	Partial   int            `json:"partial"`
	Expired   int            `json:"expired"`
	SentHour  map[string]int `json:"sent_last_hour"` // by account
}

// CountLimit is where counting stops; a number above it means more.
const CountLimit = 10000

// Counts counts the company's rows, each kind up to CountLimit + 1.
func (s *Store) Counts(ctx context.Context, routes []Route) (Counts, error) {
	c := Counts{SentHour: map[string]int{}}
	count := func(to *int, statement string, args ...any) error {
		return s.pool.db.GetContext(ctx, to, s.sql.text(statement), append(args, CountLimit+1)...)
	}
	for _, one := range []struct {
		to        *int
		statement string
		args      []any
	}{
		{&c.Queued, "count-waiting", nil},
		{&c.Sending, "count-sending", nil},
		{&c.Uncertain, "count-trouble", []any{troubleNumber[Uncertain]}},
		{&c.Failed, "count-trouble", []any{troubleNumber[Failed]}},
		{&c.Partial, "count-trouble", []any{troubleNumber[Partial]}},
		{&c.Expired, "count-trouble", []any{troubleNumber[Expired]}},
	} {
		if err := count(one.to, one.statement, one.args...); err != nil {
			return c, fmt.Errorf("count rows of %s: %w", s.database, err)
		}
	}
	var held struct {
		All    int `db:"held"`
		ByRuns int `db:"by_runs"`
	}
	if err := s.pool.db.GetContext(ctx, &held, s.sql.text("count-held"), troubleHeld, CountLimit+1); err != nil {
		return c, fmt.Errorf("count held rows of %s: %w", s.database, err)
	}
	c.Held, c.HeldByRun = held.All, held.ByRuns
	for _, r := range routes {
		for _, p := range Priorities {
			var n struct {
				Due    int `db:"due"`
				Oldest int `db:"oldest"`
			}
			if err := s.pool.db.GetContext(ctx, &n, s.sql.text("count-due"), r.Lane, r.Hash, p, CountLimit+1); err != nil {
				return c, fmt.Errorf("count due rows of %s: %w", s.database, err)
			}
			c.Due, c.OldestDue = min(c.Due+n.Due, CountLimit+1), max(c.OldestDue, n.Oldest)
		}
	}
	sent, err := selectAll[struct {
		Account string `db:"account"`
		Mails   int    `db:"mails"`
	}](ctx, s.pool.db, s.sql.text("sent-lately"), int(time.Hour/time.Second), 10*CountLimit)
	for _, a := range sent {
		c.SentHour[a.Account] = a.Mails
	}
	return c, wrap(err, "count sent rows of "+s.database)
}

// Audited is one entry of the audit.
type Audited struct {
	ID     uint64    `db:"id" json:"id"`
	At     time.Time `db:"at" json:"at"`
	Actor  string    `db:"actor" json:"actor"`
	Action string    `db:"action" json:"action"`
	Target string    `db:"target" json:"target"`
	Reason string    `db:"reason" json:"reason,omitempty"`
	Detail string    `db:"detail" json:"detail,omitempty"`
}

// Audit notes who did what. It is written before the deed: a deed without its entry must not be.
func (s *Store) Audit(ctx context.Context, a Audited) error {
	return s.exec(ctx, "write audit", s.sql.text("audit-add"), cut(a.Actor, 255), a.Action, cut(a.Target, 255), null(cut(a.Reason, maxReply)), null(cut(a.Detail, maxError)))
}

// AuditLog lists audit entries, the newest first, at most limit, below the number before (0: from the newest).
func (s *Store) AuditLog(ctx context.Context, before uint64, limit int) ([]Audited, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	log, err := selectAll[Audited](ctx, s.pool.db, s.sql.text("audit-list"), before, limit)
	return log, wrap(err, "read audit of "+s.database)
}

// CountUncertain counts the rows that only a person can settle, up to CountLimit + 1.
func (s *Store) CountUncertain(ctx context.Context) (int, error) {
	var n int
	err := s.pool.db.GetContext(ctx, &n, s.sql.text("count-trouble"), troubleNumber[Uncertain], CountLimit+1)
	return n, wrap(err, "count uncertain rows of "+s.database)
}

// CountRunUncertain counts the mails of a run that only a person can settle, up to CountLimit + 1.
func (s *Store) CountRunUncertain(ctx context.Context, run uint64) (int, error) {
	var n int
	err := s.pool.db.GetContext(ctx, &n, s.sql.text("count-uncertain-of-run"), run, CountLimit+1)
	return n, wrap(err, fmt.Sprintf("count uncertain mails of run %d of %s", run, s.database))
}
