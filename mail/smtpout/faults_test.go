package smtpout

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"outboxd/mail"
	"outboxd/mail/smtptest"
)

// everyStep are the points at which a server can misbehave.
var everyStep = []struct {
	script smtptest.Step
	step   mail.Step
	wait   time.Duration // the default timeout there
}{
	{smtptest.StepConnect, mail.StepConnect, time.Minute},
	{smtptest.StepHello, mail.StepHello, time.Minute},
	{smtptest.StepTLS, mail.StepTLS, time.Minute},
	{smtptest.StepHandshake, mail.StepTLS, 30 * time.Second},
	{smtptest.StepAuth, mail.StepAuth, time.Minute},
	{smtptest.StepMail, mail.StepMail, time.Minute},
	{smtptest.StepRcpt, mail.StepRcpt, time.Minute},
	{smtptest.StepData, mail.StepData, 2 * time.Minute},
	{smtptest.StepBody, mail.StepBody, 3 * time.Minute},
	{smtptest.StepDot, mail.StepDot, 10 * time.Minute},
}

// attempt dials and sends one message and brings both ways to fail together.
func attempt(ctx context.Context, t *testing.T, c Config, message []byte) (outcome mail.Outcome, marked, usable bool, stopped error) {
	t.Helper()
	s, err := Dial(ctx, c)
	if err != nil {
		e := dialError(t, s, err)
		if errors.Is(err, context.Canceled) {
			return e.Outcome, false, false, context.Canceled
		}
		return e.Outcome, false, false, nil
	}
	defer s.Close()
	d := delivery()
	d.Message = message
	d.Mark = func(context.Context, []bool) error { return nil }
	r := s.Send(ctx, d)
	if r.Stopped == nil && r.Recipients[0] != r.Message {
		t.Errorf("recipient %v, message %v", r.Recipients[0], r.Message)
	}
	return r.Message, r.Marked, s.Usable(), r.Stopped
}

func TestFaultsAtEveryStep(t *testing.T) {
	faults := []struct {
		name  string
		do    smtptest.Action
		code  int // of the reply, 0 for none
		keeps bool
	}{
		{"reset", smtptest.Cut(), 0, false},
		{"closed", smtptest.Action{End: smtptest.Hangup}, 0, false},
		{"half a reply", smtptest.Half("45", smtptest.Hangup), 0, false},
		{"garbage", smtptest.Garbage(), 0, false},
		{"unfitting reply", smtptest.Reply("399 2.0.0 what"), 0, false},
		{"bare 421", smtptest.ReplyAndHangup("421"), 421, false},
		{"421", smtptest.ReplyAndHangup("421 4.3.2 closing"), 421, false},
		{"451", smtptest.Reply("451-4.3.0 not\n451 4.3.0 now"), 451, true},
		{"554", smtptest.Reply("554 5.6.0 never"), 554, true},
	}
	for _, at := range everyStep {
		for _, fault := range faults {
			if at.script == smtptest.StepData && fault.name == "unfitting reply" {
				fault.do = smtptest.Reply("250 2.0.0 what") // any 3xx is a yes to DATA
			}
			t.Run(fmt.Sprintf("%s/%s", at.script, fault.name), func(t *testing.T) {
				server, c := tcp(t)
				do, message := fault.do, []byte(sample)
				if at.script == smtptest.StepBody {
					do.After, message = 64<<10, bigMessage(256<<10)
					if do.End != smtptest.Continue {
						message = bigMessage(16 << 20) // so that the dot cannot go out meanwhile
					}
				}
				server.On(smtptest.Rule{Step: at.script, Conn: 1, Do: do})
				got, _, usable, stopped := attempt(t.Context(), t, c, message)
				if stopped != nil {
					t.Errorf("stopped: %v", stopped)
				}
				checkFault(t, at.script, at.step, fault.code, do, got)
				afterDial := at.step >= mail.StepMail
				if usable != (fault.keeps && afterDial) {
					t.Errorf("usable %v", usable)
				}
				noSecrets(t, server)
				if n := server.Counts().Accepted; n != 0 {
					t.Errorf("accepted %d", n)
				}
				again, _, _, stopped := attempt(t.Context(), t, c, []byte(sample))
				if again.Verdict != mail.Accepted || stopped != nil {
					t.Errorf("second session: %v, %v", again, stopped)
				}
			})
		}
	}
}

// checkFault compares with what the step and the fault call for.
func checkFault(t *testing.T, script smtptest.Step, step mail.Step, code int, do smtptest.Action, got mail.Outcome) {
	t.Helper()
	goesOn := do.End == smtptest.Continue
	switch {
	case script == smtptest.StepHandshake && do.Write != "":
		// Anything but TLS: a matter of the settings where crypto/tls can tell, never a fallback.
		if got.Step != mail.StepTLS || got.Verdict == mail.Accepted || got.Scope != mail.ScopeAccount && got.Scope != mail.ScopeServer {
			t.Errorf("outcome %+v", got)
		}
	case script == smtptest.StepBody && goesOn && code == 0:
		// The content went out whole with the dot, and what is read then is no reply.
		wantOutcome(t, got, mail.Uncertain, mail.ScopeMessage, mail.StepDot)
	case code != 0:
		if script == smtptest.StepBody && goesOn {
			step = mail.StepDot // the early reply is read when the content is out
		}
		want := mail.Classify(step, got.Reply)
		if got.Reply.Code != code || got != want || got.Verdict == mail.Accepted || got.Verdict == mail.Uncertain {
			t.Errorf("outcome %+v, want %+v", got, want)
		}
	case step == mail.StepDot:
		wantOutcome(t, got, mail.Uncertain, mail.ScopeMessage, mail.StepDot)
	case step == mail.StepBody:
		wantOutcome(t, got, mail.Temporary, mail.ScopeMessage, mail.StepBody)
	default:
		wantOutcome(t, got, mail.Temporary, mail.ScopeServer, step)
	}
}

func TestStallAtEveryStepEndsAtItsTimeout(t *testing.T) {
	for _, at := range everyStep {
		t.Run(string(at.script), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, c := memory(t)
				message := []byte(sample)
				if at.script == smtptest.StepBody {
					message = bigMessage(256 << 10)
				}
				server.On(smtptest.Rule{Step: at.script, Do: smtptest.Silence()})
				start := time.Now()
				got, marked, usable, stopped := attempt(t.Context(), t, c, message)
				waited := time.Since(start)
				if at.script == smtptest.StepBody {
					waited -= earlyReply // the look for an explanation
				}
				if waited != at.wait {
					t.Errorf("gave up after %v, want %v", waited, at.wait)
				}
				if stopped != nil || usable || marked != (at.step >= mail.StepData) {
					t.Errorf("stopped %v, usable %v, marked %v", stopped, usable, marked)
				}
				switch at.step {
				case mail.StepDot:
					wantOutcome(t, got, mail.Uncertain, mail.ScopeMessage, mail.StepDot)
				case mail.StepBody:
					wantOutcome(t, got, mail.Temporary, mail.ScopeMessage, mail.StepBody)
				default:
					wantOutcome(t, got, mail.Temporary, mail.ScopeServer, at.step)
				}
				noSecrets(t, server)
				_ = server.Close()
			})
		})
	}
}

func TestCancelIsPromptAtEveryStepBeforeTheDot(t *testing.T) {
	for _, at := range everyStep {
		if at.step == mail.StepDot {
			continue
		}
		t.Run(string(at.script), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, c := memory(t)
				hook := server.On(smtptest.Rule{Step: at.script, Do: smtptest.Silence()})
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					<-hook.Reached()
					synctest.Wait() // until the client waits as well
					cancel()
				}()
				start := time.Now()
				s, err := Dial(ctx, c)
				if err != nil {
					if dialError(t, s, err); !errors.Is(err, context.Canceled) {
						t.Errorf("dial: %v", err)
					}
				} else {
					d := delivery()
					d.Message = bigMessage(256 << 10)
					r := s.Send(ctx, d) // without Mark: the context counts until the dot
					if !errors.Is(r.Stopped, context.Canceled) || s.Usable() || r.Marked {
						t.Errorf("stopped %v, usable %v", r.Stopped, s.Usable())
					}
				}
				if waited := time.Since(start); waited != 0 {
					t.Errorf("took %v", waited)
				}
				if n := server.Counts().Accepted; n != 0 {
					t.Errorf("accepted %d", n)
				}
				_ = server.Close()
			})
		})
	}
}

func TestCancelDuringTheDialItself(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, c := tcp(t)
	s, err := Dial(ctx, c)
	e := dialError(t, s, err)
	if !errors.Is(err, context.Canceled) || e.Outcome.Step != mail.StepConnect {
		t.Errorf("%v", err)
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	server, c := tcp(t)
	server.Down()
	s, err := Dial(t.Context(), c)
	wantOutcome(t, dialError(t, s, err).Outcome, mail.Temporary, mail.ScopeServer, mail.StepConnect)
}
