package jobs_test

import (
	"strings"
	"testing"

	"outboxd/mail/smtptest"
)

// jump sets the clock of the database's server by so many hours, as far as rows can tell: nothing there is compared but
// stored times with the present one, so these go the other way.
func (s *site) jump(hours int) {
	s.t.Helper()
	for _, statement := range []string{
		`UPDATE {db}.outbox SET available_at = available_at - INTERVAL ? HOUR, lease_until = lease_until - INTERVAL ? HOUR,
			expires_at = expires_at - INTERVAL ? HOUR, send_after = send_after - INTERVAL ? HOUR, created_at = created_at - INTERVAL ? HOUR`,
		`UPDATE {db}.outbox_lane SET wait_until = wait_until - INTERVAL ? HOUR`,
		`UPDATE {db}.outbox_bucket SET paused_until = paused_until - INTERVAL ? HOUR`,
	} {
		args := make([]any, strings.Count(statement, "?"))
		for i := range args {
			args[i] = hours
		}
		s.db.Exec(s.t, statement, args...)
	}
}

// TestP2_ServerClockSetForward: every lease is over at once, also those of mails in flight. Two daemons look at them; still
// no mail goes twice and none is lost.
func TestP2_ServerClockSetForward(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hold, open := s.gate()
	before := s.smtp.On(smtptest.Rule{Step: smtptest.StepMail, Times: 2, Do: smtptest.Action{Wait: hold}})
	text := s.file("  main: "+s.account(unlimited+", connections: 4"), "")
	s.mails(2)
	s.start(text, "one")
	reached(t, before)
	after := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Times: 2, Do: smtptest.Action{Wait: hold}})
	s.mails(2)
	reached(t, after)
	s.start(text, "two")
	s.await("4", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending'`)
	if !until(waitMost, func() bool { s.jump(1); return s.events("rescued") > 0 }) { // between two heartbeats
		t.Fatal("no lease was found to be over")
	}
	late := s.mail("late@kunde.example")
	s.await("sent", `SELECT state FROM {db}.outbox WHERE id = ?`, late)
	open()
	s.await("5", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	for id, e := range s.smtp.Ledger() {
		if len(e.Accepted) != 1 {
			t.Errorf("%s was accepted %d times", id, len(e.Accepted))
		}
	}
}

// TestServerClockSetBack: what is due by the new clock goes, what was inserted under the old one waits for its time, and
// nothing expires early. A person who does not want to wait lets it go.
func TestServerClockSetBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mails(1)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, expires_at) VALUES ('b@kunde.example', NOW() + INTERVAL 30 MINUTE)`)
	s.jump(-1)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.mail("c@kunde.example")
	s.awaitRows("1 queued 0", "2 queued 0", "3 sent 1")
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = NOW(6) WHERE state = 'queued'`)
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1")
	s.onceEach(3)
}

// TestZoneOfTheServerChanges while the daemon runs: its sessions are UTC, and a sender's NOW() means now in any.
func TestZoneOfTheServerChanges(t *testing.T) {
	s := newSite(t)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	zone := s.db.Read(t, `SELECT @@GLOBAL.time_zone`)
	t.Cleanup(func() { s.db.Exec(t, `SET GLOBAL time_zone = ?`, zone) })
	for i, z := range []string{"+13:00", "-11:00", "+00:00"} {
		s.db.Exec(t, `SET GLOBAL time_zone = ?`, z)
		sender := s.sender()
		for _, statement := range []string{
			`INSERT INTO {db}.outbox (recipients, expires_at) VALUES ('a@kunde.example', NOW() + INTERVAL 1 HOUR)`,
			`INSERT INTO {db}.outbox (recipients, send_after) VALUES ('b@kunde.example', NOW() + INTERVAL 1 HOUR)`,
			`INSERT INTO {db}.outbox (recipients, expires_at) VALUES ('c@kunde.example', NOW() - INTERVAL 1 HOUR)`,
		} {
			if _, err := sender.ExecContext(t.Context(), strings.ReplaceAll(statement, "{db}", s.db.Name)); err != nil {
				t.Fatal(err)
			}
		}
		s.await("expired,queued,sent", `SELECT GROUP_CONCAT(state ORDER BY CAST(state AS CHAR)) FROM {db}.outbox WHERE id > ?`, 3*i)
	}
}
