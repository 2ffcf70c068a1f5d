package jobs_test

import (
	"context"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// adopt does what outboxd adopt does without a daemon.
func (s *site) adopt(text, name string, send bool) jobs.AdoptReply {
	s.t.Helper()
	w, err := jobs.Open(s.write(text))
	if err != nil {
		s.t.Fatal(err)
	}
	defer w.Close()
	reply, err := jobs.NewDesk(w, nil, jobs.OpenState(s.state, name)).Adopt(s.t.Context(), jobs.AdoptRequest{By: jobs.By{Actor: "eva(1000)"}, Company: "acme", Send: send})
	if err != nil {
		s.t.Fatal(err)
	}
	return reply
}

const heldRows = `SELECT GROUP_CONCAT(CONCAT_WS(' ', id, state, held) ORDER BY id SEPARATOR ', ') FROM {db}.outbox`

// sendAndRestore sends a mail of each outcome, with one that a person holds, restores the database to before all that, and inserts
// a new one. It returns how many mails went out.
func (s *site) sendAndRestore(text string) (sent int) {
	s.t.Helper()
	s.mail("first@kunde.example")
	s.start(text, "one")
	s.awaitRows("1 sent 1")
	s.end()
	s.mail("sent@kunde.example")
	s.mail("refused@kunde.example")
	s.mail("later@kunde.example")
	s.mail("lost@kunde.example")
	s.mail("a@kunde.example, refused@kunde.example")
	s.mail("b@kunde.example, later@kunde.example")
	s.db.Exec(s.t, `INSERT INTO {db}.outbox (recipients, held, last_error) VALUES ('held@kunde.example', 1, 'held by jan(1001)')`)
	dump := s.dump("_dump")
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, To: "lost@kunde.example", Do: smtptest.LoseReply()})
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, To: "later@kunde.example", Do: smtptest.Reply("450 4.2.0 later")})
	s.smtp.On(rcpt("refused@kunde.example", "550 5.1.1 no such user"))
	s.start(text, "one")
	s.await("1 sent, 2 sent, 3 failed, 4 queued, 5 uncertain, 6 partial, 7 queued, 8 queued", strings.Replace(heldRows, ", held", "", 1))
	s.end()
	s.mail("after@kunde.example") // the restore loses it, and its number comes again
	s.start(text, "one")
	s.await("sent", `SELECT state FROM {db}.outbox WHERE id = 9`)
	s.end()
	sent = len(s.smtp.Messages())
	s.restore(dump)
	s.mail("new@kunde.example")
	return sent
}

// A mail of each outcome is sent, the database is restored to before all of that, and adopted: the rows become what is known,
// the rest is held, and --send lets go only what the adoption has held.
func TestP8_Adopt(t *testing.T) {
	t.Parallel()
	for name, control := range map[string]bool{"by the state directory": false, "by the control database": true} {
		t.Run(name, func(t *testing.T) {
			s, text := newWitnessed(t, control)
			sent := s.sendAndRestore(text)
			if control {
				s.state = t.TempDir()
			}

			d := s.start(text, "one")
			s.awaitEvent("fenced", 1)
			reply, err := d.engine.Desk().Adopt(t.Context(), jobs.AdoptRequest{By: jobs.By{Actor: "eva(1000)"}, Company: "acme"})
			if err != nil {
				t.Fatal(err)
			}
			reply.Why = ""
			if want := (jobs.AdoptReply{Company: "acme", Sent: 2, Uncertain: 1, Held: 4, Done: true}); reply != want {
				t.Errorf("adopted %+v, want %+v", reply, want)
			}
			s.await("1 sent 0, 2 sent 0, 3 queued 1, 4 queued 1, 5 uncertain 0, 6 partial 0, 7 queued 1, 8 queued 1, 9 queued 1", heldRows)
			s.await("accepted failed", `SELECT GROUP_CONCAT(state ORDER BY position SEPARATOR ' ') FROM {db}.outbox_recipient WHERE outbox_id = 6`)
			s.awaitEvent("unfenced", 1)
			s.mail("another@kunde.example")
			s.await("sent", `SELECT state FROM {db}.outbox WHERE id = 10`)
			if n := len(s.smtp.Messages()) - sent; n != 1 {
				t.Errorf("%d mails were sent after the adoption, want the new one alone", n)
			}
			s.smtp.ClearScript()
			reply, err = d.engine.Desk().Adopt(t.Context(), jobs.AdoptRequest{By: jobs.By{Actor: "eva(1000)"}, Company: "acme", Send: true})
			if err != nil || reply.Released != 4 || reply.Why != "" {
				t.Errorf("%+v, %v", reply, err)
			}
			s.await("1 sent 0, 2 sent 0, 3 sent 0, 4 sent 0, 5 uncertain 0, 6 partial 0, 7 sent 0, 8 queued 1, 9 sent 0, 10 sent 0", heldRows)
			for to, e := range s.smtp.RecipientLedger() {
				if len(e.Accepted) != 1 && to != "lost@kunde.example" && to != "later@kunde.example" {
					t.Errorf("%s got it %d times", to, len(e.Accepted))
				}
			}
			audit, err := d.engine.Desk().Audit(t.Context(), jobs.AuditRequest{})
			if err != nil || len(audit.Entries) != 2 || audit.Entries[0].Actor != "eva(1000)" || audit.Entries[1].Action != "adopt" {
				t.Errorf("audit %+v, %v", audit, err)
			}
		})
	}
}

// An adoption that was cut off keeps the fence, and goes on where it stopped.
func TestP8_AdoptionCutOff(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.state = t.TempDir()
	s.mails(3)
	dump := s.dump("_dump")
	s.start(s.plain(), "one")
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1")
	s.end()
	s.restore(dump)
	s.mails(600)
	s.mails(600)
	if err := s.db.Store.AdoptBegin(t.Context()); err != nil { // as a first life of the adoption has come
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox SET held = 1, last_error = ? WHERE id > 1000`, jobs.HeldByAdopt)
	s.staysQuiet(s.plain(), "one", s.db.Name, "not complete")

	d := s.start(s.plain(), "one")
	s.awaitEvent("fenced", 2)
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	if reply, err := d.engine.Desk().Adopt(cut, jobs.AdoptRequest{Company: "acme"}); err == nil {
		t.Errorf("%+v", reply)
	}
	reply, err := d.engine.Desk().Adopt(t.Context(), jobs.AdoptRequest{Company: "acme"})
	if err != nil || reply.Sent != 3 || reply.Held != 1200 || !reply.Done {
		t.Errorf("%+v, %v", reply, err)
	}
	s.awaitEvent("unfenced", 1)
	_, err = d.engine.Desk().Adopt(t.Context(), jobs.AdoptRequest{Company: "acme"})
	if ask := askError(t, err); !strings.Contains(ask.Text, "nothing to adopt") {
		t.Error(ask)
	}
	if reply, err = d.engine.Desk().Adopt(t.Context(), jobs.AdoptRequest{Company: "acme", Send: true}); err != nil || reply.Released != 1200 {
		t.Errorf("%+v, %v", reply, err)
	}
	s.await("1203", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.end()
	if n := len(s.smtp.Messages()); n != 1203 {
		t.Errorf("%d mails were sent, want 1203", n)
	}
}

// Without a daemon, in the copy: staging adopts, and production goes on.
func TestP8_AdoptedCopyAndItsOriginal(t *testing.T) {
	s := newSite(t)
	s.state = t.TempDir()
	s.sendSome(s.plain())
	dump := s.dump("_copy")
	production := s.state
	s.state = t.TempDir()
	reply := s.adopt(s.of(dump, s.db.Name), "staging", true)
	if reply.Held != 1 || reply.Released != 1 || reply.Sent != 0 {
		t.Errorf("%+v", reply)
	}
	s.start(strings.Replace(s.of(dump, s.db.Name), "    jobs:", "    divert: test@acme.example\n    jobs:", 1), "staging")
	s.await("4", `SELECT COUNT(*) FROM `+dump+`.outbox WHERE state = 'sent'`)
	s.state = production
	s.start(s.of(s.db.Name, s.db.Name), "one")
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1", "4 sent 1")
	if n := s.events("fenced"); n != 0 {
		t.Errorf("fenced %d times", n)
	}
	last := map[string]int{}
	for _, to := range s.envelopes() {
		last[to]++
	}
	if last["next@kunde.example"] != 1 || last["test@acme.example"] != 1 {
		t.Errorf("sent to %v", last)
	}
}
