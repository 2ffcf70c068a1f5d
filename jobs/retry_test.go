package jobs_test

import (
	"strings"
	"testing"

	"outboxd/mail/smtptest"
)

func TestGivenUpAfterItsTries(t *testing.T) {
	s := newSite(t)
	s.smtp.On(rcpt("full@kunde.example", "452 4.2.2 mailbox full"))
	s.mail("full@kunde.example")
	s.mail("a@kunde.example, full@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), "retry: {attempts: 3}"), "one")
	again := `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE state = 'queued'`
	s.awaitRows("1 queued 1", "2 queued 1")
	for _, row := range []string{"1", "2"} {
		if text := s.db.Read(t, `SELECT CONCAT(last_error, ' ', available_at > UTC_TIMESTAMP() + INTERVAL 40 SECOND, ' ', available_at < UTC_TIMESTAMP() + INTERVAL 80 SECOND) FROM {db}.outbox WHERE id = ?`, row); !strings.Contains(text, "mailbox full") || !strings.HasSuffix(text, " 1 1") {
			t.Errorf("row %s: %s", row, text)
		}
	}
	s.db.Exec(t, again)
	s.awaitRows("1 queued 2", "2 queued 2")
	s.db.Exec(t, again)
	s.awaitRows("1 failed 3", "2 partial 3")
	if text := s.db.Read(t, `SELECT GROUP_CONCAT(last_error ORDER BY id SEPARATOR '; ') FROM {db}.outbox`); strings.Count(text, "given up after 3 tries") != 2 {
		t.Errorf("last_error: %s", text)
	}
	if n := s.smtp.Counts().Accepted; n != 1 {
		t.Errorf("%d messages", n)
	}
	if ids := s.db.Read(t, `SELECT COUNT(DISTINCT message_id) FROM {db}.outbox`); ids != "2" {
		t.Errorf("%s Message-IDs", ids)
	}
}

// TestJobsDivideThePriorities: each job takes its own, and rows that nobody may send fail all the same.
func TestJobsDivideThePriorities(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, priority, account) VALUES ('a@kunde.example', 1, NULL), ('b@kunde.example', 3, NULL), ('c@kunde.example', 5, NULL), ('d@kunde.example', 5, 'nobody')`)
	s.start(s.company("  main: "+s.account(unlimited), "fast: {kind: deliver, poll: 100ms, priority: [1, 2]}\nslow: {kind: deliver, poll: 100ms, priority: [3, 4, 5]}"), "one")
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1", "4 failed 1")
	jobs := map[string]string{}
	for _, e := range s.logs.FilterMessage("sent").All() {
		jobs[e.ContextMap()["job"].(string)] += "x"
	}
	if jobs["fast"] != "x" || jobs["slow"] != "xx" {
		t.Errorf("sent by %v", jobs)
	}
}

// TestJobOfAnotherComputer: its rows wait, and the engine says so.
func TestJobOfAnotherComputer(t *testing.T) {
	s := newSite(t)
	s.mails(1)
	s.start(s.company("  main: "+s.account(unlimited), "here: {kind: deliver, poll: 100ms, priority: [1], host: here}\nthere: {kind: deliver, poll: 100ms, priority: [2, 3, 4, 5], host: there.acme.example}"), "one")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, priority) VALUES ('a@kunde.example', 1)`)
	s.awaitRows("1 queued 0", "2 sent 1")
	if s.events("job_elsewhere") != 1 {
		t.Error("nothing says why the row waits")
	}
}

// TestManyUnroutableRows: they fail fast, and without a connection.
func TestManyUnroutableRows(t *testing.T) {
	s := newSite(t, smtptest.WithoutMessages())
	s.mailsVia(1000, "nobody")
	s.mailsVia(10, "main")
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.await("10", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.await("1000", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'failed' AND attempts = 1`)
}
