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
