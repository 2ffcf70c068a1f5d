package db_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// The rights that migrate --print shows are enough for whatever is done to runs.
func TestDaemonUserMayDoAllThatRunsNeed(t *testing.T) {
	root := dbtest.New(t)
	grant(t, root, root.Name+"_daemon", db.Needs{Purges: true, Mailings: true})
	d := as(t, root, root.Name+"_daemon")
	ctx := deadline(t)
	n := statements(scheduled)
	n.Period = ""
	begun, err := d.Store.BeginRun(ctx, n, me)
	must(t, err)
	r, err := d.Store.TakeRun(ctx, *begun, me)
	must(t, err)
	must(t, d.Store.LayDownRuns(ctx, other))
	mails(t, root, r.ID, 0, 6)
	change(t, d.Store, r.ID, db.RunChange{State: db.RunSending})
	release(t, d.Store, r.ID)
	must(t, d.Store.Hold(ctx, 1, "look"))
	must(t, d.Store.Release(ctx, 1))
	root.Exec(t, `UPDATE {db}.outbox SET state = 'failed' WHERE id < 3`)
	reconcile(t, d.Store, r.ID)
	root.Exec(t, `UPDATE {db}.outbox_run SET period = '2026-03'`)
	must(t, d.Store.Retry(ctx, 2))
	change(t, d.Store, r.ID, db.RunChange{State: db.RunStopped})
	hold(t, d.Store, r.ID)
	change(t, d.Store, r.ID, db.RunChange{State: db.RunCancelling, EndsAs: db.RunCancelled})
	cancel(t, d.Store, r.ID)
	reconcile(t, d.Store, r.ID)
	if changed, err := d.Store.ChangeRun(ctx, r.ID, db.RunChange{State: db.RunCancelled}, db.NewMail{Recipients: "eva@acme.example", Text: "Summary"}); err != nil || !changed {
		t.Errorf("%v, %v", changed, err)
	}
	rows(t, d.Store, r.ID)
	root.Exec(t, `DELETE FROM {db}.outbox_writeback`)
	root.Exec(t, `UPDATE {db}.outbox SET created_at = NOW() - INTERVAL 500 DAY, updated_at = NOW() - INTERVAL 500 DAY WHERE run_id IS NOT NULL`)
	if _, removed := purge(t, d.Store, begin(t, d.Store, db.PassRows, 400)); removed != 6 {
		t.Errorf("%d rows went", removed)
	}
}

// The right that docs/mailings.md gives to whoever approves in SQL is enough for that, and for nothing else.
func TestApproverInSQL(t *testing.T) {
	root := dbtest.New(t)
	r := mailing(t, root, 1, db.RunHeld)
	user := root.Name + "_jan"
	root.Exec(t, "CREATE USER `"+user+"`@`%` IDENTIFIED BY 'secret'")
	t.Cleanup(func() { root.Exec(t, "DROP USER `"+user+"`@`%`") })
	page, err := os.ReadFile("../docs/mailings.md")
	must(t, err)
	right := regexp.MustCompile(`GRANT SELECT \(id, [^;]*\), UPDATE \(approved_by\) ON acme.outbox_run TO `).FindString(string(page))
	if right == "" {
		t.Fatal("the page shows no right")
	}
	root.Exec(t, strings.Replace(right, "acme.", "{db}.", 1)+"`"+user+"`@`%`")
	d := as(t, root, user)
	d.Exec(t, "UPDATE {db}.outbox_run SET approved_by = USER() WHERE id = ? AND state = 'held'", r.ID)
	got := run(t, root.Store, r.ID)
	if name, _, _ := strings.Cut(got.ApprovedBy, "@"); name != user || got.ApprovedAt != nil || got.State != db.RunHeld {
		t.Errorf("%+v", got)
	}
	for _, statement := range []string{"UPDATE {db}.outbox_run SET state = 'sending'", "SELECT link_key FROM {db}.outbox_run"} {
		if err := d.Pool.Exec(deadline(t), strings.ReplaceAll(statement, "{db}", root.Name)); db.Kind(err) != db.KindSetup {
			t.Errorf("%s: %v", statement, err)
		}
	}
	change(t, root.Store, r.ID, db.RunChange{Unapprove: true})
	if got := run(t, root.Store, r.ID); got.ApprovedBy != "" {
		t.Errorf("%+v", got)
	}
}
