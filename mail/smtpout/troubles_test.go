package smtpout

import (
	"strings"
	"testing"

	"outboxd/mail"
	"outboxd/mail/smtptest"
)

// wantTrouble checks an outcome that only a person can mend: it pauses the account, and says what to do.
func wantTrouble(t *testing.T, o mail.Outcome, step mail.Step, class mail.Class, text string) {
	t.Helper()
	if o.Scope != mail.ScopeAccount || o.Retry != mail.RetryStop || o.Step != step || o.Class != class || o.Remedy == "" || !strings.Contains(o.Reply.String(), text) {
		t.Errorf("%s %s of the %s, %s: %q; want %s at %s: %q", o, o.Retry, o.Scope, o.Class, o.Remedy, class, step, text)
	}
}

// wantThrottled checks an outcome that time mends: it pauses the account, and says what it is.
func wantThrottled(t *testing.T, o mail.Outcome, step mail.Step, text string) {
	t.Helper()
	if o.Verdict != mail.Throttled || !o.PausesAccount() || o.Retry == mail.RetryStop || o.Step != step || o.Class != mail.ClassThrottled && o.Class != mail.ClassSenderQuota ||
		o.Remedy == "" || !strings.Contains(o.Reply.String(), text) {
		t.Errorf("%s %s of the %s, %s: %q; want %q", o, o.Retry, o.Scope, o.Class, o.Remedy, text)
	}
}

// TestTroublesOfTheSender: what the server holds against the account is told as such at whatever step it comes, and the session
// goes on where the server lets it.
func TestTroublesOfTheSender(t *testing.T) {
	const sendAs, quota = "5.7.60 SMTP; Client does not have permissions to send as this sender", "5.4.5 Daily user sending limit exceeded."
	for _, c := range []struct {
		script smtptest.Step
		step   mail.Step
	}{{smtptest.StepMail, mail.StepMail}, {smtptest.StepRcpt, mail.StepRcpt}, {smtptest.StepData, mail.StepData}, {smtptest.StepDot, mail.StepDot}} {
		server, config := tcp(t)
		server.On(smtptest.Rule{Step: c.script, Transaction: 1, Do: smtptest.Reply("550 " + sendAs)})
		server.On(smtptest.Rule{Step: c.script, Transaction: 2, Do: smtptest.Reply("550 " + quota)})
		server.On(smtptest.Rule{Step: c.script, Transaction: 3, Do: smtptest.Reply("450 4.7.1 Error: too much mail from 127.0.0.1")})
		server.On(smtptest.Rule{Step: c.script, Transaction: 5, Do: smtptest.ReplyAndHangup("421 4.7.0 Too many messages, slow down")})
		s := open(t, config)
		wantTrouble(t, s.Send(t.Context(), delivery()).Message, c.step, mail.ClassSendAsDenied, sendAs)
		wantThrottled(t, s.Send(t.Context(), delivery()).Message, c.step, quota)
		wantThrottled(t, s.Send(t.Context(), delivery()).Message, c.step, "too much mail")
		wantAccepted(t, s.Send(t.Context(), delivery()))
		r := s.Send(t.Context(), delivery())
		if c.step == mail.StepMail { // the session had been used: it may just have been let go
			if r.Stopped == nil {
				t.Errorf("%+v", r)
			}
		} else {
			wantThrottled(t, r.Message, c.step, "slow down")
		}
		if n := server.Counts(); s.Usable() || n.Connections != 1 || n.Accepted != 1 {
			t.Errorf("at %s: usable %t, %+v", c.step, s.Usable(), n)
		}
	}
}

func TestTroublesOfConnecting(t *testing.T) {
	for _, c := range []struct {
		script smtptest.Step
		step   mail.Step
		reply  string
	}{
		{smtptest.StepConnect, mail.StepConnect, "421 4.7.0 relay.acme.example Error: too many connections from 127.0.0.1"},
		{smtptest.StepHello, mail.StepHello, "421 4.7.0 Too many concurrent connections"},
		{smtptest.StepAuth, mail.StepAuth, "450 4.7.1 Error: too many AUTH commands from 127.0.0.1"},
	} {
		server, config := tcp(t)
		server.On(smtptest.Rule{Step: c.script, Times: 1, Do: smtptest.ReplyAndHangup(c.reply)})
		s, err := Dial(t.Context(), config)
		wantThrottled(t, dialError(t, s, err).Outcome, c.step, c.reply)
		noSecrets(t, server)
		wantAccepted(t, open(t, config).Send(t.Context(), delivery()))
	}
}
