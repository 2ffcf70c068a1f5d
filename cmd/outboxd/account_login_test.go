package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail/oauth/oauthtest"
	"outboxd/mail/smtptest"
)

// newSignInSite is a site whose account main signs in by OAuth.
func newSignInSite(t *testing.T) (*site, *oauthtest.Server) { return newSignInSiteOf(t, "main") }

// newSignInSiteOf is one with another name of that account.
func newSignInSiteOf(t *testing.T, account string) (*site, *oauthtest.Server) {
	t.Helper()
	at := &oauthtest.Server{ClientID: "outboxd-app", Life: 3600, Rotate: true, Interval: 1, CodeLife: 600}
	web := at.Start()
	t.Cleanup(web.Close)
	s := &site{t: t, db: dbtest.New(t), smtp: smtptest.New(t, smtptest.RequireAuth(),
		smtptest.Tokens(func(user, token string) bool { return user == "main@acme.example" && at.Good(token) }))}
	s.place()
	usual := fmt.Sprintf("  main: {host: 127.0.0.1, port: %d,", s.smtp.Port())
	signsIn := fmt.Sprintf("  %s: {host: 127.0.0.1, port: %d, username: main@acme.example, oauth: {client_id: outboxd-app, device_url: %q, authorize_url: %q, token_url: %q, scopes: [smtp, offline_access]},",
		account, s.smtp.Port(), web.URL+"/device", web.URL+"/authorize", web.URL+"/token")
	text := strings.Replace(s.file(""), usual, signsIn, 1)
	s.write(strings.Replace(text, "accounts: [bulk, main]", "accounts: [bulk, "+account+"]", 1))
	return s, at
}

// begin runs a command with an input and returns what it prints, and its exit status when it ends.
func (s *site) begin(command string, stdin io.Reader) (*output, <-chan int) {
	var out output
	o := s.outside(&out, &out)
	o.stdin = stdin
	ended := make(chan int, 1)
	go func() {
		ended <- run(s.t.Context(), append([]string{"--config", s.config}, strings.Fields(command)...), o)
	}()
	return &out, ended
}

// noTokens looks into everything that a person or a log may see.
func noTokens(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		for _, secret := range []string{"access-token-", "refresh-token-", "device-secret"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s in:\n%s", secret, text)
			}
		}
	}
}

func TestP9_AccountLoginByCode(t *testing.T) {
	t.Parallel()
	s, at := newSignInSite(t)
	d := s.start()
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, account) VALUES ('a@kunde.example', 'main')`)
	s.must(exitFailed, "account test main", "sign-in failed", "outboxd account login main")
	out, ended := s.begin("account login main", nil)
	out.await(t, "/verify", 1)
	out.await(t, "ABCD-EFGH", 1)
	out.await(t, "Sign in as main@acme.example", 1)
	at.Approve()
	if code := <-ended; code != exitDone {
		t.Fatalf("exit status %d: %s", code, out)
	}
	if got := out.String(); !strings.Contains(got, "Signed in to main.") || !strings.Contains(got, "XOAUTH2 as main@acme.example") {
		t.Error(got)
	}
	d.arrived(1)
	status := s.must(exitDone, "account list --json")
	s.must(exitDone, "audit", "account login", "as main@acme.example")
	noTokens(t, out.String(), status, d.log.String())
	s.kept(t, "main")
}

// kept looks at the file in the state directory.
func (s *site) kept(t *testing.T, account string) {
	t.Helper()
	path := filepath.Join(s.runtime, "oauth", account+".json")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && (info.Mode().Perm() != 0o600 || folder.Mode().Perm() != 0o700) {
		t.Errorf("modes %v, %v", info.Mode(), folder.Mode())
	}
	text, err := os.ReadFile(path)
	if err != nil || !json.Valid(text) || !strings.Contains(string(text), "refresh-token-") {
		t.Errorf("%s, %v", text, err)
	}
}

// TestAccountLoginWithoutADaemon keeps the sign-in where the daemon finds it.
func TestAccountLoginWithoutADaemon(t *testing.T) {
	t.Parallel()
	s, at := newSignInSite(t)
	out, ended := s.begin("account login main", nil)
	out.await(t, "ABCD-EFGH", 1)
	at.Approve()
	if code := <-ended; code != exitDone {
		t.Fatalf("exit status %d: %s", code, out)
	}
	s.kept(t, "main")
	d := s.start()
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, account) VALUES ('a@kunde.example', 'main')`)
	d.arrived(1)
	if n := at.Renewals(); n != 0 {
		t.Errorf("%d renewals: the token was good", n)
	}
}

func TestAccountLoginByAddress(t *testing.T) {
	t.Parallel()
	s, at := newSignInSite(t)
	s.start()
	read, write := io.Pipe()
	out, ended := s.begin("account login main --paste", read)
	out.await(t, "paste it here", 1)
	var page string
	for line := range strings.Lines(out.String()) {
		if text := strings.TrimSpace(line); strings.HasPrefix(text, "http://127.0.0.1") {
			page = text
		}
	}
	end, err := at.Consent(page)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(write, "\nhttps://somewhere.example/\n")
	out.await(t, "not the address at which the browser ends", 1)
	fmt.Fprintln(write, end)
	if code := <-ended; code != exitDone || !strings.Contains(out.String(), "Signed in to main.") {
		t.Fatalf("exit status %d: %s", code, out)
	}
	noTokens(t, out.String())
}

func TestAccountLoginFails(t *testing.T) {
	t.Parallel()
	s, at := newSignInSite(t)
	s.start()
	s.must(exitFailed, "account login nobody", "there is no account")
	s.must(exitWrong, "account login bulk", "does not sign in by OAuth", "give it the key oauth")

	out, ended := s.begin("account login main --paste", strings.NewReader("nonsense\n"))
	if code := <-ended; code != exitFailed || !strings.Contains(out.String(), "copy") && !strings.Contains(out.String(), "Copy the whole address") {
		t.Errorf("exit status %d: %s", code, out)
	}
	at.Deny()
	s.must(exitFailed, "account login main", "access_denied", "Begin again with `outboxd account login main`")
	if _, err := os.Stat(filepath.Join(s.runtime, "oauth", "main.json")); !os.IsNotExist(err) {
		t.Errorf("something was kept: %v", err)
	}
}

// TestAccountLoginAsAnother: the mail server knows whose token it is, and the command says what that means.
func TestAccountLoginAsAnother(t *testing.T) {
	t.Parallel()
	s, at := newSignInSite(t)
	s.smtp.On(smtptest.Rule{Step: smtptest.StepAuth, Do: smtptest.Reply("535 5.7.3 Authentication unsuccessful")})
	s.start()
	out, ended := s.begin("account login main", nil)
	out.await(t, "ABCD-EFGH", 1)
	at.Approve()
	if code := <-ended; code != exitFailed || !strings.Contains(out.String(), "somebody else than the account's username has signed in") {
		t.Errorf("exit status %d: %s", code, out)
	}
}

// TestAccountLoginGoesOnWithoutItsClient: the daemon waits for the person, whoever waits for the daemon.
func TestAccountLoginGoesOnWithoutItsClient(t *testing.T) {
	t.Parallel()
	s, at := newSignInSite(t)
	d := s.start()
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, account) VALUES ('a@kunde.example', 'main')`)
	d.log.await(t, "cannot sign in", 1)
	var out output
	code := make(chan int, 1)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		code <- run(ctx, []string{"--config", s.config, "account", "login", "main"}, s.outside(&out, &out))
	}()
	out.await(t, "ABCD-EFGH", 1)
	leave()
	<-code
	at.Approve()
	d.arrived(1)
	s.kept(t, "main")
}

func TestSignInFolderIsNoCompanys(t *testing.T) {
	t.Parallel()
	s, at := newSignInSiteOf(t, "acme")
	d := s.start()
	out, ended := s.begin("account login acme", nil)
	out.await(t, "ABCD-EFGH", 1)
	at.Approve()
	if code := <-ended; code != exitDone {
		t.Fatalf("exit status %d: %s", code, out)
	}
	s.kept(t, "acme")
	if code := d.end(os.Interrupt); code != exitDone {
		t.Errorf("exit status %d", code)
	}
	again := s.start() // reads what every daemon remembers of the company acme
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, account) VALUES ('a@kunde.example', 'acme')`)
	again.arrived(1)
	if strings.Contains(again.log.String(), `"witness"`) {
		t.Errorf("%s", &again.log)
	}
}

// TestOnlineSignIn: the check renews the sign-in once, and logs in with what it got.
func TestOnlineSignIn(t *testing.T) {
	s, at := newSignInSite(t)
	file, problems := jobfile.Load(s.config)
	if file == nil {
		t.Fatal(problems)
	}
	state := jobs.OpenState(s.runtime, "check")
	defer state.Close()
	look := func() []finding { return lookAtAccount(t.Context(), state, file.Account("main"), time.Now()) }
	wantFindings(t, "nobody", look(), "auth.oauth_expiry fail nobody has signed in", "smtp.connect -", "auth.login -", "tls.smtp -")
	out, ended := s.begin("account login main", nil)
	out.await(t, "ABCD-EFGH", 1)
	at.Approve()
	if code := <-ended; code != exitDone {
		t.Fatalf("exit status %d: %s", code, out)
	}
	wantFindings(t, "signed in", look(), "auth.oauth_expiry ok", "smtp.connect ok", "auth.mechs ok XOAUTH2", "auth.login ok XOAUTH2 as main@acme.example")
	if n := at.Renewals(); n != 1 {
		t.Errorf("%d renewals", n)
	}
	file.Account("main").OAuth.SecretExpires = time.Now().Add(9 * 24 * time.Hour)
	wantFindings(t, "secret", look(), "auth.oauth_expiry warn client secret ends on")
	at.Script(oauthtest.Refuse("invalid_client", "AADSTS7000222: The provided client secret keys are expired."))
	found := look()
	wantFindings(t, "secret ended", found, "auth.oauth_expiry fail AADSTS7000222")
	if !strings.Contains(found[0].Remedy, "client secret has ended") {
		t.Errorf("%+v", found[0])
	}
	at.Revoke()
	wantFindings(t, "revoked", look(), "auth.oauth_expiry fail invalid_grant", "auth.login fail 535")
}
