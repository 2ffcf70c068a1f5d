package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
)

// queued is how many rows wait that nobody has taken.
const queued = `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'main' AND state = 'queued' AND attempts = 0 AND claims = 0`

// sent is how many mails of the account have left.
const sent = `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'main' AND state = 'sent'`

// TestP5_PauseByHand: in two daemons, over a restart, with and without limits, and nobody else stands still.
func TestP5_PauseByHand(t *testing.T) {
	for name, limits := range map[string]string{"limited": "rate: 36000/hour, own_relay: true", "unlimited": unlimited} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			text := s.file("  main: "+s.account(limits)+"\n  other: "+accountOn("localhost", s.smtp, unlimited), "")
			s.start(text, "one")
			two := s.start(text, "two")
			hold, open := s.gate()
			dot := s.smtp.On(inFlight(hold))
			s.mailsVia(1, "main")
			reached(t, dot)

			d := s.daemons[0].engine.Desk()
			asked := time.Now()
			got, err := d.AccountPause(t.Context(), jobs.AccountPauseRequest{By: jobs.By{Actor: "eva", Reason: "the mailbox moves"}, Account: "main"})
			if err != nil || got.State != jobs.AccountHeld || got.HeldBy != "eva" || got.PausedUntil != nil || fmt.Sprint(got.Accounts) != "[main]" {
				t.Fatalf("%+v, %v", got, err)
			}
			if !until(waitMost, func() bool { s.mailsVia(1, "main"); return s.events("account_held") > 0 }) {
				t.Fatal("no daemon hears of it")
			}
			t.Logf("the daemon that was not waiting for its only connection knew within %s", time.Since(asked).Round(time.Millisecond))
			open() // what is in flight ends
			if !until(waitMost, func() bool { s.mailsVia(1, "main"); return s.events("account_held") > 1 }) {
				t.Fatal("the other daemon does not hear of it")
			}
			s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending'`)
			gone := s.db.Read(t, sent)
			s.mailsVia(5, "main")
			waiting := s.db.Read(t, queued)
			stands := func(others string) {
				t.Helper()
				s.mailsVia(1, "other")
				s.await(others, `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'other' AND state = 'sent'`)
				s.await(waiting, queued)
				s.await(gone, sent)
			}
			stands("1")
			last, err := d.QueueWhy(t.Context(), jobs.RowRequest{Row: s.db.Read(t, `SELECT MAX(id) FROM {db}.outbox WHERE account = 'main'`)})
			if got := fmt.Sprint(last.Reasons, last.Next); err != nil || !strings.Contains(got, "The account main was paused by eva until it is resumed: the mailbox moves.") || !strings.Contains(got, "outboxd account resume main") {
				t.Error(got, err)
			}

			two.end()
			s.daemons = s.daemons[:1]
			s.start(text, "two")
			s.awaitEvent("account_held", 3)
			stands("2")

			if got, err := d.AccountResume(t.Context(), jobs.AccountResumeRequest{Account: "main"}); err != nil || got.State != jobs.AccountOK {
				t.Errorf("%+v, %v", got, err)
			}
			s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state <> 'sent' OR attempts <> 1`)
			s.awaitEvent("account_resumed", 2)
			if n := s.db.Read(t, `SELECT GROUP_CONCAT(action, ' ', COALESCE(detail, '') ORDER BY id SEPARATOR '; ') FROM {db}.outbox_audit`); n != "account pause until it is resumed; account resume " {
				t.Errorf("audit: %s", n)
			}
		})
	}
}

// TestP5_PauseByHandEnds: at the time that was named, by itself; and a pause because of trouble does not end it.
func TestP5_PauseByHandEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	text := s.file("  main: "+s.account(unlimited), "")
	s.start(text, "one")
	d := s.engine.Desk()
	got, err := d.AccountPause(t.Context(), jobs.AccountPauseRequest{Account: "main", For: 3 * time.Second})
	if err != nil || got.State != jobs.AccountHeld || got.PausedUntil == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	s.mailsVia(2, "main")
	s.awaitEvent("account_held", 1)
	s.await("2", sent)
	s.awaitEvent("account_resumed", 1)
	for _, wrong := range []jobs.AccountPauseRequest{{Account: "main", For: -1}, {Account: "main", For: 9000 * time.Hour}, {Account: "nobody"}} {
		if _, err := d.AccountPause(t.Context(), wrong); err == nil {
			t.Errorf("%+v was accepted", wrong)
		}
	}
}

// TestP5_NothingIsSentBeforeThePausesAreKnown: an account without limits goes on when the control database is away, but not right
// after a start: a pause by hand may stand there.
func TestP5_NothingIsSentBeforeThePausesAreKnown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	all := s.sharers("main: "+s.account(unlimited), 1, 1)
	lose := func() { s.db.Exec(t, `RENAME TABLE {db}.outbox_bucket TO {db}.bucket_gone`) }
	lose()
	all.mailing(0, 3)
	s.start(all.text, "one")
	s.awaitEvent("control_down", 1)
	if n := s.smtp.Counts().Data; n != 0 {
		t.Errorf("%d mails left", n)
	}
	s.db.Exec(t, `RENAME TABLE {db}.bucket_gone TO {db}.outbox_bucket`)
	all.each[0].await("3", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	lose()
	all.mailing(1, 3)
	all.each[1].await("3", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.db.Exec(t, `RENAME TABLE {db}.bucket_gone TO {db}.outbox_bucket`)
}
