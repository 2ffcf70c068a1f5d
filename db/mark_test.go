package db_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// recipients are n recipients in a state, the first ones as To.
func recipients(state db.RecipientState, token string, addresses ...string) []db.Recipient {
	var all []db.Recipient
	for i, a := range addresses {
		all = append(all, db.Recipient{Position: i, Kind: []string{"to", "cc", "bcc"}[min(i, 2)], Address: a, State: state, Token: token})
	}
	return all
}

// each reads the recipients of all rows as "position state token?".
func each(t testing.TB, d *dbtest.Database) string {
	t.Helper()
	return d.Read(t, `SELECT COALESCE(GROUP_CONCAT(CONCAT_WS(' ', position, state) ORDER BY outbox_id, position), '') FROM {db}.outbox_recipient`)
}

func TestP2_ManyMarksAtOnceAreOneEach(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 200, "kunde.example")
	var rows []db.Row
	for range 4 {
		rows = append(rows, claimAll(t, d.Store, 50)...)
	}
	var wait sync.WaitGroup
	for i, r := range rows {
		wait.Go(func() {
			m := markOf(r.Lease)
			m.Account = []string{"main", "spare"}[i%2] // a group may hold several accounts
			m.Recipients = recipients(db.RecipientSending, r.Token, "a@b.example", "c@b.example")
			if err := d.Store.Mark(ctx, m); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	const read = `SELECT CONCAT_WS(' ', COUNT(*), COUNT(marked_at), COUNT(finished_at), SUM(account = 'main'), COUNT(DISTINCT outbox_id)) FROM {db}.outbox_attempt`
	if got := d.Read(t, read); got != "200 200 0 100 200" {
		t.Errorf("attempts, marked, finished, by main, rows: %q", got)
	}
	if got := d.Read(t, "SELECT COUNT(*) FROM {db}.outbox_recipient WHERE state = 'sending'"); got != "400" {
		t.Errorf("%s recipients are under a mark", got)
	}
}

func TestP2_LostLeaseCannotBeMarked(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 2, "kunde.example")
	rows := claimAll(t, d.Store, 2)
	lost := rows[0].Lease
	d.Exec(t, "UPDATE {db}.outbox SET lease_until = UTC_TIMESTAMP() - INTERVAL 1 MINUTE WHERE id = ?", lost.ID)
	if got, err := d.Store.Rescue(ctx, db.Rescue{}); err != nil || len(got.Queued) != 1 {
		t.Fatalf("rescued %+v, %v", got, err)
	}
	// Another daemon has it now, and one of its recipients is done.
	again := one(t, d.Store, func(c *db.Claim) { c.Instance = other })
	m := markOf(again.Lease)
	m.Recipients = recipients(db.RecipientSending, again.Token, "a@b.example", "c@b.example")
	must(t, d.Store.Mark(ctx, m))
	done := recipients(db.RecipientAccepted, again.Token, "a@b.example")
	must(t, d.Store.Settle(ctx, db.Settlement{Lease: again.Lease, Change: db.Change{State: db.Queued, Verdict: true}, Recipients: done}))

	// The first one wakes up: the fence holds, the others in its group go on, and it leaves the recipients alone.
	var wait sync.WaitGroup
	var errs [2]error
	for i, r := range rows {
		wait.Go(func() {
			m := markOf(r.Lease)
			m.Recipients = recipients(db.RecipientSending, r.Token, "a@b.example", "c@b.example")
			errs[i] = d.Store.Mark(ctx, m)
		})
	}
	wait.Wait()
	var lease *db.LeaseLostError
	if !errors.As(errs[0], &lease) || lease.Lease != lost || errs[1] != nil {
		t.Errorf("marks of a lost and of a held lease: %v, %v", errs[0], errs[1])
	}
	if got := each(t, d); got != "0 accepted,1 sending,0 sending,1 sending" {
		t.Errorf("recipients are %q", got)
	}
	if got := d.Read(t, "SELECT COUNT(marked_at) FROM {db}.outbox_attempt WHERE lease_token = ? AND outbox_id = ?", lost.Token, lost.ID); got != "0" {
		t.Error("a lost lease has left a mark")
	}
}

// A taking may need a second transaction, for recipients that the server wants by themselves: one mark stands for both.
func TestP2_SecondTransactionOfATakingStandsUnderTheSameMark(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, shortest)
	r := one(t, d.Store)
	for i := range 2 {
		m := markOf(r.Lease)
		m.Recipients = recipients(db.RecipientOpen, "", "a@b.example", "c@b.example")
		for j := range i + 1 {
			m.Recipients[j].State, m.Recipients[j].Token = db.RecipientSending, r.Token
		}
		must(t, d.Store.Mark(ctx, m))
	}
	if got := each(t, d); got != "0 sending,1 sending" {
		t.Errorf("recipients are %q", got)
	}
	// The old mark proves nothing once the lease is lost.
	if _, err := d.Store.Rescue(ctx, db.Rescue{Own: me.ID}); err != nil {
		t.Fatal(err)
	}
	var lost *db.LeaseLostError
	if err := d.Store.Mark(ctx, markOf(r.Lease)); !errors.As(err, &lost) {
		t.Errorf("marked after the rescue: %v", err)
	}
}

func TestP2_RepeatedMarkDoesNotHideALostLease(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 2, "kunde.example")
	rows := claimAll(t, d.Store, 2)
	must(t, d.Store.Mark(ctx, markOf(rows[0].Lease)))
	d.Exec(t, "UPDATE {db}.outbox SET state = 'queued', lease_until = NULL WHERE id = ?", rows[1].ID)
	var wait sync.WaitGroup
	for range 50 { // so that both kinds stand in one group
		for i, r := range rows {
			wait.Go(func() {
				var lost *db.LeaseLostError
				if err := d.Store.Mark(ctx, markOf(r.Lease)); (i == 0) != (err == nil) || err != nil && !errors.As(err, &lost) {
					t.Errorf("mark of row %d: %v", i, err)
				}
			})
		}
	}
	wait.Wait()
}

func TestP4_RefusedMarkDoesNotStopTheOthers(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 20, "kunde.example")
	rows := claimAll(t, d.Store, 20)
	errs := make([]error, len(rows))
	var wait sync.WaitGroup
	for i, r := range rows {
		wait.Go(func() {
			m := markOf(r.Lease)
			if i == 7 {
				m.Recipients = recipients(db.RecipientSending, r.Token, strings.Repeat("x", 400)+"@b.example")
			}
			errs[i] = d.Store.Mark(ctx, m)
		})
	}
	wait.Wait()
	for i, err := range errs {
		if (err != nil) != (i == 7) {
			t.Errorf("mark %d: %v", i, err)
		}
	}
	if db.Kind(errs[7]) != db.KindData || !strings.Contains(errs[7].Error(), fmt.Sprintf("mark row %d of %s", rows[7].ID, d.Name)) {
		t.Errorf("the refused mark: %v", errs[7])
	}
}

func TestP2_DeletedRowCannotBeMarkedAndItsAttemptStays(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 2, "kunde.example")
	rows := claimAll(t, d.Store, 2)
	must(t, d.Store.Mark(ctx, markOf(rows[0].Lease)))
	d.Exec(t, "DELETE FROM {db}.outbox")
	var lost *db.LeaseLostError
	if err := d.Store.Mark(ctx, markOf(rows[1].Lease)); !errors.As(err, &lost) {
		t.Errorf("marked a deleted row: %v", err)
	}
	if err := d.Store.Settle(ctx, accepted(rows[0].Lease)); !errors.As(err, &lost) {
		t.Errorf("settled a deleted row: %v", err)
	}
	if got := d.Read(t, "SELECT GROUP_CONCAT(outbox_id) FROM {db}.outbox_attempt WHERE marked_at IS NOT NULL"); got != fmt.Sprint(rows[0].ID) {
		t.Errorf("attempts left: %q", got)
	}
}

// P2: the mark and the rescue of a row at the same time: exactly one wins, and the row says which.
func TestP2_RescueAndMarkRaceForARow(t *testing.T) {
	d := dbtest.New(t)
	const races = 200
	insert(t, d, races, "kunde.example")
	rescueAndMark(t, d, d, races)
}

// rescueAndMark claims one row after the other through d, and lets a mark there and a rescue through other race for it.
func rescueAndMark(t *testing.T, d, other *dbtest.Database, races int) {
	t.Helper()
	ctx := deadline(t)
	marked, rescued := 0, 0
	for range races {
		r := claimAll(t, d.Store, 1)[0]
		other.Read(t, "SELECT COUNT(*) FROM {db}.outbox WHERE id = ? AND lease_token = ?", r.ID, r.Token) // it has come there
		start := make(chan struct{})
		var markErr, rescueErr error
		var got db.Rescued
		var wait sync.WaitGroup
		wait.Go(func() { <-start; markErr = d.Store.Mark(ctx, markOf(r.Lease)) })
		wait.Go(func() { <-start; got, rescueErr = other.Store.Rescue(ctx, db.Rescue{Own: me.ID}) })
		close(start)
		wait.Wait()
		must(t, rescueErr)
		var lost *db.LeaseLostError
		switch {
		case markErr == nil && len(got.Uncertain) == 1 && len(got.Queued) == 0:
			marked++
		case errors.As(markErr, &lost) && len(got.Queued) == 1 && len(got.Uncertain) == 0:
			rescued++
		default:
			t.Fatalf("row %d: mark %v, rescue %+v", r.ID, markErr, got)
		}
		state := d.Read(t, "SELECT CONCAT_WS(' ', state, (SELECT COUNT(marked_at) FROM {db}.outbox_attempt WHERE outbox_id = id)) FROM {db}.outbox WHERE id = ?", r.ID)
		if want := map[bool]string{true: "uncertain 1", false: "queued 0"}[markErr == nil]; state != want {
			t.Fatalf("row %d is %q, mark %v", r.ID, state, markErr)
		}
		d.Exec(t, "UPDATE {db}.outbox SET state = 'cancelled' WHERE id = ?", r.ID)
	}
	t.Logf("the mark came first %d times, the rescue %d times", marked, rescued)
}
