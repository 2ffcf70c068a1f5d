package smtpout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"outboxd/mail"
	"outboxd/mail/smtptest"
)

// supply gives its tokens one after the other, the last one for ever, and notes which ones were refused.
type supply struct {
	tokens   []string
	err      error // after the last
	rejected []string
}

func (s *supply) token(_ context.Context, rejected string) (string, error) {
	s.rejected = append(s.rejected, rejected)
	n := min(len(s.rejected), len(s.tokens))
	if len(s.rejected) > len(s.tokens) && s.err != nil {
		return "", s.err
	}
	return s.tokens[n-1], nil
}

func byToken(t *testing.T, good string, from *supply) (*smtptest.Server, Config) {
	t.Helper()
	server, c := tcp(t, smtptest.RequireAuth(), smtptest.Tokens(func(u, token string) bool { return u == user && token == good }))
	c.Auth, c.Password, c.Token = AuthXOAuth2, "", from.token
	return server, c
}

func TestXOAuth2(t *testing.T) {
	for _, token := range []string{"ya29.short", "eyJ" + strings.Repeat("x", 2500)} { // the second does not fit into the AUTH line
		from := &supply{tokens: []string{token}}
		server, c := byToken(t, token, from)
		s := open(t, c)
		wantAccepted(t, s.Send(t.Context(), delivery()))
		if l := server.Logins(); len(l) != 1 || !l[0].OK || l[0].User != user || l[0].Mechanism != "XOAUTH2" || s.Mechanism() != "XOAUTH2" {
			t.Errorf("logins %+v", l)
		}
		if !slices.Equal(from.rejected, []string{""}) {
			t.Errorf("asked with %q", from.rejected)
		}
	}
}

// TestRefusedTokenIsReplacedOnce: one that was revoked before its time costs one login more, and no more than one.
func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	from := &supply{tokens: []string{"old-token", "new-token"}}
	server, c := byToken(t, "new-token", from)
	wantAccepted(t, open(t, c).Send(t.Context(), delivery()))
	if n := server.Counts(); n.FailedLogins != 1 || n.Logins != 1 || !slices.Equal(from.rejected, []string{"", "old-token"}) {
		t.Errorf("%+v, asked with %q", n, from.rejected)
	}

	from = &supply{tokens: []string{"one-token", "two-token", "three-token"}}
	server, c = byToken(t, "another", from)
	s, err := Dial(t.Context(), c)
	o := dialError(t, s, err).Outcome
	wantOutcome(t, o, mail.Permanent, mail.ScopeAccount, mail.StepAuth)
	if n := server.Counts().FailedLogins; n != 2 || o.Reply.Code != 535 || o.Retry != mail.RetryStop || !strings.Contains(o.Remedy, "outboxd account login") {
		t.Errorf("%d logins, %+v", n, o)
	}
}

func TestRefusedTokenWithoutABetterOne(t *testing.T) {
	from := &supply{tokens: []string{"only-token"}}
	server, c := byToken(t, "another", from)
	s, err := Dial(t.Context(), c)
	if o := dialError(t, s, err).Outcome; o.Reply.Code != 535 || server.Counts().FailedLogins != 1 {
		t.Errorf("%+v, %+v", o, server.Counts())
	}

	// A refusal that says nothing about the token drops none.
	from = &supply{tokens: []string{"good-token", "other-token"}}
	server, c = byToken(t, "good-token", from)
	server.On(smtptest.Rule{Step: smtptest.StepAuth, Do: smtptest.Reply("454 4.7.0 later")})
	s, err = Dial(t.Context(), c)
	if o := dialError(t, s, err).Outcome; o.Reply.Code != 454 || len(from.rejected) != 1 {
		t.Errorf("%+v, asked with %q", o, from.rejected)
	}
}

// toldError is a token's error that says what it means.
type toldError struct{ outcome mail.Outcome }

func (e *toldError) Error() string              { return e.outcome.String() }
func (e *toldError) TokenOutcome() mail.Outcome { return e.outcome }

func TestNoToken(t *testing.T) {
	told := &toldError{mail.Outcome{Verdict: mail.Permanent, Scope: mail.ScopeAccount, Retry: mail.RetryStop, Class: mail.ClassAuth, Step: mail.StepAuth,
		Reply: mail.Reply{Text: "nobody has signed in"}, Remedy: "sign in"}}
	for _, tc := range []struct {
		tokens []string // before the error
		err    error
		want   mail.Verdict
	}{
		{nil, told, mail.Permanent},
		{nil, context.DeadlineExceeded, mail.Temporary},
		{[]string{"old-token"}, told, mail.Permanent},
	} {
		from := &supply{tokens: tc.tokens, err: tc.err}
		server, c := byToken(t, "another", from)
		s, err := Dial(t.Context(), c)
		e := dialError(t, s, err)
		if e.Outcome.Verdict != tc.want || e.Outcome.Step != mail.StepAuth || !errors.Is(err, tc.err) {
			t.Errorf("%v: %+v", tc, e.Outcome)
		}
		if n := server.Counts(); n.FailedLogins != len(tc.tokens) || n.Logins != 0 {
			t.Errorf("%v: %+v", tc, n)
		}
	}
}

func TestTokenThatCannotBeSaid(t *testing.T) {
	for _, token := range []string{"", "a\x01b-token", "a\x00b-token", strings.Repeat("x", 10000)} {
		from := &supply{tokens: []string{token}}
		server, c := byToken(t, token, from)
		s, err := Dial(t.Context(), c)
		if o := dialError(t, s, err).Outcome; o.Class != mail.ClassConfig || o.Remedy == "" || len(server.Logins()) != 0 {
			t.Errorf("%.20q: %+v", token, o)
		}
	}
}

func TestNoTokenInErrors(t *testing.T) {
	const token = "ya29.secret-token"
	response := encode("user=" + user + "\x01auth=Bearer " + token + "\x01\x01")
	for _, reply := range []string{"535 5.7.8 bad " + token, "535 bad " + response, "334 " + token, "535 bad " + encode(token)} {
		from := &supply{tokens: []string{token}}
		server, c := byToken(t, token, from)
		server.On(smtptest.Rule{Step: smtptest.StepAuth, Do: smtptest.Reply(reply)})
		s, err := Dial(t.Context(), c)
		e := dialError(t, s, err)
		if all := fmt.Sprintf("%v %+v %v", err, e.Outcome, e.Err); strings.Contains(all, token) || strings.Contains(all, response) || strings.Contains(all, encode(token)) {
			t.Errorf("token in %s", all)
		}
	}
}

// TestXOAuth2IsNotGuessed: a token is never sent by another mechanism, and auto never picks this one.
func TestXOAuth2IsNotGuessed(t *testing.T) {
	server, c := tcp(t, smtptest.RequireAuth())
	c.Auth, c.Token = AuthXOAuth2, (&supply{tokens: []string{"good-token"}}).token
	s, err := Dial(t.Context(), c)
	if o := dialError(t, s, err).Outcome; o.Class != mail.ClassConfig || len(server.Logins()) != 0 {
		t.Errorf("%+v", o)
	}
}
