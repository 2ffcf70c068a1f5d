package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// procedures are what a company's people have written: one that fills the outbox, and some that misbehave.
func procedures(t testing.TB, d *dbtest.Database) {
	t.Helper()
	d.Exec(t, `CREATE TABLE {db}.reminder (id INT PRIMARY KEY AUTO_INCREMENT, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) ENGINE=InnoDB`)
	for name, body := range map[string]string{
		"enqueue_reminders": `SELECT * FROM {db}.reminder; INSERT INTO {db}.outbox (recipients, body_text) VALUES ('a@b.example', 'x'), ('c@d.example', 'y'); INSERT INTO {db}.reminder () VALUES (); SELECT 1, 'two', NULL UNION SELECT 3, 'four', 5`,
		"half":              `INSERT INTO {db}.reminder () VALUES (); SELECT 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no customers'`,
		"endless":           `INSERT INTO {db}.reminder () VALUES (); ` + endless("much"),
	} {
		d.Exec(t, `CREATE PROCEDURE {db}.`+name+`() BEGIN `+body+`; END`)
	}
}

func TestStatementAndTheEndOfItsRunAreOneTransaction(t *testing.T) {
	d := dbtest.New(t)
	procedures(t, d)
	ctx := deadline(t)
	for _, statement := range []string{"CALL enqueue_reminders()", "INSERT INTO reminder () VALUES () ;\n", "SELECT 1", "SET @a = 1"} {
		r := running(t, d, "remind")
		must(t, d.Store.ExecRun(ctx, r, statement, time.Minute))
		if got := d.Read(t, `SELECT CONCAT_WS(' ', state, lease_until IS NULL, finished_at IS NOT NULL, changed_at IS NOT NULL) FROM {db}.outbox_run WHERE id = ?`, r.ID); got != "done 1 1 1" {
			t.Errorf("%s: %s", statement, got)
		}
		var lost *db.RunLostError
		if err := d.Store.ExecRun(ctx, r, statement, time.Minute); !errors.As(err, &lost) {
			t.Errorf("%s a second time: %v", statement, err)
		}
	}
	if got := done(t, d); got != "2 2" {
		t.Error(got)
	}
}

// done tells how many mails and reminders there are.
func done(t testing.TB, d *dbtest.Database) string {
	t.Helper()
	return d.Read(t, `SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM {db}.outbox), (SELECT COUNT(*) FROM {db}.reminder))`)
}

func TestStatementThatFailsLeavesNothing(t *testing.T) {
	d := dbtest.New(t)
	procedures(t, d)
	for statement, says := range map[string]string{
		"CALL half()":           "error 1644: no customers; try the statement in a client",
		"CALL nothing()":        "error 1305",
		"CALL endless()":        "the statement was ended after 500ms",
		"INSERT INTO nowhere":   "error 1064",
		"DELETE FROM nowhere":   "SHOW TABLES",
		"SELECT 1; SELECT 2":    "a second statement",
		"COMMIT":                "CALL it",
		endless("as_much"):      "the statement was ended after 500ms",
		"INSERT INTO reminder":  "error 1064",
		"UPDATE reminder SET a": "error 1064",
	} {
		r := running(t, d, "remind")
		err := d.Store.ExecRun(deadline(t), r, statement, 500*time.Millisecond)
		var own *db.StatementError
		if !errors.As(err, &own) || !strings.Contains(err.Error(), says) || db.Waits(err) {
			t.Errorf("%s: %v", statement, err)
		}
		if got := d.Read(t, `SELECT state FROM {db}.outbox_run WHERE id = ?`, r.ID); got != "running" {
			t.Errorf("%s: the run is %s", statement, got)
		}
	}
	if got := done(t, d); got != "0 0" {
		t.Error(got)
	}
	gone(t, d, "much FROM")
}

func TestLostRunKeepsNothingOfItsStatement(t *testing.T) {
	d := dbtest.New(t)
	procedures(t, d)
	r := running(t, d, "remind")
	d.Exec(t, `UPDATE {db}.outbox_run SET lease_token = 'bbbbbbbb-1'`)
	var lost *db.RunLostError
	if err := d.Store.ExecRun(deadline(t), r, "CALL enqueue_reminders()", time.Minute); !errors.As(err, &lost) {
		t.Error(err)
	}
	if got := done(t, d); got != "0 0" {
		t.Error(got)
	}
}

// A stop ends the statement on the server too, and the run is still to be done.
func TestStatementThatIsStopped(t *testing.T) {
	d := dbtest.New(t)
	procedures(t, d)
	r := running(t, d, "remind")
	ctx, cancel := context.WithCancel(deadline(t))
	ended := make(chan error)
	go func() { ended <- d.Store.ExecRun(ctx, r, "CALL endless()", time.Hour) }()
	runs(t, d, "much FROM")
	cancel()
	var own *db.StatementError
	if err := <-ended; !errors.Is(err, context.Canceled) || errors.As(err, &own) {
		t.Error(err)
	}
	gone(t, d, "much FROM")
	if got := done(t, d); got != "0 0" {
		t.Error(got)
	}
	must(t, d.Store.ExecRun(deadline(t), r, "CALL enqueue_reminders()", time.Minute))
}

func TestP7_StatementWithALostCommitIsDoneOnce(t *testing.T) {
	d := dbtest.New(t)
	procedures(t, d)
	c, far := through(t, d)
	for _, lose := range losses {
		for range 5 {
			d.Exec(t, `DELETE FROM {db}.reminder`)
			r := running(t, d, "remind")
			c.arm(commit, lose)
			err := far.Store.ExecRun(deadline(t), r, "INSERT INTO reminder () VALUES ()", time.Minute)
			got := d.Read(t, `SELECT CONCAT_WS(' ', state, (SELECT COUNT(*) FROM {db}.reminder)) FROM {db}.outbox_run WHERE id = ?`, r.ID)
			if want := map[bool]string{true: "done 1", false: "running 0"}[err == nil]; got != want || err != nil && !db.Waits(err) || lose == replyLost && err != nil || !c.spent() {
				t.Errorf("%s: %s, %v", lose, got, err)
			}
		}
	}
}

// A statement that takes longer than the lease keeps its run; one whose run is lost meanwhile is ended.
func TestLeaseIsProlongedWhileTheStatementRuns(t *testing.T) {
	d := dbtest.New(t)
	procedures(t, d)
	d.Exec(t, `INSERT INTO {db}.reminder (id) VALUES (1)`)
	d.Store.BeatEvery(50 * time.Millisecond)
	release := holding(t, d, `UPDATE reminder SET at = '2026-01-01'`)
	exec := func() (db.Run, chan error) {
		r := running(t, d, "remind")
		d.Exec(t, `UPDATE {db}.outbox_run SET lease_until = TIMESTAMPADD(SECOND, 1, UTC_TIMESTAMP(6)) WHERE id = ?`, r.ID)
		ended := make(chan error, 1)
		go func() { ended <- d.Store.ExecRun(deadline(t), r, `UPDATE reminder SET at = '2026-02-02'`, time.Minute) }()
		return r, ended
	}
	ctx := deadline(t)
	kept, ended := exec()
	for d.Read(t, `SELECT lease_until > TIMESTAMPADD(SECOND, 30, UTC_TIMESTAMP(6)) FROM {db}.outbox_run WHERE id = ?`, kept.ID) != "1" {
		if ctx.Err() != nil {
			t.Fatal("the lease is not prolonged")
		}
	}
	taken, lost := exec()
	runs(t, d, "2026-02-02")
	d.Exec(t, `UPDATE {db}.outbox_run SET lease_token = 'bbbbbbbb-1' WHERE id = ?`, taken.ID)
	var gone *db.RunLostError
	if err := <-lost; !errors.As(err, &gone) {
		t.Errorf("of a run that is lost: %v", err)
	}
	release()
	must(t, <-ended)
	if got := d.Read(t, `SELECT CONCAT_WS(' ', at, (SELECT GROUP_CONCAT(state ORDER BY id) FROM {db}.outbox_run)) FROM {db}.reminder`); !strings.HasPrefix(got, "2026-02-02") || !strings.HasSuffix(got, " done,running") {
		t.Error(got)
	}
}
