package jobs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
	"outboxd/mail/oauth/oauthtest"
	"outboxd/mail/smtptest"
)

// newSignInSite is a site whose account main signs in by OAuth, and whose account system has a server of its own.
func newSignInSite(t *testing.T) (s *site, at *oauthtest.Server, system *smtptest.Server, text string) {
	t.Helper()
	at = &oauthtest.Server{ClientID: "outboxd-app", Life: 3600, Rotate: true, Interval: 1, CodeLife: 600}
	web := at.Start()
	t.Cleanup(web.Close)
	s = newSite(t, smtptest.RequireAuth(), smtptest.Tokens(func(user, token string) bool { return user == "eva@acme.example" && at.Good(token) }))
	t.Cleanup(func() { // P9
		for _, e := range s.logs.All() {
			if text := fmt.Sprint(e.ContextMap()); strings.Contains(text, "access-token-") || strings.Contains(text, "refresh-token-") || strings.Contains(text, "device-secret") {
				t.Errorf("a secret in the log: %s %s", e.Message, text)
			}
		}
	})
	s.state = t.TempDir()
	system = smtptest.New(t)
	text = withAlerts(s.file("  main: "+s.account(unlimited+fmt.Sprintf(", username: eva@acme.example, oauth: {client_id: outboxd-app, device_url: %q, token_url: %q, scopes: [smtp, offline_access]}",
		web.URL+"/device", web.URL+"/token")), ""), system)
	return s, at, system, text
}

// signIn signs in by the desk of an engine.
func (s *site) signIn(e *jobs.Engine, at *oauthtest.Server) jobs.AccountLoginFinishReply {
	s.t.Helper()
	begun, err := e.Desk().AccountLogin(s.t.Context(), jobs.AccountLoginRequest{By: jobs.By{Actor: "eva(1000)"}, Account: "main"})
	if err != nil {
		s.t.Fatal(err)
	}
	at.Approve()
	done, err := e.Desk().AccountLoginFinish(s.t.Context(), jobs.AccountLoginFinishRequest{Login: begun.Login})
	if err != nil || !done.Done {
		s.t.Fatal(done, err)
	}
	return done
}

// accountState is what status says of the account main.
func (s *site) accountState(e *jobs.Engine) jobs.AccountStatus {
	s.t.Helper()
	reply, err := e.Desk().Status(s.t.Context(), jobs.StatusRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, a := range reply.Accounts {
		if a.Account == "main" {
			return a
		}
	}
	s.t.Fatal("no account main")
	return jobs.AccountStatus{}
}

// age makes the kept sign-in of main older, while no engine runs.
func (s *site) age(by time.Duration) {
	s.t.Helper()
	path := filepath.Join(s.state, "oauth", "main.json")
	kept := map[string]any{}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	for _, key := range []string{"signed_in", "renewed", "expires"} {
		var at time.Time
		if err == nil {
			at, err = time.Parse(time.RFC3339Nano, fmt.Sprint(kept[key]))
		}
		kept[key] = at.Add(by)
	}
	if err == nil {
		text, err = json.Marshal(kept)
	}
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

const untouched = `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND attempts = 0 AND claims = 0`

// TestP5_NobodyHasSignedIn: the mail waits untouched, the server is not asked, a person is told, and after the sign-in all goes at once.
func TestP5_NobodyHasSignedIn(t *testing.T) {
	t.Parallel()
	s, at, system, text := newSignInSite(t)
	s.mailsVia(20, "main")
	s.start(text, "one")
	if got := alertsOf(t, system, 1); got != "outboxd on here: account main cannot sign in" {
		t.Errorf("alerts: %s", got)
	}
	s.await("20", untouched)
	if n := s.smtp.Counts(); n.FailedLogins != 0 {
		t.Errorf("%+v", n)
	}
	a := s.accountState(s.engine)
	if a.State != jobs.AccountLoginRefused || a.Class != "auth" || !strings.Contains(a.Reason, "`outboxd account login main`") {
		t.Errorf("%+v", a)
	}
	why, err := s.engine.Desk().QueueWhy(t.Context(), jobs.RowRequest{Row: "acme/1"})
	if err != nil || !strings.Contains(fmt.Sprint(why.Reasons), "has no token to log in with on this computer") {
		t.Errorf("%v, %v", why.Reasons, err)
	}
	if done := s.signIn(s.engine, at); done.Test == nil || !done.Test.OK {
		t.Errorf("%+v", done.Test)
	}
	s.await("20", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.onceEach(20)
	if got := alertsOf(t, system, 2); !strings.HasSuffix(got, "account main is signed in again") {
		t.Errorf("alerts: %s", got)
	}
	if a := s.accountState(s.engine); a.State != jobs.AccountOK || a.Reason != "" {
		t.Errorf("%+v", a)
	}
}

// TestP5_SignInEnds: a sign-in that was revoked costs no attempt, and another daemon, which has its own, goes on sending.
func TestP5_SignInEnds(t *testing.T) {
	t.Parallel()
	s, at, system, text := newSignInSite(t)
	s.start(text, "one")
	s.signIn(s.engine, at)
	s.end()
	s.age(-2 * time.Hour)
	at.Revoke()
	s.mailsVia(5, "main")
	one := s.start(text, "one").engine
	s.awaitEvent("sign_in_failed", 1)
	s.await("5", untouched)
	if a := s.accountState(one); a.State != jobs.AccountLoginRefused || !strings.Contains(a.Reason, "invalid_grant") {
		t.Errorf("%+v", a)
	}
	if got := alertsOf(t, system, 1); !strings.HasSuffix(got, "account main cannot sign in") {
		t.Errorf("alerts: %s", got)
	}
	s.state = t.TempDir() // of another computer
	two := s.start(text, "two").engine
	s.signIn(two, at)
	s.await("5", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1`)
	if n := s.smtp.Counts().FailedLogins; n != 0 {
		t.Errorf("%d logins were refused", n)
	}
	if a := s.accountState(two); a.State != jobs.AccountOK {
		t.Errorf("%+v", a)
	}
}

// TestRevokedTokenIsRenewed: the server refuses a token before its time; that costs one login and no mail.
func TestRevokedTokenIsRenewed(t *testing.T) {
	t.Parallel()
	s, at, _, text := newSignInSite(t)
	s.start(text, "one")
	s.signIn(s.engine, at)
	s.end()
	s.age(-20 * time.Minute)
	at.RevokeAccess()
	s.start(text, "one")
	s.mailsVia(3, "main")
	s.await("3", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1`)
	if n := s.smtp.Counts(); n.FailedLogins != 1 || at.Renewals() != 1 {
		t.Errorf("%+v, %d renewals", n, at.Renewals())
	}
	if a := s.accountState(s.engine); a.State != jobs.AccountOK {
		t.Errorf("%+v", a)
	}
}

// TestP5_TokenRefusedForGood: as with a wrong password, two daemons make no more than three logins until the second pause.
func TestP5_TokenRefusedForGood(t *testing.T) {
	t.Parallel()
	s, at, _, text := newSignInSite(t)
	states := map[string]string{"one": t.TempDir(), "two": t.TempDir()}
	for name, state := range states {
		s.state = state
		s.start(text, name)
		s.signIn(s.engine, at)
		s.end()
		s.age(-20 * time.Minute)
	}
	s.smtp.On(smtptest.Rule{Step: smtptest.StepAuth, Do: smtptest.Reply("535 5.7.3 Authentication unsuccessful")})
	s.mailsVia(20, "main")
	s.pauses = 0.005
	for name, state := range states {
		s.state = state
		s.start(text, name)
	}
	s.awaitEvent("account_paused", 2)
	auths := 0
	for _, line := range s.smtp.Lines() {
		if strings.HasPrefix(line.Text, "AUTH ") {
			auths++
		}
	}
	if auths -= len(states); auths > 3 { // less those of the sign-ins' own tests
		t.Errorf("%d logins", auths)
	}
	s.await("20", untouched)
}

// TestP5_SignInServerIsDown: mail waits while no token can be had, and goes when one can.
func TestP5_SignInServerIsDown(t *testing.T) {
	t.Parallel()
	s, at, _, text := newSignInSite(t)
	s.start(text, "one")
	s.signIn(s.engine, at)
	s.end()
	s.age(-2 * time.Hour)
	var down []oauthtest.Answer
	for range 2 {
		down = append(down, oauthtest.Answer{Status: 503, Body: "<html>", Type: "text/html"})
	}
	at.Script(down...)
	s.mailsVia(3, "main")
	s.pauses = 0.01
	s.start(text, "one")
	s.awaitEvent("sign_in_failed", 1)
	s.await("3", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1`)
	if n := s.smtp.Counts(); n.FailedLogins != 0 || at.Renewals() != 3 {
		t.Errorf("%+v, %d renewals", n, at.Renewals())
	}
}

// TestSignInThatWillEnd: a person is told once, and told when it is in order again.
func TestSignInThatWillEnd(t *testing.T) {
	t.Parallel()
	s, _, system, text := newSignInSite(t)
	secret := s.secret("client-secret")
	soon := strings.Replace(text, "client_id: outboxd-app,", fmt.Sprintf("client_id: outboxd-app, client_secret: {file: %s}, secret_expires: %s,", secret, time.Now().Add(20*24*time.Hour).Format(time.DateOnly)), 1)
	s.start(soon, "one")
	if got := alertsOf(t, system, 1); !strings.Contains(got, "account main: the application's client secret ends") {
		t.Errorf("alerts: %s", got)
	}
	s.reload(strings.Replace(soon, time.Now().Add(20*24*time.Hour).Format(time.DateOnly), time.Now().Add(400*24*time.Hour).Format(time.DateOnly), 1))
	if got := alertsOf(t, system, 2); !strings.HasSuffix(got, "is in order again") {
		t.Errorf("alerts: %s", got)
	}
}
