package smtpout

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"outboxd/mail"
)

func TestBridgeLetsNothingElseThrough(t *testing.T) {
	server, c := tcp(t)
	s := open(t, c)
	before := len(server.Lines())
	if _, err := s.bridge.Write([]byte("NOOP\r\n")); err == nil {
		t.Error("a command outside a transaction")
	}
	d := delivery()
	s.bridge.tx = newTransaction(t.Context(), s, &d)
	if !s.bridge.tx.check() {
		t.Fatal("check")
	}
	for _, line := range []string{
		"MAIL FROM:<other@example.org>\r\n", "MAIL FROM:<" + librarySender + ">", "VRFY x\r\n", "DATA\r\nDATA\r\n",
		"RCPT TO:<other@example.net>\r\n", "QUIT\r\n",
	} {
		if n, err := s.bridge.Write([]byte(line)); err == nil || n != 0 {
			t.Errorf("%q went through", line)
		}
	}
	if _, err := s.bridge.Read(make([]byte, 9)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an answer to nothing: %v", err)
	}
	if after := len(server.Lines()); after != before {
		t.Errorf("the server saw %v", server.Lines()[before:])
	}
}

func TestBridgeLeavesTheConnectionToTheSession(t *testing.T) {
	_, c := tcp(t)
	s := open(t, c)
	b := s.bridge
	if err := errors.Join(b.Close(), b.SetDeadline(past), b.SetReadDeadline(past), b.SetWriteDeadline(past)); err != nil {
		t.Error(err)
	}
	if b.LocalAddr() != s.wire.raw.LocalAddr() || b.RemoteAddr() != s.wire.raw.RemoteAddr() {
		t.Error("addresses")
	}
	wantAccepted(t, s.Send(t.Context(), delivery()))
}

func TestLibraryWithoutAVerdict(t *testing.T) {
	server, c := tcp(t)
	s := open(t, c)
	s.library = nil
	r := s.Send(t.Context(), delivery())
	wantOutcome(t, r.Message, mail.Temporary, mail.ScopeServer, mail.StepData)
	if s.Usable() || server.Counts().Transactions != 0 {
		t.Errorf("%+v", r)
	}
	tx := &transaction{inContent: true}
	if tx.step() != mail.StepBody {
		t.Error(tx.step())
	}
	tx.dotGone = true
	if tx.step() != mail.StepDot {
		t.Error(tx.step())
	}
}

func TestOneTransactionAtATime(t *testing.T) {
	_, c := tcp(t)
	s := open(t, c)
	d := delivery()
	d.BeforeData = func(ctx context.Context) error {
		if r := s.Send(ctx, delivery()); !errors.Is(r.Stopped, ErrClosed) || s.Usable() {
			t.Errorf("%+v", r)
		}
		return nil
	}
	wantAccepted(t, s.Send(t.Context(), d))
	if !s.Usable() {
		t.Error("not usable afterwards")
	}
}

func TestWireTakesNoLineBreaks(t *testing.T) {
	server, c := tcp(t)
	s := open(t, c)
	before := len(server.Lines())
	for _, line := range []string{"NOOP\r\nNOOP", "NOOP\n", "NO\x00OP"} {
		if err := s.wire.send(line, time.Second); err == nil {
			t.Errorf("%q was sent", line)
		}
	}
	if _, err := s.wire.ask("NOOP", 2, time.Second); err != nil || len(server.Lines()) != before+1 {
		t.Error(err, server.Lines()[before:])
	}
}

func TestMessageFaultNamesThePlace(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "message is empty",
		"ab\r\nc\x00d\r\n": "message has a NUL at octet 5",
		"ab\r\nc\nd\r\n":   "message has a line feed without a carriage return at octet 5",
		"ab\r\nc\rd\r\n":   "message has a carriage return without a line feed at octet 5",
		"ab\r\n\r\r\n":     "message has a carriage return without a line feed at octet 4",
		"ab\r\ncd\r\n":     "",
		"ab":               "",
	} {
		if got := messageFault([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
