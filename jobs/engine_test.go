package jobs_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
)

func TestRowsLeaveAndTell(t *testing.T) {
	s := newSite(t)
	s.smtp.On(rcpt("gone@kunde.example", "550 5.1.1 no such user"))
	s.smtp.On(rcpt("later@kunde.example", "450 4.2.0 greylisted"))
	for _, to := range []string{"Eva <eva@kunde.example>", "gone@kunde.example", "later@kunde.example",
		"eva@kunde.example, gone@kunde.example", "no address", "a@kunde.example; later@kunde.example"} {
		s.mail(to)
	}
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, account) VALUES ('a@kunde.example', 'nobody')`)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 sent 1", "2 failed 1", "3 queued 1", "4 partial 1", "5 failed 1", "6 queued 1", "7 failed 1")
	for id, want := range map[string]string{"2": "no such user", "3": "greylisted", "4": "1 of 2 recipients, first gone@kunde.example",
		"5": "no address", "6": "later@kunde.example", "7": `account "nobody" is none`} {
		if got := s.db.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = ?`, id); !strings.Contains(got, want) {
			t.Errorf("row %s says %q, not %q", id, got, want)
		}
	}
	if n := len(s.smtp.Messages()); n != 3 {
		t.Errorf("%d messages", n)
	}
	if stuck := s.engine.StuckFor(time.Minute); len(stuck) != 0 {
		t.Errorf("stuck: %v", stuck)
	}
}

// TestP1_StartStopStress starts and stops engines at odd moments while rows flow: each goes exactly once.
func TestP1_StartStopStress(t *testing.T) {
	const rows, lives = 400, 30
	s := newSite(t)
	text := s.file("  main: "+s.account(unlimited+", connections: 4"), "")
	s.mails(rows)
	before := 0
	for i := range lives {
		d := s.start(text, "one")
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(120))*time.Millisecond)
		if i > 0 && s.smtp.Counts().Accepted < rows {
			n := s.smtp.Counts().Accepted + rand.IntN(20)
			_ = s.smtp.WaitMessages(ctx, n) // or the time is over
		}
		cancel()
		d.end()
		s.daemons = nil
		if left := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending'`); left != "0" {
			t.Fatalf("life %d left %s rows sending", i, left)
		}
		if i == 0 {
			before = runtime.NumGoroutine()
		}
	}
	if !until(10*time.Second, func() bool { return runtime.NumGoroutine() <= before+4 }) {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines after %d lives, %d after the first:\n%s", runtime.NumGoroutine(), lives, before, buf[:runtime.Stack(buf, true)])
	}
	s.start(text, "one")
	s.await("400", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1`)
	s.onceEach(rows)
}

// TestP1_TwoDaemons shares the rows between two engines.
func TestP1_TwoDaemons(t *testing.T) {
	const rows = 300
	s := newSite(t)
	text := s.file("  main: "+s.account(unlimited+", connections: 3"), "")
	s.mails(rows)
	s.start(text, "one")
	s.start(text, "two")
	s.await("300", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1`)
	s.onceEach(rows)
	if n := s.db.Read(t, `SELECT COUNT(DISTINCT LEFT(lease_token, 8)) FROM {db}.outbox`); n != "2" {
		t.Errorf("%s daemons had a part in it", n)
	}
}

// TestP6_MissingSecretStopsOnlyItsOwn starts with an account and a company whose passwords cannot be read.
func TestP6_MissingSecretStopsOnlyItsOwn(t *testing.T) {
	s := newSite(t)
	text := s.two("  main: "+s.account(unlimited)+"\n  bad: "+accountOn("localhost", s.smtp, unlimited+", username: eva, password: {file: missing}"),
		"    server: main\n    database: elsewhere\n    login: {username: beta, password: {file: missing}}", "")
	s.start(text, "one")
	s.mail("a@kunde.example")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, body_text, account) VALUES ('b@kunde.example', 'x', 'bad')`)
	s.messages(1)
	s.awaitEvent("company_left_out", 1)
	s.awaitEvent("account_unusable", 1)
	s.awaitRows("1 sent 1", "2 queued 0")
	status, err := s.engine.Desk().Status(t.Context(), jobs.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(status.LeftOut) != 1 || status.LeftOut[0].Companies[0] != "beta" {
		t.Errorf("left out %+v", status.LeftOut)
	}
	for _, a := range status.Accounts {
		if want := map[string]string{"main": jobs.AccountOK, "system": jobs.AccountOK, "bad": jobs.AccountUnusable}[a.Account]; a.State != want {
			t.Errorf("account %s is %s: %s", a.Account, a.State, a.Reason)
		}
	}
}

// TestControlSecretIsNeeded: without the control database there is nothing to do.
func TestControlSecretIsNeeded(t *testing.T) {
	s := newSite(t)
	text := strings.Replace(s.file("  main: "+s.account(unlimited), ""), "username: ", "password: {file: missing}, username: ", 1)
	if _, err := jobs.New(s.write(text), jobs.Options{Name: "one"}); err == nil || !strings.Contains(err.Error(), "control database") {
		t.Errorf("error %v", err)
	}
}
