package smtpout

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"outboxd/mail"
	"outboxd/mail/smtptest"
)

const (
	user     = "ann@example.org"
	password = "pass-word-4711"
)

const sample = "Message-ID: <1@example.org>\r\nFrom: a@example.org\r\nSubject: hello\r\n\r\nHello.\r\n.dot at a line's start\r\n..two\r\n.\r\nend\r\n"

// bigMessage is larger than the buffers of a TCP connection on loopback.
func bigMessage(octets int) []byte {
	line := strings.Repeat("x", 76) + "\r\n"
	return []byte("Message-ID: <big@example.org>\r\n\r\n" + strings.Repeat(line, octets/len(line)))
}

func users() smtptest.Option { return smtptest.Users(map[string]string{user: password}) }

func configFor(s *smtptest.Server) Config {
	return Config{Host: s.Host(), Port: s.Port(), Encryption: StartTLS, RootCAs: s.CA(), Username: user, Password: password, Hello: "client.example.org"}
}

// memory makes a server and a configuration without a network, for synctest.
func memory(t *testing.T, opts ...smtptest.Option) (*smtptest.Server, Config) {
	t.Helper()
	s := smtptest.New(t, append([]smtptest.Option{smtptest.InMemory(), users()}, opts...)...)
	c := configFor(s)
	c.Dialer = s.DialPipe
	return s, c
}

// tcp makes a server on loopback and a configuration for it.
func tcp(t testing.TB, opts ...smtptest.Option) (*smtptest.Server, Config) {
	t.Helper()
	s := smtptest.New(t, append([]smtptest.Option{users()}, opts...)...)
	return s, configFor(s)
}

func open(t testing.TB, c Config) *Session {
	t.Helper()
	s, err := Dial(t.Context(), c)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func delivery(to ...string) Delivery {
	if len(to) == 0 {
		to = []string{"b@example.net"}
	}
	return Delivery{From: "a@example.org", To: to, Message: []byte(sample)}
}

// dialError unpacks the error of a Dial that had to fail.
func dialError(t *testing.T, s *Session, err error) *Error {
	t.Helper()
	if s != nil {
		_ = s.Close()
		t.Fatal("the session was made")
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error %T %v", err, err)
	}
	return e
}

func wantOutcome(t *testing.T, got mail.Outcome, v mail.Verdict, scope mail.Scope, step mail.Step) {
	t.Helper()
	if got.Verdict != v || got.Scope != scope || got.Step != step {
		t.Errorf("outcome %v/%v at %v (%s), want %v/%v at %v", got.Verdict, got.Scope, got.Step, got.Reply, v, scope, step)
	}
}

func wantAccepted(t *testing.T, r Result) {
	t.Helper()
	if r.Stopped != nil || r.Message.Verdict != mail.Accepted {
		t.Fatalf("not accepted: %v, stopped %v", r.Message, r.Stopped)
	}
}

// noSecrets checks that nothing went out in clear.
func noSecrets(t *testing.T, s *smtptest.Server) {
	t.Helper()
	if c := s.Counts(); c.PasswordInClear != 0 || c.MailInClear != 0 || c.HelloFallbacks != 0 {
		t.Errorf("in clear: %+v", c)
	}
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
