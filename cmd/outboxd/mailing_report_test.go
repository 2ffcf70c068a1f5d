package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"outboxd/jobs"
)

func TestMailingReport(t *testing.T) {
	s := mailingSite(t, "eva")
	run := s.seedRun(t, "done", `sent = 1, failed = 1, skipped = 1, gone = 1, finished_at = NOW(6), note = 'closed'`)
	s.db.Exec(t, `INSERT INTO {db}.outbox (id, recipients, subject, reference, state, run_id, sent_at, sent_via, last_error) VALUES
		(11, 'a@kunde.example', 'Invoice', 'invoice:1', 'sent', 1, '2026-11-22 08:00:00', 'bulk', NULL),
		(12, 'b@kunde.example', '=evil', NULL, 'failed', 1, NULL, 'bulk', ?),
		(13, '', 'none', NULL, 'skipped', 1, NULL, NULL, 'no address: fill in customer.email')`,
		"RCPT: 550 5.1.1 <b@kunde.example>: user unknown")
	s.db.Exec(t, `INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, account, daemon, marked_at, finished_at, step, verdict, smtp_code, smtp_enhanced, reply) VALUES
		(11, 'a', 'bulk', 'host', NOW(6), NOW(6), 'dot', 'accepted', 250, '2.0.0', '250 2.0.0 queued as 77'),
		(12, 'b', 'bulk', 'host', NOW(6), NOW(6), 'rcpt', 'permanent', 550, '5.1.1', '550 5.1.1 user unknown')`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_run_mail (run_id, outbox_id, identity, business_key, state, written) VALUES
		(1, 11, '1', '1 / x', 'sent', 1), (1, 12, '2', '2 / x', 'failed', 0), (1, 13, '3', '3 / x', 'skipped', 0), (1, 14, '4', '4 / x', 'gone', 0)`)
	s.must(exitDone, "mailing report "+run, "acme/1, statements for 2026-01-01 08:00, is done: 1 sent, 1 failed, 1 skipped, 1 gone, of 4", "closed", "acme/11", "2026-11-22 09:00:00", "1 / x",
		"250 2.0.0 queued as 77", "550 5.1.1", "no address: fill in customer.email", "gone")
	if out := s.must(exitDone, "mailing report "+run+" --failed", "acme/12", "acme/13"); strings.Contains(out, "acme/11") {
		t.Errorf("one that was sent:\n%s", out)
	}
	file := filepath.Join(t.TempDir(), "report.csv")
	s.must(exitDone, "mailing report "+run+" --csv "+file, "4 mails of acme/1 in "+file)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(contents(t, file), "\uFEFF"))).ReadAll()
	if err != nil || len(rows) != 5 || rows[1][6] != "2026-11-22 09:00:00" || rows[2][4] != "'=evil" || !strings.Contains(rows[2][11], "address") {
		t.Errorf("%v %q", err, rows)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	s.must(exitDone, "mailing report "+run+" --csv -", "row,recipients,key")
	_, out, _ := s.do("mailing", "report", run, "--xlsx", "-")
	book, err := excelize.OpenReader(bytes.NewReader([]byte(out)))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	if cell, err := book.GetCellValue("Run 1", "B3"); err != nil || cell != "b@kunde.example" {
		t.Errorf("%q, %v", cell, err)
	}
	var all struct {
		Run   jobs.RunInfo
		Mails []jobs.MailReport
	}
	if err := json.Unmarshal([]byte(s.must(exitDone, "mailing report "+run+" --json")), &all); err != nil || len(all.Mails) != 4 || all.Run.Sent != 1 || all.Mails[1].Remedy == "" {
		t.Errorf("%+v, %v", all, err)
	}
	s.must(exitWrong, "mailing report "+run+" --csv a --json", "one form")
	s.must(exitFailed, "mailing report 99", "there is no run acme/99")
	s.must(exitFailed, "mailing report "+run+" --csv "+filepath.Join(s.config, "below"), "not a directory")
}

// TestMailingReportIsPaged: every mail once, however many pages there are.
func TestMailingReportIsPaged(t *testing.T) {
	s := mailingSite(t, "eva")
	run := s.seedRun(t, "done", "audience = 2500, enqueued = 2500, sent = 2500")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, state, run_id) WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 49)
		SELECT 'a@kunde.example', 'sent', 1 FROM n a JOIN n b`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_run_mail (run_id, outbox_id, identity, state) SELECT 1, id, UNHEX(LPAD(HEX(id), 32, '0')), 'sent' FROM {db}.outbox`)
	seen := map[string]bool{}
	for line := range strings.Lines(s.must(exitDone, "mailing report "+run+" --csv -")) {
		row, _, _ := strings.Cut(line, ",")
		seen[row] = true
	}
	if len(seen) != 2501 {
		t.Errorf("%d rows", len(seen))
	}
	if out := s.must(exitDone, "mailing report "+run); strings.Count(out, "acme/") != 2501 || strings.Count(out, "RECIPIENTS") != 3 {
		t.Errorf("%d rows, %d heads", strings.Count(out, "acme/"), strings.Count(out, "RECIPIENTS"))
	}
}
