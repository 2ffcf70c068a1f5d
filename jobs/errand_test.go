package jobs_test

import (
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// TestP4_ASlowQueryHoldsNoSender: the only connection sends other mails while a query runs, and its row goes afterwards.
func TestP4_ASlowQueryHoldsNoSender(t *testing.T) {
	for _, rate := range []string{unlimited, "rate: 3000/hour"} {
		t.Run(rate, func(t *testing.T) {
			s := newSite(t)
			s.mail("slow@kunde.example")
			s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, query, format) VALUES (1, 'a.csv', 'SELECT SLEEP(2)', 'csv')`)
			s.mail("a@kunde.example")
			s.mail("b@kunde.example")
			s.packTime = 200 * time.Millisecond
			s.start(s.with("  main: "+s.account(rate+", connections: 1"), "", strings.Replace(reader, "1s", "10s", 1)), "one")
			s.awaitRows("1 sending 0", "2 sent 1", "3 sent 1")
			s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1")
			if n := s.events("given_back"); n != 0 {
				t.Errorf("%d rows were given back", n)
			}
			s.onceEach(3)
		})
	}
}

// TestP4_LargeMessagesHoldNoSender: while a slow server takes one large message, and the others wait for memory, small mails go.
func TestP4_LargeMessagesHoldNoSender(t *testing.T) {
	s := newSite(t)
	hold, open := s.gate()
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, To: "large@kunde.example", Times: 1, Do: smtptest.Action{Wait: hold}})
	for range 3 {
		s.mail("large@kunde.example")
		s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, content) SELECT MAX(id), 'a.bin', REPEAT('x', 2000000) FROM {db}.outbox`)
	}
	s.mails(5)
	s.room = 4 << 20
	s.start(s.file("  main: "+s.account(unlimited+", connections: 2"), ""), "one")
	s.await("sending sending sending sent sent sent sent sent", `SELECT GROUP_CONCAT(state ORDER BY id SEPARATOR ' ') FROM {db}.outbox`)
	open()
	s.await("8", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.onceEach(8)
}

// TestP4_ManySlowRowsComeAgain: more slow rows than there is room for go back and wait in the table, and others pass them.
func TestP4_ManySlowRowsComeAgain(t *testing.T) {
	s := newSite(t)
	for range 6 {
		s.mail("slow@kunde.example")
		s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, query, format) SELECT MAX(id), 'a.csv', 'SELECT SLEEP(3)', 'csv' FROM {db}.outbox`)
	}
	s.mail("a@kunde.example")
	s.packTime = 200 * time.Millisecond
	s.start(s.with("  main: "+s.account(unlimited+", connections: 1"), "", strings.Replace(reader, "1s", "20s", 1)), "one")
	s.await("sent", `SELECT state FROM {db}.outbox WHERE id = 7`)
	s.await("4", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND claims = 0 AND last_error LIKE '%take long%' AND available_at > UTC_TIMESTAMP(6)`)
	s.db.Exec(t, `DELETE FROM {db}.outbox_attachment`)
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE state = 'queued'`)
	s.await("7", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.onceEach(7)
}

// TestALateMailWaitsForSeveralTurns: on a slow account too it goes before it would have to be made anew.
func TestALateMailWaitsForSeveralTurns(t *testing.T) {
	for _, c := range []struct {
		windows []db.Window
		want    time.Duration
	}{{nil, time.Minute}, {[]db.Window{{N: 3000, Per: time.Hour}}, time.Minute}, {[]db.Window{{N: 30, Per: time.Minute}, {N: 20, Per: time.Hour}}, 30 * time.Minute}} {
		if got := jobs.Patience(nil, c.windows); got != c.want {
			t.Errorf("%v: %s, want %s", c.windows, got, c.want)
		}
	}
}

// TestAMailThatTakesLongExpires: what became too late while it was made does not go.
func TestAMailThatTakesLongExpires(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, body_text, expires_at) VALUES ('slow@kunde.example', 'x', NOW(6) + INTERVAL 1500000 MICROSECOND)`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, query, format) VALUES (1, 'a.csv', 'SELECT SLEEP(2)', 'csv')`)
	s.packTime = 200 * time.Millisecond
	s.start(s.with("  main: "+s.account(unlimited), "", strings.Replace(reader, "1s", "10s", 1)), "one")
	s.await("expired", `SELECT state FROM {db}.outbox`)
	if n := s.smtp.Counts().Accepted; n != 0 {
		t.Errorf("%d mails were accepted", n)
	}
}

// TestP4_ManySlowRowsCostOthersLittle: those that have to come again do not keep the sender for long.
func TestP4_ManySlowRowsCostOthersLittle(t *testing.T) {
	s := newSite(t)
	for range 24 {
		s.mail("slow@kunde.example")
		s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, query, format) SELECT MAX(id), 'a.csv', 'SELECT SLEEP(30)', 'csv' FROM {db}.outbox`)
	}
	s.mail("a@kunde.example")
	s.start(s.with("  main: "+s.account(unlimited+", connections: 1"), "", strings.Replace(reader, "1s", "60s", 1)), "one")
	s.awaitIn(16*time.Second, "sent", `SELECT state FROM {db}.outbox WHERE id = 25`) // two of a second, the others of a tenth
}
