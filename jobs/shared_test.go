package jobs_test

import (
	"strings"
	"testing"
	"time"

	"outboxd/mail/smtptest"
)

// TestP6_LostDatabaseDoesNotKeepTheSender: two companies share an account with one connection, and one of them cannot
// write its outcome. The outcome is not lost either.
func TestP6_LostDatabaseDoesNotKeepTheSender(t *testing.T) {
	s, beta := newSite(t), newSite(t)
	hold, open := s.gate()
	dot := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Times: 1, Do: smtptest.Action{Wait: hold}})
	beta.mail("a@kunde.example")
	s.start(s.two("  main: "+s.account("rate: 3000/hour, connections: 1"), "    server: main\n    database: "+beta.db.Name, ""), "one")
	reached(t, dot)
	beta.db.Exec(t, `RENAME TABLE {db}.outbox TO {db}.outbox_gone`)
	open()
	s.mails(5)
	s.await("5", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	beta.db.Exec(t, `RENAME TABLE {db}.outbox_gone TO {db}.outbox`)
	beta.awaitRows("1 sent 1")
	s.onceEach(6)
}

// TestP6_HangingDatabaseDoesNotKeepTheAccount: statements of one company get no answer while its mail is in flight.
func TestP6_HangingDatabaseDoesNotKeepTheAccount(t *testing.T) {
	t.Parallel()
	s, beta := newSite(t), newSite(t)
	hold, open := s.gate()
	dot := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Times: 1, Do: smtptest.Action{Wait: hold}})
	beta.mails(5)
	e := s.start(s.two("  main: "+s.account(unlimited+", connections: 1"), "    server: main\n    database: "+beta.db.Name, ""), "one").engine
	reached(t, dot)
	unlock := lockOutbox(t, beta.db)
	open()
	s.mails(5)
	s.awaitIn(10*time.Second, "5", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	if stuck := e.StuckFor(time.Minute); len(stuck) != 0 {
		t.Errorf("stuck: %v", stuck)
	}
	unlock()
	beta.await("5", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.onceEach(10)
}

// TestP3_NoBucketNothingIsSent: and nobody is hammered meanwhile, and a person is told.
func TestP3_NoBucketNothingIsSent(t *testing.T) {
	t.Parallel()
	s, beta := newSite(t), newSite(t)
	s.patience = time.Millisecond
	text := s.two("  main: "+s.account("rate: 3000/hour"), "    server: main\n    database: "+beta.db.Name, "")
	s.start(text, "one")
	beta.mail("a@kunde.example")
	beta.awaitRows("1 sent 1")
	s.db.Exec(t, `RENAME TABLE {db}.outbox_bucket TO {db}.bucket_gone`)
	beta.mail("b@kunde.example")
	s.awaitEvent("control_down", 1)
	s.awaitEvent("alert", 1)
	if n := s.events("given_back"); n > 3 {
		t.Errorf("the lost bucket was asked %d times", n)
	}
	if n := s.smtp.Counts().Data; n != 1 {
		t.Errorf("%d mails left, want 1", n)
	}
	if n := s.events("company_down"); n != 0 {
		t.Error("the companies' databases work")
	}
	s.db.Exec(t, `RENAME TABLE {db}.bucket_gone TO {db}.outbox_bucket`)
	beta.awaitRows("1 sent 1", "2 sent 1")
	s.awaitEvent("control_up", 1)
	s.awaitEvent("alert", 2)
	for _, e := range s.logs.FilterMessage("alert").All() {
		if subject, _ := e.ContextMap()["subject"].(string); !strings.HasPrefix(subject, "the control database ") {
			t.Errorf("alert: %s", subject)
		}
	}
}

// TestP4_FairShare: two companies that share a limited account take turns.
func TestP4_FairShare(t *testing.T) {
	t.Parallel()
	s, beta := newSite(t), newSite(t)
	s.mails(100)
	beta.mails(100)
	s.start(s.two("  main: "+s.account("rate: 3000/hour"), "    server: main\n    database: "+beta.db.Name, ""), "one")
	s.messages(17)
	s.end()
	paced(t, s.smtp.DataTimes())
	if n := beta.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`); n < "2" {
		t.Errorf("%s of the last five or more mails are the other company's", n)
	}
}

// TestP2_UncertainTellsAPerson: by mail, once, and when a person has settled it.
func TestP2_UncertainTellsAPerson(t *testing.T) {
	t.Parallel()
	s, system := newSite(t), smtptest.New(t)
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.LoseReply()})
	s.mailsVia(2, "main")
	s.start(withAlerts(s.file("  main: "+s.account(unlimited), ""), system), "one")
	s.awaitRows("1 uncertain 1", "2 uncertain 1")
	if got := alertsOf(t, system, 1); !strings.Contains(got, "it is not known whether") {
		t.Errorf("alerts: %s", got)
	}
}
