package main

import (
	"fmt"
	"testing"
	"time"

	"outboxd/db"
)

// The statements of a run's life are such that the embedded engine runs them too.
func TestRunOfAMailingOnTheEmbeddedEngine(t *testing.T) {
	pool := embedded(t)
	ctx := t.Context()
	store, err := pool.Store("acme")
	must(t, err)
	me := db.Instance{ID: "aaaaaaaa", Host: "here"}
	begun, err := store.BeginRun(ctx, db.NewRun{Job: "statements", Kind: "mailing", Scheduled: time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC), State: db.RunRunning,
		Spec: `{"on_sent": "UPDATE a SET b = 1"}`, Period: "2026-11", StartedBy: "eva"}, me)
	must(t, err)
	r, err := store.TakeRun(ctx, *begun, me)
	must(t, err)
	must(t, store.BeatRun(ctx, *r))
	mails := make([]db.NewMail, 10)
	for i := range mails {
		mails[i] = db.NewMail{Identity: [16]byte{byte(i)}, Key: fmt.Sprint(i), Recipients: fmt.Sprintf("c%d@customer.example", i), Text: "Text"}
	}
	mails[0].State = db.Skipped
	_, err = store.Enqueue(ctx, *r, db.Batch{Kinds: []string{"statements"}, Period: "2026-11", Mails: mails})
	must(t, err)
	change := func(c db.RunChange, mails ...db.NewMail) {
		t.Helper()
		if changed, err := store.ChangeRun(ctx, r.ID, c, mails...); err != nil || !changed {
			t.Fatalf("%+v: %v, %v", c, changed, err)
		}
	}
	audience, within, few, all := int64(10), time.Hour, int64(3), int64(db.AllMails)
	change(db.RunChange{State: db.RunHeld, From: []db.RunState{db.RunRunning}, Token: r.Token, Audience: &audience, DecideUntil: &within},
		db.NewMail{Recipients: "eva@acme.example", Subject: "Proof", Text: "Text", Account: "system"})
	change(db.RunChange{State: db.RunSending, ApprovedBy: "jan", Allowed: &few})
	want := func(n, wanted int, end bool, err error) {
		t.Helper()
		if n != wanted || !end || err != nil {
			t.Errorf("%d mails instead of %d, %v, %v", n, wanted, end, err)
		}
	}
	n, end, err := store.ReleaseRun(ctx, r.ID, 100)
	want(n, 3, end, err)
	must(t, store.Hold(ctx, 10, "look"))
	must(t, store.Release(ctx, 10))
	change(db.RunChange{State: db.RunStopped, Allowed: &all})
	n, end, err = store.HoldRun(ctx, r.ID, 100)
	want(n, 3, end, err)
	change(db.RunChange{State: db.RunSending})
	n, end, err = store.ReleaseRun(ctx, r.ID, 100)
	want(n, 9, end, err)
	must(t, pool.Exec(ctx, `UPDATE acme.outbox SET state = 'failed' WHERE id = 2`))
	must(t, pool.Exec(ctx, `DELETE FROM acme.outbox WHERE id = 3`))
	must(t, pool.Exec(ctx, `UPDATE acme.outbox SET state = 'sent', sent_at = '2026-11-01 09:00:00' WHERE id = 4`))
	must(t, store.Retry(ctx, 2))
	for _, counted := range []int{3, 0} {
		if next, ended, err := store.ReconcileRun(ctx, r.ID, 0, 100); next != 0 || ended != counted || err != nil {
			t.Errorf("%d, %d, %v", next, ended, err)
		}
	}
	first, err := store.RunFirst(ctx, r.ID)
	must(t, err)
	if first.Ended != 1 || first.Bad != 0 || first.Open == 0 || first.Rest < 0 {
		t.Errorf("%+v", first)
	}
	known, err := store.KnownMails(ctx, r.ID, []db.NewMail{{Identity: [16]byte{99}}})
	if len(known) != 0 || err != nil {
		t.Errorf("%v, %v", known, err)
	}
	change(db.RunChange{State: db.RunCancelling, EndsAs: db.RunCancelled})
	n, end, err = store.CancelRun(ctx, r.ID, "no", 100)
	want(n, 7, end, err)
	change(db.RunChange{State: db.RunCancelled, Note: "all have an end"})
	now, err := store.Run(ctx, r.ID)
	must(t, err)
	if got := fmt.Sprintf("%+v %d", now.RunCounts, now.Released); got != "{Sent:1 Partial:0 Failed:0 Skipped:1 Suppressed:0 Cancelled:7 Expired:0 Gone:1} 9" {
		t.Error(got)
	}
	list, err := store.RunMails(ctx, r.ID, db.RunMailFilter{Failed: true})
	must(t, err)
	if len(list) != 9 || list[1].State != db.Cancelled || list[2].State != "gone" {
		t.Errorf("%+v", list)
	}
	if text, err := pool.ReadText(ctx, `SELECT CONCAT_WS(' ', (SELECT GROUP_CONCAT(outbox_id) FROM acme.outbox_key), (SELECT GROUP_CONCAT(outbox_id) FROM acme.outbox_writeback),
		(SELECT COUNT(*) FROM acme.outbox WHERE run_id IS NULL AND held = 0))`); err != nil || text != "4 4 1" {
		t.Errorf("%s, %v", text, err)
	}
	runs, err := store.Runs(ctx, db.RunFilter{States: []db.RunState{db.RunCancelled}})
	if err != nil || len(runs) != 1 || runs[0].ApprovedBy != "jan" {
		t.Errorf("%+v, %v", runs, err)
	}
	if open, err := store.OpenRuns(ctx); err != nil || len(open) != 0 {
		t.Errorf("%+v, %v", open, err)
	}
}
