package jobs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outboxd/mail/smtptest"
)

// TestP1_AccountsChangeWhileRunning: an account is switched off and on, gets other limits, is added and removed, each time with a
// mail of it in flight; nothing is lost and nothing goes twice.
func TestP1_AccountsChangeWhileRunning(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := "\n  other: " + accountOn("localhost", s.smtp, unlimited)
	base := "  main: " + s.account(unlimited+", connections: 2")
	text := func(accounts string) string { return s.file(accounts, "") }
	s.start(text(base+other), "one")
	total := 0
	change := func(name, accounts string) {
		t.Helper()
		hold, open := s.gate()
		dot := s.smtp.On(inFlight(hold))
		s.mails(3)
		total += 3
		reached(t, dot)
		s.reload(text(accounts))
		s.mails(2)
		total += 2
		open()
		if !until(waitMost, func() bool {
			return s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1`) == fmt.Sprint(total)
		}) {
			t.Fatalf("%s: %s rows are not sent", name, s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state <> 'sent'`))
		}
	}
	change("limits", strings.Replace(base, unlimited, "rate: 36000/hour, own_relay: true", 1)+other)
	change("switched off", strings.Replace(base, unlimited, unlimited+", active: false", 1)+other) // the other one takes over
	if n := s.db.Read(t, `SELECT COUNT(*) > 0 FROM {db}.outbox WHERE sent_via = 'other'`); n != "1" {
		t.Error("nobody sends for an account that is not active")
	}
	change("switched on", base+other)
	change("removed", base)
	change("added", base+"\n  third: "+accountOn("localhost", s.smtp, unlimited))
	change("renamed", strings.Replace(base, "main:", "chief:", 1))
	s.onceEach(total)
}

// TestP1_InactiveAccountsRowsWait: rows that name it wait, untouched, until it is active again.
func TestP1_InactiveAccountsRowsWait(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	on := s.file("  main: "+s.account(unlimited)+"\n  other: "+accountOn("localhost", s.smtp, unlimited), "")
	off := strings.Replace(on, unlimited, unlimited+", active: false", 1)
	s.start(off, "one")
	s.mailsVia(5, "main")
	s.mailsVia(2, "other")
	s.await("2", `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'other' AND state = 'sent'`)
	s.await("5", `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'main' AND state = 'queued' AND attempts = 0`)
	s.reload(on)
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE state = 'queued'`) // not a minute later
	s.await("5", sent)
	s.onceEach(7)
}

// TestPasswordIsReadAgain: of a file with the reload; of a credential at the next start, which the log of the reload says.
func TestPasswordIsReadAgain(t *testing.T) {
	credentials := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	s := newSite(t, smtptest.Users(map[string]string{"eva": "new"}), smtptest.RequireAuth())
	write := func(password string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(credentials, "mail"), []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("new")
	text := s.file("  main: "+s.account(unlimited+", username: eva, password: {file: "+s.secret("old")+"}")+
		"\n  second: "+accountOn("localhost", s.smtp, unlimited+", username: eva, password: {credential: mail}"), "")
	s.mailsVia(2, "main")
	s.start(text, "one")
	s.awaitEvent("account_paused", 1)
	s.secret("new")
	s.reload(text)
	s.await("2", sent)
	s.mailsVia(1, "second")
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'second' AND state = 'sent'`)
	for _, e := range s.logs.FilterMessage("reloaded").All() {
		f := e.ContextMap()
		if fmt.Sprint(f["credentials"]) != "[account second]" || !strings.Contains(fmt.Sprint(f["note"]), "systemctl restart outboxd") {
			t.Errorf("the log of the reload says %v", f)
		}
	}
	s.reload(s.file("  main: "+s.account(unlimited), ""))
	all := s.logs.FilterMessage("reloaded").All()
	if f := all[len(all)-1].ContextMap(); f["credentials"] != nil || f["note"] != nil {
		t.Errorf("without a credential the log of the reload says %v", f)
	}
}
