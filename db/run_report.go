package db

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"
)

// RunMail is what became of a mail of a run.
type RunMail struct {
	ID         uint64     `db:"id" json:"id"`
	Key        string     `db:"business_key" json:"key,omitempty"`
	Recipients string     `db:"recipients" json:"recipients"`
	Subject    string     `db:"subject" json:"subject"`
	Reference  string     `db:"reference" json:"reference,omitempty"`
	State      State      `db:"-" json:"state"` // gone for one that was deleted by hand before it ended
	Held       bool       `db:"held" json:"held,omitempty"`
	SentAt     *time.Time `db:"sent_at" json:"sent_at,omitempty"`
	SentVia    string     `db:"sent_via" json:"sent_via,omitempty"`
	Code       int        `db:"smtp_code" json:"smtp_code,omitempty"`
	Enhanced   string     `db:"smtp_enhanced" json:"smtp_enhanced,omitempty"`
	LastError  string     `db:"last_error" json:"last_error,omitempty"`
	BouncedAt  *time.Time `db:"bounced_at" json:"bounced_at,omitempty"` // when it came back; of a mail that was sent alone
	Bounce     string     `db:"bounce" json:"bounce,omitempty"`         // what the bounce says, its beginning
	WriteBack  string     `db:"write_back" json:"write_back,omitempty"` // done, or that it waits and why; "" when there is none
}

type runMailRow struct {
	RunMail
	Row     sql.NullString `db:"state"`   // what its row says; none when it is gone
	Counted State          `db:"counted"` // what its run has counted
}

// RunMailFilter says which mails of a run to list.
type RunMailFilter struct {
	After  uint64 // numbers above this one: the next page
	Failed bool   // only those that ended otherwise than sent, are uncertain, or came back
	Limit  int    // 0 means 50, at most 1000
}

// RunMails lists mails of a run in the order of their numbers.
func (s *Store) RunMails(ctx context.Context, id uint64, f RunMailFilter) ([]RunMail, error) {
	err := s.needNewest(ctx)
	var found []runMailRow
	if err == nil {
		statement := s.sql.text("run-mails")
		if f.Failed {
			statement += s.sql.text("run-mails-failed")
		}
		found, err = selectAll[runMailRow](ctx, s.pool.db, statement+" ORDER BY m.outbox_id LIMIT ?", id, f.After, min(cmp.Or(max(f.Limit, 0), defaultLimit), maxLimit))
	}
	all := make([]RunMail, len(found))
	for i, m := range found {
		all[i] = m.RunMail
		if all[i].State = State(m.Row.String); !m.Row.Valid {
			all[i].State = m.Counted
		}
	}
	return all, wrap(err, fmt.Sprintf("list the mails of run %d of %s", id, s.database))
}
