package smtptest

import (
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestScriptedActions(t *testing.T) {
	s := New(t)
	gate := make(chan struct{})
	s.On(Rule{Step: StepConnect, Conn: 2, Do: ReplyAndHangup("421 4.3.2 busy")})
	s.On(Rule{Step: StepMail, Transaction: 1, Do: Reply("451-4.3.0 first\n451 4.3.0 try later")})
	s.On(Rule{Step: StepRcpt, To: "Bad@d", Times: 1, Do: Reply("550 5.1.1 no such user")})
	s.On(Rule{Step: StepRcpt, To: "later@d", Skip: 1, Do: Reply("450 4.2.0 later")})
	s.On(Rule{Step: StepDot, To: "dot@d", Do: Reply("554 5.6.0 no")})
	held := s.On(Rule{Step: StepDot, To: "held@d", Do: Action{Wait: gate}})
	s.On(Rule{Step: StepNoop, Do: Garbage()})
	k := talk(t, s)
	k.hello()
	k.expect("451 4.3.0 try", "MAIL FROM:<a@b>")
	k.expect("503", "RCPT TO:<a@b>")
	k.expect("250", "MAIL FROM:<a@b>")
	k.expect("550", "RCPT TO:<bad@d>")
	k.expect("250", "RCPT TO:<bad@d>")
	k.expect("250", "RCPT TO:<later@d>")
	k.expect("450", "RCPT TO:<later@d>")
	k.expect("250", "RCPT TO:<dot@d>")
	k.expect("354", "DATA")
	k.expect("554", sample+".")
	k.mail("a@b", "held@d")
	k.send(sample + ".\r\n")
	<-held.Reached()
	if n := len(s.Messages()); n != 0 {
		t.Errorf("%d messages before the signal", n)
	}
	close(gate)
	k.expect("250", "")
	if err := s.WaitMessages(soon(t), 1); err != nil || held.Count() != 1 {
		t.Error(err, held.Count())
	}
	k.expect("\x00", "NOOP")
	s.ClearScript()
	k.expect("250", "NOOP")
	talk(t, s).hello() // connection 2 would have been refused by the script
}

func TestDecide(t *testing.T) {
	var asked []string // by one connection's goroutine, which has ended its turn when it has replied
	s := New(t, Decide(func(m Moment) (Action, bool) {
		asked = append(asked, string(m.Step)+" "+m.From+" "+strings.Join(m.To, ","))
		return Reply("450 4.2.0 later"), m.Step == StepRcpt && m.To[0] == "later@d"
	}))
	s.On(Rule{Step: StepRcpt, To: "bad@d", Do: Reply("550 5.1.1 no such user")})
	k := talk(t, s)
	k.hello()
	k.expect("250", "MAIL FROM:<a@b>")
	k.expect("450", "RCPT TO:<later@d>")
	k.expect("550", "RCPT TO:<bad@d>") // a rule goes first
	k.expect("250", "RCPT TO:<good@d>")
	k.expect("354", "DATA")
	k.expect("250", sample+".")
	want := []string{"connect  ", "hello  ", "mail a@b ", "rcpt a@b later@d", "rcpt a@b good@d", "data a@b good@d", "body a@b good@d", "dot a@b good@d"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked at %q", asked)
	}
}

func TestFaultsAtBytes(t *testing.T) {
	s := New(t)
	s.On(Rule{Step: StepConnect, Conn: 1, Do: Half("22", Hangup)})
	s.On(Rule{Step: StepHello, Conn: 2, Do: Cut()})
	s.On(Rule{Step: StepBody, Conn: 3, Do: Action{After: 20, Write: "552 5.3.4 enough\r\n"}})
	s.On(Rule{Step: StepDot, Conn: 4, Do: LoseReply()})
	s.On(Rule{Step: StepQuit, Conn: 5, Do: Silence()})
	s.On(Rule{Step: StepData, Conn: 6, Do: Reply("250 what")})

	k := talk(t, s)
	if b, err := io.ReadAll(k.r); string(b) != "22" || err != nil {
		t.Errorf("half greeting: %q, %v", b, err)
	}
	k = talk(t, s)
	k.expect("220", "")
	k.send("EHLO x\r\n")
	if _, err := k.r.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("cut: %v", err)
	}
	k = talk(t, s)
	k.hello()
	k.mail("a@b", "c@d")
	k.expect("552", sample+".")
	k.expect("250", "NOOP") // the dot has no second reply
	k = talk(t, s)
	k.hello()
	k.mail("a@b", "c@d")
	k.send(sample + ".\r\n")
	if _, err := k.r.ReadByte(); err == nil {
		t.Error("a lost reply was written")
	}
	if len(s.Messages()) != 1 {
		t.Error("the message of a lost reply was not kept")
	}
	k = talk(t, s)
	k.hello()
	k.send("QUIT\r\n")
	_ = k.nc.Close() // a stalled connection ends with its client
	k = talk(t, s)
	k.hello()
	k.expect("250", "MAIL FROM:<a@b>")
	k.expect("250", "RCPT TO:<a@b>")
	k.expect("250 what", "DATA")
	k.expect("221", "QUIT")
	if err := s.Wait(soon(t), func(c Counts) bool { return c.Open <= 1 }); err != nil {
		t.Error(err)
	}
}
