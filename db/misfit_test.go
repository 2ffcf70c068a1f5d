package db_test

import (
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// TestP1_RowWithoutAState: a lax session writes a state that there is not, and the table takes it as empty. The row is in
// no queue then, so it is looked for and ended.
func TestP1_RowWithoutAState(t *testing.T) {
	d := dbtest.New(t)
	insert(t, d, 3, "kunde.example")
	sender := session(t, d)
	for _, statement := range []string{
		"SET sql_mode = ''",
		"INSERT INTO " + d.Name + ".outbox (recipients, state) VALUES ('a@kunde.example', 'ready')",
		"UPDATE " + d.Name + ".outbox SET state = 'canceled' WHERE id = 2",
	} {
		_, err := sender.ExecContext(deadline(t), statement)
		must(t, err)
	}
	next, ended, err := d.Store.EndStateless(deadline(t), 0)
	if err != nil || ended != 2 {
		t.Fatalf("%d rows, %v", ended, err)
	}
	if got := columns(t, d, "id, state, trouble"); got != "1 queued,2 failed 2,3 queued,4 failed 2" {
		t.Errorf("rows are %s", got)
	}
	if text := d.Read(t, "SELECT last_error FROM {db}.outbox WHERE id = 4"); !strings.Contains(text, "sql_mode") {
		t.Errorf("last_error: %s", text)
	}
	// The next look goes on behind, and sees what comes.
	_, err = sender.ExecContext(deadline(t), "INSERT INTO "+d.Name+".outbox (recipients, state) VALUES ('b@kunde.example', '')")
	must(t, err)
	if _, ended, err := d.Store.EndStateless(deadline(t), next); err != nil || ended != 1 {
		t.Errorf("%d rows, %v", ended, err)
	}
	must(t, d.Store.Retry(deadline(t), 4))
	if got := columns(t, d, "state"); got != "queued,failed,queued,queued,failed" {
		t.Errorf("rows are %s", got)
	}
}

// TestExpiredWithSomeRecipientsDone: those that have it have it, and the row says so.
func TestExpiredWithSomeRecipientsDone(t *testing.T) {
	d := dbtest.New(t)
	for id, states := range [][]string{{"accepted", "open"}, {"accepted", "failed", "open"}, {"uncertain", "open"}, {"open", "open"}, {"failed", "open"}} {
		d.Exec(t, `INSERT INTO {db}.outbox (id, recipients, expires_at) VALUES (?, 'a@b.example, c@b.example', NOW() - INTERVAL 1 SECOND)`, id+1)
		for i, state := range states {
			d.Exec(t, `INSERT INTO {db}.outbox_recipient (outbox_id, position, kind, address, state) VALUES (?, ?, 'to', ?, ?)`, id+1, i, string(rune('a'+i))+"@b.example", state)
		}
	}
	if _, n, _, err := d.Store.Expire(deadline(t), db.ExpireCursor{}); err != nil || n != 5 {
		t.Fatalf("%d rows, %v", n, err)
	}
	if got := columns(t, d, "id, state"); got != "1 partial,2 partial,3 uncertain,4 expired,5 expired" {
		t.Errorf("rows are %s", got)
	}
	got := d.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', outbox_id, state, last_error) ORDER BY outbox_id, position) FROM {db}.outbox_recipient WHERE outbox_id < 4`)
	want := strings.ReplaceAll("1 accepted,1 failed E,2 accepted,2 failed,2 failed E,3 uncertain,3 failed E", "E", db.ErrExpired)
	if got != want {
		t.Errorf("recipients are %s", got)
	}
	if got := d.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = 1`); got != "expires_at passed before 1 of 2 recipients could be reached; outbox_recipient says who" {
		t.Errorf("last_error: %s", got)
	}
}
