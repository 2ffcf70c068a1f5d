package smtpout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"outboxd/mail"
	"outboxd/mail/smtptest"
)

var errTest = errors.New("not now")

func TestManyMailsOnOneSession(t *testing.T) {
	server, c := tcp(t)
	s := open(t, c)
	for i := range 50 {
		d := delivery(fmt.Sprintf("r%d@example.net", i))
		d.Message = fmt.Appendf(nil, "Message-ID: <%d@example.org>\r\n\r\n.\r\n..\r\nbody %d\r\n", i, i)
		wantAccepted(t, s.Send(t.Context(), d))
	}
	m := server.Messages()
	if len(m) != 50 || server.Counts().Connections != 1 || server.Counts().Resets != 0 {
		t.Fatalf("%d messages, %+v", len(m), server.Counts())
	}
	for i, m := range m {
		want := fmt.Sprintf("Message-ID: <%d@example.org>\r\n\r\n.\r\n..\r\nbody %d\r\n", i, i)
		if string(m.Data) != want || m.To[0] != fmt.Sprintf("r%d@example.net", i) || m.Malformed != "" {
			t.Fatalf("message %d: %+v", i, m)
		}
	}
}

func TestContentArrivesAsItIs(t *testing.T) {
	for _, text := range []string{
		"x\r\n", ".\r\n", "\r\n", "no line end", "\r\n.\r\n", "..\r\n\r\n.x\r\n", ".", sample,
		strings.Repeat("y", 998) + "\r\n",
		strings.Repeat(strings.Repeat("z", 70)+"\r\n", chunkSize/72+1),
		strings.Repeat("\r\n", chunkSize) + ".\r\n.",
		strings.Repeat(".\r\n", chunkSize),
	} {
		server, c := tcp(t)
		d := delivery()
		d.Message = []byte(text)
		wantAccepted(t, open(t, c).Send(t.Context(), d))
		want := text
		if !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if got := server.Messages()[0].Data; string(got) != want {
			t.Errorf("%.30q arrived as %.30q (%d of %d octets)", text, got, len(got), len(want))
		}
		if string(d.Message) != text {
			t.Error("the message was changed")
		}
	}
}

func TestBigMessage(t *testing.T) {
	server, c := tcp(t)
	d := delivery()
	d.Message = bigMessage(20 << 20)
	wantAccepted(t, open(t, c).Send(t.Context(), d))
	if !bytes.Equal(server.Messages()[0].Data, d.Message) {
		t.Error("it arrived changed")
	}
}

func TestMailParameters(t *testing.T) {
	eightBit := []byte("Subject: gr\xc3\xbc\xc3\x9fe\r\n\r\n\r\n")
	for _, tc := range []struct {
		name    string
		without []string
		d       Delivery
		params  string
		remedy  bool // refused before MAIL
	}{
		{"plain", nil, Delivery{From: "a@x.example", To: []string{"b@y.example"}, Message: []byte("a: b\r\n")}, "SIZE=6", false},
		{"nothing offered", []string{"SIZE", "8BITMIME", "SMTPUTF8"}, Delivery{From: "a@x.example", To: []string{"b@y.example"}, Message: []byte("a: b\r\n")}, "", false},
		{"null return path", nil, Delivery{To: []string{"b@y.example"}, Message: []byte("a: b\r\n")}, "SIZE=6", false},
		{"8-bit", nil, Delivery{To: []string{"b@y.example"}, Message: eightBit}, "SIZE=22 BODY=8BITMIME", false},
		{"8-bit not offered", []string{"8BITMIME"}, Delivery{To: []string{"b@y.example"}, Message: eightBit}, "", true},
		{"UTF-8 address", nil, Delivery{From: "ä@x.example", To: []string{"ö@y.example"}, Message: eightBit, UTF8: true}, "SIZE=22 BODY=8BITMIME SMTPUTF8", false},
		{"UTF-8 not offered", []string{"SMTPUTF8"}, Delivery{From: "ä@x.example", To: []string{"ö@y.example"}, Message: eightBit, UTF8: true}, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server, c := tcp(t, smtptest.Without(tc.without...))
			s := open(t, c)
			r := s.Send(t.Context(), tc.d)
			if tc.remedy {
				wantOutcome(t, r.Message, mail.Permanent, mail.ScopeMessage, mail.StepMail)
				if r.Message.Remedy == "" || r.Recipients[0] != r.Message || server.Counts().Transactions != 0 || !s.Usable() {
					t.Errorf("%+v, %+v", r, server.Counts())
				}
				return
			}
			wantAccepted(t, r)
			if m := server.Messages()[0]; m.Params != tc.params || m.From != tc.d.From {
				t.Errorf("MAIL FROM:<%s> %s", m.From, m.Params)
			}
		})
	}
}

func TestSizeIsCheckedBeforeSending(t *testing.T) {
	server, c := tcp(t, smtptest.MaxSize(100))
	s := open(t, c)
	d := delivery()
	d.Message = []byte(strings.Repeat("x", 99) + "\r\n")
	r := s.Send(t.Context(), d)
	wantOutcome(t, r.Message, mail.Permanent, mail.ScopeMessage, mail.StepMail)
	if r.Message.Class != mail.ClassSize || !strings.Contains(r.Message.Reply.Text, "101") || !strings.Contains(r.Message.Reply.Text, "100 octets") {
		t.Errorf("%+v", r.Message)
	}
	if server.Counts().Transactions != 0 || !s.Usable() {
		t.Error("the server was asked")
	}
}

func TestInjectionIsRefused(t *testing.T) {
	server, c := tcp(t)
	s := open(t, c)
	bad := []string{"a@b>\r\nRCPT TO:<c@d", "a b@c", "<a@b>", `"a"@b`, "a@b\x00", "a\t@b", "a\\@b", "ä@b", "\xff@b", "nobody", "a\u0085@b", strings.Repeat("a", 250) + "@b.example"}
	for _, address := range bad {
		d := delivery("good@example.net", address)
		r := s.Send(t.Context(), d)
		wantAccepted(t, r)
		wantOutcome(t, r.Recipients[0], mail.Accepted, mail.ScopeMessage, mail.StepDot)
		wantOutcome(t, r.Recipients[1], mail.Permanent, mail.ScopeRecipient, mail.StepRcpt)
		d = delivery()
		d.From = address
		wantOutcome(t, s.Send(t.Context(), d).Message, mail.Permanent, mail.ScopeMessage, mail.StepMail)
		r = s.Send(t.Context(), delivery(address))
		wantOutcome(t, r.Message, mail.Permanent, mail.ScopeRecipient, mail.StepRcpt)
	}
	d := delivery("")
	wantOutcome(t, s.Send(t.Context(), d).Recipients[0], mail.Permanent, mail.ScopeRecipient, mail.StepRcpt)
	d.To = nil
	wantOutcome(t, s.Send(t.Context(), d).Message, mail.Permanent, mail.ScopeMessage, mail.StepMail)
	for _, text := range []string{"", "a\nb\r\n", "a\rb\r\n", "a\r", "\n", "a\x00\r\n", strings.Repeat("x", 999), "a\r\n.\n"} {
		d := delivery()
		d.Message = []byte(text)
		wantOutcome(t, s.Send(t.Context(), d).Message, mail.Permanent, mail.ScopeMessage, mail.StepMail)
	}
	if c := server.Counts(); c.Accepted != len(bad) || c.Transactions != len(bad) {
		t.Errorf("counts %+v", c)
	}
	d = delivery("o'brien+tag@example.net", "ü@example.net")
	d.UTF8 = true
	wantAccepted(t, s.Send(t.Context(), d))
}

func TestPartialRefusal(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepRcpt, To: "gone@example.net", Do: smtptest.Reply("550 5.1.1 no such user")})
	server.On(smtptest.Rule{Step: smtptest.StepRcpt, To: "later@example.net", Do: smtptest.Reply("450 4.2.1 greylisted")})
	s := open(t, c)
	var accepted []bool
	d := delivery("gone@example.net", "one@example.net", "later@example.net", "two@example.net")
	d.Mark = func(_ context.Context, a []bool) error { accepted = a; return nil }
	r := s.Send(t.Context(), d)
	wantAccepted(t, r)
	wantOutcome(t, r.Recipients[0], mail.Permanent, mail.ScopeRecipient, mail.StepRcpt)
	wantOutcome(t, r.Recipients[1], mail.Accepted, mail.ScopeMessage, mail.StepDot)
	wantOutcome(t, r.Recipients[2], mail.Temporary, mail.ScopeRecipient, mail.StepRcpt)
	wantOutcome(t, r.Recipients[3], mail.Accepted, mail.ScopeMessage, mail.StepDot)
	if !slices.Equal(accepted, []bool{false, true, false, true}) || !r.Marked || !s.Usable() {
		t.Errorf("accepted %v, marked %v", accepted, r.Marked)
	}
	if m := server.Messages()[0]; !slices.Equal(m.To, []string{"one@example.net", "two@example.net"}) {
		t.Errorf("to %v", m.To)
	}
	// None is left: no DATA, and each has its own outcome.
	d = delivery("later@example.net", "gone@example.net")
	d.BeforeData = func(context.Context) error { t.Error("BeforeData without a recipient"); return nil }
	d.Mark = func(context.Context, []bool) error { t.Error("Mark without a recipient"); return nil }
	r = s.Send(t.Context(), d)
	if r.Message != r.Recipients[0] || r.Recipients[0].Reply.Code != 450 || r.Recipients[1].Reply.Code != 550 || r.Marked || r.Stopped != nil {
		t.Errorf("%+v", r)
	}
	if c := server.Counts(); c.Data != 1 || c.Resets != 1 || !s.Usable() {
		t.Errorf("counts %+v", c)
	}
	wantAccepted(t, s.Send(t.Context(), delivery()))
}

func TestDismissedAtOneRecipient(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepRcpt, To: "one@example.net", Do: smtptest.Reply("550 5.1.1 no such user")})
	server.On(smtptest.Rule{Step: smtptest.StepRcpt, To: "three@example.net", Do: smtptest.ReplyAndHangup("421 4.7.0 too many")})
	s := open(t, c)
	r := s.Send(t.Context(), delivery("one@example.net", "two@example.net", "three@example.net", "four@example.net"))
	if got := []int{r.Recipients[0].Reply.Code, r.Recipients[1].Reply.Code, r.Recipients[2].Reply.Code, r.Recipients[3].Reply.Code}; !slices.Equal(got, []int{550, 421, 421, 421}) {
		t.Errorf("codes %v", got)
	}
	if r.Message.Reply.Code != 421 || s.Usable() || server.Counts().Resets != 0 {
		t.Errorf("%+v", r.Message)
	}
}

func TestRefusedContentLeavesTheSessionUsable(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepDot, Times: 1, Do: smtptest.Reply("554 5.7.1 spam")})
	server.On(smtptest.Rule{Step: smtptest.StepMail, Transaction: 2, Do: smtptest.Reply("451 4.3.0 later")})
	server.On(smtptest.Rule{Step: smtptest.StepData, Transaction: 3, Do: smtptest.Reply("452 4.3.1 full")})
	s := open(t, c)
	for _, want := range []int{554, 451, 452, 250} {
		if r := s.Send(t.Context(), delivery()); r.Message.Reply.Code != want || r.Recipients[0] != r.Message || !s.Usable() {
			t.Errorf("want %d: %+v", want, r)
		}
	}
	if c := server.Counts(); c.Resets != 3 || c.Connections != 1 {
		t.Errorf("counts %+v", c)
	}
}

func TestRefusedResetEndsTheSession(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepMail, Do: smtptest.Reply("451 4.3.0 later")})
	server.On(smtptest.Rule{Step: smtptest.StepReset, Do: smtptest.Reply("500 what")})
	s := open(t, c)
	if r := s.Send(t.Context(), delivery()); r.Message.Reply.Code != 451 || s.Usable() {
		t.Errorf("%+v, usable %v", r, s.Usable())
	}
}

func TestStaleSession(t *testing.T) {
	for name, do := range map[string]smtptest.Action{
		"421": smtptest.ReplyAndHangup("421 4.4.2 timeout"), "closed": {End: smtptest.Hangup}, "reset": smtptest.Cut(),
	} {
		server, c := tcp(t)
		server.On(smtptest.Rule{Step: smtptest.StepMail, Transaction: 2, Do: do})
		s := open(t, c)
		wantAccepted(t, s.Send(t.Context(), delivery()))
		r := s.Send(t.Context(), delivery())
		stale, ok := errors.AsType[*StaleError](r.Stopped)
		if !ok || stale.Outcome.Step != mail.StepMail || s.Usable() || stale.Error() == "" {
			t.Errorf("%s: %+v", name, r)
		}
		if r = s.Send(t.Context(), delivery()); !errors.Is(r.Stopped, ErrClosed) || len(r.Recipients) != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	synctest.Test(t, func(t *testing.T) { // one that waited for its first transaction
		server, c := memory(t)
		server.On(smtptest.Rule{Step: smtptest.StepMail, Do: smtptest.Silence()})
		s := open(t, c)
		<-time.After(time.Minute) // synctest's clock
		if r := s.Send(t.Context(), delivery()); r.Stopped == nil {
			t.Errorf("%+v", r)
		}
		_ = server.Close()
	})
}

func TestLostReplyIsUncertain(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.LoseReply()})
	s := open(t, c)
	r := s.Send(t.Context(), delivery("one@example.net", "two@example.net"))
	wantOutcome(t, r.Message, mail.Uncertain, mail.ScopeMessage, mail.StepDot)
	if r.Recipients[1] != r.Message || r.Stopped != nil || s.Usable() || len(server.Messages()) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestCloseDuringSend(t *testing.T) {
	for _, at := range everyStep {
		if at.step < mail.StepMail {
			continue
		}
		server, c := tcp(t)
		hook := server.On(smtptest.Rule{Step: at.script, Do: smtptest.Silence()})
		s := open(t, c)
		go func() {
			<-hook.Reached()
			_ = s.Close()
		}()
		d := delivery()
		if at.step == mail.StepBody {
			d.Message = bigMessage(16 << 20)
		}
		r := s.Send(t.Context(), d)
		if at.step == mail.StepDot {
			wantOutcome(t, r.Message, mail.Uncertain, mail.ScopeMessage, mail.StepDot)
		} else if !errors.Is(r.Stopped, ErrClosed) {
			t.Errorf("%s: %+v", at.script, r)
		}
		if s.Usable() || s.Close() != nil {
			t.Errorf("%s: usable after Close", at.script)
		}
	}
}

func TestCloseTellsOfAnUnansweredQuit(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepQuit, Do: smtptest.Cut()})
	s := open(t, c)
	if err := s.Close(); err == nil {
		t.Error("no error")
	}
	if err := server.Wait(soon(t), func(c smtptest.Counts) bool { return c.Open == 0 }); err != nil {
		t.Error(err)
	}
}
