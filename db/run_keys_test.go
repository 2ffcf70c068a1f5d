package db_test

import (
	"errors"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// reached gives a mail of a run several recipients, in these states.
func reached(t testing.TB, d *dbtest.Database, id int, states ...string) {
	t.Helper()
	for i, state := range states {
		d.Exec(t, `INSERT INTO {db}.outbox_recipient (outbox_id, position, kind, address, state) VALUES (?, ?, 'to', ?, ?)`, id, i, string(rune('a'+i))+"@b.example", state)
	}
}

const usedKeys = `SELECT GROUP_CONCAT(CONCAT(kind, ':', value) ORDER BY outbox_id) FROM {db}.outbox_key`

// A mail of which some recipients have it ends as partial when its run is cancelled, not as one that nobody has: so its key stays.
func TestP7_CancelledMailThatSomeHave(t *testing.T) {
	d := dbtest.New(t)
	r := mailing(t, d, 5, db.RunSending)
	release(t, d.Store, r.ID)
	reached(t, d, 1, "accepted", "open", "failed")
	reached(t, d, 2, "open", "failed")
	reached(t, d, 3, "uncertain", "open")
	reached(t, d, 4, "accepted", "open")
	d.Exec(t, `UPDATE {db}.outbox SET state = 'sending', lease_until = NOW() WHERE id = 4`)
	change(t, d.Store, r.ID, db.RunChange{State: db.RunCancelling, EndsAs: db.RunCancelled})
	if n := cancel(t, d.Store, r.ID); n != 4 {
		t.Errorf("%d cancelled", n)
	}
	d.Exec(t, `UPDATE {db}.outbox SET state = 'queued', lease_until = NULL WHERE id = 4`) // it is to be tried again
	if n := cancel(t, d.Store, r.ID); n != 1 {
		t.Errorf("%d cancelled that came back", n)
	}
	if got := columns(t, d, "state"); got != "partial,cancelled,uncertain,partial,cancelled" {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' | ', o.last_error, GROUP_CONCAT(CONCAT_WS(' ', r.state, r.last_error) ORDER BY position)) FROM {db}.outbox o JOIN {db}.outbox_recipient r ON r.outbox_id = o.id WHERE o.id = 1`); got !=
		"eva has stopped it: 1 of 3 recipients were not reached; outbox_recipient says who | accepted,failed eva has stopped it,failed" {
		t.Error(got)
	}
	if got := runCounts(t, d.Store, r.ID); got != "5 0/2/0/0/0/2/0/0" {
		t.Error(got)
	}
	if got := d.Read(t, usedKeys); got != "statements:1,statements:3,statements:4" {
		t.Errorf("keys: %s", got)
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', outbox_id, event) ORDER BY outbox_id) FROM {db}.outbox_writeback`); got != "1 sent,4 sent" {
		t.Errorf("to be told: %s", got)
	}
}

// However a mail has ended: what somebody has, or may have, is not mailed again. Nobody knows more of one whose row was deleted by
// hand than its tries and its recipients tell.
func TestP7_KeyOfAMailThatSomebodyHas(t *testing.T) {
	d := dbtest.New(t)
	r := mailing(t, d, 9, db.RunSending)
	for i, state := range []string{"cancelled", "skipped", "failed"} {
		d.Exec(t, `UPDATE {db}.outbox SET state = ? WHERE id = ?`, state, i+1)
	}
	reached(t, d, 1, "accepted", "open")
	reached(t, d, 2, "uncertain", "open")
	reached(t, d, 3, "failed", "failed")
	reached(t, d, 4, "sending", "open")
	for i, verdict := range []any{"accepted", nil, "uncertain", "permanent"} { // of 5 to 8
		d.Exec(t, `INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, account, daemon, marked_at, verdict) VALUES (?, 'a', 'main', 'here', NOW(), ?)`, i+5, verdict)
	}
	d.Exec(t, `INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, account, daemon, marked_at, verdict) VALUES (3, 'a', 'main', 'here', NOW(), 'permanent'), (9, 'a', 'main', 'here', NULL, NULL)`)
	d.Exec(t, `DELETE FROM {db}.outbox WHERE id > 3`)
	reconcile(t, d.Store, r.ID)
	if got := runCounts(t, d.Store, r.ID); got != "0 0/0/1/1/0/1/0/6" {
		t.Error(got)
	}
	if got := d.Read(t, usedKeys); got != "statements:1,statements:2,statements:4,statements:5,statements:6,statements:7" {
		t.Errorf("keys: %s", got)
	}
}

// A mail that was skipped, as a mail of the job's earlier name had its key, is not mailed by a retry either. And keys are freed whatever
// the job is called, also like those that senders write themselves.
func TestP7_KeysOfJobsWithOtherNames(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	r := running(t, d, "dedupe", "2026-11")
	r.Spec = `{"job":"dedupe","was":"letters"}`
	d.Exec(t, `UPDATE {db}.outbox_run SET spec = ? WHERE id = ?`, r.Spec, r.ID)
	d.Exec(t, `INSERT INTO {db}.outbox_key (kind, value, period, outbox_id, at) VALUES ('letters', '4000 / 1', '2026-11', 99, NOW()), ('dedupe', '4001 / 1', '', 98, NOW())`)
	if done := enqueue(t, d, r, db.Batch{Mails: mailsOf(3)}); done != (db.Enqueued{Inserted: 3, Twice: 1}) {
		t.Errorf("%+v", done)
	}
	change(t, d.Store, r.ID, db.RunChange{State: db.RunSending})
	d.Exec(t, `UPDATE {db}.outbox SET state = 'failed', held = 0 WHERE id > 1`)
	reconcile(t, d.Store, r.ID)
	if got := d.Read(t, usedKeys); got != "dedupe:4001 / 1,letters:4000 / 1" {
		t.Errorf("keys: %s", got)
	}
	var state *db.StateError
	if err := d.Store.Retry(ctx, 1); !errors.As(err, &state) || !strings.Contains(err.Error(), "its key 4000 / 1 was mailed in 2026-11 by mail 99") {
		t.Errorf("the key of an earlier name: %v", err)
	}
	must(t, d.Store.Retry(ctx, 2))
	if got := d.Read(t, usedKeys); got != "job:dedupe:4001 / 1,dedupe:4001 / 1,letters:4000 / 1" {
		t.Errorf("keys after a retry: %s", got)
	}
}
