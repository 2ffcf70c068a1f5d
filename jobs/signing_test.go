package jobs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/mail/compose/dkim"
	"outboxd/mail/compose/dkim/dkimtest"
	"outboxd/mail/smtptest"
)

// dkimKey makes a key of a domain in a file of its name and returns the records of the DNS.
func (s *site) dkimKey(domain, kind string) map[string]string {
	s.t.Helper()
	pem, err := dkim.Generate(kind)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.keyFile(domain), []byte(pem), 0o640); err != nil {
		s.t.Fatal(err)
	}
	signer, err := dkim.New(domain, "outboxd", pem)
	if err != nil {
		s.t.Fatal(err)
	}
	return map[string]string{signer.RecordName(): signer.Record()}
}

func (s *site) keyFile(domain string) string {
	return filepath.Join(filepath.Dir(s.path), "dkim-"+domain)
}

// signedBy is the part of a jobs.yaml for a domain's key.
func signedBy(domain, more string) string {
	return fmt.Sprintf("dkim: {%[1]s: {key: {file: dkim-%[1]s}%[2]s}}\n", domain, more)
}

// mailFrom inserts a row of a sender and returns its number.
func (s *site) mailFrom(sender string) string {
	s.t.Helper()
	s.db.Exec(s.t, `INSERT INTO {db}.outbox (recipients, from_address, subject, body_text, account) VALUES ('a@kunde.example', ?, 'x', 'x', 'main')`, sender)
	return s.db.Read(s.t, `SELECT MAX(id) FROM {db}.outbox`)
}

// verdicts tells of each message whether it is unsigned, or what the verifier says: "" for a signature that holds.
func verdicts(t *testing.T, messages []smtptest.Message, records map[string]string) (all []string) {
	t.Helper()
	for _, m := range messages {
		if !strings.Contains(string(m.Data), "DKIM-Signature:") {
			all = append(all, "unsigned")
			continue
		}
		all = append(all, dkimtest.Verify(t, dkimtest.Case{Message: m.Data, Records: records})...)
	}
	return all
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Mails of the domain are signed, also the account's own ones, and a reload with another key takes it at once.
func TestMailsAreSigned(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	records := s.dkimKey("acme.example", dkim.RSA)
	text := withAlerts(s.file("  main: "+s.account(unlimited), ""), s.smtp) + signedBy("acme.example", "")
	s.start(text, "one")
	s.mailFrom("Acme <INFO@Acme.example>")
	s.messages(1)
	s.mailFrom("info@sub.acme.example")
	s.messages(2)
	test, err := s.engine.Desk().AccountTest(t.Context(), jobs.AccountTestRequest{By: jobs.By{Actor: "eva(1000)"}, Account: "main", To: "it@acme.example"})
	if err != nil || !test.OK {
		t.Fatalf("%+v, %v", test, err)
	}
	s.engine.ReloadFailed(nil) // an alert
	s.messages(4)
	want(t, verdicts(t, s.smtp.Messages(), records), "", "unsigned", "", "")

	second := s.dkimKey("acme.example", dkim.Ed25519)
	s.reload(text)
	s.messages(5) // the alert that the reload is over
	s.mailFrom("info@acme.example")
	s.messages(6)
	want(t, verdicts(t, s.smtp.Messages()[4:], second), "", "")
}

// What else a row may hold is signed as well: attachments, and a finished message by the domain of its own From.
func TestAllKindsOfMailsAreSigned(t *testing.T) {
	s := newSite(t)
	records := s.dkimKey("acme.example", dkim.Ed25519)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_html) VALUES ('a@kunde.example', 'Grüße', '<p>x</p>')`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, content) VALUES (1, 'Účet č. 1.pdf', REPEAT('%PDF ', 20000))`)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, raw) VALUES ('', 'From: Eva <eva@Acme.example>\nTo: b@kunde.example\nBcc: c@kunde.example\nSubject: x\n\n.\n x \n\n\n')`)
	s.start(s.file("  main: "+s.account(unlimited+", connections: 1"), "")+signedBy("acme.example", ""), "one")
	s.messages(2)
	want(t, verdicts(t, s.smtp.Messages(), records), "", "")
}

// TestP6_KeysSignForTheirCompaniesOnly: another company cannot get a signature of a domain that is not its own.
func TestP6_KeysSignForTheirCompaniesOnly(t *testing.T) {
	t.Parallel()
	s, beta := newSite(t), newSite(t)
	records := s.dkimKey("acme.example", dkim.Ed25519)
	s.start(s.two("  main: "+s.account(unlimited), "    server: main\n    database: "+beta.db.Name, "")+signedBy("acme.example", ", companies: [acme]"), "one")
	beta.mailFrom("info@acme.example")
	s.messages(1)
	s.mailFrom("info@acme.example")
	s.messages(2)
	want(t, verdicts(t, s.smtp.Messages(), records), "unsigned", "")
}

// TestP10_AKeyThatCannotBeUsed: the domain's mail waits and says why, nothing of it goes unsigned, and the rest goes on.
func TestP10_AKeyThatCannotBeUsed(t *testing.T) {
	s, system := newSite(t), smtptest.New(t)
	text := withAlerts(s.file("  main: "+s.account(unlimited), ""), system) + signedBy("acme.example", "")
	waiting, other := s.mailFrom("info@acme.example"), s.mailFrom("info@other.example")
	s.start(text, "one")
	s.awaitRows(waiting+" queued 0", other+" sent 1")
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE id = ? AND available_at > UTC_TIMESTAMP() + INTERVAL 5 MINUTE`, waiting)
	if got := alertsOf(t, system, 1); !strings.Contains(got, "mails of acme.example cannot be signed") {
		t.Errorf("alerts: %s", got)
	}
	if s.events("key_unusable") != 1 {
		t.Error("it does not stand in the log")
	}
	why, err := s.engine.Desk().QueueWhy(t.Context(), jobs.RowRequest{Row: waiting})
	if err != nil || len(why.Reasons) != 1 || !strings.Contains(why.Reasons[0].Text, s.keyFile("acme.example")) || !strings.Contains(why.Reasons[0].Text, "systemctl reload outboxd") {
		t.Errorf("%+v, %v", why, err)
	}
	status, err := s.engine.Desk().Status(t.Context(), jobs.StatusRequest{})
	if err != nil || len(status.Keys) != 1 || status.Keys[0].Domain != "acme.example" || status.Keys[0].Hint == "" {
		t.Errorf("%+v, %v", status.Keys, err)
	}

	// A reload is refused as long as it is so.
	if err := os.WriteFile(s.keyFile("acme.example"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.engine.Reload(s.write(text)); err == nil || !strings.Contains(err.Error(), "no key in PEM form") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("reload: %v", err)
	}
	records := s.dkimKey("acme.example", dkim.RSA)
	s.reload(text)
	if r, err := s.engine.Desk().QueueRetry(t.Context(), jobs.ChangeRequest{By: jobs.By{Actor: "eva(1000)"}, Rows: []string{waiting}}); err != nil || len(r.Results) != 1 || !r.Results[0].Done {
		t.Errorf("%+v, %v", r, err)
	}
	s.awaitRows(waiting+" sent 1", other+" sent 1")
	want(t, verdicts(t, s.smtp.Messages(), records), "unsigned", "")
	if got := alertsOf(t, system, 4); strings.Count(got, "cannot be signed") != 1 || !strings.Contains(got, "mails of acme.example go again") {
		t.Errorf("alerts: %s", got)
	}
	if status, err := s.engine.Desk().Status(t.Context(), jobs.StatusRequest{}); err != nil || len(status.Keys) != 0 {
		t.Errorf("%+v, %v", status.Keys, err)
	}
}

// A job asks for reports where the server offers them; each names the row.
func TestNotificationsOfAJob(t *testing.T) {
	t.Parallel()
	for _, offered := range []bool{true, false} {
		opts := []smtptest.Option{smtptest.Without("SIZE")}
		params, toParams := "", ""
		if offered {
			opts = append(opts, smtptest.OfferDSN())
			params, toParams = "RET=HDRS ENVID=acme/1", "NOTIFY=FAILURE,DELAY"
		}
		s := newSite(t, opts...)
		s.start(s.file("  main: "+s.account(unlimited), "dsn: {notify: [delay, failure], return: headers}"), "one")
		s.mail("a@kunde.example, b@kunde.example")
		s.messages(1)
		if m := s.smtp.Messages()[0]; m.Params != params || strings.Join(m.ToParams, ";") != toParams+";"+toParams {
			t.Errorf("offered %v: MAIL %q, RCPT %q", offered, m.Params, m.ToParams)
		}
	}
}
