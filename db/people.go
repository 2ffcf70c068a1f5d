package db

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
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
	Priority    int        `db:"priority" json:"priority"`
	Attempts    int        `db:"attempts" json:"attempts"`
	Reference   string     `db:"reference" json:"reference,omitempty"`
	SentVia     string     `db:"sent_via" json:"sent_via,omitempty"`
	SentAt      *time.Time `db:"sent_at" json:"sent_at,omitempty"`
	AvailableAt time.Time  `db:"available_at" json:"available_at"`
	CreatedAt   time.Time  `db:"created_at" json:"created_at"`
	LastError   string     `db:"last_error" json:"last_error,omitempty"`
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

// StateError says that a row's state does not allow what was asked.
type StateError struct {
	ID    uint64
	State State
	Held  bool
	Hint  string
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
// content was purged is a *PurgedError.
func (s *Store) Retry(ctx context.Context, id uint64) error {
	return s.change(ctx, id, "only a row that waits or ended unsent can be retried, and not after its expires_at",
		edit{statement: "retry", args: []any{id}, again: true}, edit{statement: "retry-recipients", args: []any{id}, ended: true})
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
	return s.change(ctx, id, "only an uncertain row can be settled",
		edit{statement: "settle-by-hand", args: []any{Together(all, to), cut(reason, maxError), to == Sent, id}}, edit{statement: "settle-recipients", args: []any{each, cut(reason, maxError), id}})
}

// Hold keeps a queued row back until Release.
func (s *Store) Hold(ctx context.Context, id uint64, reason string) error {
	return s.change(ctx, id, "only a queued row can be held", edit{statement: "hold", args: []any{cut(reason, maxError), id}})
}

// Release lets a held row go.
func (s *Store) Release(ctx context.Context, id uint64) error {
	return s.change(ctx, id, "only a held row can be released", edit{statement: "release", args: []any{id}})
}

// Cancel ends a queued row, held or not.
func (s *Store) Cancel(ctx context.Context, id uint64, reason string) error {
	return s.change(ctx, id, "only a queued row can be cancelled", edit{statement: "cancel", args: []any{cut(reason, maxError), id}})
}

type edit struct {
	statement string
	args      []any
	ended     bool // only where the row had ended: one that waits has recipients nobody has decided about
	again     bool // the row is to be sent again, which wants its content
}

// change runs the edits in one transaction. The first is guarded: when it touches nothing the row's state is the error.
func (s *Store) change(ctx context.Context, id uint64, hint string, edits ...edit) error {
	err := s.pool.tx(ctx, func(tx *sqlx.Tx) error {
		rows, err := s.lock(ctx, tx, []uint64{id})
		if err != nil {
			return err
		}
		row, there := rows[id]
		if !there {
			return &NoRowError{s.database, id}
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
			r, err := tx.ExecContext(ctx, s.sql.text(e.statement), e.args...)
			if err != nil {
				return err
			}
			if n, err := r.RowsAffected(); err != nil {
				return err
			} else if n == 0 && i == 0 {
				return &StateError{id, row.State, row.Held, hint}
			}
		}
		return nil
	})
	return wrap(err, fmt.Sprintf("change row %d of %s", id, s.database))
}
