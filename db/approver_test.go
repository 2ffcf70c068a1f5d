package db_test

import (
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// Whoever may write approved_by can write another's name into it, until the database writes it by itself; outboxd's own approvals pass.
func TestTheDatabaseRecordsWhoApproves(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	mailing(t, d, 1, db.RunHeld)
	forge := func() string {
		d.Exec(t, `UPDATE {db}.outbox_run SET approved_by = 'jan_acc@10.0.0.5'`)
		return d.Read(t, `SELECT approved_by FROM {db}.outbox_run`)
	}
	if itself, err := d.Store.RecordsApprover(ctx); err != nil || itself {
		t.Errorf("%v, %v", itself, err)
	}
	if by := forge(); by != "jan_acc@10.0.0.5" {
		t.Errorf("approved by %s", by)
	}
	text, err := db.ApproverTrigger(d.Name)
	must(t, err)
	for range 2 {
		for _, statement := range strings.Split(strings.TrimSpace(text), ";\n") {
			d.Exec(t, strings.TrimSuffix(statement, ";"))
		}
	}
	d.Exec(t, `UPDATE {db}.outbox_run SET approved_by = NULL`)
	if itself, err := d.Store.RecordsApprover(ctx); err != nil || !itself {
		t.Errorf("%v, %v", itself, err)
	}
	if by := forge(); by != d.Read(t, `SELECT USER()`) {
		t.Errorf("approved by %s", by)
	}
	change(t, d.Store, 1, db.RunChange{State: db.RunHeld, From: []db.RunState{db.RunHeld}, Unapprove: true})
	change(t, d.Store, 1, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunHeld}, ApprovedBy: "jan"})
	if got := d.Read(t, `SELECT CONCAT_WS(' ', COUNT(*), MAX(approved_by)) FROM {db}.outbox_run`); got != "1 jan" {
		t.Errorf("there are %s", got)
	}
}
