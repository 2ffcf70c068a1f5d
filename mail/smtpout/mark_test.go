package smtpout

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"outboxd/mail"
	"outboxd/mail/smtptest"
)

func TestP2_NoContentBeforeMark(t *testing.T) {
	server, c := tcp(t)
	s := open(t, c)
	d := delivery()
	var order []string
	d.BeforeData = func(context.Context) error {
		if server.Counts().Data != 0 {
			t.Error("DATA before BeforeData")
		}
		order = append(order, "before")
		return nil
	}
	d.Mark = func(ctx context.Context, accepted []bool) error {
		// DATA is out by now, and the server has all the time to see content that there must not be.
		if err := server.Wait(ctx, func(c smtptest.Counts) bool { return c.Data == 1 }); err != nil {
			return err
		}
		if server.Counts().Body != 0 || len(accepted) != 1 || !accepted[0] {
			t.Errorf("%+v, accepted %v", server.Counts(), accepted)
		}
		order = append(order, "mark")
		return nil
	}
	r := s.Send(soon(t), d)
	wantAccepted(t, r)
	if !r.Marked || strings.Join(order, " ") != "before mark" {
		t.Errorf("marked %v, order %v", r.Marked, order)
	}
}

func TestP2_MarkRunsWhileThe354Travels(t *testing.T) {
	server, c := tcp(t)
	gate := make(chan struct{})
	server.On(smtptest.Rule{Step: smtptest.StepData, Do: smtptest.Action{Wait: gate}})
	d := delivery()
	d.Mark = func(context.Context, []bool) error { close(gate); return nil } // a Mark after the 354 would never run
	wantAccepted(t, open(t, c).Send(soon(t), d))
}

func TestP2_MarkErrorSendsNothing(t *testing.T) {
	for _, late := range []bool{false, true} { // before and after the 354
		server, c := tcp(t)
		if !late {
			server.On(smtptest.Rule{Step: smtptest.StepData, Do: smtptest.Silence()})
		}
		s := open(t, c)
		d := delivery()
		d.Mark = func(ctx context.Context, _ []bool) error {
			if late {
				if err := server.Wait(ctx, func(c smtptest.Counts) bool { return c.Data == 1 }); err != nil {
					t.Error(err)
				}
			}
			return errTest
		}
		r := s.Send(soon(t), d)
		if !errors.Is(r.Stopped, errTest) || r.Marked || s.Usable() {
			t.Errorf("%+v, usable %v", r, s.Usable())
		}
		if err := server.Wait(soon(t), func(c smtptest.Counts) bool { return c.Open == 0 }); err != nil {
			t.Fatal(err)
		}
		if c := server.Counts(); c.Body != 0 || c.Accepted != 0 {
			t.Errorf("counts %+v", c)
		}
	}
}

func TestBeforeDataErrorResets(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepRcpt, To: "gone@example.net", Do: smtptest.Reply("550 5.1.1 no such user")})
	s := open(t, c)
	d := delivery("gone@example.net", "b@example.net")
	d.BeforeData = func(context.Context) error { return errTest }
	d.Mark = func(context.Context, []bool) error { t.Error("Mark"); return nil }
	r := s.Send(t.Context(), d)
	if !errors.Is(r.Stopped, errTest) || r.Marked || !s.Usable() || r.Recipients[0].Reply.Code != 550 {
		t.Errorf("%+v, usable %v", r, s.Usable())
	}
	if c := server.Counts(); c.Data != 0 || c.Resets != 1 {
		t.Errorf("counts %+v", c)
	}
	wantAccepted(t, s.Send(t.Context(), delivery()))
}

func TestRefusedDataIsDefiniteThoughMarked(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepData, Times: 1, Do: smtptest.Reply("451 4.3.0 later")})
	s := open(t, c)
	d := delivery()
	d.Mark = func(context.Context, []bool) error { return nil }
	r := s.Send(t.Context(), d)
	if !r.Marked || r.Stopped != nil || r.Message.Verdict != mail.Temporary || r.Message.Step != mail.StepData || !s.Usable() {
		t.Errorf("%+v", r)
	}
	wantAccepted(t, s.Send(t.Context(), d))
}

func TestReplyBehindThe354IsNoVerdict(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepData, Do: smtptest.Reply("354 go ahead\n250 2.0.0 queued")})
	s := open(t, c)
	r := s.Send(t.Context(), delivery())
	wantOutcome(t, r.Message, mail.Temporary, mail.ScopeServer, mail.StepData)
	if s.Usable() || server.Counts().Accepted != 0 {
		t.Errorf("%+v", r)
	}
}

func TestReplyToNothingEndsTheSession(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.Reply("250 2.0.0 queued\n250 2.0.0 queued")})
	s := open(t, c)
	wantAccepted(t, s.Send(t.Context(), delivery()))
	r := s.Send(t.Context(), delivery())
	wantOutcome(t, r.Message, mail.Temporary, mail.ScopeServer, mail.StepMail)
	if s.Usable() || server.Counts().Transactions != 1 {
		t.Errorf("%+v", r)
	}
}

func TestP2_CancelledAfterMarkStillGetsTheTruth(t *testing.T) {
	accepted, refused := smtptest.Action{}, smtptest.Reply("554 5.6.0 no")
	for _, tc := range []struct {
		held smtptest.Step // where the server is slow
		dot  smtptest.Action
		want mail.Verdict
	}{
		{smtptest.StepData, accepted, mail.Accepted},
		{smtptest.StepData, refused, mail.Permanent},
		{smtptest.StepDot, accepted, mail.Accepted},
		{smtptest.StepDot, refused, mail.Permanent},
	} {
		synctest.Test(t, func(t *testing.T) {
			server, c := memory(t)
			gate := make(chan struct{})
			dot := tc.dot
			if tc.held == smtptest.StepDot {
				dot.Wait = gate
			}
			held := server.On(smtptest.Rule{Step: smtptest.StepDot, Do: dot})
			if tc.held == smtptest.StepData {
				held = server.On(smtptest.Rule{Step: smtptest.StepData, Do: smtptest.Action{Wait: gate}})
			}
			sendSlowly(t, c, held, gate, tc.want)
			_ = server.Close()
		})
	}
}

// sendSlowly cancels a marked Send while the server holds its reply for 90 seconds, and wants the truth in the end.
func sendSlowly(t *testing.T, c Config, held *smtptest.Hook, gate chan struct{}, want mail.Verdict) {
	t.Helper()
	s := open(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	d := delivery()
	d.Mark = func(context.Context, []bool) error { return nil }
	start := time.Now()
	done := make(chan Result, 1)
	go func() { done <- s.Send(ctx, d) }()
	<-held.Reached()
	synctest.Wait() // Mark has returned and Send waits for the reply
	cancel()
	<-time.After(90 * time.Second) // synctest's clock
	close(gate)
	r := <-done
	if r.Stopped != nil || r.Message.Verdict != want || !r.Marked || time.Since(start) != 90*time.Second {
		t.Errorf("%+v after %v, want %v", r, time.Since(start), want)
	}
	_ = s.Close()
}

func TestCancelledWhileMarkRuns(t *testing.T) {
	for _, markErr := range []error{nil, errTest} {
		synctest.Test(t, func(t *testing.T) {
			server, c := memory(t)
			s := open(t, c)
			ctx, cancel := context.WithCancel(t.Context())
			d := delivery()
			d.Mark = func(ctx context.Context, _ []bool) error {
				cancel()
				<-ctx.Done()
				synctest.Wait() // the interruption has happened
				return markErr
			}
			r := s.Send(ctx, d)
			want := markErr
			if want == nil {
				want = context.Canceled
			}
			// A committed mark is reported, and nothing was sent all the same.
			if !errors.Is(r.Stopped, want) || r.Marked != (markErr == nil) || s.Usable() {
				t.Errorf("%+v", r)
			}
			synctest.Wait()
			if c := server.Counts(); c.Body != 0 || c.Accepted != 0 {
				t.Errorf("counts %+v", c)
			}
			_ = server.Close()
		})
	}
}

func TestContextThatHasEnded(t *testing.T) {
	server, c := tcp(t)
	s := open(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := s.Send(ctx, delivery())
	if !errors.Is(r.Stopped, context.Canceled) || !s.Usable() || server.Counts().Transactions != 0 {
		t.Errorf("%+v", r)
	}
	wantAccepted(t, s.Send(t.Context(), delivery()))
}

func TestContextEndsBetweenTransactions(t *testing.T) {
	_, c := tcp(t)
	s := open(t, c)
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		d := delivery()
		d.Mark = func(context.Context, []bool) error { return nil }
		wantAccepted(t, s.Send(ctx, d))
		cancel() // must not reach the next one
	}
}

// FuzzCutContent looks for content that the bridge ends too early or never, however the library cuts it.
func FuzzCutContent(f *testing.F) {
	f.Add([]byte("a\r\n.b\r\n"), 3)
	f.Add([]byte("\r\n.\r\n"), 1)
	f.Fuzz(func(t *testing.T, message []byte, cut int) {
		if messageFault(message) != "" || cut < 1 {
			return
		}
		stuffed := strings.ReplaceAll("\r\n"+string(message), "\r\n.", "\r\n..")[2:]
		if !strings.HasSuffix(stuffed, "\r\n") {
			stuffed += "\r\n"
		}
		stuffed += ".\r\n"
		tx := newTransaction(t.Context(), &Session{}, &Delivery{})
		for rest := stuffed; rest != ""; {
			n := min(cut, len(rest))
			if ended := tx.endsContent([]byte(rest[:n])); ended != (n == len(rest)) {
				t.Fatalf("%q cut by %d: ended %v with %q left", stuffed, cut, ended, rest[n:])
			}
			rest = rest[n:]
		}
	})
}
