package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/mail/smtptest"
)

// asDaemon makes the test program be outboxd itself, so that a test can kill it as the kernel would.
const asDaemon = "OUTBOXD_TEST_AS_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		main()
	}
	dbtest.Main(m)
}

const (
	killRows = 2000
	kills    = 20
	killWait = 2 * time.Minute // for one life of the daemon
)

// TestP1P2_KillInTheMiddle kills the daemon twenty times while it sends 2,000 rows, with mails held at every step of the
// dialogue, and compares the server's ledger with the table.
func TestP1P2_KillInTheMiddle(t *testing.T) {
	s := newSite(t)
	s.write(strings.ReplaceAll(s.file(""), "own_relay: true", "own_relay: true, connections: 16"))
	for n := 1; n <= killRows; n++ {
		s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES (?, 'Invoice', REPEAT('Dear customer. ', 200))`, killRecipient(n))
	}
	held := []smtptest.Action{{}, {}, {After: 100}, {}, {Accept: true}}
	steps := []smtptest.Step{"rcpt", "data", "body", "dot", "dot"}
	for k := range kills {
		s.killOnce(t, steps[k%len(steps)], held[k%len(held)], (k+1)*killRows/(kills+5))
	}
	s.finish(t)

	if got := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state IN ('sent', 'uncertain')`); got != fmt.Sprint(killRows) {
		t.Errorf("%s of %d rows have ended", got, killRows)
	}
	ledger, uncertain, delivered := s.smtp.RecipientLedger(), 0, 0
	for n := 1; n <= killRows; n++ {
		to := killRecipient(n)
		entry, open := ledger[to], s.db.Read(t, `SELECT state FROM {db}.outbox WHERE rcpt = ?`, to) == "uncertain"
		if open {
			uncertain++
		}
		switch {
		case len(entry.Accepted) > 1:
			t.Errorf("%s was sent %d times", to, len(entry.Accepted))
		case open && len(entry.Began) == 0:
			t.Errorf("%s is uncertain and the server saw no DATA", to)
		case open:
			delivered += len(entry.Accepted)
		case len(entry.Accepted) == 0:
			t.Errorf("%s is lost: sent in the table, unknown to the server", to)
		}
	}
	t.Logf("%d rows, %d kills: %d uncertain, of which %d were delivered", killRows, kills, uncertain, delivered)
	if uncertain == 0 {
		t.Error("no row was uncertain: the kills came at harmless moments and the test has shown nothing")
	}
}

func killRecipient(n int) string { return fmt.Sprintf("r%d@kunde.example", n) }

// startDaemon starts outboxd as a process of its own.
func startDaemon(t testing.TB, config, runtime string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "--config", config, "run")
	cmd.Env = append(os.Environ(), asDaemon+"=1", "OUTBOXD_RUNTIME="+runtime)
	var log output
	cmd.Stdout, cmd.Stderr = &log, &log
	dbtest.EndWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("daemon:\n%.4000s", log.String())
		}
	})
	return cmd
}

// TestCrashIsNoExitStatus: the unit does not start outboxd again after exit status 2, and a crash of Go is one by default.
func TestCrashIsNoExitStatus(t *testing.T) {
	s := newSite(t)
	cmd := startDaemon(t, s.config, s.runtime)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, body_text) VALUES ('a@kunde.example', 'x')`)
	if err := s.smtp.WaitMessages(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil { // Go's runtime takes it as a crash
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code == exitWrong {
		t.Errorf("exit status %d", code)
	}
}

// killOnce lets a daemon send until so many mails were accepted in all, holds the next ones at a step, and kills it.
func (s *site) killOnce(t *testing.T, step smtptest.Step, hold smtptest.Action, accepted int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), killWait)
	defer cancel()
	cmd := startDaemon(t, s.config, s.runtime)
	if err := s.smtp.WaitMessages(ctx, accepted); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	hold.Wait = release
	hook := s.smtp.On(smtptest.Rule{Step: step, Do: hold})
	select {
	case <-hook.Reached():
	case <-ctx.Done():
		t.Fatalf("no mail came to %s", step)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	s.smtp.ClearScript()
	close(release)
}

// finish lets a last daemon send what is left, and ends it.
func (s *site) finish(t *testing.T) {
	t.Helper()
	cmd := startDaemon(t, s.config, s.runtime)
	deadline, tick := time.Now().Add(killWait), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state IN ('queued', 'sending')`) != "0" {
		if time.Now().After(deadline) {
			t.Error("rows are left")
			break
		}
		<-tick.C
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("daemon: %v", err)
	}
}
