package jobs_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// throttles is what a relay answers that takes no more for now.
const throttles = "450 4.2.1 Peak SMTP relay limit exceeded for customer. This is a temporary error."

func inFlight(hold <-chan struct{}) smtptest.Rule {
	return smtptest.Rule{Step: smtptest.StepDot, Times: 1, Do: smtptest.Action{Wait: hold}}
}

// TestP5_ThrottlingSlows: an account is slowed in all daemons, with limits or without; no mail fails or spends a try, and the
// account is as fast as before when the server lets it.
func TestP5_ThrottlingSlows(t *testing.T) {
	for name, limits := range map[string]string{"limited": "rate: 36000/hour, own_relay: true, connections: 4", "unlimited": unlimited + ", connections: 4"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var refuses atomic.Int32 // so many more
			s, system := newSite(t, smtptest.Decide(func(m smtptest.Moment) (smtptest.Action, bool) {
				if m.Step == smtptest.StepRcpt && refuses.Add(-1) >= 0 {
					return smtptest.Reply(throttles), true
				}
				return smtptest.Action{}, false
			})), smtptest.New(t)
			s.pauses, s.slowed = quick, time.Millisecond
			text := withAlerts(s.file("  main: "+s.account(limits), "retry: {attempts: 1}"), system) // a try that was spent would fail its row
			s.start(text, "one")
			s.start(text, "two")
			s.mailsVia(20, "main")
			s.messages(20)
			refuses.Store(6)
			s.mailsVia(40, "main")            // more than leave before a daemon looks how the account does
			s.awaitEvent("account_slowed", 2) // the other daemon hears of it
			s.messages(22)
			d := s.engine.Desk()
			got, err := d.Status(t.Context(), jobs.StatusRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if a := accountOf(got, "main"); a.Pace == 0 || a.State == jobs.AccountSlowed && !strings.Contains(a.Reason, "throttles") || a.ErrorClass != "throttled" || !strings.Contains(a.LastError, "Peak SMTP relay limit") {
				t.Errorf("%+v", a)
			}
			if got := alertsOf(t, system, 1); !strings.HasPrefix(got, "outboxd on here: account main is slowed") {
				t.Errorf("alerts: %s", got)
			}
			if n := s.db.Read(t, `SELECT COALESCE(SUM(mails), 0) > 0 FROM {db}.outbox_usage WHERE name LIKE 'account:%'`); n != "1" {
				t.Error("mails of a slowed account are not counted")
			}

			s.db.Exec(t, `UPDATE {db}.outbox_bucket SET slow_refused = 0, slow_since = 0, hour_mails = 0`)
			if !until(waitMost, func() bool { s.mailsVia(1, "main"); return s.events("account_recovered") > 1 }) {
				t.Error("it does not recover")
			}
			s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state <> 'sent' OR attempts <> 1`)
			if !until(waitMost, func() bool { return strings.Contains(alertsOf(t, system, 1), "account main is not slowed any more") }) {
				t.Errorf("alerts: %s", alertsOf(t, system, 1))
			}
		})
	}
}
