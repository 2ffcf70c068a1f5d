package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"outboxd/mail/smtptest"
)

// paced checks that no window of the times holds more than a bucket of 3000/hour lets through.
func paced(t *testing.T, times []time.Time) {
	t.Helper()
	const interval, early = 3609 * time.Second / 3000, 14*time.Second + 500*time.Millisecond
	for i := range times {
		for j := i; j < len(times); j++ {
			if most := int((times[j].Sub(times[i])+early)/interval) + 1; j-i+1 > most {
				t.Fatalf("mails %d to %d left within %s, at most %d may", i, j, times[j].Sub(times[i]), most)
			}
		}
	}
}

// TestP3_PaceOfAnAccount: two daemons share an account, and a restart does not refill it.
func TestP3_PaceOfAnAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mails(40)
	text := s.file("  main: "+s.account("rate: 3000/hour, connections: 4"), "")
	s.start(text, "one")
	s.start(text, "two")
	s.messages(14)
	s.end()
	if left := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND claims > 0`); left != "0" {
		t.Errorf("%s rows count a taking that had no slot", left)
	}
	from := s.smtp.Counts().Data
	s.start(text, "three")
	s.messages(from + 2)
	s.end()
	times := s.smtp.DataTimes()
	paced(t, times)
	if gap := times[from+1].Sub(times[from]); gap < 500*time.Millisecond {
		t.Errorf("%s between two mails after a restart", gap)
	}
	if n := s.db.Read(t, `SELECT SUM(mails) FROM {db}.outbox_usage WHERE name NOT LIKE '% %'`); n != fmt.Sprint(len(times)) {
		t.Errorf("%s mails counted, %d sent", n, len(times))
	}
}

// TestP3_RefusedMailsCostNoSlot: the account's limit is used although every other mail is refused before DATA.
func TestP3_RefusedMailsCostNoSlot(t *testing.T) {
	s := newSite(t)
	for i := range 12 {
		s.smtp.On(rcpt(fmt.Sprintf("r%d@kunde.example", 2*i+1), "550 5.1.1 no such user"))
	}
	s.mails(24)
	s.start(s.file("  main: "+s.account("rate: 3000/hour"), ""), "one")
	s.awaitIn(4*time.Second, "12", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'failed'`)
	s.await("11", `SELECT LEAST(11, COUNT(*)) FROM {db}.outbox WHERE state = 'sent'`)
	paced(t, s.smtp.DataTimes())
}

// TestP3_SlowServerCostsNoSlot: a mail counts at DATA, however long the server thought about its recipient before.
func TestP3_SlowServerCostsNoSlot(t *testing.T) {
	t.Parallel()
	s := newSite(t, smtptest.Decide(func(m smtptest.Moment) (smtptest.Action, bool) {
		thought := make(chan struct{})
		time.AfterFunc(600*time.Millisecond, func() { close(thought) })
		return smtptest.Action{Wait: thought}, m.Step == smtptest.StepRcpt
	}))
	s.mails(8)
	s.start(s.file("  main: "+s.account("rate: 3000/hour, limits: [60/minute], connections: 4"), ""), "one")
	s.awaitIn(7*time.Second, "8", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	if n := s.db.Read(t, `SELECT SUM(mails) FROM {db}.outbox_usage WHERE name NOT LIKE '% %'`); n != "8" {
		t.Errorf("%s mails counted, 8 sent", n)
	}
	if n := s.events("given_back"); n != 0 {
		t.Errorf("%d mails were given back", n)
	}
}

// TestP3_JobRate: a job's own rate holds on an account without one.
func TestP3_JobRate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mails(40)
	s.start(s.file("  main: "+s.account(unlimited+", connections: 8"), "rate: 3000/hour"), "one")
	s.messages(14)
	s.end()
	paced(t, s.smtp.DataTimes())
	if n := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending' OR state = 'queued' AND claims > 0`); n != "0" {
		t.Errorf("%s rows are taken without a slot", n)
	}
}

// TestP4_JobRateDoesNotSlowOthers: neither another company on the account, nor another account of the job.
func TestP4_JobRateDoesNotSlowOthers(t *testing.T) {
	s, beta := newSite(t), newSite(t)
	text := s.servers("") + fmt.Sprintf(`control: {server: main, database: %[1]s}
accounts:
  main: %[3]s
companies:
  acme:
    server: main
    database: %[1]s
    jobs: {send: {kind: deliver, poll: 100ms, rate: 100/hour}}
  beta:
    server: main
    database: %[2]s
    jobs: {send: {kind: deliver, poll: 100ms}}
`, s.db.Name, beta.db.Name, s.account("rate: 3000/hour"))
	s.mails(5)
	beta.mails(5)
	s.start(text, "one")
	beta.awaitIn(10*time.Second, "5", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
}

func TestP4_IllAccountDoesNotHoldTheJobsRate(t *testing.T) {
	s := newSite(t)
	down := smtptest.New(t)
	down.Down()
	s.mailsVia(3, "ill")
	s.start(s.file("  ill: "+accountOn("localhost", down, unlimited)+"\n  main: "+s.account(unlimited), "rate: 3000/hour"), "one")
	s.awaitEvent("account_paused", 1)
	s.mailsVia(3, "main")
	s.awaitIn(10*time.Second, "3", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
}

func TestP3_RecipientsOfADay(t *testing.T) {
	s := newSite(t)
	for range 4 {
		s.mail("a@kunde.example, b@kunde.example, c@kunde.example, d@kunde.example")
	}
	s.start(s.file("  main: "+s.account("rate: 3000/hour, limits: [10 recipients/day]"), ""), "one")
	s.await("2", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.await("8", `SELECT SUM(recipients) FROM {db}.outbox_usage WHERE name NOT LIKE '% %'`)
	if n := s.smtp.Counts().Data; n != 2 {
		t.Errorf("%d mails left", n)
	}
}
