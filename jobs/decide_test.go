package jobs

import (
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
)

func TestBackoff(t *testing.T) {
	r := jobfile.Retry{Attempts: 8, First: time.Minute, Max: 4 * time.Hour, GiveUpAfter: 72 * time.Hour}
	want := time.Minute
	for attempts := 1; attempts < 8; attempts++ {
		for range 50 {
			pause, again := backoff(r, attempts)
			if !again || pause < want*8/10 || pause > want*12/10 {
				t.Fatalf("after %d tries: %s %t, want about %s", attempts, pause, again, want)
			}
		}
		want = min(2*want, 4*time.Hour)
	}
	if _, again := backoff(r, 8); again {
		t.Error("the eighth try of eight is not the last")
	}
	r.Attempts = 1000
	for _, c := range []struct {
		giveUp time.Duration
		tries  int // after so many tries the mail is given up
	}{{time.Minute, 2}, {7 * time.Minute, 4}, {10 * time.Minute, 4}, {15 * time.Minute, 5}, {time.Second, 1}} {
		r.GiveUpAfter = c.giveUp
		for attempts := 1; attempts <= c.tries; attempts++ {
			if _, again := backoff(r, attempts); again != (attempts < c.tries) {
				t.Errorf("give up after %s: again %t after %d tries", c.giveUp, again, attempts)
			}
		}
	}
}

func TestGiveUp(t *testing.T) {
	outcomes := []mail.Outcome{
		{Verdict: mail.Accepted, Retry: mail.RetryNo},
		{Verdict: mail.Temporary, Scope: mail.ScopeRecipient, Step: mail.StepRcpt, Reply: mail.Reply{Code: 450, Text: "full"}, Remedy: "Try later."},
		{Verdict: mail.Temporary, Scope: mail.ScopeServer},
		{Verdict: mail.Uncertain, Retry: mail.RetryNo},
	}
	each := []db.Recipient{{State: db.RecipientAccepted}, {State: db.RecipientOpen, LastError: "full"}, {State: db.RecipientOpen, LastError: "down"},
		{State: db.RecipientOpen, LastError: "lost"}}
	giveUp(each, []int{0, 1, 2, 3}, outcomes, 8)
	want := []db.RecipientState{db.RecipientAccepted, db.RecipientFailed, db.RecipientOpen, db.RecipientUncertain}
	for i, r := range each {
		if r.State != want[i] {
			t.Errorf("recipient %d is %s, want %s", i, r.State, want[i])
		}
	}
	if each[1].LastError != "given up after 8 tries: temporary at rcpt: 450 full" || each[2].LastError != "down" {
		t.Errorf("errors %q, %q", each[1].LastError, each[2].LastError)
	}
}

func TestPauseFor(t *testing.T) {
	stop := mail.Outcome{Verdict: mail.Permanent, Scope: mail.ScopeAccount, Retry: mail.RetryStop}
	for _, c := range []struct {
		name     string
		outcome  mail.Outcome
		failures int
		want     time.Duration
	}{
		{"server", mail.Outcome{Scope: mail.ScopeServer}, 0, 15 * time.Second},
		{"server again", mail.Outcome{Scope: mail.ScopeServer}, 3, 2 * time.Minute},
		{"server for long", mail.Outcome{Scope: mail.ScopeServer}, 1000, 15 * time.Minute},
		{"login", stop, 0, 5 * time.Minute},
		{"login again", stop, 1, 15 * time.Minute},
		{"login for long", stop, 50, 4 * time.Hour},
		{"quota", mail.Outcome{Retry: mail.RetryLater}, 0, time.Hour},
		{"quota again", mail.Outcome{Retry: mail.RetryLater}, 9, time.Hour},
		{"throttled", mail.Outcome{Verdict: mail.Throttled}, 0, time.Minute},
		{"throttled for long", mail.Outcome{Verdict: mail.Throttled}, 30, time.Hour},
	} {
		for range 50 {
			if got := pauseFor(c.outcome, c.failures); got < c.want || got > c.want*11/10 {
				t.Errorf("%s: %s, want %s and up to a tenth more", c.name, got, c.want)
			}
		}
	}
}

func TestAlertAfter(t *testing.T) {
	if n := alertAfter(mail.Outcome{Retry: mail.RetryStop}); n != 1 {
		t.Errorf("a refused login is told after %d", n)
	}
	if n := alertAfter(mail.Outcome{}); n != 4 {
		t.Errorf("a server that is down is told after %d", n)
	}
}

func TestTroubles(t *testing.T) {
	for _, c := range []struct {
		each []db.Recipient
		want string
	}{
		{nil, ""},
		{[]db.Recipient{{Address: "a@b"}}, ""},
		{[]db.Recipient{{Address: "a@b", LastError: "no"}}, "no"},
		{[]db.Recipient{{Address: "a@b"}, {Address: "c@d", LastError: "no"}, {Address: "e@f", LastError: "never"}}, "2 of 3 recipients, first c@d: no"},
	} {
		if got := troubles(c.each); got != c.want {
			t.Errorf("troubles %q, want %q", got, c.want)
		}
	}
}

func TestExplain(t *testing.T) {
	o := mail.Outcome{Verdict: mail.Permanent, Step: mail.StepRcpt, Reply: mail.Reply{Code: 550, Text: "no"}}
	if got := explain(o); !strings.HasSuffix(got, "no") {
		t.Errorf("explained as %q", got)
	}
	o.Remedy = "Do this."
	if got := explain(o); !strings.HasSuffix(got, "no. Do this.") {
		t.Errorf("explained as %q", got)
	}
}

func TestRefusals(t *testing.T) {
	var r refusals
	denied := mail.Outcome{Verdict: mail.Permanent, Scope: mail.ScopeAccount, Retry: mail.RetryStop, Class: mail.ClassSendAsDenied}
	if wait, _ := r.left("a@b"); wait > 0 {
		t.Errorf("waits %s for nothing", wait)
	}
	first, second := r.add("a@b", denied), r.add("a@b", denied)
	if second < 2*first {
		t.Errorf("the pause grows from %s to %s", first, second)
	}
	if wait, why := r.left("a@b"); wait <= first || why == "" {
		t.Errorf("waits %s: %q", wait, why)
	}
	r.forget("a@b")
	if wait, _ := r.left("a@b"); wait > 0 {
		t.Errorf("waits %s after it was accepted", wait)
	}
	for i := range 2 * maxRefusals {
		r.add(strings.Repeat("x", i), denied)
	}
	if len(r.by) > maxRefusals {
		t.Errorf("remembers %d", len(r.by))
	}
}
