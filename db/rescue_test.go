package db_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// lapse ends all leases, as a minute without a heartbeat would.
func lapse(t testing.TB, d *dbtest.Database) {
	t.Helper()
	d.Exec(t, "UPDATE {db}.outbox SET lease_until = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE state = 'sending'")
}

func rescue(t testing.TB, d *dbtest.Database, r db.Rescue) db.Rescued {
	t.Helper()
	got, err := d.Store.Rescue(deadline(t), r)
	must(t, err)
	return got
}

func TestP2_RescueByMark(t *testing.T) {
	for _, own := range []bool{true, false} {
		d := dbtest.New(t)
		insert(t, d, 3, "kunde.example")
		rows := claimAll(t, d.Store, 3)
		must(t, d.Store.Mark(deadline(t), markOf(rows[1].Lease)))
		if got := rescue(t, d, db.Rescue{Own: other.ID}); got.Any() {
			t.Fatalf("rescued a running lease: %+v", got)
		}
		r := db.Rescue{}
		if own {
			r.Own = me.ID // restarted: its own rows come back at once
		} else {
			lapse(t, d)
		}
		got := rescue(t, d, r)
		if !slices.Equal(got.Queued, []uint64{rows[0].ID, rows[2].ID}) || !slices.Equal(got.Uncertain, []uint64{rows[1].ID}) {
			t.Fatalf("rescued %+v", got)
		}
		if again := rescue(t, d, r); again.Any() {
			t.Errorf("rescued twice: %+v", again)
		}
		var lost *db.LeaseLostError
		if err := d.Store.Mark(deadline(t), markOf(rows[0].Lease)); !errors.As(err, &lost) {
			t.Errorf("marked without a lease: %v", err)
		}
		// The row of the attempt that is taken back keeps a mark of it out on every node of a cluster.
		const attempts = `SELECT GROUP_CONCAT(CONCAT_WS(' ', marked_at IS NOT NULL, finished_at IS NOT NULL, COALESCE(reply LIKE '%taken back', 0)) ORDER BY outbox_id) FROM {db}.outbox_attempt`
		if got := d.Read(t, attempts); got != "0 1 1,1 0 0,0 1 1" {
			t.Errorf("attempts marked, finished, taken back: %q", got)
		}
		if got := columns(t, d, "state, attempts, claims"); got != "queued 0 1,uncertain 0 1,queued 0 1" {
			t.Errorf("rows are %q", got)
		}
	}
}

func TestRescueResendsWhereTheJobSaysSo(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, shortest)
	r := one(t, d.Store)
	m := markOf(r.Lease)
	m.Recipients = recipients(db.RecipientSending, r.Token, "a@b.example", "c@b.example")
	must(t, d.Store.Mark(deadline(t), m))
	if got := rescue(t, d, db.Rescue{Own: me.ID, Resend: true}); len(got.Queued) != 1 || len(got.Uncertain) != 0 {
		t.Errorf("rescued %+v", got)
	}
	again := one(t, d.Store)
	if again.Claims != 2 || again.Attempts != 0 || again.MessageID != r.MessageID || each(t, d) != "0 open,1 open" {
		t.Errorf("row %+v with recipients %s", again, each(t, d))
	}
}

// A row that ends the daemon each time it is touched is held at the fifth time.
func TestP4_CrashGuardHoldsARow(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, shortest)
	for crash := 1; crash <= 5; crash++ {
		r := one(t, d.Store)
		got := rescue(t, d, db.Rescue{Own: me.ID})
		if held := len(got.Held) == 1; held != (crash == 5) {
			t.Fatalf("after %d crashes: %+v", crash, got)
		}
		if crash == 5 {
			if got := columns(t, d, "state, held, attempts, claims, last_error LIKE '%outboxd queue release%'"); got != "queued 1 0 5 1" {
				t.Errorf("row is %q", got)
			}
			must(t, d.Store.Release(ctx, r.ID))
		}
	}
	// A verdict makes up for a taking.
	for range 9 {
		must(t, d.Store.Settle(ctx, db.Settlement{Lease: one(t, d.Store).Lease, Change: db.Change{State: db.Queued, Verdict: true}}))
	}
	if one(t, d.Store); len(rescue(t, d, db.Rescue{Own: me.ID}).Held) != 0 {
		t.Error("held after verdicts")
	}
}

func TestRescueComesInParts(t *testing.T) {
	d := dbtest.New(t)
	insert(t, d, 1100, "kunde.example")
	claimAll(t, d.Store, 1100)
	lapse(t, d)
	var parts []int
	for got := rescue(t, d, db.Rescue{}); got.Any(); got = rescue(t, d, db.Rescue{}) {
		parts = append(parts, len(got.Queued))
	}
	if !slices.Equal(parts, []int{500, 500, 100}) {
		t.Errorf("parts of %v", parts)
	}
}

func TestHeartbeatKeepsTheLease(t *testing.T) {
	d := dbtest.New(t)
	insert(t, d, 2, "kunde.example")
	rows := claimAll(t, d.Store, 2)
	lapse(t, d)
	lost := rows[1].Lease
	lost.Token = other.ID + "-0000000000000000"
	must(t, d.Store.Heartbeat(deadline(t), []db.Lease{rows[0].Lease, lost}))
	must(t, d.Store.Heartbeat(deadline(t), nil))
	if got := columns(t, d, "ROUND(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), lease_until) / 60)"); got != "1,0" {
		t.Errorf("minutes left: %q", got)
	}
	if got := rescue(t, d, db.Rescue{}); !slices.Equal(got.Queued, []uint64{rows[1].ID}) {
		t.Errorf("rescued %+v", got)
	}
}

// What becomes of a row with several recipients when the daemon stops after the mark.
func TestP2_RecipientsAfterACrash(t *testing.T) {
	const open, sending, accept, failed = db.RecipientOpen, db.RecipientSending, db.RecipientAccepted, db.RecipientFailed
	for _, c := range []struct {
		before []db.RecipientState // at the mark
		row    db.State
		after  string
	}{
		{[]db.RecipientState{sending, sending}, db.Uncertain, "0 uncertain,1 uncertain"},
		{[]db.RecipientState{sending, failed}, db.Uncertain, "0 uncertain,1 failed"}, // refused at RCPT: not uncertain
		{[]db.RecipientState{sending, open}, db.Queued, "0 uncertain,1 open"},        // the open one goes on
		{[]db.RecipientState{accept, sending}, db.Uncertain, "0 accepted,1 uncertain"},
		{[]db.RecipientState{accept, failed, sending, open}, db.Queued, "0 accepted,1 failed,2 uncertain,3 open"},
		{[]db.RecipientState{open, open}, db.Uncertain, "0 open,1 open"}, // a mark for nobody: careful
	} {
		d := dbtest.New(t)
		d.Exec(t, shortest)
		r := one(t, d.Store)
		m := markOf(r.Lease)
		for i, state := range c.before {
			one := db.Recipient{Position: i, Kind: "to", Address: fmt.Sprintf("r%d@b.example", i), State: state}
			if state == sending {
				one.Token = r.Token
			}
			m.Recipients = append(m.Recipients, one)
		}
		must(t, d.Store.Mark(deadline(t), m))
		rescue(t, d, db.Rescue{Own: me.ID})
		if row, after := db.State(columns(t, d, "state")), each(t, d); row != c.row || after != c.after {
			t.Errorf("%v: row %s, recipients %s", c.before, row, after)
		}
	}
}

func TestTogether(t *testing.T) {
	for _, c := range []struct {
		recipients string
		want       db.State
	}{
		{"", db.Failed},
		{"open", db.Queued},
		{"accepted", db.Sent},
		{"failed", db.Failed},
		{"uncertain", db.Uncertain},
		{"sending", db.Uncertain},
		{"accepted accepted", db.Sent},
		{"failed failed", db.Failed},
		{"accepted failed", db.Partial},
		{"accepted uncertain", db.Uncertain},
		{"failed uncertain", db.Uncertain},
		{"accepted failed open", db.Queued},
		{"uncertain open", db.Queued},
		{"accepted sending failed", db.Uncertain},
		{"suppressed suppressed", db.Suppressed},
		{"accepted suppressed", db.Partial},
		{"failed suppressed", db.Failed},
		{"uncertain suppressed", db.Uncertain},
		{"open suppressed", db.Queued},
	} {
		var all []db.Recipient
		for _, state := range strings.Fields(c.recipients) {
			all = append(all, db.Recipient{State: db.RecipientState(state)})
		}
		if got := db.Together(all, db.Failed); got != c.want {
			t.Errorf("%q together: %s, want %s", c.recipients, got, c.want)
		}
	}
}

func TestExpireWalksAlongItsIndex(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 2300, "kunde.example")
	d.Exec(t, "UPDATE {db}.outbox SET expires_at = '2020-01-01 00:00:00' + INTERVAL id DIV 100 SECOND WHERE id <= 2200")
	d.Exec(t, "UPDATE {db}.outbox SET expires_at = UTC_TIMESTAMP() + INTERVAL 1 HOUR WHERE id = 2250")
	d.Exec(t, "UPDATE {db}.outbox SET held = 1 WHERE id = 1")
	d.Exec(t, "UPDATE {db}.outbox SET state = 'cancelled' WHERE id IN (2, 1500)")
	taken := claimAll(t, d.Store, 1)[0]
	var steps []int64
	var c db.ExpireCursor
	for done := false; !done; {
		var n int64
		var err error
		c, n, done, err = d.Store.Expire(ctx, c)
		must(t, err)
		steps = append(steps, n)
	}
	// Rows that are sent, cancelled or being sent stay as they are.
	if !slices.Equal(steps, []int64{998, 999, 200}) {
		t.Errorf("expired in steps of %v; row %d is being sent", steps, taken.ID)
	}
	if got := d.Read(t, "SELECT CONCAT_WS(' ', SUM(state = 'expired'), SUM(state = 'queued'), SUM(state = 'sending'), SUM(state = 'cancelled'), SUM(last_error LIKE 'expires_at passed%')) FROM {db}.outbox"); got != "2197 100 1 2 2197" {
		t.Errorf("expired, queued, sending, cancelled, with a reason: %q", got)
	}
	// A row that came after the cursor went by is found from the beginning.
	d.Exec(t, "INSERT INTO {db}.outbox (recipients, expires_at) VALUES ('late@b.example', '2019-01-01 00:00:00')")
	if _, n, done, err := d.Store.Expire(ctx, c); err != nil || n != 0 || !done {
		t.Errorf("from the cursor: %d, %v", n, err)
	}
	if _, n, _, err := d.Store.Expire(ctx, db.ExpireCursor{}); err != nil || n != 1 {
		t.Errorf("from the beginning: %d, %v", n, err)
	}
}
