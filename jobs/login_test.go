package jobs_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"outboxd/mail/smtptest"
)

// quick is by what pauses are shorter in tests: ten minutes are four seconds.
const quick = 1.0 / 150

// tenMinutes are what a test with quick pauses has of them.
const tenMinutes = 10 * time.Minute / 150

// mostWithin is the largest number of times within a sliding length of time.
func mostWithin(d time.Duration, times []time.Time) (most int) {
	for i, t := range times {
		n := len(slices.DeleteFunc(slices.Clone(times[i:]), func(u time.Time) bool { return u.Sub(t) >= d }))
		most = max(most, n)
	}
	return most
}

// refused has the times of the refused logins.
func refused(server *smtptest.Server) (times []time.Time) {
	for _, l := range server.Logins() {
		if !l.OK {
			times = append(times, l.Time)
		}
	}
	return times
}

// awaitEach returns when every company gives what is wanted.
func (s *sharers) awaitEach(want, query string) {
	s.t.Helper()
	for _, c := range s.each {
		c.await(want, query)
	}
}

// reloadAll lets every daemon read a jobs.yaml.
func (s *site) reloadAll(text string) {
	s.t.Helper()
	for _, d := range s.daemons {
		if err := d.engine.Reload(s.write(text)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestP5_WrongPasswordOfTenThousandRows: three companies have 10,000 rows for an account whose password is wrong, and two daemons
// serve them.
func TestP5_WrongPasswordOfTenThousandRows(t *testing.T) {
	t.Parallel()
	const rows, leaving = 3334, 100
	s := newSite(t, smtptest.Users(map[string]string{"eva": "right"}), smtptest.RequireAuth(), smtptest.WithoutMessages())
	s.pauses = quick
	other := smtptest.New(t)
	login := unlimited + ", connections: 4, username: eva, password: {file: " + s.secret("wrong") + "}"
	all := s.sharers("main: "+s.account(login)+"\n  other: "+accountOn("localhost", other, unlimited), 1, 1, 1)
	for i := range all.each {
		all.mailing(i, rows)
	}
	s.start(all.text, "one")
	s.start(all.text, "two")

	// The third login is the last one that may come within ten minutes; by then everybody has tried that would.
	for i := range 3 {
		if !until(waitMost, func() bool { return len(refused(s.smtp)) > i }) {
			t.Fatalf("login %d never came", i+1)
		}
		for _, c := range all.each {
			c.mailsVia(2, "other")
		}
		all.awaitEach(fmt.Sprint(2*(i+1)), `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'other' AND state = 'sent'`)
	}
	times := refused(s.smtp)
	if n := mostWithin(tenMinutes, times); n > 3 {
		t.Errorf("%d logins within ten minutes", n)
	}
	t.Logf("logins at 0s, %s, %s of real time", 150*times[1].Sub(times[0]).Round(time.Millisecond), 150*times[2].Sub(times[0]).Round(time.Millisecond))
	untouched := `SELECT COUNT(*) FROM {db}.outbox WHERE account IS NULL AND state = 'queued' AND attempts = 0 AND claims = 0`
	all.awaitEach(fmt.Sprint(rows), untouched)

	// Of the rows a few hundred are enough to see that they leave.
	for _, c := range all.each {
		c.db.Exec(t, `DELETE FROM {db}.outbox WHERE account IS NULL ORDER BY id DESC LIMIT ?`, rows-leaving)
	}
	s.secret("right")
	s.reloadAll(all.text)
	all.awaitEach("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state <> 'sent'`)
	if n := len(refused(s.smtp)); n != len(times) {
		t.Errorf("%d logins were refused after the password was corrected", n-len(times))
	}
	if n := len(s.smtp.Ledger()); n != 3*leaving {
		t.Errorf("%d mails, want %d", n, 3*leaving)
	}
}

// TestP5_PasswordIsChangedMeanwhile: an account with many sessions at work is not locked by all of them logging in at once.
func TestP5_PasswordIsChangedMeanwhile(t *testing.T) {
	t.Parallel()
	var changed atomic.Bool
	var mu sync.Mutex
	var times []time.Time
	s := newSite(t, smtptest.Users(map[string]string{"eva": "right"}), smtptest.RequireAuth(), smtptest.Decide(func(m smtptest.Moment) (smtptest.Action, bool) {
		switch {
		case !changed.Load():
		case m.Step == smtptest.StepMail:
			return smtptest.Cut(), true
		case m.Step == smtptest.StepAuth:
			mu.Lock()
			defer mu.Unlock()
			times = append(times, time.Now())
			return smtptest.Reply("535 5.7.8 authentication credentials invalid"), true
		}
		return smtptest.Action{}, false
	}))
	s.pauses = quick
	login := unlimited + ", connections: 6, username: eva, password: {file: " + s.secret("right") + "}"
	all := s.sharers("main: "+s.account(login), 1, 1)
	all.mailing(0, 300)
	all.mailing(1, 300)
	s.start(all.text, "one")
	s.start(all.text, "two")
	s.messages(100)
	changed.Store(true)
	logins := func() []time.Time {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(times)
	}
	if !until(waitMost, func() bool { return len(logins()) >= 2 }) {
		t.Fatal("nobody logged in anew")
	}
	s.awaitEvent("account_paused", 2)
	changed.Store(false)
	if n := mostWithin(tenMinutes, logins()); n > 3 {
		t.Errorf("%d logins within ten minutes", n)
	}
	all.awaitEach("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state <> 'sent' OR attempts <> 1`)
}
