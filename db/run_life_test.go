package db_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

const spec = `{"kind":"mailing","on_sent":"UPDATE a SET b = 1","on_failed":"UPDATE a SET b = 2"}`

// statements is a run of a mailing to begin.
func statements(scheduled time.Time) db.NewRun {
	return db.NewRun{Job: "statements", Kind: "mailing", Scheduled: scheduled, State: db.RunRunning, Spec: spec, Period: "2026-03", StartedBy: "eva"}
}

// mailing is a run that is in a state, with n mails held by it, which have keys.
func mailing(t testing.TB, d *dbtest.Database, n int, state db.RunState) db.Run {
	t.Helper()
	ctx := deadline(t)
	last, err := d.Store.LastRun(ctx, "statements")
	must(t, err)
	at := scheduled
	if last != nil {
		at = last.Scheduled.Add(day)
	}
	r, err := d.Store.BeginRun(ctx, statements(at), me)
	must(t, err)
	r, err = d.Store.TakeRun(ctx, *r, me)
	must(t, err)
	mails(t, d, r.ID, 0, n)
	audience := int64(n)
	change(t, d.Store, r.ID, db.RunChange{State: state, From: []db.RunState{db.RunRunning}, Token: r.Token, Audience: &audience})
	return run(t, d.Store, r.ID)
}

// mails inserts mails of a run as Enqueue does.
func mails(t testing.TB, d *dbtest.Database, id uint64, from, n int) {
	t.Helper()
	for first := from; first < from+n; first += 10_000 {
		numbers := dbtest.Numbers(min(10_000, from+n-first)) + " ORDER BY seq"
		d.Exec(t, fmt.Sprintf(`INSERT INTO {db}.outbox (recipients, subject, body_text, reference, account, run_id, held) SELECT CONCAT('r', seq + %d, '@kunde.example'), 'Statement', 'Text', CONCAT('customer:', seq + %[1]d), 'main', ?, 2 FROM `, first)+numbers, id)
	}
	d.Exec(t, `INSERT INTO {db}.outbox_run_mail (run_id, outbox_id, identity, business_key) SELECT o.run_id, o.id, LEFT(UNHEX(SHA2(o.rcpt, 256)), 16), SUBSTRING(o.reference, 10) FROM {db}.outbox o
		LEFT JOIN {db}.outbox_run_mail m ON m.run_id = o.run_id AND m.outbox_id = o.id WHERE o.run_id = ? AND m.outbox_id IS NULL`, id)
	d.Exec(t, `INSERT IGNORE INTO {db}.outbox_key (kind, value, period, outbox_id, at) SELECT 'statements', business_key, '2026-03', outbox_id, NOW() FROM {db}.outbox_run_mail WHERE run_id = ?`, id)
	d.Exec(t, `UPDATE {db}.outbox_run SET enqueued = (SELECT COUNT(*) FROM {db}.outbox_run_mail WHERE run_id = ?) WHERE id = ?`, id, id)
}

func run(t testing.TB, s *db.Store, id uint64) db.Run {
	t.Helper()
	r, err := s.Run(deadline(t), id)
	must(t, err)
	return r
}

// change changes a run, which must be as the change wants it.
func change(t testing.TB, s *db.Store, id uint64, c db.RunChange) {
	t.Helper()
	changed, err := s.ChangeRun(deadline(t), id, c)
	must(t, err)
	if !changed {
		t.Fatalf("run %d was not changed to %s", id, c.State)
	}
}

// steps calls a step of a run until it is at its end, and returns how many mails were changed.
func steps(t testing.TB, step func() (int, bool, error)) (all int) {
	t.Helper()
	for {
		n, end, err := step()
		must(t, err)
		if all += n; end {
			return all
		}
	}
}

func release(t testing.TB, s *db.Store, id uint64) int {
	t.Helper()
	return steps(t, func() (int, bool, error) { return s.ReleaseRun(deadline(t), id, 3) })
}

func hold(t testing.TB, s *db.Store, id uint64) int {
	t.Helper()
	return steps(t, func() (int, bool, error) { return s.HoldRun(deadline(t), id, 3) })
}

func cancel(t testing.TB, s *db.Store, id uint64) int {
	t.Helper()
	return steps(t, func() (int, bool, error) { return s.CancelRun(deadline(t), id, "eva has stopped it", 3) })
}

// reconcile counts what has ended.
func reconcile(t testing.TB, s *db.Store, id uint64) (all int) {
	t.Helper()
	for after := uint64(0); ; {
		next, n, err := s.ReconcileRun(deadline(t), id, after, 3)
		must(t, err)
		if all, after = all+n, next; next == 0 {
			return all
		}
	}
}

// sendAll takes what may be taken and settles it as sent.
func sendAll(t testing.TB, s *db.Store) (n int) {
	t.Helper()
	for {
		rows := claimAll(t, s, 100)
		for _, r := range rows {
			must(t, s.Settle(deadline(t), accepted(r.Lease)))
		}
		if n += len(rows); len(rows) == 0 {
			return n
		}
	}
}

func TestRunOfAMailing(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	begun, err := d.Store.BeginRun(ctx, statements(scheduled), me)
	must(t, err)
	if begun == nil || !begun.Free || begun.Kind != "mailing" || begun.Spec != spec || begun.Period != "2026-03" || begun.StartedBy != "eva" || begun.ChangedAt == nil {
		t.Fatalf("%+v", begun)
	}
	if open, err := d.Store.OpenRuns(ctx); err != nil || len(open) != 1 || open[0].ID != begun.ID || open[0].Spec != spec {
		t.Errorf("open: %+v, %v", open, err)
	}
	r, err := d.Store.TakeRun(ctx, *begun, me)
	must(t, err)
	if again, err := d.Store.TakeRun(ctx, *begun, other); err != nil || again != nil {
		t.Errorf("taken twice: %v, %v", again, err)
	}
	must(t, d.Store.BeatRun(ctx, *r))
	var lost *db.RunLostError
	if err := d.Store.BeatRun(ctx, *begun); !errors.As(err, &lost) {
		t.Errorf("the lease of before: %v", err)
	}
	mails(t, d, r.ID, 0, 10)
	if n, end, err := d.Store.ReleaseRun(ctx, r.ID, 100); n != 0 || !end || err != nil {
		t.Errorf("released while its mails are made: %d, %v", n, err)
	}
	audience, hash, within := int64(10), "ab", time.Hour
	change(t, d.Store, r.ID, db.RunChange{State: db.RunHeld, From: []db.RunState{db.RunRunning}, Token: r.Token, Audience: &audience, Templates: &hash, DecideUntil: &within, LinkKey: []byte("key")})
	if claimed := claimAll(t, d.Store, 10); len(claimed) != 0 {
		t.Errorf("%d held rows were taken", len(claimed))
	}
	if changed, err := d.Store.ChangeRun(ctx, r.ID, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunStopped}}); err != nil || changed {
		t.Errorf("changed from another state: %v, %v", changed, err)
	}
	change(t, d.Store, r.ID, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunHeld}, ApprovedBy: "jan"})
	if n := release(t, d.Store, r.ID); n != 10 {
		t.Errorf("%d released", n)
	}
	var sum *db.RunSumError
	if _, err := d.Store.ChangeRun(ctx, r.ID, db.RunChange{State: db.RunDone}); !errors.As(err, &sum) || sum.Open != 10 {
		t.Errorf("an end with mails that have none: %v", err)
	}
	if rows := claimAll(t, d.Store, 1); len(rows) != 1 || rows[0].Run != r.ID {
		t.Errorf("%+v", rows)
	} else {
		must(t, d.Store.Settle(ctx, accepted(rows[0].Lease)))
	}
	sendAll(t, d.Store)
	if n := reconcile(t, d.Store, r.ID); n != 10 {
		t.Errorf("%d counted", n)
	}
	change(t, d.Store, r.ID, db.RunChange{State: db.RunDone, Note: "10 sent"})
	got := run(t, d.Store, r.ID)
	if got.State != db.RunDone || got.Sent != 10 || got.Sum() != *got.Audience || got.ApprovedBy != "jan" || got.ApprovedAt == nil || got.EndedAt == nil || got.Note != "10 sent" ||
		got.Templates != "ab" || got.Released != 10 || string(got.LinkKey) != "key" || got.DecideUntil.Sub(*got.ApprovedAt) < 59*time.Minute {
		t.Errorf("%+v", got)
	}
	if open, err := d.Store.OpenRuns(ctx); err != nil || len(open) != 0 {
		t.Errorf("open: %+v, %v", open, err)
	}
}

func TestRunsAreListedTheNewestFirst(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	first := mailing(t, d, 0, db.RunSending)
	change(t, d.Store, first.ID, db.RunChange{State: db.RunDone})
	second := mailing(t, d, 0, db.RunHeld)
	_, err := d.Store.BeginRun(ctx, purgeAt(scheduled), me)
	must(t, err)
	for _, c := range []struct {
		f    db.RunFilter
		want string
	}{{db.RunFilter{}, "[2 1]"}, {db.RunFilter{Limit: 1}, "[2]"}, {db.RunFilter{Before: 2}, "[1]"}, {db.RunFilter{States: []db.RunState{db.RunDone}}, "[1]"},
		{db.RunFilter{Job: "purge"}, "[3]"}, {db.RunFilter{Job: "statements", States: []db.RunState{db.RunHeld, db.RunAsked}}, "[2]"}} {
		runs, err := d.Store.Runs(ctx, c.f)
		must(t, err)
		var got []uint64
		for _, r := range runs {
			got = append(got, r.ID)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%+v: %v, want %s", c.f, got, c.want)
		}
	}
	if p, err := d.Store.PreviousRun(ctx, second); err != nil || p == nil || p.ID != first.ID {
		t.Errorf("before it: %+v, %v", p, err)
	}
	if p, err := d.Store.PreviousRun(ctx, first); err != nil || p != nil {
		t.Errorf("before the first: %+v, %v", p, err)
	}
	renamed := second
	renamed.Job, renamed.Spec = "letters", `{"was": "statements"}`
	if p, err := d.Store.PreviousRun(ctx, renamed); err != nil || p == nil || p.ID != first.ID {
		t.Errorf("of a renamed job: %+v, %v", p, err)
	}
	if p, err := d.Store.LastRun(ctx, "letters", "statements", "purge"); err != nil || p == nil || p.ID != second.ID {
		t.Errorf("the last one: %+v, %v", p, err)
	}
	var none *db.NoRunError
	if _, err := d.Store.Run(ctx, 99); !errors.As(err, &none) {
		t.Errorf("a run that there is not: %v", err)
	}
	if _, err := d.Store.ChangeRun(ctx, 99, db.RunChange{State: db.RunHeld}); !errors.As(err, &none) {
		t.Errorf("a change of it: %v", err)
	}
}

// P7: while a run of a job has not ended no other begins, also under an earlier name and however many try at a time.
func TestP7_NoRunBeginsBesideAnother(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	ended := statements(scheduled)
	ended.State = db.RunSkipped
	if r, err := d.Store.BeginRun(ctx, ended, me); err != nil || r == nil || r.State != db.RunSkipped || r.EndedAt == nil {
		t.Fatalf("%+v, %v", r, err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	begun, refused := 0, 0
	for i := range 8 {
		all.Go(func() {
			r, err := d.Store.BeginRun(ctx, statements(scheduled.Add(time.Duration(i+1)*time.Hour)), db.Instance{ID: fmt.Sprintf("%08x", i), Host: "here"})
			var open *db.RunOpenError
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.As(err, &open):
				refused++
			case err != nil:
				t.Error(err)
			case r != nil:
				begun++
			}
		})
	}
	all.Wait()
	if begun != 1 || refused != 7 {
		t.Errorf("%d began, %d were refused", begun, refused)
	}
	n := statements(scheduled.Add(day))
	n.Job, n.Was = "letters", []string{"statements"}
	var open *db.RunOpenError
	if _, err := d.Store.BeginRun(ctx, n, me); !errors.As(err, &open) || open.Run.Job != "statements" {
		t.Errorf("under another name: %v", err)
	}
	n.State = db.RunSkipped
	if r, err := d.Store.BeginRun(ctx, n, me); err != nil || r == nil {
		t.Errorf("what is only noted: %+v, %v", r, err)
	}
	for i := range 2 { // a mailing that a person starts is a job of its own
		n := db.NewRun{Job: "@all", Kind: "mailing", Scheduled: scheduled.Add(time.Duration(i) * time.Second), State: db.RunRunning, StartedBy: "eva"}
		if r, err := d.Store.BeginRun(ctx, n, me); err != nil || r == nil {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// A daemon that starts again goes on with its own runs at once, and with nobody else's.
func TestRunsOfAnEarlierLife(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for i, who := range []db.Instance{me, other} {
		n := statements(scheduled)
		n.Job = fmt.Sprintf("job%d", i)
		r, err := d.Store.BeginRun(ctx, n, who)
		must(t, err)
		_, err = d.Store.TakeRun(ctx, *r, who)
		must(t, err)
	}
	must(t, d.Store.LayDownRuns(ctx, me))
	open, err := d.Store.OpenRuns(ctx)
	must(t, err)
	if len(open) != 2 || !open[0].Free || open[1].Free {
		t.Errorf("%+v", open)
	}
}

func TestRunsOnTheSchemaOneStepOlder(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.OneStepOlder(t)
	r, err := d.Store.BeginRun(ctx, purgeAt(scheduled), me)
	must(t, err)
	if r == nil || r.Kind != "purge" {
		t.Fatalf("%+v", r)
	}
	must(t, d.Store.EndRun(ctx, *r, db.RunDone, ""))
	skipped := purgeAt(scheduled.Add(day))
	skipped.State = db.RunSkipped
	_, err = d.Store.BeginRun(ctx, skipped, me)
	must(t, err)
	if last, err := d.Store.LastRun(ctx, "purge"); err != nil || last.State != db.RunSkipped {
		t.Errorf("%+v, %v", last, err)
	}
	if last, err := d.Store.LastScheduled(ctx, "purge"); err != nil || last == nil || !last.Scheduled.Equal(scheduled.Add(day)) {
		t.Errorf("%+v, %v", last, err)
	}
	if taken, err := d.Store.TakenTimes(ctx, scheduled, "purge"); err != nil || len(taken) > 0 {
		t.Errorf("%v, %v", taken, err)
	}
	var older *db.SchemaError
	for name, f := range map[string]func() error{
		"BeginRun":     func() error { _, err := d.Store.BeginRun(ctx, statements(scheduled), me); return err },
		"Run":          func() error { _, err := d.Store.Run(ctx, r.ID); return err },
		"OpenRuns":     func() error { _, err := d.Store.OpenRuns(ctx); return err },
		"Runs":         func() error { _, err := d.Store.Runs(ctx, db.RunFilter{}); return err },
		"ChangeRun":    func() error { _, err := d.Store.ChangeRun(ctx, r.ID, db.RunChange{Note: "x"}); return err },
		"ReleaseRun":   func() error { _, _, err := d.Store.ReleaseRun(ctx, r.ID, 1); return err },
		"ReconcileRun": func() error { _, _, err := d.Store.ReconcileRun(ctx, r.ID, 0, 1); return err },
		"RunMails":     func() error { _, err := d.Store.RunMails(ctx, r.ID, db.RunMailFilter{}); return err },
	} {
		if err := f(); !errors.As(err, &older) || older.Remedy() != "run outboxd migrate" {
			t.Errorf("%s: %v", name, err)
		}
	}
	insert(t, d, 2, "kunde.example")
	must(t, d.Store.Hold(ctx, 1, "look"))
	if last, n, err := d.Store.ReleaseHeld(ctx, db.HeldRows{Limit: 10}); last != 1 || n != 1 || err != nil {
		t.Errorf("%d %d %v", last, n, err)
	}
	if _, err := d.Store.Arrivals(ctx, 0, 10); err != nil {
		t.Error(err)
	}
}
