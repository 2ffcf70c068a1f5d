//go:build postfix

package smtpout

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"outboxd/mail"
	"outboxd/mail/postfixtest"
	"outboxd/mail/smtptest"
)

// onPostfix is the configuration for a service.
func onPostfix(s *postfixtest.Server, service string) Config {
	return Config{Host: "127.0.0.1", Port: s.Port(service), Encryption: StartTLS, RootCAs: s.CA(),
		Username: postfixtest.User, Password: postfixtest.Password, Hello: "client.acme.example"}
}

// toPostfix is a mail that Postfix takes: dots at the start of lines, long lines and 8-bit content arrive as they are.
func toPostfix(n int, to ...string) Delivery {
	return Delivery{From: postfixtest.Sender, To: to, Message: fmt.Appendf(nil, "Message-ID: <%d@acme.example>\r\nFrom: %s\r\nTo: undisclosed-recipients:;\r\n"+
		"Date: Sun, 22 Nov 2026 03:00:00 +0000\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\n.\r\n..two\r\n\xc3\xbc\r\n%s\r\nend\r\n", n, postfixtest.Sender, strings.Repeat("x", 990))}
}

// delivered checks that the last of n mails in the Maildir is d.
func delivered(t *testing.T, s *postfixtest.Server, n int, d Delivery) {
	t.Helper()
	want := strings.ReplaceAll(string(d.Message), "\r\n", "\n")
	for _, m := range s.Mails(n) {
		if m.Content == want && m.From == d.From && m.To == d.To[0] {
			return
		}
	}
	t.Errorf("%q was not delivered as it was sent", want)
}

func TestPostfixMechanisms(t *testing.T) {
	const only = "smtpd_sasl_mechanism_filter = "
	s := postfixtest.New(t, postfixtest.Service{Name: "all"}, postfixtest.Service{Name: "tls", ImplicitTLS: true},
		postfixtest.Service{Name: "plain", Settings: []string{only + "plain"}}, postfixtest.Service{Name: "login", Settings: []string{only + "login"}},
		postfixtest.Service{Name: "cram", Settings: []string{only + "cram-md5"}}, postfixtest.Service{Name: "ntlm", Settings: []string{only + "!plain, !login, !cram-md5, static:all"}})
	sent := 0
	for _, c := range []struct {
		service string
		auth    Auth
		want    string // "": refused here, because the server does not offer it
	}{
		{"all", AuthAuto, "PLAIN"}, {"all", AuthPlain, "PLAIN"}, {"all", AuthLogin, "LOGIN"}, {"all", AuthCramMD5, "CRAM-MD5"},
		{"tls", AuthAuto, "PLAIN"}, {"plain", AuthAuto, "PLAIN"}, {"login", AuthAuto, "LOGIN"}, {"cram", AuthAuto, "CRAM-MD5"},
		{"plain", AuthLogin, ""}, {"login", AuthCramMD5, ""}, {"cram", AuthPlain, ""}, {"ntlm", AuthAuto, ""},
	} {
		t.Run(c.service+" "+c.auth.String(), func(t *testing.T) {
			config := onPostfix(s, c.service)
			config.Auth = c.auth
			if c.service == "tls" {
				config.Encryption = TLS
			}
			session, err := Dial(t.Context(), config)
			if c.want == "" {
				wantTrouble(t, dialError(t, session, err).Outcome, mail.StepAuth, mail.ClassConfig, "offers AUTH")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if state, ok := session.TLS(); !ok || state.Version < tls.VersionTLS12 || session.Mechanism() != c.want {
				t.Errorf("TLS %x, mechanism %s", state.Version, session.Mechanism())
			}
			sent++
			d := toPostfix(sent, "eva@kunde.example")
			wantAccepted(t, session.Send(t.Context(), d))
			delivered(t, s, sent, d)
		})
	}
}

func TestPostfixRefusesLogins(t *testing.T) {
	s := postfixtest.New(t, postfixtest.Service{Name: "main"})
	for _, auth := range []Auth{AuthPlain, AuthLogin, AuthCramMD5} {
		c := onPostfix(s, "main")
		c.Auth, c.Password = auth, "wrong-password-0815"
		session, err := Dial(t.Context(), c)
		wantTrouble(t, dialError(t, session, err).Outcome, mail.StepAuth, mail.ClassAuth, "535 5.7.8")
		if strings.Contains(err.Error(), c.Password) {
			t.Errorf("the error has the password: %v", err)
		}
	}
	c := onPostfix(s, "main")
	c.Password = "new-password-4712"
	s.SetPassword(postfixtest.User, c.Password)
	d := toPostfix(1, "eva@kunde.example")
	wantAccepted(t, open(t, c).Send(t.Context(), d))
	delivered(t, s, 1, d)
}

// TestPostfixTokens: a token logs in, also one that is longer than the AUTH line; one that is good no longer is replaced once.
func TestPostfixTokens(t *testing.T) {
	s := postfixtest.New(t, postfixtest.Service{Name: "main"})
	long := "eyJ" + strings.Repeat("x", 2500)
	s.Tokens(func(token string) string {
		return map[string]string{"ya29.short": postfixtest.User, long: postfixtest.User, "of-another": "jan@acme.example"}[token]
	})
	config := onPostfix(s, "main")
	config.Auth, config.Password = AuthXOAuth2, ""
	for i, tokens := range [][]string{{"ya29.short"}, {long}, {"revoked-token", "ya29.short"}} {
		from := &supply{tokens: tokens}
		config.Token = from.token
		session := open(t, config)
		d := toPostfix(i, "eva@kunde.example")
		wantAccepted(t, session.Send(t.Context(), d))
		delivered(t, s, i+1, d)
		if len(from.rejected) != len(tokens) || session.Mechanism() != "XOAUTH2" {
			t.Errorf("%s: asked with %q", session.Mechanism(), from.rejected)
		}
	}
	for _, token := range []string{"revoked-token", "of-another"} {
		config.Token = (&supply{tokens: []string{token}}).token
		session, err := Dial(t.Context(), config)
		o := dialError(t, session, err).Outcome
		wantTrouble(t, o, mail.StepAuth, mail.ClassAuth, "535 5.7.8")
		if !strings.Contains(o.Remedy, "outboxd account login") || strings.Contains(err.Error(), token) {
			t.Errorf("%v: %q", err, o.Remedy)
		}
	}
}

func TestPostfixTLS(t *testing.T) {
	s := postfixtest.New(t, postfixtest.Service{Name: "expired", Certificate: smtptest.CertExpired}, postfixtest.Service{Name: "name", Certificate: smtptest.CertWrongName},
		postfixtest.Service{Name: "ca", Certificate: smtptest.CertUnknownCA}, postfixtest.Service{Name: "clear", Settings: []string{"smtpd_tls_security_level = none"}},
		oldTLS("1.0", "TLSv1"), oldTLS("1.1", "TLSv1.1"))
	for service, text := range map[string]string{"expired": "expired", "name": "127.0.0.1", "ca": "unknown authority", "clear": "does not offer STARTTLS",
		"1.0": "TLS 1.0", "1.1": "TLS 1.1"} {
		session, err := Dial(t.Context(), onPostfix(s, service))
		wantTrouble(t, dialError(t, session, err).Outcome, mail.StepTLS, mail.ClassConfig, text)
	}
	if log := s.Log(); strings.Contains(log, "auth=") || strings.Contains(log, "mail=") {
		t.Errorf("somebody logged in, or sent:\n%s", log)
	}
}

// oldTLS is a service that knows no newer version, as far as the machine's OpenSSL lets it.
func oldTLS(name, version string) postfixtest.Service {
	return postfixtest.Service{Name: name, Settings: []string{"smtpd_tls_mandatory_protocols = >=" + version + ", <=" + version,
		"tls_medium_cipherlist = ALL:@SECLEVEL=0"}}
}

// TestPostfixSendAs: the sender that is refused is told at the step at which Postfix is set to tell it.
func TestPostfixSendAs(t *testing.T) {
	s := postfixtest.New(t, postfixtest.Service{Name: "rcpt"}, postfixtest.Service{Name: "mail", Settings: []string{"smtpd_delay_reject = no"}},
		postfixtest.Service{Name: "dot", Settings: []string{"smtpd_end_of_data_restrictions = $policy"}})
	s.Policy(func(r postfixtest.Request) string {
		if r["protocol_state"] == "END-OF-MESSAGE" && r["recipient"] == "policy@kunde.example" {
			return "554 5.2.252 SendAsDenied; eva@acme.example not allowed to send as boss@acme.example"
		}
		return "DUNNO"
	})
	for _, c := range []struct {
		service, from, header, to string
		step                      mail.Step
		text                      string
	}{
		{"mail", postfixtest.Stranger, "", "eva@kunde.example", mail.StepMail, "553 5.7.1 <boss@acme.example>: Sender address rejected: not owned by user"},
		{"rcpt", postfixtest.Stranger, "", "eva@kunde.example", mail.StepRcpt, "553 5.7.1 <boss@acme.example>: Sender address rejected: not owned by user"},
		{"dot", "", postfixtest.Forged, "eva@kunde.example", mail.StepDot, "550 5.7.60"},
		{"dot", "", "", "policy@kunde.example", mail.StepDot, "554 5.2.252"},
	} {
		session := open(t, onPostfix(s, c.service))
		d := toPostfix(1, c.to)
		if c.from != "" {
			d.From = c.from
		}
		if c.header != "" {
			d.Message = []byte(strings.Replace(string(d.Message), postfixtest.Sender, c.header, 1))
		}
		r := session.Send(t.Context(), d)
		wantTrouble(t, r.Message, c.step, mail.ClassSendAsDenied, c.text)
		d = toPostfix(2, "jan@kunde.example")
		wantAccepted(t, session.Send(t.Context(), d)) // its own address is as good as before, also on this session
	}
	s.Mails(4)
}

// TestPostfixLimits: what Postfix limits by itself, and what a policy service of the provider's does.
func TestPostfixLimits(t *testing.T) {
	s := postfixtest.New(t, postfixtest.Service{Name: "rate", Settings: []string{"smtpd_client_message_rate_limit = 1"}},
		postfixtest.Service{Name: "logins", Settings: []string{"smtpd_client_auth_rate_limit = 1"}},
		postfixtest.Service{Name: "connections", Settings: []string{"smtpd_client_connection_count_limit = 1"}},
		postfixtest.Service{Name: "new", Settings: []string{"smtpd_client_connection_rate_limit = 1"}},
		postfixtest.Service{Name: "recipients", Settings: []string{"smtpd_recipient_limit = 2", "smtpd_recipient_overshoot_limit = 1000"}},
		postfixtest.Service{Name: "quota", Settings: []string{"smtpd_data_restrictions = $policy"}})

	session := open(t, onPostfix(s, "rate"))
	wantAccepted(t, session.Send(t.Context(), toPostfix(1, "eva@kunde.example")))
	wantThrottled(t, session.Send(t.Context(), toPostfix(2, "eva@kunde.example")).Message, mail.StepMail, "450 4.7.1 Error: too much mail from 127.0.0.1")

	open(t, onPostfix(s, "logins"))
	refused, err := Dial(t.Context(), onPostfix(s, "logins"))
	wantThrottled(t, dialError(t, refused, err).Outcome, mail.StepAuth, "450 4.7.1 Error: too many AUTH commands from 127.0.0.1")

	first := open(t, onPostfix(s, "connections"))
	refused, err = Dial(t.Context(), onPostfix(s, "connections"))
	wantThrottled(t, dialError(t, refused, err).Outcome, mail.StepConnect, "421 4.7.0 relay.acme.example Error: too many connections from 127.0.0.1")
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	wantAccepted(t, dialUntil(t, onPostfix(s, "connections")).Send(t.Context(), toPostfix(3, "eva@kunde.example")))

	open(t, onPostfix(s, "new"))
	refused, err = Dial(t.Context(), onPostfix(s, "new"))
	wantThrottled(t, dialError(t, refused, err).Outcome, mail.StepConnect, "421 4.7.0 relay.acme.example Error: too many connections from 127.0.0.1")

	r := open(t, onPostfix(s, "recipients")).Send(t.Context(), toPostfix(4, "a@kunde.example", "b@kunde.example", "c@kunde.example"))
	wantAccepted(t, r)
	if o := r.Recipients[2]; o.Retry != mail.RetrySplit || !strings.HasPrefix(o.Reply.String(), "452 4.5.3") {
		t.Errorf("%+v", o)
	}

	s.Policy(func(postfixtest.Request) string { return "452 4.7.1 eva@acme.example: daily message quota exceeded" })
	session = open(t, onPostfix(s, "quota"))
	o := session.Send(t.Context(), toPostfix(5, "eva@kunde.example")).Message
	wantThrottled(t, o, mail.StepData, "452 4.7.1 <DATA>: Data command rejected: eva@acme.example: daily message quota exceeded")
	if o.Scope != mail.ScopeAccount || o.Retry != mail.RetryLater {
		t.Errorf("%+v", o)
	}
	s.Policy(func(postfixtest.Request) string { return "DUNNO" })
	wantAccepted(t, session.Send(t.Context(), toPostfix(6, "eva@kunde.example")))
	s.Mails(5) // the third and the fourth recipient's are one each
}

// dialUntil dials again while the server refuses: it notes the end of a connection after the client.
func dialUntil(t *testing.T, c Config) *Session {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		s, err := Dial(t.Context(), c)
		if err == nil {
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestPostfixMails: what is wrong with a mail or a recipient is theirs, and the session goes on.
func TestPostfixMails(t *testing.T) {
	s := postfixtest.New(t, postfixtest.Service{Name: "main", Settings: []string{"smtpd_recipient_restrictions = $policy"}},
		postfixtest.Service{Name: "silent", Settings: []string{"smtpd_discard_ehlo_keywords = size"}})
	replies := map[string]string{"grey@kunde.example": "450 4.2.0 Greylisted, come back later", "full@kunde.example": "452 4.2.2 Mailbox full"}
	s.Policy(func(r postfixtest.Request) string {
		if reply := replies[r["recipient"]]; reply != "" {
			return reply
		}
		return "DUNNO"
	})
	session := open(t, onPostfix(s, "main"))
	d := toPostfix(1, "eva@kunde.example", postfixtest.Unknown, "grey@kunde.example", "full@kunde.example")
	r := session.Send(t.Context(), d)
	wantAccepted(t, r)
	delivered(t, s, 1, d)
	for i, want := range []mail.Class{mail.ClassNone, mail.ClassUnknownUser, mail.ClassTemporary, mail.ClassMailboxFull} {
		if o := r.Recipients[i]; o.Class != want || i > 0 && (o.Step != mail.StepRcpt || o.Scope != mail.ScopeRecipient || o.Remedy == "") {
			t.Errorf("%s: %+v", d.To[i], o)
		}
	}

	d = toPostfix(2, "eva@kunde.example")
	d.Message = append(d.Message, []byte(strings.Repeat(strings.Repeat("y", 98)+"\r\n", 10_000))...)
	wantOutcome(t, session.Send(t.Context(), d).Message, mail.Permanent, mail.ScopeMessage, mail.StepMail) // never said
	r = open(t, onPostfix(s, "silent")).Send(t.Context(), d)
	wantOutcome(t, r.Message, mail.Permanent, mail.ScopeMessage, mail.StepDot)
	if r.Message.Class != mail.ClassSize || !strings.HasPrefix(r.Message.Reply.String(), "552 5.3.4") {
		t.Errorf("%+v", r.Message)
	}

	wantAccepted(t, session.Send(t.Context(), toPostfix(3, "eva@kunde.example")))
}

// TestPostfixWantsALogin: an account without one meets the ways in which Postfix says so.
func TestPostfixWantsALogin(t *testing.T) {
	const own = "smtpd_sender_restrictions ="
	s := postfixtest.New(t, postfixtest.Service{Name: "client", Settings: []string{own, "smtpd_client_restrictions = permit_sasl_authenticated, reject"}},
		postfixtest.Service{Name: "relay", Settings: []string{own, "smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination"}},
		postfixtest.Service{Name: "deferring", Settings: []string{own, "smtpd_relay_restrictions = permit_sasl_authenticated, defer_unauth_destination"}},
		postfixtest.Service{Name: "sender"},
		postfixtest.Service{Name: "rest", Settings: []string{own}})
	for _, c := range []struct {
		service, text string
		class         mail.Class
	}{
		{"client", "554 5.7.1 <unknown[127.0.0.1]>: Client host rejected: Access denied", mail.ClassRelayDenied},
		{"relay", "554 5.7.1 <eva@elsewhere.example>: Relay access denied", mail.ClassRelayDenied},
		{"deferring", "454 4.7.1 <eva@elsewhere.example>: Relay access denied", mail.ClassRelayDenied},
		{"sender", "553 5.7.1 <noreply@acme.example>: Sender address rejected: not logged in", mail.ClassAuth},
	} {
		config := onPostfix(s, c.service)
		config.Username = ""
		wantTrouble(t, open(t, config).Send(t.Context(), toPostfix(1, "eva@elsewhere.example")).Message, mail.StepRcpt, c.class, c.text)
	}
	config := onPostfix(s, "rest")
	config.Username = ""
	o := open(t, config).Send(t.Context(), toPostfix(1, "eva@elsewhere.example")).Message
	wantOutcome(t, o, mail.Permanent, mail.ScopeRecipient, mail.StepRcpt) // it says no more than that of a single recipient
	if o.Class != mail.ClassPolicy || !strings.Contains(o.Remedy, "it wants a login") {
		t.Errorf("%+v", o)
	}
}

// TestPostfixRestarts: a session that rested meanwhile is noticed before anything was sent.
func TestPostfixRestarts(t *testing.T) {
	s := postfixtest.New(t, postfixtest.Service{Name: "main"})
	session := open(t, onPostfix(s, "main"))
	wantAccepted(t, session.Send(t.Context(), toPostfix(1, "eva@kunde.example")))
	s.Stop()
	refused, err := Dial(t.Context(), onPostfix(s, "main"))
	wantOutcome(t, dialError(t, refused, err).Outcome, mail.Temporary, mail.ScopeServer, mail.StepConnect)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if r := session.Send(t.Context(), toPostfix(2, "eva@kunde.example")); r.Stopped == nil || session.Usable() {
		t.Errorf("%+v", r)
	}
	wantAccepted(t, open(t, onPostfix(s, "main")).Send(t.Context(), toPostfix(2, "eva@kunde.example")))
	s.Mails(2)
}

// TestPostfixOldTLSIsReal shows that the services of TestPostfixTLS speak the versions that they are refused for.
func TestPostfixOldTLSIsReal(t *testing.T) {
	s := postfixtest.New(t, oldTLS("1.0", "TLSv1"), oldTLS("1.1", "TLSv1.1"))
	for name, version := range map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11} {
		nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port(name)))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		w := newWire(nc)
		for _, line := range []string{"", "EHLO x.example", "STARTTLS"} {
			if line != "" {
				err = w.send(line, time.Minute)
			}
			if _, err2 := w.expect(2, time.Minute); err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
		}
		client := tls.Client(nc, &tls.Config{ServerName: "127.0.0.1", RootCAs: s.CA(), MinVersion: tls.VersionTLS10})
		if err := client.Handshake(); err != nil || client.ConnectionState().Version != version {
			t.Errorf("TLS %s: %v, %x", name, err, client.ConnectionState().Version)
		}
	}
}
