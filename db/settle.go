package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"
)

// State is where a row stands. docs/states.md draws the ways between them.
type State string

// The states of a row.
const (
	Queued     State = "queued"
	Sending    State = "sending"
	Sent       State = "sent"
	Partial    State = "partial"
	Failed     State = "failed"
	Skipped    State = "skipped"
	Suppressed State = "suppressed"
	Cancelled  State = "cancelled"
	Expired    State = "expired"
	Uncertain  State = "uncertain"
)

// Change is what a settlement writes into a row. Rows with the same Change are settled by one statement.
type Change struct {
	State     State
	Held      bool
	Lane      uint32
	Verdict   bool          // the taking ended with a verdict: attempts + 1
	GivenBack bool          // the taking never was a try: claims - 1
	Wait      time.Duration // of a queued row: the next try is not before now + Wait; 0 leaves available_at
	Account   string        // by which it was tried; "" when by none
	Sent      bool          // a server accepted it for at least one recipient
	Code      int
	Enhanced  string
	LastError string
}

// Attempt is what became of one try, for outbox_attempt.
type Attempt struct {
	Account  string
	Daemon   string
	Step     string
	Verdict  string
	Code     int
	Enhanced string
	Reply    string
}

// Settlement is the outcome of one taking of one row.
type Settlement struct {
	Lease
	Change
	Attempt    *Attempt    // nil when nothing was tried
	Recipients []Recipient // of a row with several: those whose state is now known
	WriteBack  *WriteBack  // of a row of a run: what the company's own tables are told; nil for nothing

	later string // why the write-back is left for later
}

const (
	maxError    = 4000 // characters of last_error
	maxReply    = 600  // characters of outbox_attempt.reply
	maxEnhanced = 16   // characters of smtp_enhanced
	maxDaemon   = 64   // characters of outbox_attempt.daemon
)

// Settle writes the outcome into row, recipients and attempt in one transaction, together with those of other rows.
// It may be called again with the same settlement: what is written already stays. A *LeaseLostError says that the row
// belongs to somebody else by now; nothing was written then, unless an earlier call's COMMIT got no answer, let the row go, and
// somebody has taken it since. An uncertain row of this lease gets the truth.
//
// A write-back is done in a transaction of its own, with the outcome; where that comes to nothing, or would take longer than a
// second, the outcome is written without it and the write-back left for later (DueWriteBacks).
func (s *Store) Settle(ctx context.Context, t Settlement) error {
	if t.WriteBack != nil {
		if err := s.settleBack(ctx, t); err == nil {
			return nil
		} else {
			t.later = writeBackText(err)
		}
	}
	return s.settles.do(ctx, t)
}

func (s *Store) runSettles(ctx context.Context, batch []Settlement) []error {
	return apart(batch, func(some []Settlement) ([]error, error) { return s.settleAll(ctx, some) },
		func(t Settlement) string { return fmt.Sprintf("settle row %d of %s", t.ID, s.database) })
}

// settleAll hopes that all leases are held, which spares a look; else each row is looked at under a lock. That also reads
// back a COMMIT whose reply was lost: what was committed is found done.
func (s *Store) settleAll(ctx context.Context, batch []Settlement) ([]error, error) {
	errs := make([]error, len(batch))
	err := s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.apply(ctx, tx, batch) })
	var unknown *commitUnknownError
	if err == nil || err != errNotHeld && !errors.As(err, &unknown) {
		return errs, err
	}
	look := func(unanswered bool) error {
		return s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.settleIn(ctx, tx, batch, unanswered, errs) })
	}
	if err = look(unknown != nil); errors.As(err, &unknown) {
		err = look(true)
	}
	return errs, err
}

// errNotHeld says that a guard has kept back at least one of the rows.
var errNotHeld = errors.New("a lease is not held")

type lockedRow struct {
	ID       uint64 `db:"id"`
	Token    string `db:"lease_token"`
	State    State  `db:"state"`
	Held     int    `db:"held"` // 0, heldByHand or heldByRun
	Claims   int    `db:"claims"`
	Attempts int    `db:"attempts"`
}

func (s *Store) lock(ctx context.Context, tx *sqlx.Tx, ids []uint64) (map[uint64]lockedRow, error) {
	var rows []lockedRow
	if err := tx.SelectContext(ctx, &rows, s.sql.list("lock", len(ids)), idArgs(ids)...); err != nil {
		return nil, err
	}
	by := make(map[uint64]lockedRow, len(rows))
	for _, r := range rows {
		by[r.ID] = r
	}
	return by, nil
}

// settleIn looks at each row under a lock and applies what its lease still allows; errs gets the leases that are lost. After a
// COMMIT that was not answered, at which all the others were held, a row that was let go untried may have been taken by somebody
// else since: that loses nothing.
func (s *Store) settleIn(ctx context.Context, tx *sqlx.Tx, batch []Settlement, unanswered bool, errs []error) error {
	ids := make([]uint64, len(batch))
	for i, t := range batch {
		ids[i] = t.ID
	}
	rows, err := s.lock(ctx, tx, ids)
	if err != nil {
		return err
	}
	var valid, late []Settlement
	for i, t := range batch {
		row, there := rows[t.ID]
		switch {
		case there && row.Token == t.Token && (row.State == Sending || row.State == Uncertain && t.State != Uncertain):
			valid = append(valid, t)
		case there && row.Token == t.Token && row.State == Queued && t.Attempt != nil:
			late = append(late, t)
		case there && row.Token == t.Token:
			// Settled by this token before: done.
		case there && unanswered && t.Attempt == nil && errs[i] == nil:
			// Settled, and taken anew.
		default:
			errs[i] = &LeaseLostError{t.Lease}
		}
	}
	if err := s.apply(ctx, tx, valid); err != nil {
		return err
	}
	return s.tellLate(ctx, tx, late)
}

// tellLate writes the truth about recipients that a rescue has left uncertain, where the row waits for its other ones.
func (s *Store) tellLate(ctx context.Context, tx *sqlx.Tx, late []Settlement) error {
	if len(late) == 0 {
		return nil
	}
	ids := make([]uint64, len(late))
	for i, t := range late {
		ids[i] = t.ID
	}
	known, err := s.recipientsIn(ctx, tx, ids)
	if err != nil {
		return err
	}
	var recipients []recipientRow
	for _, t := range late {
		for _, r := range t.Recipients {
			if slices.ContainsFunc(known[t.ID], func(k Recipient) bool {
				return k.Position == r.Position && k.State == RecipientUncertain && k.Token == t.Token
			}) {
				recipients = append(recipients, recipientRow{t.ID, r})
			}
		}
	}
	if err := s.writeAttempts(ctx, tx, late); err != nil {
		return err
	}
	return s.writeRecipients(ctx, tx, recipients)
}

// apply writes settlements, rows with the same change together. errNotHeld means that a guard held and the transaction
// must not be committed.
func (s *Store) apply(ctx context.Context, tx *sqlx.Tx, batch []Settlement) error {
	same := map[Change][]Lease{}
	var order []Change
	var attempts, recipients = []Settlement{}, []recipientRow{}
	for _, t := range batch {
		t.LastError, t.Enhanced = cut(t.LastError, maxError), cut(t.Enhanced, maxEnhanced)
		if len(same[t.Change]) == 0 {
			order = append(order, t.Change)
		}
		same[t.Change] = append(same[t.Change], t.Lease)
		if t.Attempt != nil {
			attempts = append(attempts, t)
		}
		for _, r := range t.Recipients {
			recipients = append(recipients, recipientRow{t.ID, r})
		}
	}
	for _, c := range order {
		leases := same[c]
		args := []any{c.State, c.Held, c.Lane, b2i(c.Verdict), b2i(c.GivenBack), c.Wait > 0, micros(c.Wait), null(c.Account), c.Sent,
			null(c.Code), null(c.Enhanced), null(c.LastError)}
		args = append(append(args, leaseArgs(leases)...), c.State)
		r, err := tx.ExecContext(ctx, s.sql.list("settle", len(leases)), args...)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil {
			return err
		} else if n < int64(len(leases)) {
			return errNotHeld
		}
	}
	if err := s.writeAttempts(ctx, tx, attempts); err != nil {
		return err
	}
	if err := s.writeRecipients(ctx, tx, recipients); err != nil {
		return err
	}
	return s.leaveWriteBacks(ctx, tx, batch)
}

func (s *Store) writeAttempts(ctx context.Context, tx *sqlx.Tx, batch []Settlement) error {
	// In the order of the key, as the row locks were taken.
	slices.SortFunc(batch, func(a, b Settlement) int { return cmp.Compare(a.ID, b.ID) })
	for chunk := range chunks(batch, 200) {
		var args []any
		for _, t := range chunk {
			a := t.Attempt
			args = append(args, t.ID, t.Token, a.Account, cut(a.Daemon, maxDaemon), a.Step, a.Verdict, null(a.Code), null(cut(a.Enhanced, maxEnhanced)), null(cut(a.Reply, maxReply)))
		}
		statement := s.sql.rows("attempt-write", len(chunk), "(?, ?, UTC_TIMESTAMP(6), ?, ?, ?, ?, ?, ?, ?)")
		if _, err := tx.ExecContext(ctx, statement, args...); err != nil {
			return err
		}
	}
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// cut shortens a text to n characters and mends what is not UTF-8: the server would refuse it, and with it the outcome.
func cut(text string, n int) string {
	text = mend(text)
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// mend replaces what is not UTF-8.
func mend(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
