package db_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// uncertain makes the only row uncertain, with recipients in these states (none: a single recipient).
func uncertain(t testing.TB, d *dbtest.Database, states ...db.RecipientState) uint64 {
	t.Helper()
	r := one(t, d.Store)
	s := db.Settlement{Lease: r.Lease, Change: db.Change{State: db.Uncertain, Verdict: true, LastError: "no reply"}}
	for i, state := range states {
		s.Recipients = append(s.Recipients, db.Recipient{Position: i, Kind: "to", Address: fmt.Sprintf("r%d@b.example", i), State: state})
	}
	must(t, d.Store.Settle(deadline(t), s))
	return r.ID
}

func TestSettleByHand(t *testing.T) {
	const accept, failed, unsure = db.RecipientAccepted, db.RecipientFailed, db.RecipientUncertain
	for _, c := range []struct {
		states []db.RecipientState
		to     db.State
		want   string // state, whether sent_at is set
		each   string
	}{
		{nil, db.Sent, "sent 1", ""},
		{nil, db.Failed, "failed 0", ""},
		{[]db.RecipientState{unsure, unsure}, db.Sent, "sent 1", "0 accepted,1 accepted"},
		{[]db.RecipientState{unsure, unsure}, db.Failed, "failed 0", "0 failed,1 failed"},
		{[]db.RecipientState{unsure, failed}, db.Sent, "partial 1", "0 accepted,1 failed"},
		{[]db.RecipientState{unsure, accept}, db.Failed, "partial 0", "0 failed,1 accepted"},
		{[]db.RecipientState{unsure, failed}, db.Failed, "failed 0", "0 failed,1 failed"},
	} {
		d := dbtest.New(t)
		d.Exec(t, shortest)
		id := uncertain(t, d, c.states...)
		must(t, d.Store.SettleByHand(deadline(t), id, c.to, "asked the customer"))
		if got, after := columns(t, d, "state, sent_at IS NOT NULL"), each(t, d); got != c.want || after != c.each {
			t.Errorf("%v settled as %s: row %q, recipients %q", c.states, c.to, got, after)
		}
		var state *db.StateError
		if err := d.Store.SettleByHand(deadline(t), id, c.to, "again"); !errors.As(err, &state) {
			t.Errorf("settled twice: %v", err)
		}
	}
}

func TestWhatPeopleMayDoInEachState(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	acts := []struct {
		name    string
		do      func(id uint64) error
		allowed []db.State
	}{
		{"retry", func(id uint64) error { return d.Store.Retry(ctx, id) }, []db.State{db.Queued, db.Partial, db.Failed, db.Skipped, db.Suppressed, db.Cancelled, db.Expired, db.Uncertain}},
		{"settle", func(id uint64) error { return d.Store.SettleByHand(ctx, id, db.Sent, "found out") }, []db.State{db.Uncertain}},
		{"hold", func(id uint64) error { return d.Store.Hold(ctx, id, "wait") }, []db.State{db.Queued}},
		{"cancel", func(id uint64) error { return d.Store.Cancel(ctx, id, "no") }, []db.State{db.Queued}},
	}
	for _, state := range []db.State{db.Queued, db.Sending, db.Sent, db.Partial, db.Failed, db.Skipped, db.Suppressed, db.Cancelled, db.Expired, db.Uncertain} {
		for _, act := range acts {
			d.Exec(t, "DELETE FROM {db}.outbox")
			d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, state, lease_until) VALUES (1, 'a@b.example', ?, IF(?, UTC_TIMESTAMP() + INTERVAL 1 MINUTE, NULL))", string(state), state == db.Sending)
			err := act.do(1)
			var refused *db.StateError
			if slices.Contains(act.allowed, state) != (err == nil) || err != nil && (!errors.As(err, &refused) || refused.State != state) {
				t.Errorf("%s of a row that is %s: %v", act.name, state, err)
			}
		}
	}
	var none *db.NoRowError
	for _, act := range acts {
		if err := act.do(99); !errors.As(err, &none) || none.ID != 99 {
			t.Errorf("%s of a row that is not there: %v", act.name, err)
		}
	}
	if _, err := d.Store.Show(ctx, 99); !errors.As(err, &none) {
		t.Errorf("show of a row that is not there: %v", err)
	}
}

func TestHoldAndRelease(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, shortest)
	id := uint64(1)
	must(t, d.Store.Hold(ctx, id, "wait for the boss"))
	if rows := claimAll(t, d.Store, 10); len(rows) != 0 || columns(t, d, "held, last_error") != "1 wait for the boss" {
		t.Errorf("a held row was taken: %v", ids(rows))
	}
	var state *db.StateError
	if err := d.Store.Hold(ctx, id, "again"); !errors.As(err, &state) || !state.Held {
		t.Errorf("held twice: %v", err)
	}
	must(t, d.Store.Release(ctx, id))
	if err := d.Store.Release(ctx, id); !errors.As(err, &state) {
		t.Errorf("released a row that is not held: %v", err)
	}
	one(t, d.Store)
}

func TestRetryBeginsAnew(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, shortest)
	id := uncertain(t, d, db.RecipientAccepted, db.RecipientUncertain, db.RecipientFailed)
	d.Exec(t, "UPDATE {db}.outbox SET state = 'failed', held = 1, lane = 9, available_at = UTC_TIMESTAMP() + INTERVAL 1 DAY")
	must(t, d.Store.Retry(ctx, id))
	r := one(t, d.Store)
	if r.Claims != 1 || r.Attempts != 0 || each(t, d) != "0 accepted,1 open,2 open" {
		t.Errorf("row %+v, recipients %s", r, each(t, d)) // whoever has it does not get it again
	}
	rescue(t, d, db.Rescue{Own: me.ID})
	d.Exec(t, "UPDATE {db}.outbox SET state = 'expired', expires_at = UTC_TIMESTAMP() - INTERVAL 1 MINUTE")
	var state *db.StateError
	if err := d.Store.Retry(ctx, id); !errors.As(err, &state) || state.State != db.Expired {
		t.Errorf("retried after its time: %v", err)
	}
}

func TestFind(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, `INSERT INTO {db}.outbox (id, recipients, reference, state, held, created_at) VALUES
		(1, 'Eva <eva@b.example>', 'invoice:1', 'queued', 0, '2026-01-01'), (2, 'eva@b.example', 'invoice:2', 'failed', 0, '2026-02-01'),
		(3, 'jan@b.example', 'invoice:1', 'sent', 0, '2026-03-01'), (4, 'jan@b.example, eva@b.example', NULL, 'partial', 0, '2026-04-01'),
		(5, 'x@b.example', NULL, 'queued', 1, '2026-05-01'), (6, 'x@b.example', NULL, 'uncertain', 0, '2026-06-01'), (7, 'x@b.example', NULL, 'expired', 0, '2026-07-01')`)
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, state, lease_until) VALUES (8, 'x@b.example', 'sending', '2030-01-01')")
	d.Exec(t, "INSERT INTO {db}.outbox_recipient (outbox_id, position, kind, address, state) VALUES (4, 0, 'to', 'jan@b.example', 'accepted'), (4, 1, 'to', 'Eva@B.example', 'failed')")
	at := func(month time.Month) time.Time {
		return time.Date(2026, month, 1, 0, 0, 0, 0, time.FixedZone("", 7200))
	}
	for _, c := range []struct {
		filter db.Filter
		want   []uint64
	}{
		{db.Filter{}, []uint64{8, 7, 6, 5, 4, 3, 2, 1}},
		{db.Filter{Limit: 2}, []uint64{8, 7}},
		{db.Filter{Limit: 2, Before: 7}, []uint64{6, 5}},
		{db.Filter{Recipient: "EVA@b.example"}, []uint64{4, 2, 1}},
		{db.Filter{Recipient: "eva@b.example", State: db.Failed}, []uint64{2}},
		{db.Filter{Recipient: "%@b.example"}, nil},
		{db.Filter{Recipient: "' OR 1=1 -- "}, nil},
		{db.Filter{Reference: "invoice:1"}, []uint64{3, 1}},
		{db.Filter{Reference: `invoice:\' OR ''='`}, nil},
		{db.Filter{State: db.Queued}, []uint64{5, 1}},
		{db.Filter{State: db.Sending}, []uint64{8}},
		{db.Filter{State: db.Sent}, []uint64{3}},
		{db.Filter{State: db.Partial}, []uint64{4}},
		{db.Filter{State: db.Uncertain}, []uint64{6}},
		{db.Filter{State: db.Expired}, []uint64{7}},
		{db.Filter{State: "nonsense"}, nil},
		{db.Filter{Held: true}, []uint64{5}},
		{db.Filter{Since: at(2), Until: at(4)}, []uint64{3, 2}},
	} {
		found, err := d.Store.Find(ctx, c.filter)
		must(t, err)
		var got []uint64
		for _, f := range found {
			got = append(got, f.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.filter, got, c.want)
		}
	}
}

func TestShowTellsTheWholeStory(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, "INSERT INTO {db}.outbox (recipients, cc, reference, dedupe_key, account) VALUES ('a@b.example', 'c@b.example', 'invoice:1', 'k', 'main')")
	for i := range 2 {
		r := one(t, d.Store)
		m := markOf(r.Lease)
		m.Recipients = recipients(db.RecipientSending, r.Token, "a@b.example", "c@b.example")
		must(t, d.Store.Mark(ctx, m))
		s := accepted(r.Lease)
		s.Attempt.Reply = fmt.Sprintf("250 try %d", i)
		s.State = db.Queued
		must(t, d.Store.Settle(ctx, s))
	}
	lane, err := d.Store.PauseLane(ctx, "domain:b.example", time.Hour, "451 slow")
	must(t, err)
	d.Exec(t, "UPDATE {db}.outbox SET lane = ?", lane.ID)
	show, err := d.Store.Show(ctx, 1)
	must(t, err)
	got := fmt.Sprint(show.Recipients, " ", show.Cc, " ", show.Reference, " ", show.DedupeKey, " ", show.Account, " ", show.State, " ", show.Claims, " ", show.Attempts,
		" ", show.Lane, " ", show.LaneReason, " ", show.LaneUntil.After(show.Clock), " ", len(show.Each), " ", len(show.Tries))
	if got != "a@b.example c@b.example invoice:1 k main queued 2 2 domain:b.example 451 slow true 2 2" {
		t.Error(got)
	}
	if show.Tries[0].Reply != "250 try 0" || show.Tries[1].Reply != "250 try 1" || show.Tries[1].MarkedAt == nil || !strings.HasPrefix(show.Tries[1].Token, me.ID) {
		t.Errorf("tries %+v", show.Tries)
	}
}

func TestAheadCountsThoseThatGoBefore(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for id, row := range map[int][2]int{1: {1, 5}, 2: {3, 30}, 3: {3, 20}, 4: {3, 10}, 5: {5, 60}, 6: {2, -60}} {
		d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, priority, send_after) VALUES (?, 'a@b.example', ?, UTC_TIMESTAMP() - INTERVAL ? MINUTE)", id, row[0], row[1])
	}
	for id, want := range map[uint64]int{1: 0, 2: 1, 4: 3, 5: 4} {
		show, err := d.Store.Show(ctx, id)
		must(t, err)
		if got, err := d.Store.Ahead(ctx, show, 0, 100); err != nil || got != want {
			t.Errorf("%d go before row %d, want %d (%v)", got, id, want, err)
		}
		if got, err := d.Store.Ahead(ctx, show, 0, 2); err != nil || got != min(want, 2) {
			t.Errorf("%d go before row %d, at most 2 (%v)", got, id, err)
		}
	}
}

func TestCounts(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 4, "kunde.example")
	for i := range 3 {
		must(t, d.Store.Settle(ctx, accepted(claimAll(t, d.Store, 1)[0].Lease)))
		if i == 0 {
			d.Exec(t, "UPDATE {db}.outbox SET sent_at = UTC_TIMESTAMP() - INTERVAL 2 HOUR WHERE state = 'sent'")
		}
	}
	claimAll(t, d.Store, 1)
	d.Exec(t, "INSERT INTO {db}.outbox (recipients, state, held) VALUES ('a@b.example', 'queued', 0), ('a@b.example', 'queued', 1), ('a@b.example', 'failed', 0), ('a@b.example', 'partial', 0), ('a@b.example', 'expired', 0), ('a@b.example', 'uncertain', 0), ('a@b.example', 'cancelled', 0)")
	d.Exec(t, "INSERT INTO {db}.outbox (recipients, send_after) VALUES ('a@b.example', UTC_TIMESTAMP() + INTERVAL 1 DAY)")
	d.Exec(t, "UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) - INTERVAL 90 SECOND WHERE qlane = 0 AND send_after IS NULL")
	c, err := d.Store.Counts(ctx, mustRoutes(t, d.Store))
	must(t, err)
	if c.OldestDue < 90 || c.OldestDue > 150 {
		t.Errorf("the oldest is due for %d s", c.OldestDue)
	}
	c.OldestDue = 90
	if got := fmt.Sprintf("%+v", c); got != "{Queued:2 Due:1 OldestDue:90 Sending:1 Held:1 HeldByRun:0 Uncertain:1 Failed:1 Partial:1 Expired:1 SentHour:map[main:2]}" {
		t.Error(got)
	}
}

func TestCountsStopAtTheirLimit(t *testing.T) {
	d := dbtest.New(t)
	insert(t, d, db.CountLimit+500, "kunde.example")
	c, err := d.Store.Counts(deadline(t), mustRoutes(t, d.Store))
	must(t, err)
	if c.Queued != db.CountLimit+1 || c.Due != db.CountLimit+1 {
		t.Errorf("counted %d and %d", c.Queued, c.Due)
	}
}

func TestAudit(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for i := range 5 {
		must(t, d.Store.Audit(ctx, db.Audited{Actor: "root", Action: "queue release", Target: fmt.Sprintf("acme/%d", i), Reason: strings.Repeat("r", 1000), Detail: "\xff"}))
	}
	first, err := d.Store.AuditLog(ctx, 0, 3)
	must(t, err)
	rest, err := d.Store.AuditLog(ctx, first[2].ID, 3)
	must(t, err)
	var targets []string
	for _, a := range append(first, rest...) {
		targets = append(targets, a.Target)
	}
	if got := strings.Join(targets, " "); got != "acme/4 acme/3 acme/2 acme/1 acme/0" {
		t.Errorf("audit is %q", got)
	}
	if a := first[0]; a.Actor != "root" || a.Action != "queue release" || len([]rune(a.Reason)) != 600 || a.At.IsZero() {
		t.Errorf("entry %+v", a)
	}
}

// P6: what is done to one company's rows is done to no other's, on one and the same pool.
func TestP6_CompaniesOnOnePoolStayApart(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	name := empty(t, d, "_other")
	_, err := d.Pool.Migrate(ctx, name, db.CompanyPart)
	must(t, err)
	others, err := d.Pool.Store(name)
	must(t, err)
	for _, database := range []string{d.Name, name} {
		d.Exec(t, strings.ReplaceAll(shortest, "{db}", database))
	}
	r := one(t, d.Store)
	var lost *db.LeaseLostError
	if err := others.Mark(ctx, markOf(r.Lease)); !errors.As(err, &lost) {
		t.Errorf("marked in another company: %v", err)
	}
	if got, err := others.Rescue(ctx, db.Rescue{Own: me.ID}); err != nil || got.Any() {
		t.Errorf("rescued in another company: %+v, %v", got, err)
	}
	must(t, others.Cancel(ctx, 1, "no"))
	must(t, d.Store.Settle(ctx, accepted(r.Lease)))
	if got, theirs := columns(t, d, "state"), d.Read(t, "SELECT state FROM "+name+".outbox"); got != "sent" || theirs != "cancelled" {
		t.Errorf("rows are %s and %s", got, theirs)
	}
}

func TestLastTries(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, `INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, account, daemon, marked_at, finished_at, step, verdict, smtp_code, smtp_enhanced, reply) VALUES
		(1, 'a', 'main', 'host', NULL, '2026-11-22 08:00:00', 'rcpt', 'temporary', 450, '4.2.0', '450 4.2.0 later'),
		(1, 'b', 'main', 'host', '2026-11-22 09:00:00', '2026-11-22 09:00:01', 'dot', 'accepted', 250, NULL, '250 queued'),
		(2, 'c', 'main', 'host', '2026-11-22 10:00:00', NULL, NULL, NULL, NULL, NULL, NULL)`)
	all, err := d.Store.LastTries(t.Context(), []uint64{1, 2, 3})
	if err != nil || len(all) != 2 || all[1].Reply != "250 queued" || all[1].Step != "dot" || all[2].Reply != "" {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err = d.Store.LastTries(t.Context(), nil); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}
