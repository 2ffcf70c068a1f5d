//go:build postfix

package smtpout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/mail"
	"outboxd/mail/postfixtest"
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
