package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// Rescue says how to return what an expired lease, or an earlier life of this daemon, left behind.
type Rescue struct {
	Own    string // Instance.ID whose rows are taken back whatever their lease says; "" for none
	Resend bool   // a marked row is queued again (on_uncertain: resend) instead of becoming uncertain
}

// tokens is the LIKE pattern of the rows to take back at once.
func (r Rescue) tokens() string {
	if r.Own == "" {
		return "-" // matches no token
	}
	return r.Own + "-%"
}

// Rescued lists the rows of a rescue by what became of them.
type Rescued struct {
	Queued    []uint64 // never marked: the dot was not sent
	Uncertain []uint64 // marked: the dot may have been sent
	Held      []uint64 // taken maxCrashes times without a verdict: perhaps it is the row that ends the daemon
}

// Any tells whether there was anything to rescue.
func (r Rescued) Any() bool { return len(r.Queued)+len(r.Uncertain)+len(r.Held) > 0 }

const (
	rescueBatch = 500
	maxCrashes  = 5

	errNotKnown  = "the daemon or its database stopped while the mail was being sent; whether the server has it is not known. Ask the recipient or the server's log, then: outboxd queue settle (it arrived) or outboxd queue retry (it did not)"
	errTakenBack = "the daemon or its database stopped before the message was sent; taken back"
	errTookOften = "taken several times and never finished, so it is held; look at the row, then: outboxd queue release"
)

// Rescue returns up to 500 rows. It looks for the mark while it holds the row's lock, so that a sender that was paused
// either has marked already or finds its lease gone.
func (s *Store) Rescue(ctx context.Context, r Rescue) (Rescued, error) {
	ids, err := selectAll[uint64](ctx, s.pool.db, s.sql.text("left-behind"), r.tokens(), rescueBatch)
	if err != nil {
		return Rescued{}, fmt.Errorf("look for expired leases in %s: %w", s.database, err)
	}
	if len(ids) == 0 {
		return Rescued{}, nil
	}
	var out Rescued
	err = s.pool.tx(ctx, func(tx *sqlx.Tx) (err error) {
		out, err = s.rescueIn(ctx, tx, ids, r)
		return err
	})
	var unknown *commitUnknownError
	if errors.As(err, &unknown) {
		// Whatever was committed is settled, the rest is still left behind: the next look goes on.
		return Rescued{}, nil
	}
	if err != nil {
		return Rescued{}, fmt.Errorf("rescue rows of %s: %w", s.database, err)
	}
	return out, nil
}

func (s *Store) rescueIn(ctx context.Context, tx *sqlx.Tx, ids []uint64, r Rescue) (Rescued, error) {
	var out Rescued
	rows, err := s.lock(ctx, tx, ids)
	if err != nil {
		return out, err
	}
	// Still expired? A heartbeat may have come between the look and the lock.
	var still []uint64
	if err := tx.SelectContext(ctx, &still, s.sql.text("left-behind"), r.tokens(), rescueBatch); err != nil {
		return out, err
	}
	var leases []Lease
	for _, id := range still {
		if row, locked := rows[id]; locked && row.State == Sending {
			leases = append(leases, Lease{id, row.Token})
		}
	}
	if len(leases) == 0 {
		return out, nil
	}
	if err := s.fence(ctx, tx, leases); err != nil {
		return out, err
	}
	marked := map[Lease]bool{}
	if err := s.readMarks(ctx, tx, leases, marked); err != nil {
		return out, err
	}
	known, err := s.recipientsIn(ctx, tx, ids)
	if err != nil {
		return out, err
	}
	var batch []Settlement
	for _, l := range leases {
		t := Settlement{Lease: l}
		row := rows[l.ID]
		switch {
		case marked[l]:
			t = afterMark(l, known[l.ID], r.Resend && row.Claims-row.Attempts < maxCrashes)
		case row.Claims-row.Attempts >= maxCrashes:
			t.Change = Change{State: Queued, Held: true, LastError: errTookOften}
		default:
			t.Change = Change{State: Queued}
		}
		switch {
		case t.State == Uncertain:
			out.Uncertain = append(out.Uncertain, l.ID)
		case t.Held:
			out.Held = append(out.Held, l.ID)
		default:
			out.Queued = append(out.Queued, l.ID)
		}
		batch = append(batch, t)
	}
	return out, s.apply(ctx, tx, batch)
}

// fence makes the attempts that the marks would make, unmarked, and locks those that there are. A lock on the outbox row does
// not reach the other nodes of a cluster; but of two that write the same row there only one is let through. So the marks
// that are read after this stay all that there are.
func (s *Store) fence(ctx context.Context, tx *sqlx.Tx, leases []Lease) error {
	for chunk := range chunks(leases, 200) {
		var args []any
		for _, l := range chunk {
			args = append(args, l.ID, l.Token, errTakenBack)
		}
		statement := s.sql.rows("fence", len(chunk), "(?, ?, UTC_TIMESTAMP(6), '', '', ?)")
		if _, err := tx.ExecContext(ctx, statement, args...); err != nil {
			return err
		}
	}
	return nil
}

// afterMark is the settlement of a row whose mark was found and whose outcome was not. That is no verdict, so no attempt is
// counted: a row that keeps ending the daemon is held in the end, also where it is resent.
func afterMark(l Lease, recipients []Recipient, resend bool) Settlement {
	t := Settlement{Lease: l, Change: Change{State: Uncertain, LastError: errNotKnown}}
	for _, r := range recipients {
		if r.State == RecipientSending && r.Token == l.Token {
			r.State, r.LastError = RecipientUncertain, errNotKnown
			if resend {
				r.State, r.LastError = RecipientOpen, ""
			}
			t.Recipients = append(t.Recipients, r)
		}
	}
	if resend {
		t.State, t.LastError = Queued, ""
		return t
	}
	if len(t.Recipients) > 0 {
		t.State = Together(merge(recipients, t.Recipients), Uncertain)
	}
	if t.State == Queued {
		t.LastError = ""
	}
	return t
}

// merge returns the recipients with the changed ones in their new state.
func merge(all, changed []Recipient) []Recipient {
	out := slices.Clone(all)
	for _, c := range changed {
		for i := range out {
			if out[i].Position == c.Position {
				out[i] = c
			}
		}
	}
	return out
}

// Together is the state of a row with these recipients: any open is queued, else any uncertain is uncertain, else sent,
// failed or partial. Without recipients it is the state that one would have: alone.
func Together(recipients []Recipient, alone State) State {
	count := map[RecipientState]int{}
	for _, r := range recipients {
		count[r.State]++
	}
	switch n := len(recipients); {
	case n == 0:
		return alone
	case count[RecipientOpen] > 0:
		return Queued
	case count[RecipientUncertain]+count[RecipientSending] > 0:
		return Uncertain
	case count[RecipientAccepted] == n:
		return Sent
	case count[RecipientSuppressed] == n:
		return Suppressed
	case count[RecipientFailed]+count[RecipientSuppressed] == n:
		return Failed
	}
	return Partial
}

// ExpireCursor is where Expire goes on. The zero value begins at the beginning.
type ExpireCursor struct {
	At time.Time
	ID uint64
}

const expireBatch = 1000

// Expire ends waiting rows whose expires_at is over, looking at most at 1000 index entries. It returns where to go on,
// and whether it came to the end.
func (s *Store) Expire(ctx context.Context, c ExpireCursor) (next ExpireCursor, expired int64, done bool, err error) {
	if first := time.Unix(1, 0).UTC(); c.At.Before(first) {
		c.At = first // the first TIMESTAMP there is: servers refuse to compare with an earlier one
	}
	found, err := selectAll[struct {
		ID uint64    `db:"id"`
		At time.Time `db:"expires_at"`
	}](ctx, s.pool.db, s.sql.text("expire-scan"), c.At, c.At, c.ID, expireBatch)
	if err != nil {
		return c, 0, false, fmt.Errorf("look for expired rows in %s: %w", s.database, err)
	}
	if len(found) == 0 {
		return c, 0, true, nil
	}
	ids := make([]uint64, len(found))
	for i, f := range found {
		ids[i] = f.ID
	}
	some, err := selectAll[uint64](ctx, s.pool.db, s.sql.list("expire-some", len(ids)), idArgs(ids)...)
	for _, id := range some {
		if err == nil {
			err = s.expireRest(ctx, id)
		}
	}
	if err == nil {
		expired, err = s.pool.write(ctx, s.sql.list("expire", len(ids)), idArgs(ids)...)
	}
	if err != nil {
		return c, 0, false, fmt.Errorf("expire rows of %s: %w", s.database, err)
	}
	expired += int64(len(some))
	last := found[len(found)-1]
	return ExpireCursor{last.At, last.ID}, expired, len(found) < expireBatch, nil
}

// ErrExpired is the reason of a row, or a recipient, that was not reached in time.
const ErrExpired = "expires_at passed before the mail could be sent"

// ExpireRest gives the recipients that are still open their end, and tells how the row ends: expired when nobody has it,
// else as those say that have, or may have it.
func ExpireRest(known []Recipient) (rest []Recipient, end State, reason string) {
	rest, end = EndRest(known, Expired, ErrExpired)
	if end == Expired {
		return nil, Expired, ErrExpired
	}
	return rest, end, fmt.Sprintf("expires_at passed before %d of %d recipients could be reached; outbox_recipient says who", len(rest), len(known))
}

// EndRest gives the recipients that are still open their end, as failed with the reason, and tells how the row ends: as alone when
// nobody has it, and then no recipient is changed; else as those say that have, or may have it.
func EndRest(known []Recipient, alone State, why string) (rest []Recipient, end State) {
	all := slices.Clone(known)
	had := 0
	for i := range all {
		switch all[i].State {
		case RecipientAccepted, RecipientUncertain:
			had++
		case RecipientOpen, RecipientSending:
			all[i].State, all[i].LastError = RecipientFailed, why
			rest = append(rest, all[i])
		}
	}
	if had == 0 {
		return nil, alone
	}
	return rest, Together(all, alone)
}

// expireRest ends a waiting row of which some recipients have it.
func (s *Store) expireRest(ctx context.Context, id uint64) error {
	return s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.endSome(ctx, tx, id, s.sql.text("expire-one"), ExpireRest) })
}

// endSome ends a waiting row of which some recipients have it, by a guarded statement that sets state and reason.
func (s *Store) endSome(ctx context.Context, tx *sqlx.Tx, id uint64, statement string, how func(known []Recipient) (rest []Recipient, end State, reason string)) error {
	if _, err := s.lock(ctx, tx, []uint64{id}); err != nil {
		return err
	}
	known, err := s.recipientsIn(ctx, tx, []uint64{id})
	if err != nil {
		return err
	}
	rest, end, reason := how(known[id])
	r, err := tx.ExecContext(ctx, statement, end, cut(reason, maxError), id)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return err // somebody was faster
	}
	var rows []recipientRow
	for _, one := range rest {
		rows = append(rows, recipientRow{id, one})
	}
	return s.writeRecipients(ctx, tx, rows)
}
