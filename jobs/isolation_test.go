package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/mail/smtptest"
)

func TestP4_IllAccountDelaysNobody(t *testing.T) {
	s, beta := newSite(t), newSite(t)
	down := smtptest.New(t)
	down.Down()
	s.mailsVia(100, "ill")
	beta.mailsVia(100, "ill")
	text := s.two("  ill: "+accountOn("localhost", down, unlimited)+"\n  main: "+s.account(unlimited), "    server: main\n    database: "+beta.db.Name, "")
	s.start(text, "one")
	s.awaitEvent("account_paused", 1)
	s.mailsVia(20, "main")
	beta.mailsVia(20, "main")
	s.await("20", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	beta.await("20", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	beta.await("100", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND claims = 0`)
}

func TestP4_ThrottledDomainWaitsInALane(t *testing.T) {
	s := newSite(t)
	const busy = "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered"
	for i := range 20 {
		s.smtp.On(rcpt(fmt.Sprintf("t%d@slow.example", i), busy))
	}
	for i := range 20 {
		s.mail(fmt.Sprintf("t%d@slow.example", i))
	}
	s.start(s.file("  main: "+s.account(unlimited+", connections: 1"), ""), "one")
	s.awaitEvent("domain_paused", 1)
	s.mails(10)
	s.await("10", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND attempts = 0 AND lane = 0`)
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox_lane WHERE name = 'domain:slow.example' AND wait_until > UTC_TIMESTAMP() AND failures = 1`)
	asked := s.smtp.Counts().Transactions
	if n := asked - 10; n != 3 {
		t.Errorf("the domain was asked %d times before it had to wait, want 3", n)
	}

	// The lane reopens: one mail tries, and makes the lane wait longer.
	s.db.Exec(t, `UPDATE {db}.outbox_lane SET wait_until = UTC_TIMESTAMP(6)`)
	s.awaitEvent("domain_paused", 2)
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox_lane WHERE wait_until > UTC_TIMESTAMP() + INTERVAL 90 SECOND AND failures = 2`)
	if n := s.smtp.Counts().Transactions - asked; n != 1 {
		t.Errorf("%d mails tried, want 1", n)
	}

	// And when it goes through, all of them go. The one that tried has its outcome by then.
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending'`)
	s.smtp.ClearScript()
	s.db.Exec(t, `UPDATE {db}.outbox_lane SET wait_until = UTC_TIMESTAMP(6)`)
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE state = 'queued'`)
	s.await("30", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox_lane`)
}

// TestP4_ManyLanesAllReopen: lanes that nothing heals do not keep back the others.
func TestP4_ManyLanesAllReopen(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox_lane (name, failures)
		WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 20) SELECT CONCAT('domain:d', i, '.example'), 3 FROM n`)
	for i := range 20 {
		s.mail(fmt.Sprintf("a@d%d.example", i+1))
	}
	s.db.Exec(t, `UPDATE {db}.outbox o JOIN {db}.outbox_lane l ON l.name = CONCAT('domain:d', o.id, '.example') SET o.lane = l.id WHERE o.id > 15`)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.await("20", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
}

func TestP4_RefusedSenderStopsNobody(t *testing.T) {
	s := newSite(t)
	s.smtp.On(smtptest.Rule{Step: smtptest.StepMail, From: "ceo@acme.example", Do: smtptest.Reply("550 5.7.60 SMTP; Client does not have permissions to send as this sender")})
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, from_address) VALUES ('a@kunde.example', 'ceo@acme.example'), ('b@kunde.example', 'ceo@acme.example')`)
	s.mails(10)
	s.start(s.file("  main: "+s.account(unlimited+", connections: 1"), ""), "one")
	s.await("10", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.await("2", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND attempts = 0 AND available_at > UTC_TIMESTAMP() + INTERVAL 4 MINUTE AND last_error LIKE '%send as%'`)
	if n := s.smtp.Counts().Transactions; n != 11 {
		t.Errorf("%d transactions, want 11: the server is asked once for the sender", n)
	}
	if n := s.events("account_paused"); n != 0 {
		t.Error("the account was paused")
	}
}

func TestP6_LostTableStopsOneCompany(t *testing.T) {
	t.Parallel()
	s, beta := newSite(t), newSite(t)
	system := smtptest.New(t)
	text := withAlerts(s.two("  main: "+s.account(unlimited), "    server: main\n    database: "+beta.db.Name, ""), system)
	d := s.start(text, "one")
	beta.mailsVia(1, "main")
	beta.awaitRows("1 sent 1")
	beta.db.Exec(t, `RENAME TABLE {db}.outbox TO {db}.outbox_gone`)
	s.awaitEvent("company_down", 1)
	s.mailsVia(5, "main")
	s.await("5", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	if h := d.engine.Live().Companies; h["beta"].Down == "" || h["acme"].Down != "" {
		t.Errorf("companies are %+v", h)
	}
	beta.db.Exec(t, `RENAME TABLE {db}.outbox_gone TO {db}.outbox`)
	s.awaitEvent("company_up", 1)
	beta.mailsVia(1, "main")
	beta.awaitRows("1 sent 1", "2 sent 1")
	if n := len(system.Messages()); n != 0 {
		t.Errorf("%d alerts: a short trouble is none", n)
	}
}

func TestP6_DeadServerStopsOneCompany(t *testing.T) {
	s, system, dead := newSite(t), smtptest.New(t), smtptest.New(t)
	dead.Down()
	text := withAlerts(s.two("  main: "+s.account(unlimited), "    server: dead\n    database: beta",
		fmt.Sprintf("  dead: {host: 127.0.0.1, port: %d, username: root, encryption: none}\n", dead.Port())), system)
	e := s.start(text, "one").engine
	s.mailsVia(5, "main")
	s.await("5", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.awaitEvent("company_down", 1)
	if stuck := e.StuckFor(time.Minute); len(stuck) != 0 {
		t.Errorf("stuck: %v", stuck)
	}
}

func TestCompanyDownAlertsOnce(t *testing.T) {
	t.Parallel()
	s, beta, system := newSite(t), newSite(t), smtptest.New(t)
	text := withAlerts(s.two("  main: "+s.account(unlimited), "    server: main\n    database: "+beta.db.Name, ""), system)
	beta.db.Exec(t, `RENAME TABLE {db}.outbox TO {db}.outbox_gone`)
	s.patience = time.Millisecond
	s.start(text, "one")
	if got := alertsOf(t, system, 1); !strings.Contains(got, "company beta: its database cannot be used") {
		t.Errorf("alerts: %s", got)
	}
	// A reload that changes the company goes on where the alert stands.
	s.reload(strings.Replace(text, "beta:\n", "beta:\n    timezone: Europe/Rome\n", 1))
	beta.db.Exec(t, `RENAME TABLE {db}.outbox_gone TO {db}.outbox`)
	if got := alertsOf(t, system, 2); !strings.HasSuffix(got, "company beta: its database works again") {
		t.Errorf("alerts: %s", got)
	}
	s.end()
	if n := len(system.Messages()); n != 2 {
		t.Errorf("%d alerts, want 2", n)
	}
}
