package smtpout

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"outboxd/mail"
	"outboxd/mail/smtptest"
)

func TestEncryptions(t *testing.T) {
	for _, tc := range []struct {
		encryption Encryption
		opts       []smtptest.Option
		encrypted  bool
	}{
		{StartTLS, nil, true},
		{TLS, []smtptest.Option{smtptest.ImplicitTLS()}, true},
		{None, nil, false}, // the login is made: the server is on loopback
	} {
		t.Run(tc.encryption.String(), func(t *testing.T) {
			server, c := tcp(t, append(tc.opts, smtptest.RequireAuth(), smtptest.MaxSize(5000))...)
			c.Encryption = tc.encryption
			s := open(t, c)
			wantAccepted(t, s.Send(t.Context(), delivery()))
			m := server.Messages()[0]
			if m.TLS != tc.encrypted || m.User != user || m.Hello != "client.example.org" {
				t.Errorf("message %+v", m)
			}
			state, encrypted := s.TLS()
			if encrypted != tc.encrypted || encrypted && state.Version < tls.VersionTLS12 {
				t.Errorf("TLS %v %x", encrypted, state.Version)
			}
			if s.MaxSize() != 5000 || s.Mechanism() != "PLAIN" || !slices.Contains(s.Extensions(), "8BITMIME") {
				t.Errorf("size %d, mechanism %s, extensions %q", s.MaxSize(), s.Mechanism(), s.Extensions())
			}
			if err := s.Close(); err != nil || server.Counts().Quits != 1 {
				t.Errorf("close: %v, %+v", err, server.Counts())
			}
		})
	}
}

func TestBadTLSIsAnErrorBeforeAnythingIsSaid(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts []smtptest.Option
		text string
	}{
		{"expired", []smtptest.Option{smtptest.WithCertificate(smtptest.CertExpired)}, "expired"},
		{"wrong name", []smtptest.Option{smtptest.WithCertificate(smtptest.CertWrongName)}, "127.0.0.1"},
		{"unknown CA", []smtptest.Option{smtptest.WithCertificate(smtptest.CertUnknownCA)}, "unknown authority"},
		{"stripped", []smtptest.Option{smtptest.WithoutStartTLS()}, "does not offer STARTTLS"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server, c := tcp(t, tc.opts...)
			s, err := Dial(t.Context(), c)
			e := dialError(t, s, err)
			o := e.Outcome
			wantOutcome(t, o, mail.Permanent, mail.ScopeAccount, mail.StepTLS)
			if o.Retry != mail.RetryStop || o.Class != mail.ClassConfig || o.Remedy == "" || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("outcome %+v", o)
			}
			noSecrets(t, server)
			if n := len(server.Logins()); n != 0 {
				t.Errorf("%d logins", n)
			}
		})
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		server, c := tcp(t, smtptest.MaxTLS(version))
		s, err := Dial(t.Context(), c)
		o := dialError(t, s, err).Outcome
		wantOutcome(t, o, mail.Permanent, mail.ScopeAccount, mail.StepTLS)
		if o.Retry != mail.RetryStop || o.Class != mail.ClassConfig || o.Remedy == "" || !strings.Contains(o.Reply.Text, tls.VersionName(version)) {
			t.Errorf("outcome %+v", o)
		}
		noSecrets(t, server)
		if lines := server.Lines(); len(lines) != 2 || lines[1].Text != "STARTTLS" {
			t.Errorf("said %v", lines)
		}
	}
}

func TestTLSPortThatSpeaksClearText(t *testing.T) {
	server, c := tcp(t)
	c.Encryption = TLS
	s, err := Dial(t.Context(), c)
	if e := dialError(t, s, err); e.Outcome.Step != mail.StepTLS {
		t.Errorf("outcome %+v", e.Outcome)
	}
	noSecrets(t, server)
}

func TestRepliesInjectedBeforeTLSAreRefused(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepTLS, Do: smtptest.Reply("220 2.0.0 go\n250-localhost\n250 AUTH PLAIN")})
	s, err := Dial(t.Context(), c)
	wantOutcome(t, dialError(t, s, err).Outcome, mail.Permanent, mail.ScopeAccount, mail.StepTLS)
	noSecrets(t, server)
}

func TestWhatWasOfferedInClearIsForgotten(t *testing.T) {
	server, c := tcp(t)
	server.On(smtptest.Rule{Step: smtptest.StepHello, Times: 1, Do: smtptest.Reply("250-localhost\n250-STARTTLS\n250-X-CLEAR\n250 SIZE 10")})
	s := open(t, c)
	if _, ok := extension(s.extensions, "x-clear"); ok || s.MaxSize() != 0 {
		t.Errorf("extensions %q", s.Extensions())
	}
}

func TestHelloRefusedDoesNotFallBack(t *testing.T) {
	for _, code := range []string{"451 4.3.0 later", "502 5.5.1 what"} {
		for _, encryption := range []Encryption{StartTLS, None} {
			server, c := tcp(t)
			c.Encryption = encryption
			server.On(smtptest.Rule{Step: smtptest.StepHello, Do: smtptest.Reply(code)})
			s, err := Dial(t.Context(), c)
			e := dialError(t, s, err)
			if e.Outcome.Step != mail.StepHello || e.Outcome.Scope != mail.ScopeServer || !strings.HasPrefix(code, fmt.Sprint(e.Outcome.Reply.Code)) {
				t.Errorf("outcome %+v", e.Outcome)
			}
			noSecrets(t, server)
		}
	}
}

func TestMechanisms(t *testing.T) {
	for _, tc := range []struct {
		auth    Auth
		offered []string
		want    string // "": an error
	}{
		{AuthAuto, []string{"CRAM-MD5", "LOGIN", "PLAIN"}, "PLAIN"},
		{AuthAuto, []string{"CRAM-MD5", "LOGIN"}, "LOGIN"},
		{AuthAuto, []string{"XOAUTH2", "CRAM-MD5"}, "CRAM-MD5"},
		{AuthPlain, []string{"LOGIN", "PLAIN"}, "PLAIN"},
		{AuthLogin, []string{"LOGIN", "PLAIN"}, "LOGIN"},
		{AuthCramMD5, []string{"PLAIN", "CRAM-MD5"}, "CRAM-MD5"},
		{AuthAuto, []string{"XOAUTH2"}, ""},
		{AuthPlain, []string{"LOGIN"}, ""},
		{AuthLogin, []string{"PLAIN"}, ""},
		{AuthCramMD5, nil, ""},
		{AuthAuto, nil, ""},
	} {
		t.Run(fmt.Sprintf("%v of %v", tc.auth, tc.offered), func(t *testing.T) {
			server, c := tcp(t, smtptest.Mechanisms(tc.offered...), smtptest.LoginPrompts("Benutzer", ""))
			c.Auth = tc.auth
			s, err := Dial(t.Context(), c)
			if tc.want == "" {
				o := dialError(t, s, err).Outcome
				wantOutcome(t, o, mail.Permanent, mail.ScopeAccount, mail.StepAuth)
				if o.Retry != mail.RetryStop || o.Class != mail.ClassConfig || o.Remedy == "" {
					t.Errorf("outcome %+v", o)
				}
				if c := server.Counts(); c.Logins+c.FailedLogins+c.Transactions != 0 {
					t.Errorf("counts %+v", c)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if l := server.Logins(); len(l) != 1 || !l[0].OK || !l[0].TLS || l[0].Mechanism != tc.want || s.Mechanism() != tc.want {
				t.Errorf("logins %+v", l)
			}
		})
	}
}

func TestWrongPassword(t *testing.T) {
	for _, a := range []Auth{AuthPlain, AuthLogin, AuthCramMD5} {
		server, c := tcp(t)
		c.Auth, c.Password = a, "wrong-password"
		s, err := Dial(t.Context(), c)
		o := dialError(t, s, err).Outcome
		if o.Scope != mail.ScopeAccount || o.Step != mail.StepAuth || o.Reply.Code != 535 || o.Retry != mail.RetryStop {
			t.Errorf("%v: %+v", a, o)
		}
		if n := server.Counts().FailedLogins; n != 1 {
			t.Errorf("%v: %d failed logins", a, n)
		}
	}
}

func TestRefusedChallenges(t *testing.T) {
	for _, a := range []Auth{AuthLogin, AuthCramMD5} {
		server, c := tcp(t)
		c.Auth = a
		server.On(smtptest.Rule{Step: smtptest.StepAuth, Times: 1, Do: smtptest.Reply("454 4.7.0 later")})
		server.On(smtptest.Rule{Step: smtptest.StepAuth, Do: smtptest.Reply("334 ???")})
		s, err := Dial(t.Context(), c)
		if o := dialError(t, s, err).Outcome; o.Reply.Code != 454 || o.Step != mail.StepAuth {
			t.Errorf("%v: %+v", a, o)
		}
		if a == AuthCramMD5 {
			s, err = Dial(t.Context(), c)
			wantOutcome(t, dialError(t, s, err).Outcome, mail.Temporary, mail.ScopeServer, mail.StepAuth)
		}
	}
}

// Of a server that refuses the login it is known what it offers and how long its certificate lasts.
func TestRefusedLoginTellsOfTheServer(t *testing.T) {
	_, c := tcp(t)
	c.Password = "wrong"
	s, err := Dial(t.Context(), c)
	e := dialError(t, s, err)
	if params, ok := extension(e.Offers, "AUTH"); !ok || params == "" || e.TLS == nil || len(e.TLS.PeerCertificates) == 0 {
		t.Errorf("%+v", e)
	}
	c.Port = 1
	s, err = Dial(t.Context(), c)
	if e := dialError(t, s, err); e.Offers != nil || e.TLS != nil {
		t.Errorf("%+v", e)
	}
}

func TestNoPasswordInErrors(t *testing.T) {
	for _, reply := range []string{"535 5.7.8 bad " + password, "535 bad " + encode("\x00"+user+"\x00"+password), "334 " + password} {
		server, c := tcp(t)
		server.On(smtptest.Rule{Step: smtptest.StepAuth, Do: smtptest.Reply(reply)})
		s, err := Dial(t.Context(), c)
		e := dialError(t, s, err)
		all := fmt.Sprintf("%v %+v %v %+v", err, e.Outcome, e.Err, c)
		if strings.Contains(all, password) || strings.Contains(all, encode("\x00"+user+"\x00"+password)) {
			t.Errorf("password in %s", all)
		}
	}
}

func TestLoginInClearNeedsLoopback(t *testing.T) {
	server, c := memory(t) // a pipe is not loopback
	c.Encryption = None
	s, err := Dial(t.Context(), c)
	wantOutcome(t, dialError(t, s, err).Outcome, mail.Permanent, mail.ScopeAccount, mail.StepAuth)
	if c := server.Counts(); c.PasswordInClear != 0 {
		t.Errorf("counts %+v", c)
	}
	c.Username = "" // a relay without a login may be used in clear
	wantAccepted(t, open(t, c).Send(t.Context(), delivery()))
	c.Username, c.Auth = user, AuthNone
	wantAccepted(t, open(t, c).Send(t.Context(), delivery()))
	if c := server.Counts(); c.PasswordInClear != 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestImpossibleSettings(t *testing.T) {
	server, c := tcp(t)
	for _, change := range []func(*Config){
		func(c *Config) { c.Hello = "a b" },
		func(c *Config) { c.Hello = "a\r\nMAIL" },
		func(c *Config) { c.Password = "a\x00b" },
		func(c *Config) { c.Username = "a\x00b" },
	} {
		bad := c
		change(&bad)
		s, err := Dial(t.Context(), bad)
		if o := dialError(t, s, err).Outcome; o.Verdict != mail.Permanent || o.Class != mail.ClassConfig {
			t.Errorf("outcome %+v", o)
		}
	}
	if c := server.Counts(); c.Logins+c.FailedLogins+c.Transactions != 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestDialerThatHangsEndsWithConnectTimeout(t *testing.T) {
	_, c := memory(t)
	c.Timeouts.Connect = 1 // a nanosecond
	c.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s, err := Dial(t.Context(), c)
	wantOutcome(t, dialError(t, s, err).Outcome, mail.Temporary, mail.ScopeServer, mail.StepConnect)
	if errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestHelloName(t *testing.T) {
	v4 := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}
	v6 := &net.TCPAddr{IP: net.ParseIP("2001:db8::1")}
	if got := (Config{Hello: "x.example"}).helloName(v4); got != "x.example" {
		t.Error(got)
	}
	// Without a setting it depends on the computer's name, but is always something that EHLO can carry.
	for _, a := range []net.Addr{v4, v6, &net.UnixAddr{}} {
		if got := (Config{}).helloName(a); !validHello(got) || got == "" {
			t.Errorf("%v: %q", a, got)
		}
	}
}

func TestNamesOfSettings(t *testing.T) {
	for _, e := range []Encryption{StartTLS, TLS, None} {
		if got, err := ParseEncryption(e.String()); got != e || err != nil {
			t.Error(e, got, err)
		}
	}
	for _, a := range []Auth{AuthAuto, AuthPlain, AuthLogin, AuthCramMD5, AuthXOAuth2, AuthNone} {
		if got, err := ParseAuth(a.String()); got != a || err != nil {
			t.Error(a, got, err)
		}
	}
	_, err1 := ParseEncryption("ssl")
	_, err2 := ParseAuth("ntlm")
	if err1 == nil || err2 == nil || Encryption(9).String() != "unknown(9)" || Auth(9).String() != "unknown(9)" {
		t.Error(err1, err2)
	}
}

func TestExtension(t *testing.T) {
	lines := []string{"SIZE 100", "auth LOGIN", "AUTH=PLAIN LOGIN", "8BITMIME"}
	for _, tc := range []struct {
		keyword, params string
		ok              bool
	}{{"size", "100", true}, {"AUTH", "LOGIN PLAIN LOGIN", true}, {"8BITMIME", "", true}, {"SMTPUTF8", "", false}} {
		if params, ok := extension(lines, tc.keyword); params != tc.params || ok != tc.ok {
			t.Errorf("%s: %q %v", tc.keyword, params, ok)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "250\r\n", "25", "999 x\r\n", "250-a\r\n251 b\r\n", "\x00\r\n", "250-\n250-\n250 \n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		reply, err := readReply(bufio.NewReaderSize(strings.NewReader(string(b)), maxReplyLine))
		switch {
		case err != nil && reply != rawReply{}:
			t.Errorf("reply %+v with error %v", reply, err)
		case err == nil && (reply.code < 200 || reply.code > 599 || strings.Count(reply.text, "\n") >= maxReplyLines):
			t.Errorf("reply %+v", reply)
		}
	})
}

func TestReadReply(t *testing.T) {
	for _, tc := range []struct {
		in   string
		code int
		text string
		ok   bool
	}{
		{"250 ok\r\n", 250, "ok", true},
		{"250-a\r\n250-b\n250 c\r\n", 250, "a\nb\nc", true},
		{"250\r\n", 250, "", true},
		{"250-a\r\n250\r\n", 250, "a\n", true},
		{"250-a\r\n550 b\r\n", 0, "", false},
		{"25 x\r\n", 0, "", false},
		{"2500 x\r\n", 0, "", false},
		{"150 x\r\n", 0, "", false},
		{"650 x\r\n", 0, "", false},
		{"250 cut", 0, "", false},
		{"", 0, "", false},
		{strings.Repeat("250-x\r\n", maxReplyLines-1) + "250 x\r\n", 250, strings.Repeat("x\n", maxReplyLines-1) + "x", true},
		{strings.Repeat("250-x\r\n", maxReplyLines) + "250 x\r\n", 0, "", false},
		{"250 " + strings.Repeat("x", maxReplyLine) + "\r\n", 0, "", false},
	} {
		got, err := readReply(bufio.NewReaderSize(strings.NewReader(tc.in), maxReplyLine))
		if got.code != tc.code || got.text != tc.text || (err == nil) != tc.ok {
			t.Errorf("%.40q: %d %.40q %v", tc.in, got.code, got.text, err)
		}
	}
}
