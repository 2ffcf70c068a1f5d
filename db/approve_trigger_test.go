package db_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// The statements of the page about mailings let a person approve in SQL, under no name but the person's own, and touch nothing else;
// outboxd's own approvals stay what they are.
func TestTheDocumentedTriggerNamesWhoeverApproved(t *testing.T) {
	page, err := os.ReadFile("../docs/mailings.md")
	must(t, err)
	trigger := regexp.MustCompile(`(?s)CREATE TRIGGER outbox_approved_by (.*?);\n`).FindSubmatch(page)
	rights := regexp.MustCompile(`GRANT (.*) ON acme\.outbox_run TO jan_acc;`).FindSubmatch(page)
	approve := regexp.MustCompile(`UPDATE outbox_run (SET approved_by = USER\(\) WHERE id = )12;`).FindSubmatch(page)
	if trigger == nil || rights == nil || approve == nil {
		t.Fatal("the page lacks a statement")
	}
	root := dbtest.New(t)
	person := root.Name + "_jan"
	root.Exec(t, "CREATE USER `"+person+"`@`%` IDENTIFIED BY 'secret'")
	t.Cleanup(func() { root.Exec(t, "DROP USER `"+person+"`@`%`") })
	root.Exec(t, "GRANT "+string(rights[1])+" ON {db}.outbox_run TO `"+person+"`@`%`")
	root.Exec(t, "CREATE TRIGGER {db}.outbox_approved_by "+strings.Replace(string(trigger[1]), "ON outbox_run", "ON {db}.outbox_run", 1))
	root.Exec(t, `INSERT INTO {db}.outbox_run (id, job, kind, scheduled_at, state, daemon) VALUES (1, 'a', 'mailing', '2026-11-01 08:00:00', 'held', 'h'), (2, 'b', 'mailing', '2026-11-01 08:00:00', 'held', 'h')`)
	jan := as(t, root, person)
	jan.Exec(t, "UPDATE {db}.outbox_run "+string(approve[1])+"1")
	if got := root.Read(t, `SELECT approved_by FROM {db}.outbox_run WHERE id = 1`); !strings.HasPrefix(got, person+"@") {
		t.Errorf("approved by %s", got)
	}
	jan.Exec(t, `UPDATE {db}.outbox_run SET approved_by = 'eva@localhost' WHERE id = 1`)
	if got := root.Read(t, `SELECT approved_by FROM {db}.outbox_run WHERE id = 1`); !strings.HasPrefix(got, person+"@") {
		t.Errorf("under another name: %s", got)
	}
	if err := jan.Pool.Exec(deadline(t), "UPDATE "+root.Name+".outbox_run SET state = 'sending' WHERE id = 1"); err == nil {
		t.Error("a person may set the state")
	}
	changed, err := root.Store.ChangeRun(deadline(t), 2, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunHeld}, ApprovedBy: "ida"})
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	if _, err = root.Store.ChangeRun(deadline(t), 1, db.RunChange{From: []db.RunState{db.RunHeld}, Unapprove: true}); err != nil {
		t.Fatal(err)
	}
	if got := root.Read(t, `SELECT GROUP_CONCAT(COALESCE(approved_by, 'nobody') ORDER BY id) FROM {db}.outbox_run`); got != "nobody,ida" {
		t.Errorf("approved by %s", got)
	}
}
