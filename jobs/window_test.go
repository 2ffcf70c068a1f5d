package jobs_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// wallClock is a clock of the tests for sending windows.
type wallClock struct{ at atomic.Pointer[time.Time] }

func (c *wallClock) now() time.Time { return *c.at.Load() }

// set sets what clocks in Bratislava show.
func (c *wallClock) set(t *testing.T, wall string) {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Bratislava")
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04:05", wall, zone)
	if err != nil {
		t.Fatal(err)
	}
	c.at.Store(&at)
}

// TestWindowOpensAndCloses by the clocks and the holidays of the company; other accounts do not mind, nor does what is in flight.
func TestWindowOpensAndCloses(t *testing.T) {
	t.Parallel()
	s, other := newSite(t), smtptest.New(t)
	clock := &wallClock{}
	s.now = clock.now
	clock.set(t, "2026-11-21 10:00:00") // a Saturday
	text := s.with("  system: "+accountOn("localhost", other, unlimited)+"\n  office: "+s.account(unlimited+", window: Mon-Fri 08:00-18:00, sender_domains: [acme.example]"), "",
		"timezone: Europe/Bratislava", "holidays: [2026-11-24]")
	quiet := func(wall string) {
		t.Helper()
		clock.set(t, wall)
		before := other.Counts().Accepted
		s.mailsVia(1, "system") // once it has left, the other account's rows were seen too
		s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'system' AND state <> 'sent'`)
		s.mailsVia(1, "system")
		s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'system' AND state <> 'sent'`)
		if n := other.Counts().Accepted - before; n != 2 {
			t.Errorf("%s: %d mails by system", wall, n)
		}
		if n := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'office' AND (state = 'sending' OR state = 'queued' AND claims > 0)`); n != "0" {
			t.Errorf("%s: %s rows are taken", wall, n)
		}
	}
	sent := func(wall, n string) {
		t.Helper()
		clock.set(t, wall)
		s.await(n, `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'office' AND state = 'sent'`)
	}
	s.mailsVia(3, "office")
	s.start(text, "one")
	quiet("2026-11-21 10:00:01")
	quiet("2026-11-23 07:59:59")
	hold, open := s.gate()
	dots := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.Action{Wait: hold}})
	clock.set(t, "2026-11-23 08:00:00")
	reached(t, dots)
	clock.set(t, "2026-11-23 18:00:00")
	open() // what is in flight ends
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'office' AND state = 'sending'`)
	s.mailsVia(2, "office")
	quiet("2026-11-23 18:00:01")
	quiet("2026-11-24 12:00:00") // a holiday
	row := s.db.Read(t, `SELECT MAX(id) FROM {db}.outbox WHERE account = 'office'`)
	s.why(row, "The account office sends in its window alone (Mon-Fri 08:00-18:00, Europe/Bratislava, not on holidays). It opens at 2026-11-25 08:00:00 CET")
	desk := s.engine.Desk()
	status, err := desk.Status(t.Context(), jobs.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if w := status.Companies[0].Waits; len(w) != 1 || w[0].What != "account office" || w[0].Reason != "its window is Mon-Fri 08:00-18:00" || w[0].Until.UTC().Format(time.RFC3339) != "2026-11-25T07:00:00Z" {
		t.Errorf("status tells %+v", w)
	}
	look, err := desk.Preview(t.Context(), jobs.PreviewRequest{Row: row})
	if err != nil || !strings.Contains(strings.Join(look.Warnings, " "), "The window of account office (Mon-Fri 08:00-18:00) is closed: it sends from 2026-11-25 08:00:00 CET.") {
		t.Errorf("the preview warns %v, %v", look.Warnings, err)
	}
	sent("2026-11-25 08:00:00", "5")
}
