package jobs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail/smtptest"
)

func TestReloadLeavesTheSameAlone(t *testing.T) {
	s, beta := newSite(t), newSite(t)
	hold, open := s.gate()
	dot := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Times: 1, Do: smtptest.Action{Wait: hold}})
	text := s.two("  main: "+s.account(unlimited+", connections: 2"), "    server: main\n    database: "+beta.db.Name, "")
	s.mail("a@kunde.example")
	d := s.start(text, "one")
	reached(t, dot)
	s.reload(strings.Replace(text, "  beta:\n", "  beta:\n    timezone: Europe/Rome\n", 1))
	for _, e := range s.logs.FilterMessage("reloaded").All() {
		if n := e.ContextMap()["undisturbed"]; n != int64(1) {
			t.Errorf("%v companies were undisturbed, want 1", n)
		}
	}
	beta.mails(3)
	beta.await("3", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.awaitRows("1 sending 0")
	open()
	s.awaitRows("1 sent 1")
	if n := s.smtp.Counts().Accepted; n != 4 {
		t.Errorf("%d messages", n)
	}
	if len(d.engine.Live().Companies) != 2 {
		t.Errorf("companies: %v", d.engine.Live().Companies)
	}
}

// TestReloadWithMailInFlight: the changed company goes on at once, and what is in flight ends by the old rules.
func TestReloadWithMailInFlight(t *testing.T) {
	s := newSite(t)
	hold, open := s.gate()
	dot := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Times: 1, Do: smtptest.Action{Wait: hold}})
	s.mail("a@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited+", connections: 1"), ""), "one")
	reached(t, dot)
	s.reload(s.file("  main: "+s.account("rate: 3000/hour, connections: 1"), ""))
	s.mail("b@kunde.example")
	s.awaitRows("1 sending 0", "2 sent 1")
	open()
	s.awaitRows("1 sent 1", "2 sent 1")
	s.onceEach(2)
	if n := s.db.Read(t, `SELECT SUM(mails) FROM {db}.outbox_usage WHERE name NOT LIKE '% %'`); n != "1" {
		t.Errorf("%s mails counted against the new rate, want 1", n)
	}
}

func TestReloadAddsAndRemoves(t *testing.T) {
	s, beta := newSite(t), newSite(t)
	one := s.company("  main: "+s.account(unlimited)+"\n  extra: "+s.account(unlimited), "send: {kind: deliver, poll: 100ms}")
	s.mailsVia(1, "extra")
	d := s.start(one, "one")
	s.awaitRows("1 sent 1")
	beta.mails(2)
	s.reload(s.two("  main: "+s.account(unlimited), "    server: main\n    database: "+beta.db.Name, ""))
	beta.await("2", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.mailsVia(1, "extra")
	s.awaitRows("1 sent 1", "2 failed 1")
	if text := s.db.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = 2`); !strings.Contains(text, `account "extra" is none`) {
		t.Errorf("last_error: %s", text)
	}
	s.reload(one)
	if n := len(d.engine.Live().Companies); n != 1 {
		t.Errorf("%d companies", n)
	}
}

func TestReloadIsRefused(t *testing.T) {
	s := newSite(t)
	text := s.file("  main: "+s.account(unlimited), "")
	d := s.start(text, "one")
	bad := s.write(s.file("  main: "+s.account(unlimited+", username: eva, password: {file: missing}"), ""))
	if err := d.engine.Reload(bad); err == nil || !strings.Contains(err.Error(), "account main") {
		t.Errorf("error %v", err)
	}
	if d.engine.Live().ReloadRefused == "" {
		t.Error("nobody can see that the reload was refused")
	}
	s.mails(3)
	s.await("3", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	d.engine.ReloadFailed(jobfile.Problems{{File: "jobs.yaml", Line: 3, Message: "what is this"}})
	if !strings.Contains(d.engine.Live().ReloadRefused, "what is this") {
		t.Errorf("refused: %s", d.engine.Live().ReloadRefused)
	}
	s.reload(text)
	if why := d.engine.Live().ReloadRefused; why != "" {
		t.Errorf("still refused: %s", why)
	}
	if n := s.events("alert"); n != 2 {
		t.Errorf("%d alerts, want one that it was refused and one that it is over", n)
	}
	d.end()
	if err := d.engine.Reload(s.write(text)); err == nil {
		t.Error("an engine that has stopped was reloaded")
	}
}

// TestP1_ManyReloads: every row goes exactly once although the company is started anew again and again.
func TestP1_ManyReloads(t *testing.T) {
	const rows = 500
	s := newSite(t)
	s.mails(rows)
	text := s.file("  main: "+s.account(unlimited+", connections: 4"), "poll: 100ms")
	text = strings.Replace(text, "poll: 100ms, poll: 100ms", "poll: 100ms", 1)
	s.start(text, "one")
	for i := range 20 {
		s.messages(min(rows, 20*i))
		s.reload(strings.Replace(strings.Replace(text, "poll: 100ms", fmt.Sprintf("poll: %dms", 100+i), 1), "connections: 4", fmt.Sprintf("connections: %d", 3+i%3), 1))
	}
	s.await("500", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1`)
	s.onceEach(rows)
}

// TestBadCompanyFileIsLeftOut: loudly, once, and nobody else.
func TestBadCompanyFileIsLeftOut(t *testing.T) {
	s, beta, system := newSite(t), newSite(t), smtptest.New(t)
	dir := filepath.Dir(s.path)
	if err := os.Mkdir(filepath.Join(dir, "companies"), 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "companies", "beta.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := fmt.Sprintf("companies:\n  beta:\n    server: main\n    database: %s\n    jobs: {send: {kind: deliver, poll: 100ms}}\n", beta.db.Name)
	put(good + "    surprise: 1\n")
	text := withAlerts(s.file("  main: "+s.account(unlimited), ""), system)
	text = strings.Replace(text, "version: 1\n", "version: 1\ninclude: [companies/*.yaml]\ncontrol: {server: main, database: "+s.db.Name+"}\n", 1)
	s.mailsVia(1, "main")
	beta.mailsVia(1, "main")
	e := s.start(text, "one").engine
	if got := alertsOf(t, system, 1); !strings.Contains(got, "companies left out") {
		t.Errorf("alerts: %s", got)
	}
	s.awaitRows("1 sent 1")
	beta.awaitRows("1 queued 0")
	s.reload(text)
	put(good)
	s.reload(text)
	beta.awaitRows("1 sent 1")
	if got := alertsOf(t, system, 2); !strings.Contains(got, "companies are back") || strings.Count(got, "left out") != 1 {
		t.Errorf("alerts: %s", got)
	}
	var live jobs.Live = e.Live()
	if len(live.Companies) != 2 {
		t.Errorf("companies: %v", live.Companies)
	}
}
