package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"outboxd/db"
)

// runOf is a run of a mailing on the embedded engine.
type runOf struct {
	t     *testing.T
	pool  *db.Pool
	store *db.Store
	run   db.Run
}

// enqueued begins a run of ten mails, of which the first is skipped.
func enqueued(t *testing.T) *runOf {
	t.Helper()
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
	_, err = store.Enqueue(ctx, *r, db.Batch{Mails: mails})
	must(t, err)
	return &runOf{t, pool, store, *r}
}

func (r *runOf) change(c db.RunChange, mails ...db.NewMail) {
	r.t.Helper()
	if changed, err := r.store.ChangeRun(r.t.Context(), r.run.ID, c, mails...); err != nil || !changed {
		r.t.Fatalf("%+v: %v, %v", c, changed, err)
	}
}

// step makes a step to its end, which is to change so many mails.
func (r *runOf) step(wanted int, make func(ctx context.Context, id uint64, limit int) (int, bool, error)) {
	r.t.Helper()
	if n, end, err := make(r.t.Context(), r.run.ID, 100); n != wanted || !end || err != nil {
		r.t.Errorf("%d mails instead of %d, %v, %v", n, wanted, end, err)
	}
}

// The statements of a run's life are such that the embedded engine runs them too.
func TestRunOfAMailingOnTheEmbeddedEngine(t *testing.T) {
	r := enqueued(t)
	ctx, store := t.Context(), r.store
	audience, within, few, all := int64(10), time.Hour, int64(3), int64(db.AllMails)
	r.change(db.RunChange{State: db.RunHeld, From: []db.RunState{db.RunRunning}, Token: r.run.Token, Audience: &audience, DecideUntil: &within},
		db.NewMail{Recipients: "eva@acme.example", Subject: "Proof", Text: "Text", Account: "system"})
	r.change(db.RunChange{State: db.RunSending, ApprovedBy: "jan", Allowed: &few})
	r.step(3, store.ReleaseRun)
	must(t, store.Hold(ctx, 10, "look"))
	must(t, store.Release(ctx, 10))
	r.change(db.RunChange{State: db.RunStopped, Allowed: &all})
	r.step(3, store.HoldRun)
	r.change(db.RunChange{State: db.RunSending})
	r.step(9, store.ReleaseRun)
	r.counts()
	r.change(db.RunChange{State: db.RunCancelling, EndsAs: db.RunCancelled})
	r.step(7, func(ctx context.Context, id uint64, limit int) (int, bool, error) {
		return store.CancelRun(ctx, id, "no", limit)
	})
	r.change(db.RunChange{State: db.RunCancelled, Note: "all have an end"})
	r.ended()
}

// counts looks what became of mails of which one has failed and goes again, one was deleted, and one was sent.
func (r *runOf) counts() {
	t, ctx, store, pool := r.t, r.t.Context(), r.store, r.pool
	t.Helper()
	must(t, pool.Exec(ctx, `UPDATE acme.outbox SET state = 'failed' WHERE id = 2`))
	must(t, pool.Exec(ctx, `DELETE FROM acme.outbox WHERE id = 3`))
	must(t, pool.Exec(ctx, `UPDATE acme.outbox SET state = 'sent', sent_at = '2026-11-01 09:00:00' WHERE id = 4`))
	must(t, store.Retry(ctx, 2))
	for _, counted := range []int{3, 0} {
		if next, ended, err := store.ReconcileRun(ctx, r.run.ID, 0, 100); next != 0 || ended != counted || err != nil {
			t.Errorf("%d, %d, %v", next, ended, err)
		}
	}
	first, err := store.RunFirst(ctx, r.run.ID)
	must(t, err)
	if first.Ended != 1 || first.Refused != 0 || first.Bounced != 0 || first.Open == 0 || first.Rest < 0 {
		t.Errorf("%+v", first)
	}
	must(t, pool.Exec(ctx, `UPDATE acme.outbox SET bounced_at = NOW(6), bounce = '5.1.1 no' WHERE id IN (2, 4)`)) // only one of them was sent
	if first, err = store.RunFirst(ctx, r.run.ID); err != nil || first.Bounced != 1 {
		t.Errorf("%+v, %v", first, err)
	}
	if show, err := store.Show(ctx, 4); err != nil || show.Bounce != "5.1.1 no" {
		t.Errorf("%+v, %v", show, err)
	}
	if found, err := store.Find(ctx, db.Filter{State: db.Sent}); err != nil || len(found) != 1 || found[0].BouncedAt == nil {
		t.Errorf("%+v, %v", found, err)
	}
	known, err := store.KnownMails(ctx, r.run.ID, []db.NewMail{{Identity: [16]byte{99}}})
	if len(known) != 0 || err != nil {
		t.Errorf("%v, %v", known, err)
	}
}

// ended looks at what is left of a run that was cancelled.
func (r *runOf) ended() {
	t, ctx, store, pool := r.t, r.t.Context(), r.store, r.pool
	t.Helper()
	now, err := store.Run(ctx, r.run.ID)
	must(t, err)
	if got := fmt.Sprintf("%+v %d", now.RunCounts, now.Released); got != "{Sent:1 Partial:0 Failed:0 Skipped:1 Suppressed:0 Cancelled:7 Expired:0 Gone:1} 9" {
		t.Error(got)
	}
	list, err := store.RunMails(ctx, r.run.ID, db.RunMailFilter{Failed: true})
	must(t, err)
	if len(list) != 10 || list[3].BouncedAt == nil || list[1].State != db.Cancelled || list[2].State != "gone" {
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

// What people do about times and mails that are missing runs on the embedded engine too.
func TestTimesOfAMailingOnTheEmbeddedEngine(t *testing.T) {
	r := enqueued(t)
	ctx, store := t.Context(), r.store
	at, me := r.run.Scheduled.AddDate(0, 1, 0), db.Instance{ID: "aaaaaaaa", Host: "here"}
	if last, err := store.LastScheduled(ctx, "statements"); err != nil || last != nil {
		t.Errorf("%+v, %v", last, err)
	}
	if taken, err := store.TakenTimes(ctx, at.AddDate(-1, 0, 0), "statements", "letters"); err != nil || len(taken) != 1 || !taken[0].Equal(r.run.Scheduled) {
		t.Errorf("%v, %v", taken, err)
	}
	must(t, r.pool.Exec(ctx, `DELETE FROM acme.outbox_run_mail WHERE outbox_id = 2`))
	for _, want := range []int{1, 0} {
		if next, found, err := store.RefindMails(ctx, r.run.ID, 0, 100); next != 0 || found != want || err != nil {
			t.Errorf("%d, %d, %v", next, found, err)
		}
	}
	if itself, err := store.RecordsApprover(ctx); err != nil || itself {
		t.Errorf("%v, %v", itself, err)
	}
	must(t, r.pool.Exec(ctx, `UPDATE acme.outbox_run SET state = 'done'`))
	left, err := store.BeginRun(ctx, db.NewRun{Job: "statements", Kind: "mailing", Scheduled: at, State: db.RunSkipped, StartedBy: db.BySchedule}, me)
	must(t, err)
	begun, err := store.BeginRun(ctx, db.NewRun{Job: "statements", Kind: "mailing", Scheduled: at, State: db.RunRunning, Spec: "{}", StartedBy: "eva", Was: []string{"letters"}}, me)
	must(t, err)
	if begun == nil || begun.ID != left.ID || begun.State != db.RunRunning {
		t.Errorf("%+v", begun)
	}
}
