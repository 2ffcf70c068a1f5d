package jobs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// results are the steps of a test in one line.
func results(r jobs.AccountTestReply) string {
	var all []string
	for _, s := range r.Steps {
		all = append(all, s.Step+" "+s.Result)
	}
	return strings.Join(all, ", ")
}

func TestAccountTest(t *testing.T) {
	s, d := deskSite(t, smtptest.MaxSize(1000000))
	ctx := t.Context()
	got, err := d.AccountTest(ctx, jobs.AccountTestRequest{Account: "main"})
	if want := "settings ok, connect ok, tls none, hello ok, auth none, send as ok"; err != nil || !got.OK || results(got) != want {
		t.Errorf("%+v, %v", got, err)
	}
	if len(got.Offers) == 0 || !strings.Contains(got.Steps[3].Text, "1000000") {
		t.Errorf("%+v", got)
	}
	q := jobs.AccountTestRequest{By: jobs.By{Actor: "eva(1000)"}, Account: "main", To: "it@acme.example"}
	got, err = d.AccountTest(ctx, q)
	if want := "settings ok, connect ok, tls none, hello ok, auth none, send as ok, mail ok"; err != nil || !got.OK || results(got) != want {
		t.Errorf("%+v, %v", got, err)
	}
	if m := s.smtp.Messages(); len(m) != 1 || !strings.Contains(string(m[0].Data), "Subject: Test of the account main") {
		t.Errorf("%+v", m)
	}
	// The limit counts it: the next one has to wait.
	for range 2 {
		if got, err = d.AccountTest(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	if f, failed := got.FailedStep(); !failed || f.Step != "limit" || f.Remedy == "" || len(s.smtp.Messages()) == 3 {
		t.Errorf("%+v", got)
	}
	status, err := d.Status(ctx, jobs.StatusRequest{})
	if err != nil || status.Accounts[0].UsedDay != len(s.smtp.Messages()) {
		t.Errorf("%d mails were sent, and the account's windows have: %+v, %v", len(s.smtp.Messages()), status.Accounts[0], err)
	}
	log, err := d.Audit(ctx, jobs.AuditRequest{})
	if err != nil || log.Entries[0].Action != "account test" || log.Entries[0].Target != "account main" {
		t.Errorf("%+v, %v", log, err)
	}
	for want, q := range map[string]jobs.AccountTestRequest{
		`no account "nemo"`: {Account: "nemo"},
		"is no address":     {Account: "main", To: "nobody"},
	} {
		_, err := d.AccountTest(ctx, q)
		if ask := askError(t, err); !strings.Contains(ask.Text, want) {
			t.Error(ask)
		}
	}
}

func TestAccountTestEndsAPause(t *testing.T) {
	s, d := deskSite(t)
	ctx := t.Context()
	if err := s.buckets().Pause(ctx, s.bucketName(), time.Hour, db.Trouble{Scope: "account", Reason: "535 wrong password"}); err != nil {
		t.Fatal(err)
	}
	if got, err := d.AccountTest(ctx, jobs.AccountTestRequest{Account: "main"}); err != nil || !got.OK || strings.Contains(results(got), "pause") {
		t.Errorf("a login alone: %+v, %v", got, err)
	}
	got, err := d.AccountTest(ctx, jobs.AccountTestRequest{Account: "main", To: "it@acme.example"})
	if err != nil || !strings.HasSuffix(results(got), "mail ok, pause ok") {
		t.Errorf("%+v, %v", got, err)
	}
	status, err := d.Status(ctx, jobs.StatusRequest{})
	if err != nil || status.Accounts[0].State != jobs.AccountOK || status.Accounts[0].Failures != 0 {
		t.Errorf("%+v, %v", status.Accounts, err)
	}
}

func TestAccountTestOfAnAccountPausedByHand(t *testing.T) {
	s, d := deskSite(t)
	if err := s.buckets().Hold(t.Context(), s.bucketName(), 0, "eva(1000)", "the provider moves"); err != nil {
		t.Fatal(err)
	}
	got, err := d.AccountTest(t.Context(), jobs.AccountTestRequest{Account: "main", To: "it@acme.example"})
	if f, _ := got.FailedStep(); err != nil || f.Step != "limit" || !strings.Contains(f.Text, "by hand") || !strings.Contains(f.Remedy, "account resume main") || len(s.smtp.Messages()) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAccountTestTellsTheStep(t *testing.T) {
	s, d := deskSite(t)
	hook := s.smtp.On(smtptest.Rule{Step: smtptest.StepHello, Do: smtptest.Reply("550 5.7.1 go away")})
	got, err := d.AccountTest(t.Context(), jobs.AccountTestRequest{Account: "main"})
	if want := "settings ok, connect ok, tls none, hello failed, auth none"; err != nil || got.OK || results(got) != want || hook.Count() == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if f, _ := got.FailedStep(); !strings.Contains(f.Text, "550 5.7.1 go away") || f.Remedy == "" {
		t.Errorf("%+v", f)
	}
	s.smtp.ClearScript()
	s.smtp.On(smtptest.Rule{Step: smtptest.StepRcpt, Do: smtptest.Reply("550 5.1.1 no such user")})
	got, err = d.AccountTest(t.Context(), jobs.AccountTestRequest{Account: "main", To: "it@acme.example"})
	if f, _ := got.FailedStep(); err != nil || f.Step != "mail" || f.At != "rcpt" || f.Cause != "unknown_user" || f.Remedy == "" {
		t.Errorf("%+v, %v", got, err)
	}
	s.smtp.Down()
	got, err = d.AccountTest(t.Context(), jobs.AccountTestRequest{Account: "main"})
	if want := "settings ok, connect failed, tls none, hello not tried, auth none"; err != nil || results(got) != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAccountTestKeepsThePassword(t *testing.T) {
	s := newSite(t, smtptest.Users(map[string]string{"eva": "right"}))
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2-wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.smtp.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	account := fmt.Sprintf("{host: 127.0.0.1, port: %d, ca: %s, username: eva, password: {file: %s}, from: a@acme.example, rate: 300/hour}", s.smtp.Port(), ca, secret)
	d := s.desk(s.file("  main: "+account, ""), nil)
	got, err := d.AccountTest(t.Context(), jobs.AccountTestRequest{Account: "main"})
	if want := "settings ok, connect ok, hello ok, tls ok, auth failed"; err != nil || results(got) != want {
		t.Errorf("%+v, %v", got, err)
	}
	text, err := json.Marshal(got)
	if err != nil || strings.Contains(string(text), "hunter2") {
		t.Errorf("%s, %v", text, err)
	}
	if err := os.WriteFile(secret, []byte("right"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err = d.AccountTest(t.Context(), jobs.AccountTestRequest{Account: "main"}); err != nil || !got.OK {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	if got, err = d.AccountTest(t.Context(), jobs.AccountTestRequest{Account: "main"}); err != nil || results(got) != "settings failed" {
		t.Errorf("%+v, %v", got, err)
	}
}
