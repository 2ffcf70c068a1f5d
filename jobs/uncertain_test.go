package jobs_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/mail/smtptest"
)

func TestP2_LostReplyIsUncertain(t *testing.T) {
	s := newSite(t)
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.LoseReply()})
	s.mail("a@kunde.example")
	s.mail("a@kunde.example, b@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 uncertain 1", "2 uncertain 1")
	if text := s.db.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = 1`); !strings.Contains(text, "queue settle") || !strings.Contains(text, "queue retry") {
		t.Errorf("last_error does not say what to do: %s", text)
	}
	if states := s.db.Read(t, `SELECT GROUP_CONCAT(state) FROM {db}.outbox_recipient`); states != "uncertain,uncertain" {
		t.Errorf("recipients are %s", states)
	}
	s.smtp.ClearScript()
	s.mail("c@kunde.example")
	s.awaitRows("1 uncertain 1", "2 uncertain 1", "3 sent 1")
	if n := s.smtp.Counts().Accepted; n != 3 {
		t.Errorf("%d messages were accepted, want 3: none goes again", n)
	}
}

func TestP2_ResendIfTheJobSaysSo(t *testing.T) {
	s := newSite(t)
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Times: 1, Do: smtptest.LoseReply()})
	s.mail("a@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), "on_uncertain: resend"), "one")
	s.awaitRows("1 queued 1")
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6)`)
	s.awaitRows("1 sent 2")
	for id, e := range s.smtp.Ledger() {
		if len(e.Accepted) != 2 {
			t.Errorf("%s was accepted %d times, want 2", id, len(e.Accepted))
		}
	}
	if n := len(s.smtp.Ledger()); n != 1 {
		t.Errorf("%d Message-IDs, want 1", n)
	}
}

// TestP2_ResendEnds: after the last try it is still not known whether the mail arrived.
func TestP2_ResendEnds(t *testing.T) {
	s := newSite(t)
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.LoseReply()})
	s.mail("a@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), "on_uncertain: resend, retry: {attempts: 2}"), "one")
	s.awaitRows("1 queued 1")
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6)`)
	s.awaitRows("1 uncertain 2")
	if text := s.db.Read(t, `SELECT last_error FROM {db}.outbox`); !strings.HasPrefix(text, "given up after 2 tries") {
		t.Errorf("last_error: %s", text)
	}
}

// TestP2_StopWaitsForTheMail: what is in flight at a stop ends and is settled, what was only waiting stays.
func TestP2_StopWaitsForTheMail(t *testing.T) {
	s := newSite(t)
	hold, open := s.gate()
	dot := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.Action{Wait: hold}})
	s.mails(3)
	d := s.start(s.file("  main: "+s.account(unlimited+", connections: 1"), ""), "one")
	reached(t, dot)
	d.stop()
	s.awaitEvent("stopping", 1)
	if state := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending'`); state != "1" {
		t.Errorf("%s rows are being sent", state)
	}
	open()
	d.end()
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.await("2", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND claims = 0`)
}

// TestP2_KillLeavesTheMark: the next engine of the same name takes back at once what its earlier life left behind.
func TestP2_KillLeavesTheMark(t *testing.T) {
	s := newSite(t)
	hold, _ := s.gate()
	dot := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Times: 1, Do: smtptest.Action{Wait: hold}})
	s.mails(2)
	text := s.file("  main: "+s.account(unlimited+", connections: 1"), "")
	d := s.start(text, "one")
	reached(t, dot)
	d.killed()
	s.daemons = nil
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending'`)
	// Another row was taken and not marked.
	s.db.Exec(t, `UPDATE {db}.outbox SET state = 'sending', claims = 1, lease_token = ?, lease_until = UTC_TIMESTAMP(6) + INTERVAL 60 SECOND WHERE id = 2`,
		instance("one")+"-0000000000000000")
	s.start(text, "one")
	s.awaitRows("1 uncertain 0", "2 sent 1")
	if n := s.db.Read(t, `SELECT claims FROM {db}.outbox WHERE id = 2`); n != "2" {
		t.Errorf("%s claims, want 2", n)
	}
	if text := s.db.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = 1`); !strings.Contains(text, "queue settle") {
		t.Errorf("last_error does not say what to do: %s", text)
	}
}

// instance is the head of the lease tokens of an engine with this name.
func instance(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:4])
}

// TestP2_LeaseOfAnother: another daemon's rows are taken over when the lease has run out, and not before.
func TestP2_LeaseOfAnother(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mail("a@kunde.example")
	s.mail("b@kunde.example")
	s.db.Exec(t, `UPDATE {db}.outbox SET state = 'sending', claims = 1, lease_token = CONCAT('ffffffff-', id), lease_until = UTC_TIMESTAMP(6) + INTERVAL 60 SECOND`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, marked_at, account, daemon) VALUES (1, 'ffffffff-1', UTC_TIMESTAMP(6), 'main', 'x')`)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.mail("c@kunde.example")
	s.awaitRows("1 sending 0", "2 sending 0", "3 sent 1")
	s.db.Exec(t, `UPDATE {db}.outbox SET lease_until = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE id < 3`)
	s.awaitRows("1 uncertain 0", "2 sent 1", "3 sent 1")
}

// TestP2_Fence: a sender that was stalled until its row went to another must not send the body.
func TestP2_Fence(t *testing.T) {
	s := newSite(t)
	hold, open := s.gate()
	stalled := s.smtp.On(smtptest.Rule{Step: smtptest.StepRcpt, Times: 1, Do: smtptest.Action{Wait: hold}})
	s.mail("a@kunde.example")
	text := s.file("  main: "+s.account(unlimited), "")
	s.start(text, "one")
	reached(t, stalled)
	// Its heartbeats cannot keep a lease that is not its own any more.
	s.db.Exec(t, `UPDATE {db}.outbox SET lease_token = 'ffffffff-1', lease_until = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND`)
	s.start(text, "two")
	s.awaitRows("1 sent 1")
	open()
	s.awaitEvent("lease_lost", 1)
	s.end()
	s.onceEach(1)
	if n := s.smtp.Counts(); n.Body != 1 || n.Data != 2 {
		t.Errorf("%d bodies after %d DATA, want 1 after 2", n.Body, n.Data)
	}
}

// TestP2_LateReplyIsTheTruth: a mail that a rescue made uncertain gets its outcome when the reply comes after all.
func TestP2_LateReplyIsTheTruth(t *testing.T) {
	s := newSite(t)
	hold, open := s.gate()
	dot := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.Action{Wait: hold}})
	s.mail("a@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	reached(t, dot)
	if err := rescue(s); err != nil {
		t.Fatal(err)
	}
	s.awaitRows("1 uncertain 0")
	open()
	s.awaitRows("1 sent 1")
}

// TestStalledHandsAreNoHang: mails that wait for their server do not make the watchdog end the daemon.
func TestStalledHandsAreNoHang(t *testing.T) {
	s := newSite(t)
	hold, open := s.gate()
	dot := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.Action{Wait: hold}})
	s.mail("a@kunde.example")
	d := s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	reached(t, dot)
	d.stop()
	s.awaitEvent("stopping", 1)
	if !until(10*time.Second, func() bool {
		return !strings.Contains(strings.Join(s.engine.StuckFor(-time.Hour), " "), "deliver")
	}) {
		t.Errorf("still watched: %v", s.engine.StuckFor(-time.Hour))
	}
	open()
}

// rescue does what another daemon does when the lease has run out.
func rescue(s *site) error {
	s.db.Exec(s.t, `UPDATE {db}.outbox SET lease_until = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE state = 'sending'`)
	_, err := s.db.Store.Rescue(context.Background(), db.Rescue{})
	return err
}
