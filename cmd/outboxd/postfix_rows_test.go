//go:build postfix

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"outboxd/mail/postfixtest"
)

// TestPostfixRows: rows of every kind, and what Postfix says of each.
func TestPostfixRows(t *testing.T) {
	system := postfixtest.Service{Name: "system", Settings: []string{"smtpd_recipient_restrictions = $policy"}}
	s := onPostfix(t, system)
	s.postfix.Policy(func(r postfixtest.Request) string {
		if r["recipient"] == "grey@kunde.example" {
			return "450 4.2.0 Greylisted, come back later"
		}
		return "DUNNO"
	})
	s.configure(system)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, cc, bcc, from_address, subject, body_text, body_html) VALUES
		('Eva Nová <eva@kunde.example>', 'jan@kunde.example', 'ida@kunde.example', NULL, 'Faktúra', 'Dobrý deň', '<p>Dobrý deň</p>'),
		('gone@kunde.example', NULL, NULL, NULL, 'x', 'x', NULL),
		('eva@kunde.example, gone@kunde.example', NULL, NULL, NULL, 'x', 'x', NULL),
		('eva@kunde.example, grey@kunde.example', NULL, NULL, NULL, 'x', 'x', NULL),
		('eva@kunde.example', NULL, NULL, ?, 'x', 'x', NULL),
		('eva@kunde.example', NULL, NULL, NULL, 'x', REPEAT('y', 2000000), NULL)`, postfixtest.Stranger)
	d := s.start()
	s.until("as it should be", func() bool {
		return s.db.Read(t, `SELECT GROUP_CONCAT(CONCAT(state, attempts > 0, COALESCE(last_error, '') <> '') ORDER BY id) FROM {db}.outbox`) == "sent10,failed11,partial11,queued11,queued01,failed11"
	})
	for id, text := range map[int]string{2: "550 5.1.1", 3: "550 5.1.1", 4: "450 4.2.0", 5: "553 5.7.1", 6: "1000000 octets"} {
		s.must(exitDone, fmt.Sprintf("queue why acme/%d", id), text)
	}
	s.postfix.Policy(func(postfixtest.Request) string { return "DUNNO" })
	s.until("sent to the greylisted", func() bool { return s.db.Read(t, `SELECT state FROM {db}.outbox WHERE id = 4`) == "sent" })

	// The sender that was refused is not asked for again and again; a daemon that begins anew asks.
	s.postfix.Allow(postfixtest.Stranger, postfixtest.UserOf("system"))
	s.postfix.Restart()
	if code := d.end(syscall.SIGTERM); code != exitDone {
		t.Errorf("exit status %d:\n%s", code, &d.log)
	}
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE id = 5`)
	s.start()
	s.until("sent as the other sender", func() bool { return s.db.Read(t, `SELECT state FROM {db}.outbox WHERE id = 5`) == "sent" })

	got := map[string]int{}
	for _, m := range s.postfix.Mails(7) {
		got[m.From+" "+m.To]++
		if strings.Contains(m.Content, "ida@kunde.example") {
			t.Errorf("a copy tells of the Bcc:\n%s", m.Content)
		}
	}
	for pair, want := range map[string]int{"system@acme.example eva@kunde.example": 3, "system@acme.example jan@kunde.example": 1, "system@acme.example ida@kunde.example": 1,
		"system@acme.example grey@kunde.example": 1, postfixtest.Stranger + " eva@kunde.example": 1} {
		if got[pair] != want {
			t.Errorf("%s: %d copies, want %d of %v", pair, got[pair], want, got)
		}
	}
}

// TestPostfixReports: what Postfix delivers or cannot deliver later it reports as it was asked to, with the row's name.
func TestPostfixReports(t *testing.T) {
	system := postfixtest.Service{Name: "system", Settings: []string{"smtpd_reject_unlisted_recipient = no"}}
	s := onPostfix(t, system)
	s.job = ", dsn: {notify: [success, failure, delay], return: headers}"
	s.configure(system)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES ('eva@kunde.example', 'x', 'secret text'), (?, 'x', 'secret text')`, postfixtest.Unknown)
	s.start()
	s.until("sent", func() bool { return s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`) == "2" })
	reports := map[string]string{}
	for _, m := range s.postfix.Mails(3) { // eva's, and two reports
		if m.From == "" && m.To == postfixtest.UserOf("system") {
			_, id, _ := strings.Cut(m.Content, "Original-Envelope-Id: ")
			id, _, _ = strings.Cut(id, "\n")
			reports[id] = m.Content
		}
	}
	for id, words := range map[string][]string{"acme/1": {"Final-Recipient: rfc822; eva@kunde.example", "Action: delivered", "Status: 2.0.0"},
		"acme/2": {"Final-Recipient: rfc822; " + postfixtest.Unknown, "Action: failed", "Status: 5.1.1"}} {
		for _, word := range append(words, "Content-Type: text/rfc822-headers") {
			if !strings.Contains(reports[id], word) {
				t.Errorf("the report on %s lacks %q:\n%s", id, word, reports[id])
			}
		}
		if strings.Contains(reports[id], "secret text") {
			t.Errorf("the report on %s repeats the mail", id)
		}
	}
}

const (
	restartRows = 400
	restarts    = 4
)

// TestP1P2_PostfixRestarts restarts Postfix while the daemon sends: no mail is lost, none comes twice, and what is sent has come.
func TestP1P2_PostfixRestarts(t *testing.T) {
	system := postfixtest.Service{Name: "system"}
	s := onPostfix(t, system)
	s.configure(system)
	s.mails("system", restartRows)
	s.start()
	ended := func() int { return s.count(`state IN ('sent', 'uncertain')`) }
	for n := range restarts {
		s.until("so far", func() bool { s.hurry(); return ended() >= (n+1)*restartRows/(restarts+2) })
		s.postfix.Restart()
	}
	s.until("all ended", func() bool { s.hurry(); return ended() == restartRows })

	open, delivered := s.tookEachOnce(restartRows)
	t.Logf("%d rows, %d restarts of Postfix: %d uncertain, of which %d were delivered", restartRows, restarts, open, delivered)
}

// tookEachOnce compares the table with what has arrived: whatever says sent is there, nothing is there twice. It counts the rows that
// say uncertain, and those of them that are there.
func (s *postfixSite) tookEachOnce(rows int) (open, delivered int) {
	s.t.Helper()
	uncertain := map[string]bool{}
	for n := 1; n <= rows; n++ {
		to := fmt.Sprintf("system%d@kunde.example", n)
		uncertain[to] = s.db.Read(s.t, `SELECT state FROM {db}.outbox WHERE rcpt = ?`, to) == "uncertain"
	}
	came := map[string]int{}
	s.until("arrived, though its row says sent", func() bool {
		clear(came)
		for _, m := range s.postfix.Mails(0) {
			came[m.To]++
		}
		for to, unknown := range uncertain {
			if !unknown && came[to] == 0 {
				return false
			}
		}
		return true
	})
	for to, unknown := range uncertain {
		if came[to] > 1 {
			s.t.Errorf("%s has it %d times", to, came[to])
		}
		if unknown {
			open++
			delivered += came[to]
		}
	}
	return open, delivered
}
