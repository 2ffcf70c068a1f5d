package oauth

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"outboxd/mail"
	"outboxd/mail/oauth/oauthtest"
)

func TestPassingTrouble(t *testing.T) {
	huge := `{"access_token":"` + strings.Repeat("x", maxAnswer) + `"}`
	for name, a := range map[string]oauthtest.Answer{
		"500":          {Status: 500, Body: "<html>client-secret refresh-token-1", Type: "text/html"},
		"503":          {Status: 503, Body: `{"error":"temporarily_unavailable"}`},
		"429":          {Status: 429},
		"400 of none":  {Status: 400, Body: "Bad Request client-secret", Type: "text/plain"},
		"unknown word": oauthtest.Refuse("out_of_tea", "please wait"),
		"garbage":      {Status: 200, Body: "\x00\xff{{{ refresh-token-1", Type: "application/json"},
		"empty":        {Status: 200},
		"no token":     {Status: 200, Body: `{"token_type":"Bearer"}`},
		"huge":         {Status: 200, Body: huge},
		"lost":         {Lose: true},
		"redirect":     {To: "https://elsewhere.example/token"},
		"strange type": {Status: 200, Body: `{"access_token":"access-token-1","token_type":"mac","expires_in":3600}`},
		"controls":     {Status: 200, Body: `{"access_token":"access\u0001token-1","expires_in":3600}`},
		"too long":     {Status: 200, Body: `{"access_token":"` + strings.Repeat("x", maxToken+1) + `","expires_in":3600}`},
		"slow":         {Before: func() { time.Sleep(time.Minute) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at := server()
				at.Rotate = false
				s := signedIn(t, at, newFiles())
				first := token(t, s, "")
				time.Sleep(57 * time.Minute) // due, and good for three minutes
				at.Script(a)
				if got := token(t, s, ""); got != first {
					t.Errorf("%s in place of %s", got, first)
				}
				asked := at.Renewals()
				token(t, s, "")
				if at.Renewals() != asked {
					t.Error("asked again at once")
				}
				time.Sleep(5 * time.Minute)
				at.Script(a)
				e := fault(t, s)
				if o := e.TokenOutcome(); !e.Passing() || o.Retry != mail.RetryBackoff || o.Scope != mail.ScopeServer || o.Remedy == "" {
					t.Errorf("%+v", o)
				}
				if got := token(t, s, ""); !at.Good(got) {
					t.Errorf("afterwards %s", got)
				}
			})
		})
	}
}

func TestWhatNeedsAPerson(t *testing.T) {
	for _, tc := range []struct {
		code, text string
		class      mail.Class
		remedy     string
	}{
		{"invalid_grant", "Token has been expired or revoked.", mail.ClassAuth, "outboxd account login invoices"},
		{"invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity. refresh-token-1 Trace ID: 0", mail.ClassAuth, "90 days"},
		{"invalid_grant", "AADSTS50076: Due to a configuration change made by your administrator", mail.ClassAuth, "second factor"},
		{"invalid_grant", "AADSTS65001: The user or administrator has not consented", mail.ClassAuth, "consent"},
		{"invalid_grant", "AADSTS50173: The provided grant has expired", mail.ClassAuth, "password has changed"},
		{"invalid_grant", "AADSTS53003: Access has been blocked by Conditional Access policies", mail.ClassAuth, "Conditional Access"},
		{"interaction_required", "AADSTS50079: enroll", mail.ClassAuth, "second factor"},
		{"invalid_client", "AADSTS7000222: The provided client secret keys are expired. client-secret", mail.ClassConfig, "secret has ended"},
		{"invalid_client", "AADSTS7000215: Invalid client secret provided.", mail.ClassConfig, "not its ID"},
		{"unauthorized_client", "AADSTS700016: Application was not found", mail.ClassConfig, "tenant"},
		{"invalid_scope", "", mail.ClassConfig, "scopes"},
		{"invalid_client", "AADSTS1: a code that nobody knows", mail.ClassConfig, "docs/accounts.md"},
	} {
		synctest.Test(t, func(t *testing.T) {
			at := server()
			s := signedIn(t, at, newFiles())
			time.Sleep(2 * time.Hour)
			at.Script(oauthtest.Refuse(tc.code, tc.text))
			e := fault(t, s)
			o := e.TokenOutcome()
			if e.Passing() || o.Retry != mail.RetryStop || o.Scope != mail.ScopeAccount || o.Class != tc.class || !strings.Contains(o.Remedy, tc.remedy) {
				t.Errorf("%s %s: %+v", tc.code, tc.text, o)
			}
			if strings.Contains(o.Remedy, "NAME") || !strings.Contains(e.Error(), tc.code) {
				t.Errorf("%v: %s", e, o.Remedy)
			}
			if got := token(t, s, ""); !at.Good(got) { // it heals when the provider says so
				t.Error(got)
			}
		})
	}
}

// answers is a server that always says the same.
type answers struct {
	status int
	kind   string
	body   string
}

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Status: fmt.Sprint(a.status), Header: http.Header{"Content-Type": {a.kind}}, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// FuzzAnswers: whatever a sign-in server says, nothing breaks, no secret is repeated, and what is taken for a token can be said to a
// mail server.
func FuzzAnswers(f *testing.F) {
	f.Add(200, "application/json", `{"access_token":"a","refresh_token":"b","expires_in":-9223372036854775808,"refresh_token_expires_in":1e300}`)
	f.Add(200, "application/json", `{"device_code":"d","user_code":"u","verification_uri":"https://login.example/","expires_in":9223372036854775807,"interval":-1}`)
	f.Add(200, "application/x-www-form-urlencoded", "access_token=a&expires_in=x&refresh_token_expires_in=9.")
	f.Add(400, "application/json", `{"error":"invalid_grant","error_description":"AADSTS70008 refresh-token-secret client-secret"}`)
	f.Add(302, "text/html", "<html>refresh-token-secret")
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		if status < 200 || status > 599 {
			return
		}
		c := config(server())
		c.Transport = answers{status, kind, body}
		keep := newFiles()
		now := time.Now()
		g := &grant{Version: grantVersion, Account: c.Account, Key: c.key(), Serial: 1, SignedIn: now, Renewed: now.Add(-2 * time.Hour), Expires: now.Add(-time.Hour), Refresh: "refresh-token-secret"}
		if err := g.save(keep); err != nil {
			t.Fatal(err)
		}
		s := source(t, c, keep)
		token, err := s.Token(t.Context(), "")
		switch {
		case err != nil:
			asError(t, err)
		case token == "" || unfit(token):
			t.Errorf("%q", token)
		}
		if l, err := s.Begin(t.Context(), false); err == nil && (!showable(l.Code, 64) || !showable(l.URL, maxShown) || l.Expires.Sub(now) > 2*loginTime) {
			t.Errorf("%+v", l)
		}
		s.store.Close()
	})
}
