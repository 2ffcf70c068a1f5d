package jobs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// withAlerts adds alerts to a jobs.yaml, sent by the account system on a server of their own.
func withAlerts(text string, server *smtptest.Server) string {
	text = strings.Replace(text, "accounts:\n", "accounts:\n  system: "+accountOn("localhost", server, unlimited)+"\n", 1)
	return text + "alerts: {to: [it@acme.example], account: system}\n"
}

// alertsOf waits for n alerts and returns their subjects.
func alertsOf(t *testing.T, server *smtptest.Server, n int) string {
	t.Helper()
	if !until(waitMost, func() bool { return len(server.Messages()) >= n }) {
		t.Fatalf("%d alerts, want %d", len(server.Messages()), n)
	}
	var subjects []string
	for _, m := range server.Messages() {
		for line := range strings.Lines(string(m.Data)) {
			if subject, ok := strings.CutPrefix(line, "Subject: "); ok {
				subjects = append(subjects, strings.TrimSpace(subject))
			}
		}
	}
	return strings.Join(subjects, "; ")
}

func TestP5_WrongPassword(t *testing.T) {
	s, system := newSite(t, smtptest.Users(map[string]string{"eva": "right"}), smtptest.RequireAuth()), smtptest.New(t)
	text := withAlerts(s.file("  main: "+s.account(unlimited+", connections: 3, username: eva, password: {file: "+s.secret("wrong")+"}"), ""), system)
	s.mailsVia(50, "main")
	s.start(text, "one")
	s.awaitEvent("account_paused", 1)
	if got := alertsOf(t, system, 1); got != "outboxd on here: account main is paused" {
		t.Errorf("alerts: %s", got)
	}
	untouched := `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND attempts = 0 AND claims = 0`
	s.await("50", untouched)

	// Another daemon, and a reload that changes nothing about the account, respect the pause.
	s.start(text, "two")
	s.mailsVia(1, "system")
	s.reload(strings.Replace(text, "poll: 100ms", "poll: 200ms", 1))
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.await("50", untouched)
	if n := s.smtp.Counts().FailedLogins; n != 1 {
		t.Errorf("%d logins were refused, want 1", n)
	}
	s.daemons[0].end()

	s.secret("right")
	s.reload(text)
	s.await("51", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	if n := s.smtp.Counts().FailedLogins; n != 1 {
		t.Errorf("%d logins were refused, want 1", n)
	}
	s.onceEach(50)
	if got := s.db.Read(t, `SELECT CONCAT(failures, COALESCE(paused_until, '-')) FROM {db}.outbox_bucket WHERE name LIKE '%eva%'`); got != "0-" {
		t.Errorf("the account's troubles are %s", got)
	}
}

// TestP5_PasswordOfARestart: a restart does not know that the password is another, and tries nothing before its time; a person's
// word has it tried at once.
func TestP5_PasswordOfARestart(t *testing.T) {
	t.Parallel()
	s, system := newSite(t, smtptest.Users(map[string]string{"eva": "right"}), smtptest.RequireAuth()), smtptest.New(t)
	text := withAlerts(s.file("  main: "+s.account(unlimited+", username: eva, password: {file: "+s.secret("wrong")+"}"), ""), system)
	s.mailsVia(5, "main")
	s.start(text, "one")
	s.awaitEvent("account_paused", 1)
	s.end()
	s.secret("right")
	s.start(text, "one")
	s.mailsVia(1, "system")
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	if got := s.db.Read(t, queued); got != "5" {
		t.Errorf("%s rows wait for the end of the pause", got)
	}
	if _, err := s.engine.Desk().AccountResume(t.Context(), jobs.AccountResumeRequest{Account: "main"}); err != nil {
		t.Fatal(err)
	}
	s.await("5", sent)
	if n := s.smtp.Counts().FailedLogins; n != 1 {
		t.Errorf("%d logins were refused, want 1", n)
	}
}

func TestP5_AlertWhenWell(t *testing.T) {
	s, system := newSite(t, smtptest.Users(map[string]string{"eva": "right"}), smtptest.RequireAuth()), smtptest.New(t)
	text := withAlerts(s.file("  main: "+s.account(unlimited+", username: eva, password: {file: "+s.secret("wrong")+"}"), ""), system)
	s.mailsVia(3, "main")
	s.start(text, "one")
	alertsOf(t, system, 1)
	s.secret("right")
	s.reload(text)
	if got := alertsOf(t, system, 2); !strings.HasSuffix(got, "account main sends again") {
		t.Errorf("alerts: %s", got)
	}
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1")
	if n := len(system.Messages()); n != 2 {
		t.Errorf("%d alerts, want 2", n)
	}
}

// TestP5_PauseOfAnother: the pause that one daemon has found holds for the next one.
func TestP5_PauseOfAnother(t *testing.T) {
	s := newSite(t, smtptest.Users(map[string]string{"eva": "right"}))
	other := smtptest.New(t)
	text := s.file("  main: "+s.account(unlimited+", username: eva, password: {file: "+s.secret("wrong")+"}")+
		"\n  other: "+accountOn("localhost", other, unlimited), "")
	s.mailsVia(3, "main")
	s.start(text, "one")
	s.awaitEvent("account_paused", 1)
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox_bucket WHERE paused_until > UTC_TIMESTAMP()`)
	s.end()
	s.start(text, "two")
	for range 3 {
		s.mailsVia(1, "other")
		s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'other' AND state <> 'sent'`)
	}
	s.await("3", `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'main' AND state = 'queued' AND attempts = 0 AND claims = 0`)
	if n := s.smtp.Counts().FailedLogins; n != 1 {
		t.Errorf("%d logins were refused, want 1", n)
	}
}

func TestP5_ServerDownAndUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.smtp.Down()
	s.mails(20)
	s.start(s.file("  main: "+s.account(unlimited+", connections: 4"), ""), "one")
	s.awaitEvent("account_paused", 1)
	s.await("20", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND attempts = 0 AND claims = 0`)
	if err := s.smtp.Up(); err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_bucket SET paused_until = UTC_TIMESTAMP(6)`)
	s.await("20", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1`)
	if n := s.events("account_paused"); n != 1 {
		t.Errorf("paused %d times", n)
	}
	s.awaitEvent("account_well", 1)
	s.onceEach(20)
}

// TestP5_ServerGoesDownWhileSending: what was in flight goes back or is uncertain, the rest waits untouched.
func TestP5_ServerGoesDownWhileSending(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mails(200)
	s.start(s.file("  main: "+s.account(unlimited+", connections: 4"), ""), "one")
	s.messages(50)
	s.smtp.Down()
	s.awaitEvent("account_paused", 1)
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending'`)
	if n := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND attempts > 1`); n != "0" {
		t.Errorf("%s rows were tried again and again", n)
	}
	if err := s.smtp.Up(); err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_bucket SET paused_until = UTC_TIMESTAMP(6)`)
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE state = 'queued'`)
	if !until(waitMost, func() bool {
		s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE state = 'queued' AND available_at > UTC_TIMESTAMP(6)`)
		return s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state IN ('sent', 'uncertain')`) == "200"
	}) {
		t.Fatal("the rest does not go")
	}
	for id, e := range s.smtp.Ledger() {
		if len(e.Accepted) > 1 {
			t.Errorf("%s was accepted %d times", id, len(e.Accepted))
		}
	}
}

// TestP9_PasswordIsNowhere: neither rows nor logs tell the password that was refused.
func TestP9_PasswordIsNowhere(t *testing.T) {
	s := newSite(t, smtptest.Users(map[string]string{"eva": "right"}))
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("hunter2-wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.mails(1)
	s.start(s.file("  main: "+s.account(unlimited+", username: eva, password: {file: "+path+"}"), ""), "one")
	s.awaitEvent("account_paused", 1)
	s.end()
	for _, e := range s.logs.All() {
		for _, v := range e.ContextMap() {
			if text, ok := v.(string); ok && strings.Contains(text, "hunter2") {
				t.Errorf("%s: %s", e.Message, text)
			}
		}
	}
	if n := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox_bucket WHERE pause_reason LIKE '%hunter2%'`); n != "0" {
		t.Error("the pause tells the password")
	}
}
