package jobs_test

import (
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// TestP2_RowEditedWhileItIsSent: what was taken is what goes, and the truth wins. Nothing that a person changes by hand
// meanwhile makes it go again.
func TestP2_RowEditedWhileItIsSent(t *testing.T) {
	for _, step := range []smtptest.Step{smtptest.StepMail, smtptest.StepDot} { // before the mark, and after it
		t.Run(string(step), func(t *testing.T) {
			s := newSite(t)
			hold, open := s.gate()
			first := s.smtp.On(smtptest.Rule{Step: step, Do: smtptest.Action{Wait: hold}})
			s.mails(8)
			s.start(s.file("  main: "+s.account(unlimited+", connections: 8"), ""), "one")
			reached(t, first)
			s.await("8", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending'`)
			if step == smtptest.StepDot {
				s.await("8", `SELECT COUNT(*) FROM {db}.outbox_attempt WHERE marked_at IS NOT NULL`)
			}
			for _, statement := range []string{ // what the table takes
				`UPDATE {db}.outbox SET subject = 'edited', body_text = 'edited' WHERE id = 1`,
				`UPDATE {db}.outbox SET recipients = 'other@elsewhere.example' WHERE id = 2`,
				`UPDATE {db}.outbox SET priority = 1, send_after = NOW() + INTERVAL 1 DAY, available_at = NOW() + INTERVAL 1 DAY WHERE id = 3`,
				`UPDATE {db}.outbox SET held = 1 WHERE id = 4`,
				`UPDATE {db}.outbox SET expires_at = NOW() - INTERVAL 1 DAY WHERE id = 5`,
				`UPDATE {db}.outbox SET account = 'nobody', from_address = 'nobody@elsewhere.example' WHERE id = 6`,
			} {
				s.db.Exec(t, statement)
			}
			for _, statement := range []string{ // and what it refuses
				`UPDATE {db}.outbox SET state = 'queued' WHERE id = 7`,
				`UPDATE {db}.outbox SET state = 'cancelled' WHERE id = 7`,
				`UPDATE {db}.outbox SET lease_until = NULL WHERE id = 7`,
			} {
				if err := s.db.Pool.Exec(t.Context(), strings.ReplaceAll(statement, "{db}", s.db.Name)); err == nil {
					t.Errorf("the table has taken: %s", statement)
				}
			}
			open()
			s.await("8", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1`)
			s.onceEach(8)
			for _, m := range s.smtp.Messages() {
				if strings.Contains(string(m.Data), "edited") || strings.Contains(strings.Join(m.To, " "), "elsewhere") {
					t.Errorf("what was edited has gone: %v", m.To)
				}
			}
		})
	}
}

// TestP2_RowDeletedWhileItIsSent: the mail goes once, and its attempt stays as proof.
func TestP2_RowDeletedWhileItIsSent(t *testing.T) {
	s := newSite(t)
	hold, open := s.gate()
	dot := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.Action{Wait: hold}})
	s.mails(1)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	reached(t, dot)
	s.db.Exec(t, `DELETE FROM {db}.outbox`)
	open()
	s.awaitEvent("lease_lost", 1)
	s.messages(1)
	if got := s.db.Read(t, `SELECT CONCAT(outbox_id, ' ', marked_at IS NOT NULL) FROM {db}.outbox_attempt`); got != "1 1" {
		t.Errorf("attempts: %s", got)
	}
	s.onceEach(1)
}

// TestRowHeldWhileItIsSent: a hold by hand stays when the server refuses the mail for now; so does what was written for
// the next try.
func TestRowHeldWhileItIsSent(t *testing.T) {
	s := newSite(t)
	hold, open := s.gate()
	first := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Times: 1, Do: smtptest.Action{Wait: hold, Write: "450 4.2.0 Greylisted, please try again later\r\n"}})
	s.mails(1)
	s.start(s.file("  main: "+s.account(unlimited), "retry: {first: 1s}"), "one")
	reached(t, first)
	s.db.Exec(t, `UPDATE {db}.outbox SET held = 1, subject = 'edited' WHERE id = 1`)
	open()
	s.await("queued 1 1 5", `SELECT CONCAT_WS(' ', state, held, attempts, trouble) FROM {db}.outbox`)
	if _, err := s.engine.Desk().QueueRelease(t.Context(), jobs.ChangeRequest{By: jobs.By{Reason: "looked at"}, Rows: []string{"acme/1"}}); err != nil {
		t.Fatal(err)
	}
	s.messages(1)
	if text := string(s.smtp.Messages()[0].Data); !strings.Contains(text, "Subject: edited") {
		t.Errorf("the second try is not what stands in the row: %s", text)
	}
}
