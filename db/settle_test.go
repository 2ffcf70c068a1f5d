package db_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

const outcome = "state, attempts, claims, held, lane, COALESCE(sent_via, '-'), COALESCE(smtp_code, '-'), COALESCE(smtp_enhanced, '-'), sent_at IS NOT NULL, lease_until IS NULL, COALESCE(last_error, '-')"

func TestP2_RowIsClaimedMarkedAndSettledOnce(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, shortest)
	r := one(t, d.Store)
	if again := claimAll(t, d.Store, 10); len(again) != 0 {
		t.Fatalf("claimed twice: %+v", again)
	}
	must(t, d.Store.Mark(ctx, markOf(r.Lease)))
	done := accepted(r.Lease)
	for range 2 { // a settlement may be repeated
		must(t, d.Store.Settle(ctx, done))
	}
	if got := columns(t, d, outcome); got != "sent 1 1 0 0 main 250 - 1 1 -" {
		t.Errorf("row is %q", got)
	}
	if got := d.Read(t, "SELECT CONCAT_WS(' ', marked_at <= finished_at, step, verdict, smtp_code, reply) FROM {db}.outbox_attempt"); got != "1 dot accepted 250 250 ok queued as 4711" {
		t.Errorf("attempt is %q", got)
	}
	var lost *db.LeaseLostError
	done.Token = "bbbbbbbb-0000000000000000"
	if err := d.Store.Settle(ctx, done); !errors.As(err, &lost) {
		t.Errorf("a foreign lease settled: %v", err)
	}
}

func TestP1_EachOutcomeIsWritten(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	const hour = time.Hour
	for _, c := range []struct {
		name   string
		change db.Change
		want   string
		waits  string // minutes until available
	}{
		{"temporary", db.Change{State: db.Queued, Verdict: true, Wait: hour, Account: "main", Code: 451, Enhanced: "4.3.0", LastError: "later"}, "queued 1 1 0 0 main 451 4.3.0 0 1 later", "60"},
		{"throttled domain", db.Change{State: db.Queued, Verdict: true, Lane: 7, LastError: "slow"}, "queued 1 1 0 7 - - - 0 1 slow", "0"},
		{"given back untried", db.Change{State: db.Queued, GivenBack: true}, "queued 0 0 0 0 - - - 0 1 -", "0"},
		{"account in trouble", db.Change{State: db.Queued, LastError: "login refused"}, "queued 0 1 0 0 - - - 0 1 login refused", "0"},
		{"permanent", db.Change{State: db.Failed, Verdict: true, Account: "main", Code: 550, Enhanced: "5.1.1", LastError: "unknown user"}, "failed 1 1 0 0 main 550 5.1.1 0 1 unknown user", "0"},
		{"partial", db.Change{State: db.Partial, Verdict: true, Sent: true, Account: "main", Code: 250}, "partial 1 1 0 0 main 250 - 1 1 -", "0"},
		{"stall after the dot", db.Change{State: db.Uncertain, Verdict: true, Account: "main", LastError: "no reply"}, "uncertain 1 1 0 0 main - - 0 1 no reply", "0"},
		{"held", db.Change{State: db.Queued, Held: true, Verdict: true, LastError: "look"}, "queued 1 1 1 0 - - - 0 1 look", "0"},
		{"expired", db.Change{State: db.Expired, LastError: "too late"}, "expired 0 1 0 0 - - - 0 1 too late", "0"},
	} {
		d.Exec(t, "DELETE FROM {db}.outbox")
		d.Exec(t, shortest)
		r := one(t, d.Store)
		must(t, d.Store.Settle(ctx, db.Settlement{Lease: r.Lease, Change: c.change}))
		if got := columns(t, d, outcome); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got := d.Read(t, "SELECT ROUND(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), available_at) / 60) FROM {db}.outbox"); got != c.waits {
			t.Errorf("%s: waits %s minutes", c.name, got)
		}
	}
}

func TestP1_GroupOfSettlementsKeepsEachItsOwn(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 300, "kunde.example")
	rows := claimAll(t, d.Store, 300)
	var wait sync.WaitGroup
	for i, r := range rows {
		wait.Go(func() {
			s := accepted(r.Lease)
			switch i % 3 {
			case 1:
				s.Change = db.Change{State: db.Failed, Verdict: true, Code: 550, LastError: fmt.Sprintf("refused %d", r.ID)}
			case 2:
				s.Change, s.Attempt = db.Change{State: db.Queued, GivenBack: true}, nil
			}
			if err := d.Store.Settle(ctx, s); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := d.Read(t, "SELECT CONCAT_WS(' ', SUM(state = 'sent'), SUM(state = 'failed' AND last_error = CONCAT('refused ', id)), SUM(state = 'queued' AND claims = 0)) FROM {db}.outbox"); got != "100 100 100" {
		t.Errorf("sent, failed, queued: %q", got)
	}
	if got := d.Read(t, "SELECT COUNT(*) FROM {db}.outbox_attempt WHERE finished_at IS NOT NULL"); got != "200" {
		t.Errorf("%s attempts", got)
	}
}

// A server may say anything: an outcome is written all the same.
func TestP1_StrangeRepliesAreCutAndMended(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for _, text := range []string{strings.Repeat("x", 100_000), "550 \xff\xfe\x00 no", strings.Repeat("š", 5000), strings.Repeat("\xf0\x9f\x98\x80", 2000), "back\\slash 'quote' \"\x1a"} {
		d.Exec(t, shortest)
		r := one(t, d.Store)
		s := db.Settlement{Lease: r.Lease, Change: db.Change{State: db.Failed, Verdict: true, Enhanced: text, LastError: text},
			Attempt: &db.Attempt{Account: "main", Daemon: text, Step: "rcpt", Verdict: "permanent", Enhanced: text, Reply: text}}
		s.Recipients = recipients(db.RecipientFailed, r.Token, "a@b.example")
		s.Recipients[0].LastError, s.Recipients[0].Enhanced = text, text
		if err := d.Store.Settle(ctx, s); err != nil {
			t.Errorf("%.20q: %v", text, err)
		}
		m := markOf(r.Lease)
		m.Daemon = text
		var lost *db.LeaseLostError
		if err := d.Store.Mark(ctx, m); !errors.As(err, &lost) {
			t.Errorf("mark by %.20q: %v", text, err)
		}
	}
	if got := d.Read(t, "SELECT CONCAT_WS(' ', MIN(state = 'failed'), MAX(CHAR_LENGTH(last_error))) FROM {db}.outbox"); got != "1 4000" {
		t.Errorf("rows: %q", got)
	}
}

func TestP4_PoisonousOutcomeDoesNotKeepOthersBack(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 40, "kunde.example")
	rows := claimAll(t, d.Store, 40)
	errs := make([]error, len(rows))
	var wait sync.WaitGroup
	for i, r := range rows {
		wait.Go(func() {
			s := accepted(r.Lease)
			if i%10 == 3 {
				s.Account = strings.Repeat("a", 64) // no such account: the column refuses it
			}
			errs[i] = d.Store.Settle(ctx, s)
		})
	}
	wait.Wait()
	for i, err := range errs {
		if bad := i%10 == 3; bad != (db.Kind(err) == db.KindData) || !bad && err != nil {
			t.Errorf("settlement %d: %v", i, err)
		}
	}
	if got := d.Read(t, "SELECT CONCAT_WS(' ', SUM(state = 'sent'), SUM(state = 'sending')) FROM {db}.outbox"); got != "36 4" {
		t.Errorf("sent, sending: %q", got)
	}
}

func TestP2_LateTruthLiftsUncertain(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for want, truth := range map[string]db.Change{
		"sent 1 1":   {State: db.Sent, Verdict: true, Sent: true},
		"failed 1 1": {State: db.Failed, Verdict: true, Code: 554},
		"queued 1 1": {State: db.Queued, Verdict: true, Code: 451, Wait: time.Minute},
	} {
		d.Exec(t, "DELETE FROM {db}.outbox")
		d.Exec(t, shortest)
		r := one(t, d.Store)
		must(t, d.Store.Mark(ctx, markOf(r.Lease)))
		if got, err := d.Store.Rescue(ctx, db.Rescue{Own: me.ID}); err != nil || len(got.Uncertain) != 1 {
			t.Fatalf("rescued %+v, %v", got, err)
		}
		must(t, d.Store.Settle(ctx, db.Settlement{Lease: r.Lease, Change: truth}))
		if got := columns(t, d, "state, attempts, claims"); got != want {
			t.Errorf("row is %q, want %q", got, want)
		}
	}
}

// Repeated, as after an error to wait for, an outcome counts once.
func TestP1_RepeatedSettlementCountsOnce(t *testing.T) {
	d := dbtest.New(t)
	for _, state := range []db.State{db.Uncertain, db.Failed, db.Sent, db.Queued, db.Partial} {
		d.Exec(t, "DELETE FROM {db}.outbox")
		d.Exec(t, shortest)
		s := db.Settlement{Lease: one(t, d.Store).Lease, Change: db.Change{State: state, Verdict: true, Wait: time.Hour}}
		for range 3 {
			must(t, d.Store.Settle(deadline(t), s))
		}
		if got := columns(t, d, "state, attempts"); got != string(state)+" 1" {
			t.Errorf("row is %q", got)
		}
	}
}

// What a person has decided meanwhile stands; a lease that was lost to another daemon changes nothing.
func TestP2_LateTruthOverwritesNobody(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 2, "kunde.example")
	rows := claimAll(t, d.Store, 2)
	for _, r := range rows {
		must(t, d.Store.Mark(ctx, markOf(r.Lease)))
	}
	if _, err := d.Store.Rescue(ctx, db.Rescue{Own: me.ID}); err != nil {
		t.Fatal(err)
	}
	must(t, d.Store.SettleByHand(ctx, rows[0].ID, db.Failed, "the customer has nothing"))
	must(t, d.Store.Retry(ctx, rows[1].ID))
	again := one(t, d.Store, func(c *db.Claim) { c.Instance = other })
	must(t, d.Store.Settle(ctx, accepted(rows[0].Lease)))
	var lost *db.LeaseLostError
	if err := d.Store.Settle(ctx, accepted(rows[1].Lease)); !errors.As(err, &lost) {
		t.Errorf("settled another daemon's row: %v", err)
	}
	if got := columns(t, d, "state, lease_token = '"+again.Token+"'"); got != "failed 0,sending 1" {
		t.Errorf("rows are %q", got)
	}
}

func TestP2_AcceptedRecipientsAreKnownAtTheNextTry(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, "INSERT INTO {db}.outbox (recipients, cc, bcc) VALUES ('a@b.example', 'c@b.example', 'd@b.example')")
	r := one(t, d.Store)
	all := recipients(db.RecipientSending, r.Token, "a@b.example", "c@b.example", "d@b.example")
	all[1].State, all[1].Token, all[1].Code, all[1].LastError = db.RecipientOpen, "", 451, "greylisted"
	m := markOf(r.Lease)
	m.Recipients = all
	must(t, d.Store.Mark(ctx, m))
	s := accepted(r.Lease)
	s.State = db.Queued
	s.Recipients = []db.Recipient{all[0], all[2]}
	s.Recipients[0].State, s.Recipients[1].State = db.RecipientAccepted, db.RecipientFailed
	must(t, d.Store.Settle(ctx, s))
	again := one(t, d.Store)
	got := ""
	for _, k := range again.Known {
		got += fmt.Sprintf("%d %s %s %s %d %s|", k.Position, k.Kind, k.Address, k.State, k.Code, k.LastError)
	}
	if got != "0 to a@b.example accepted 0 |1 cc c@b.example open 451 greylisted|2 bcc d@b.example failed 0 |" {
		t.Errorf("known at the second try: %s", got)
	}
}

// A rescue left one recipient uncertain and the row waiting for the other; then the first one's answer comes.
func TestP2_LateTruthOfOneRecipient(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients) VALUES ('a@b.example, c@b.example')`)
	r := one(t, d.Store)
	m := markOf(r.Lease)
	m.Recipients = recipients(db.RecipientSending, r.Token, "a@b.example", "c@b.example")
	m.Recipients[1].State, m.Recipients[1].Token = db.RecipientOpen, ""
	must(t, d.Store.Mark(deadline(t), m))
	rescue(t, d, db.Rescue{Own: me.ID})
	if got := each(t, d); got != "0 uncertain,1 open" {
		t.Fatalf("rescued to %s", got)
	}
	m.Recipients[0].State = db.RecipientAccepted
	must(t, d.Store.Settle(deadline(t), db.Settlement{Lease: r.Lease, Change: db.Change{State: db.Queued, Verdict: true, Sent: true}, Recipients: m.Recipients,
		Attempt: &db.Attempt{Account: "main", Daemon: "here", Step: "dot", Verdict: "accepted", Code: 250}}))
	if got := each(t, d); got != "0 accepted,1 open" {
		t.Errorf("the truth makes it %s", got)
	}
	if got := d.Read(t, `SELECT verdict FROM {db}.outbox_attempt WHERE finished_at IS NOT NULL`); got != "accepted" {
		t.Errorf("the attempt says %q", got)
	}
}
