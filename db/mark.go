package db

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// RecipientState is what became of one recipient of a row that has several.
type RecipientState string

// The states of a recipient.
const (
	RecipientOpen       RecipientState = "open"       // waits for its next try
	RecipientSending    RecipientState = "sending"    // accepted at RCPT, under a mark
	RecipientAccepted   RecipientState = "accepted"   // the server took the message for it
	RecipientFailed     RecipientState = "failed"     // refused for good
	RecipientUncertain  RecipientState = "uncertain"  // the dot may have gone for it
	RecipientSuppressed RecipientState = "suppressed" // gets no mail, as outbox_suppression says; asked again when the row is tried again
)

// Recipient is one envelope recipient of a row that has several, as outbox_recipient keeps it.
type Recipient struct {
	Position  int            `db:"position" json:"position"`
	Kind      string         `db:"kind" json:"kind"` // to, cc or bcc
	Address   string         `db:"address" json:"address"`
	State     RecipientState `db:"state" json:"state"`
	Token     string         `db:"lease_token" json:"lease_token,omitempty"`
	Code      int            `db:"smtp_code" json:"smtp_code,omitempty"`
	Enhanced  string         `db:"smtp_enhanced" json:"smtp_enhanced,omitempty"`
	LastError string         `db:"last_error" json:"last_error,omitempty"`
	BouncedAt *time.Time     `db:"bounced_at" json:"bounced_at,omitempty"` // only Show reads it, and Bounce
	Bounce    string         `db:"bounce" json:"bounce,omitempty"`
}

// Mark says that DATA was written for a row: the body may follow once the mark is committed.
type Mark struct {
	Lease
	Account    string
	Daemon     string
	Recipients []Recipient // of a row with several: all of them, those of this transaction as RecipientSending
}

// Mark commits the attempt row, together with those that are asked for at the same time. It returns nil only when
// the row is proven to be marked and still held by the lease; a *LeaseLostError when it is not held any more, an *OlderError
// when the database has gone back behind what this daemon remembers.
func (s *Store) Mark(ctx context.Context, m Mark) error { return s.marks.do(ctx, m) }

func (s *Store) runMarks(ctx context.Context, marks []Mark) []error {
	return apart(marks, func(some []Mark) ([]error, error) { return s.markAll(ctx, some) },
		func(m Mark) string { return fmt.Sprintf("mark row %d of %s", m.ID, s.database) })
}

func (s *Store) markAll(ctx context.Context, marks []Mark) ([]error, error) {
	leases := make([]Lease, len(marks))
	for i, m := range marks {
		leases[i] = m.Lease
	}
	marked := map[Lease]bool{}
	var err error
	if plain(marks) {
		err = s.markPlain(ctx, marks, leases, marked)
	} else {
		err = s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.writeMarks(ctx, tx, marks, leases, marked) })
	}
	var unknown *commitUnknownError
	if errors.As(err, &unknown) {
		err = s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.readBack(ctx, tx, leases, marked) })
	}
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(marks))
	if len(marked) == len(leases) {
		return errs, nil
	}
	older := s.checkGuard(ctx)
	for i, l := range leases {
		if !marked[l] {
			errs[i] = older
			if older == nil {
				errs[i] = &LeaseLostError{l}
			}
		}
	}
	return errs, nil
}

// markStatement is the statement that marks the leases, with its values.
func (s *Store) markStatement(of Mark, leases []Lease) (string, []any) {
	join, args := "", []any{of.Account, cut(of.Daemon, maxDaemon)}
	if g := s.guard.Load(); g != nil {
		join, args = s.sql.text("mark-guard"), append(args, g.instance, g.N)
	}
	return strings.Replace(s.sql.list("mark", len(leases)), "{guard}", join, 1), append(args, leaseArgs(leases)...)
}

// plain tells whether one statement can write all the marks: one account, single recipients.
func plain(marks []Mark) bool {
	for _, m := range marks {
		if m.Account != marks[0].Account || len(m.Recipients) > 0 {
			return false
		}
	}
	return true
}

// markPlain is the usual case in one round trip: the statement is a transaction of its own. As many rows as asked means
// that every lease is held.
func (s *Store) markPlain(ctx context.Context, marks []Mark, leases []Lease, marked map[Lease]bool) error {
	statement, args := s.markStatement(marks[0], leases)
	n, err := s.pool.write(ctx, statement, args...)
	switch {
	case Kind(err) == KindLost:
		return &commitUnknownError{err}
	case err != nil:
		return err
	case n < int64(len(leases)):
		return s.readMarks(ctx, s.pool.db, leases, marked)
	}
	for _, l := range leases {
		marked[l] = true
	}
	return nil
}

func (s *Store) writeMarks(ctx context.Context, tx *sqlx.Tx, marks []Mark, leases []Lease, marked map[Lease]bool) error {
	clear(marked)
	// One account and daemon a statement; marks of different accounts in one group are rare enough to loop.
	for _, account := range accountsOf(marks) {
		var own []Lease
		for _, m := range marks {
			if m.Account == account {
				own = append(own, m.Lease)
			}
		}
		statement, args := s.markStatement(Mark{Account: account, Daemon: marks[0].Daemon}, own)
		if _, err := tx.ExecContext(ctx, statement, args...); err != nil {
			return err
		}
	}
	if err := s.readMarks(ctx, tx, leases, marked); err != nil {
		return err
	}
	// Only of rows still held: those of a lost lease belong to whoever has the row now.
	var recipients []recipientRow
	for _, m := range marks {
		if !marked[m.Lease] {
			continue
		}
		for _, r := range m.Recipients {
			recipients = append(recipients, recipientRow{m.ID, r})
		}
	}
	return s.writeRecipients(ctx, tx, recipients)
}

// readBack finds out which marks a COMMIT with a lost reply has made. The rows' locks make it wait for a server that is
// still at it.
func (s *Store) readBack(ctx context.Context, tx *sqlx.Tx, leases []Lease, marked map[Lease]bool) error {
	clear(marked)
	ids := make([]uint64, len(leases))
	for i, l := range leases {
		ids[i] = l.ID
	}
	if _, err := s.lock(ctx, tx, ids); err != nil {
		return err
	}
	return s.readMarks(ctx, tx, leases, marked)
}

func (s *Store) readMarks(ctx context.Context, q sqlx.QueryerContext, leases []Lease, marked map[Lease]bool) error {
	var found []struct {
		ID    uint64 `db:"id"`
		Token string `db:"lease_token"`
	}
	if err := sqlx.SelectContext(ctx, q, &found, s.sql.list("marked", len(leases)), leaseArgs(leases)...); err != nil {
		return err
	}
	for _, f := range found {
		marked[Lease{f.ID, f.Token}] = true
	}
	return nil
}

func accountsOf(marks []Mark) []string {
	var names []string
	seen := map[string]bool{}
	for _, m := range marks {
		if !seen[m.Account] {
			seen[m.Account] = true
			names = append(names, m.Account)
		}
	}
	return names
}
