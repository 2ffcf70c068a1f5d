//go:build postfix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"outboxd/mail/oauth/oauthtest"
	"outboxd/mail/postfixtest"
)

// TestP5_PostfixOAuth: an account signs in with a code and sends by XOAUTH2. A token that ends before its time is renewed at once; when
// the sign-in itself is gone the rows wait with no attempt spent and say what to do, until somebody signs in again.
func TestP5_PostfixOAuth(t *testing.T) {
	s, at, service := onPostfixByToken(t)
	lost := postfixTrouble{service: service, why: []string{"outboxd account login token"}}
	next := func() *running {
		s.mails("token", troubledRows)
		return s.start()
	}
	sent := func(n int) {
		t.Helper()
		s.until("sent by token", func() bool { s.hurry(); return s.count(`state = 'sent'`) == n })
	}

	d := next()
	s.checkTrouble(&lost)
	s.signIn(at, "token")
	sent(troubledRows)
	d.end(syscall.SIGTERM)

	s.age("token")
	at.RevokeAccess()
	d = next()
	sent(2 * troubledRows)
	if n := at.Renewals(); n != 1 {
		t.Errorf("%d renewals, want 1", n)
	}
	d.end(syscall.SIGTERM)

	s.age("token")
	at.Revoke()
	d = next()
	s.checkTrouble(&lost)
	s.signIn(at, "token")
	sent(3 * troubledRows)

	s.arrivedOnce(3 * troubledRows)
	log := s.postfix.Log()
	if n := strings.Count(log, "authentication failed"); n != 2 {
		t.Errorf("%d logins were refused, want one with each token that was revoked", n)
	}
	if !strings.Contains(log, "sasl_method=XOAUTH2, sasl_username="+postfixtest.UserOf("token")) {
		t.Error("nobody logged in by XOAUTH2")
	}
	noTokens(t, d.log.String(), s.must(exitDone, "status"), log)
}

// onPostfixByToken is a site with an account that signs in by OAuth, at a service that takes nothing else.
func onPostfixByToken(t *testing.T) (*postfixSite, *oauthtest.Server, postfixtest.Service) {
	at := &oauthtest.Server{ClientID: "outboxd-app", Life: 3600, Rotate: true, Interval: 1, CodeLife: 600}
	web := at.Start()
	t.Cleanup(web.Close)
	service := postfixtest.Service{Name: "token", Settings: []string{"smtpd_sasl_mechanism_filter = xoauth2"}}
	s := onPostfix(t, postfixtest.Service{Name: "system"}, service)
	s.postfix.Tokens(func(token string) string {
		if at.Good(token) {
			return postfixtest.UserOf("token")
		}
		return ""
	})
	s.accounts["token"] = fmt.Sprintf("password:\noauth: {client_id: outboxd-app, device_url: %[1]q, authorize_url: %[2]q, token_url: %[3]q, scopes: [smtp, offline_access]}",
		web.URL+"/device", web.URL+"/authorize", web.URL+"/token")
	s.configure(postfixtest.Service{Name: "system"}, service)
	return s, at, service
}

// signIn is a person who signs in with a code.
func (s *postfixSite) signIn(at *oauthtest.Server, account string) {
	s.t.Helper()
	out, ended := s.begin("account login "+account, nil)
	out.await(s.t, "ABCD-EFGH", 1)
	at.Approve()
	if code := <-ended; code != exitDone || !strings.Contains(out.String(), "XOAUTH2") {
		s.t.Fatalf("exit status %d: %s", code, out)
	}
}

// age makes an account's token so old that its server may have ended it.
func (s *postfixSite) age(account string) {
	s.t.Helper()
	path, kept := filepath.Join(s.runtime, "oauth", account+".json"), map[string]any{}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	kept["renewed"] = time.Now().Add(-20 * time.Minute)
	if text, err = json.Marshal(kept); err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
