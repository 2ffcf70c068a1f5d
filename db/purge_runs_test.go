package db_test

import (
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// ended makes all mails of a run end long ago, and the run with them.
func ended(t testing.TB, d *dbtest.Database, r db.Run, state string) {
	t.Helper()
	d.Exec(t, `UPDATE {db}.outbox SET state = ?, held = 0, created_at = NOW() - INTERVAL 500 DAY, updated_at = NOW() - INTERVAL 500 DAY WHERE run_id = ?`, state, r.ID)
	reconcile(t, d.Store, r.ID)
	change(t, d.Store, r.ID, db.RunChange{State: db.RunDone})
	d.Exec(t, `UPDATE {db}.outbox_run SET finished_at = NOW() - INTERVAL 500 DAY WHERE id = ?`, r.ID)
	d.Exec(t, `DELETE FROM {db}.outbox_writeback`)
}

// Mails of a run go with what is known of them; the run keeps its counts.
func TestPurgeRemovesTheMailsOfRuns(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for _, hash := range []string{"a", "b", "c"} {
		d.Exec(t, `INSERT INTO {db}.outbox_pin (hash, content, created_at) VALUES (?, 'templates', NOW() - INTERVAL 500 DAY)`, hash)
	}
	d.Exec(t, `INSERT INTO {db}.outbox_pin (hash, content) VALUES ('young', 'templates')`)
	first, second := "a", "b"
	r := mailing(t, d, 620, db.RunSending)
	change(t, d.Store, r.ID, db.RunChange{Templates: &first})
	d.Exec(t, `DELETE FROM {db}.outbox WHERE id BETWEEN 3 AND 602`) // by hand
	ended(t, d, r, "sent")
	kept := mailing(t, d, 2, db.RunSending)
	change(t, d.Store, kept.ID, db.RunChange{Templates: &second})
	ended(t, d, kept, "failed")
	d.Exec(t, `UPDATE {db}.outbox SET updated_at = NOW() WHERE run_id = ?`, kept.ID)
	d.Exec(t, `UPDATE {db}.outbox_run SET period = '2026-04' WHERE id = ?`, kept.ID)

	p := begin(t, d.Store, db.PassRows, 400)
	archive := &memory{}
	p.Archive = archive
	if _, removed := purge(t, d.Store, p); removed != 20 {
		t.Errorf("%d rows went", removed)
	}
	if len(archive.lines) != 20 || !strings.Contains(archive.lines[0], `"business_key":"1"`) || !strings.Contains(archive.lines[0], `"run_id":1`) {
		t.Errorf("archived: %d, %.300s", len(archive.lines), archive.lines)
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', run_id, state)) FROM {db}.outbox_run_mail`); got != "2 failed,2 failed" {
		t.Errorf("left: %s", got)
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(hash ORDER BY hash) FROM {db}.outbox_pin`); got != "b,young" {
		t.Errorf("pinned: %s", got)
	}
	if got := run(t, d.Store, r.ID); got.Sent != 20 || got.Gone != 600 || got.State != db.RunDone {
		t.Errorf("%+v", got)
	}
	if got := d.Read(t, `SELECT COUNT(*) FROM {db}.outbox_key WHERE kind = 'statements'`); got != "20" {
		t.Errorf("%s keys: a key outlives its mail", got)
	}
	must(t, d.Store.Retry(ctx, rows(t, d.Store, kept.ID)[0].ID)) // what it was made from is there
}

func rows(t testing.TB, s *db.Store, id uint64) []db.RunMail {
	t.Helper()
	all, err := s.RunMails(deadline(t), id, db.RunMailFilter{})
	must(t, err)
	return all
}

// What a run has not counted, or needs to go on, stays until then, and so does what the company's tables were not told.
func TestPurgeLeavesWhatARunNeeds(t *testing.T) {
	d := dbtest.New(t)
	r := mailing(t, d, 4, db.RunSending)
	d.Exec(t, `UPDATE {db}.outbox SET state = 'sent', held = 0, created_at = NOW() - INTERVAL 500 DAY, updated_at = NOW() - INTERVAL 500 DAY`)
	for i, p := range []*db.Purge{begin(t, d.Store, db.PassBodies, 400), begin(t, d.Store, db.PassRows, 400)} {
		if contents, removed := purge(t, d.Store, p); contents+removed != 0 {
			t.Errorf("pass %d: %d went that were not counted", i, contents+removed)
		}
	}
	reconcile(t, d.Store, r.ID)
	if _, removed := purge(t, d.Store, begin(t, d.Store, db.PassRows, 400)); removed != 0 {
		t.Errorf("%d went that are still to be told", removed)
	}
	d.Exec(t, `DELETE FROM {db}.outbox_writeback WHERE outbox_id > 1`)
	d.Exec(t, `UPDATE {db}.outbox_run SET state = 'running' WHERE kind = 'mailing'`)
	if _, removed := purge(t, d.Store, begin(t, d.Store, db.PassRows, 400)); removed != 0 {
		t.Errorf("%d went of a run that may go on", removed)
	}
	d.Exec(t, `UPDATE {db}.outbox_run SET state = 'sending' WHERE kind = 'mailing'`)
	if _, removed := purge(t, d.Store, begin(t, d.Store, db.PassRows, 400)); removed != 3 {
		t.Errorf("%d went", removed)
	}
	if got := run(t, d.Store, r.ID); got.Sum() != *got.Audience || got.Sent != 4 {
		t.Errorf("%+v", got)
	}
	change(t, d.Store, r.ID, db.RunChange{State: db.RunDone})
}
