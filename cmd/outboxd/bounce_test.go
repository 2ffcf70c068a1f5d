package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/xuri/excelize/v2"

	"outboxd/jobs"
)

// What a bounce says was written by a stranger: in no form of a report does it act, and none grows with it.
func TestBouncesAreShownWhateverTheySay(t *testing.T) {
	s := mailingSite(t, "eva")
	run := s.seedRun(t, "done", `audience = 3, enqueued = 3, sent = 3, finished_at = NOW(6), note = 'closed'`)
	s.db.Exec(t, `INSERT INTO {db}.outbox (id, recipients, subject, state, run_id, sent_at, sent_via) VALUES
		(11, 'a@kunde.example', 'Invoice', 'sent', 1, '2026-11-22 08:00:00', 'bulk'), (12, 'b@kunde.example', 'Invoice', 'sent', 1, '2026-11-22 08:00:00', 'bulk'),
		(13, 'c@kunde.example', 'Invoice', 'sent', 1, '2026-11-22 08:00:00', 'bulk')`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_run_mail (run_id, outbox_id, identity, state) VALUES (1, 11, '1', 'sent'), (1, 12, '2', 'sent'), (1, 13, '3', 'sent')`)
	s.must(exitDone, "mailing report "+run, "is done: 3 sent, of 3")
	s.must(exitDone, "mailing report "+run+" --failed", "No mails.")
	hostile := "=cmd|' /C calc'!A0\r\n\x1b[2J<script>alert(1)</script>\u202e\x00 550 5.1.1 \t" + strings.Repeat("=x ", 20_000)
	s.db.Exec(t, `UPDATE {db}.outbox SET bounced_at = '2026-11-23 09:30:00', bounce = IF(id = 11, '550 5.1.1 no such user', ?) WHERE id IN (11, 12)`, hostile)
	s.db.Exec(t, `INSERT INTO {db}.outbox_recipient (outbox_id, position, kind, address, state, bounced_at, bounce) VALUES (12, 0, 'to', 'b@kunde.example', 'accepted', NOW(6), ?)`, hostile)

	table := s.must(exitDone, "mailing report "+run, "is done: 3 sent, of 3", "2 of those sent came back.", "sent, came back", "came back: 550 5.1.1 no such user", "came back: =cmd|")
	failed := s.must(exitDone, "mailing report "+run+" --failed", "acme/11", "acme/12")
	if strings.Contains(failed, "acme/13") {
		t.Errorf("one that did not come back:\n%s", failed)
	}
	list := s.must(exitDone, "queue list --state sent", "sent, came back", "550 5.1.1 no such user")
	show := s.must(exitDone, "queue show acme/12", "bounced_at", "bounce ", "accepted, came back", `\x1b[2J<script>`)
	why := s.must(exitDone, "queue why acme/12", "It came back at", "The address does not exist")
	text := s.must(exitDone, "mailing report "+run+" --json", `,"bounced":2}`, `"bounced_at":"2026-11-23T09:30:00Z"`)
	for name, out := range map[string]string{"report": table, "list": list, "show": show, "why": why, "json": text} {
		if len(out) > 20_000 || strings.ContainsFunc(out, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }) {
			t.Errorf("%s: %d octets: %.300q", name, len(out), out)
		}
	}
	var all struct {
		Mails   []jobs.MailReport
		Bounced int
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil || all.Bounced != 2 || all.Mails[0].State != "sent" || !strings.HasPrefix(all.Mails[1].Bounce, "=cmd") {
		t.Errorf("%v, %+v", err, all.Bounced)
	}
	bouncesInFiles(t, s, run)
}

// bouncesInFiles looks at the report's CSV and workbook.
func bouncesInFiles(t *testing.T, s *site, run string) {
	t.Helper()
	out := s.must(exitDone, "mailing report "+run+" --csv -")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(out, "\uFEFF"))).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%v, %d rows", err, len(rows))
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for i, want := range []string{"2026-11-23 10:30:00", "2026-11-23 10:30:00", ""} {
		row := rows[i+1]
		if row[column["state"]] != "sent" || row[column["bounced_at"]] != want || (row[column["cause"]] != "") != (want != "") || (row[column["remedy"]] != "") != (want != "") {
			t.Errorf("row %d: %.300q", i, row)
		}
		for _, cell := range row {
			if strings.HasPrefix(cell, "=") || strings.ContainsFunc(cell, unicode.IsControl) {
				t.Errorf("%.100q", cell)
			}
		}
	}
	_, sheet, _ := s.do("mailing", "report", run, "--xlsx", "-")
	book, err := excelize.OpenReader(bytes.NewReader([]byte(sheet)))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	cells, err := book.GetRows("Run 1")
	if err != nil || len(cells) != 4 || !strings.HasPrefix(cells[2][column["cause"]], "came back: =cmd") || !strings.HasPrefix(cells[2][column["bounced_at"]], "2026-11-23") {
		t.Errorf("%v, %.500q", err, cells)
	}
}
