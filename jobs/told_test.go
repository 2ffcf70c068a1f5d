package jobs_test

import (
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// TestRestartTellsNothingAgain: a trouble that lasts over a restart is told once, and that it is over is told too.
func TestRestartTellsNothingAgain(t *testing.T) {
	t.Parallel()
	s, beta, system := newSite(t), newSite(t), smtptest.New(t)
	text := withAlerts(s.two("  main: "+s.account(unlimited), "    server: main\n    database: "+beta.db.Name, ""), system)
	beta.db.Exec(t, `RENAME TABLE {db}.outbox TO {db}.outbox_gone`)
	s.patience = time.Millisecond
	for range 2 {
		s.start(text, "one")
		alertsOf(t, system, 1)
		s.awaitEvent("tables_altered", 1)
		s.await("1", `SELECT COUNT(*) FROM {db}.outbox_told WHERE name = 'company beta'`)
		s.end()
		s.logs.TakeAll()
	}
	beta.db.Exec(t, `RENAME TABLE {db}.outbox_gone TO {db}.outbox`)
	s.start(text, "one")
	if got := alertsOf(t, system, 2); !strings.HasSuffix(got, "company beta: its database works again") {
		t.Errorf("alerts: %s", got)
	}
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox_told`)
	s.end()
	if n := len(system.Messages()); n != 2 {
		t.Errorf("%d alerts, want 2", n)
	}
}

// TestRestartEndsWhatIsMended: what the file does not have any more, or has right again, is over.
func TestRestartEndsWhatIsMended(t *testing.T) {
	t.Parallel()
	s, system := newSite(t), smtptest.New(t)
	text := withAlerts(s.file("  main: "+s.account(unlimited), ""), system)
	s.start(text, "one")
	instance := s.engine.Live().Instance
	s.end()
	for _, key := range []string{"reload", "company gone", "account gone", "left out x.yaml gone", "account main"} {
		if err := s.db.Store.Tell(t.Context(), instance, key, "told"); err != nil {
			t.Fatal(err)
		}
	}
	s.start(text, "one")
	alertsOf(t, system, 4)
	s.await("account main", `SELECT GROUP_CONCAT(name) FROM {db}.outbox_told`)
	s.mailsVia(1, "main") // one mail that goes shows that the account is well
	alertsOf(t, system, 5)
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox_told`)
}

// TestWhyNamesTheComputer of the daemon that holds a row.
func TestWhyNamesTheComputer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hold, open := s.gate()
	first := s.smtp.On(smtptest.Rule{Step: smtptest.StepMail, Do: smtptest.Action{Wait: hold}})
	s.mails(1)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	reached(t, first)
	s.await("here", `SELECT host FROM {db}.outbox_instance`)
	why, err := s.engine.Desk().QueueWhy(t.Context(), jobs.RowRequest{Row: "1"})
	if err != nil || len(why.Reasons) == 0 || !strings.Contains(why.Reasons[0].Text, "the daemon on the computer here") {
		t.Errorf("%+v, %v", why, err)
	}
	open()
	s.awaitRows("1 sent 1")
}
