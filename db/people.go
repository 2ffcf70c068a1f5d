package db

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Filter says which rows to list. Zero values do not filter.
type Filter struct {
	Recipient string // a bare address: a row's first recipient, and any once it was tried
	Reference string
	State     State
	Held      bool      // only held rows
	Since     time.Time // created at or after
	Until     time.Time // created before
	Before    uint64    // numbers below this one: the next page
	Limit     int       // 0 means 50, at most 1000
}

// Summary is a row in a listing.
type Summary struct {
	ID          uint64     `db:"id" json:"id"`
	Recipients  string     `db:"recipients" json:"recipients"`
	Subject     string     `db:"subject" json:"subject"`
	Template    string     `db:"template" json:"template,omitempty"`
	State       State      `db:"state" json:"state"`
	Held        bool       `db:"held" json:"held"`
	Run         uint64     `db:"run_id" json:"run,omitempty"` // of which run it is
	Priority    int        `db:"priority" json:"priority"`
	Attempts    int        `db:"attempts" json:"attempts"`
	Reference   string     `db:"reference" json:"reference,omitempty"`
	SentVia     string     `db:"sent_via" json:"sent_via,omitempty"`
	SentAt      *time.Time `db:"sent_at" json:"sent_at,omitempty"`
	AvailableAt time.Time  `db:"available_at" json:"available_at"`
	CreatedAt   time.Time  `db:"created_at" json:"created_at"`
	LastError   string     `db:"last_error" json:"last_error,omitempty"`
	BouncedAt   *time.Time `db:"bounced_at" json:"bounced_at,omitempty"` // when it came back; of a mail that was sent alone
	Bounce      string     `db:"bounce" json:"bounce,omitempty"`         // what the bounce says, its beginning
}

// troubleNumber is outbox.trouble for the states that have one: an index leads to them.
var troubleNumber = map[State]int{Uncertain: 1, Failed: 2, Partial: 3, Expired: 4}

const (
	troubleHeld  = 5
	sendingLane  = 1<<32 - 1 // outbox.qlane of rows being sent
	defaultLimit = 50
	maxLimit     = 1000
)

// Find lists rows, the newest first.
func (s *Store) Find(ctx context.Context, f Filter) ([]Summary, error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if f.Recipient != "" {
		ids, err := s.withRecipient(ctx, f.Recipient)
		if err != nil {
			return nil, err
		}
		condition := "rcpt = ?"
		values := []any{strings.ToLower(f.Recipient)}
		if len(ids) > 0 {
			condition = "(rcpt = ? OR id IN (" + repeat("?", len(ids)) + "))"
			values = append(values, idArgs(ids)...)
		}
		add(condition, values...)
	}
	if f.Reference != "" {
		add("reference = ?", f.Reference)
	}
	switch n := troubleNumber[f.State]; {
	case n > 0:
		add("trouble = ?", n)
	case f.State == Sending:
		add("qlane = ?", sendingLane)
	case f.State != "":
		add("state = ?", f.State)
	}
	if f.Held {
		add("trouble = ?", troubleHeld)
	}
	if !f.Since.IsZero() {
		add("created_at >= ?", f.Since.UTC())
	}
	if !f.Until.IsZero() {
		add("created_at < ?", f.Until.UTC())
	}
	if f.Before > 0 {
		add("id < ?", f.Before)
	}
	if err := s.lookForStep(ctx); err != nil {
		return nil, fmt.Errorf("list rows of %s: %w", s.database, err)
	}
	statement := s.sql.text("find-head")
	if len(where) > 0 {
		statement += "WHERE " + strings.Join(where, " AND ")
	}
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	rows, err := selectAll[Summary](ctx, s.pool.db, statement+" ORDER BY id DESC LIMIT ?", append(args, min(f.Limit, maxLimit))...)
	return rows, wrap(err, "list rows of "+s.database)
}

// withRecipient finds rows by a recipient that is not their first.
func (s *Store) withRecipient(ctx context.Context, address string) ([]uint64, error) {
	ids, err := selectAll[uint64](ctx, s.pool.db, s.sql.text("find-recipient"), address, maxLimit)
	return ids, wrap(err, "find a recipient in "+s.database)
}

// Ahead counts the due rows of the same route that go before the row, at most limit.
func (s *Store) Ahead(ctx context.Context, d Detail, lane uint32, limit int) (int, error) {
	sum := 0
	for p := 1; p <= d.Priority && sum < limit; p++ {
		before := d.Clock
		if p == d.Priority {
			before = d.AvailableAt
		}
		var n int
		if err := s.pool.db.GetContext(ctx, &n, s.sql.text("ahead"), lane, d.Route, p, before, before, d.ID, limit-sum); err != nil {
			return 0, fmt.Errorf("count rows of %s: %w", s.database, err)
		}
		sum += n
	}
	return sum, nil
}

// WaitingBefore counts the rows of a route that wait, due or not, and that go before new ones of a priority, at most limit.
func (s *Store) WaitingBefore(ctx context.Context, r Route, priority, limit int) (n int64, err error) {
	err = retry(ctx, func() error {
		return s.pool.db.GetContext(ctx, &n, s.sql.text("waiting-before"), r.Lane, r.Hash, priority, limit)
	})
	return n, wrap(err, "count rows of "+s.database)
}
