package jobs_test

import (
	"strings"
	"testing"

	"outboxd/jobs"
)

// P7: an invoice whose row is gone does not go again.
func TestP7_AMailWithAUsedKeyIsSkipped(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox_key (kind, value, outbox_id, at) VALUES ('dedupe', 'invoice-1', 7, '2024-01-31 08:00:00')`)
	for _, key := range []string{"invoice-1", "invoice-2"} {
		s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, body_text, dedupe_key) VALUES ('a@kunde.example', 'Text', ?)`, key)
	}
	// The content of this one was purged and somebody has queued it by hand: no empty mail goes out.
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject) VALUES ('a@kunde.example', 'Old')`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_purged (outbox_id) VALUES (3)`)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 skipped 1", "2 sent 1", "3 failed 1")
	s.messages(1)
	for id, want := range map[int]string{1: "used by row 7 of 2024-01-31", 3: "content of row 3 was purged"} {
		if got := s.db.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = ?`, id); !strings.Contains(got, want) || !strings.Contains(got, "insert") {
			t.Errorf("row %d: %s", id, got)
		}
	}
	s.awaitEvent("skipped", 1)
	d := s.engine.Desk()
	reply, err := d.QueueRetry(t.Context(), jobs.ChangeRequest{Rows: []string{"acme/3"}})
	if err != nil || reply.Results[0].Done || reply.Results[0].Error != "the content of acme/3 was purged: there is nothing to send again" ||
		reply.Results[0].Hint != "to send the mail again, insert a new row" {
		t.Errorf("retry: %+v, %v", reply, err)
	}
	why, err := d.QueueWhy(t.Context(), jobs.RowRequest{Row: "acme/3"})
	if err != nil || !strings.HasPrefix(why.Reasons[len(why.Reasons)-1].Text, "Its content was purged at ") || why.Next != "if it is still wanted, insert a new row" {
		t.Errorf("why: %+v, %v", why, err)
	}
	shown, err := d.QueueShow(t.Context(), jobs.RowRequest{Row: "acme/3"})
	if err != nil || shown.Purged == nil {
		t.Errorf("show: %+v, %v", shown, err)
	}
}
