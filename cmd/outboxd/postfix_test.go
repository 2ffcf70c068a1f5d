//go:build postfix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"outboxd/mail/postfixtest"
	"outboxd/mail/smtpout"
	"outboxd/mail/smtptest"
)

// postfixTrouble is a way in which an account cannot send. It is the service's fault, and a usual service heals it, unless account
// has keys that are wrong.
type postfixTrouble struct {
	service postfixtest.Service
	account string
	why     []string // what `queue why` says: the server's words, and what to do
}

func (p *postfixTrouble) name() string { return p.service.Name }

// postfixTroubles are all of them, by what goes wrong.
func postfixTroubles() []postfixTrouble {
	service := func(name string, settings ...string) postfixtest.Service {
		return postfixtest.Service{Name: name, Settings: settings}
	}
	certificate := func(name string, kind smtptest.Certificate) postfixtest.Service {
		return postfixtest.Service{Name: name, Certificate: kind}
	}
	return []postfixTrouble{
		{service("login"), "password: {file: wrong}", []string{"535 5.7.8", "Check both in jobs.yaml"}},
		{service("cram"), "auth: cram-md5\npassword: {file: wrong}", []string{"535 5.7.8", "Check both in jobs.yaml"}},
		{service("nologin"), "username:\npassword:", []string{"553 5.7.1", "not logged in", "Give the account a username and a password"}},
		{service("mechanism", "smtpd_sasl_mechanism_filter = cram-md5"), "auth: plain", []string{"the server offers AUTH CRAM-MD5", "Check host, port, encryption and auth"}},
		{service("mail", "smtpd_delay_reject = no", "smtpd_sender_login_maps = static:root"), "", []string{"553 5.7.1", "not owned by user", "at mail", "have the mail server's owner allow"}},
		{service("rcpt", "smtpd_sender_login_maps = static:root"), "", []string{"553 5.7.1", "not owned by user", "at rcpt", "have the mail server's owner allow"}},
		{service("dot"), "from: " + postfixtest.Forged, []string{"550 5.7.60", "does not have permissions", "at dot", "grants this account"}},
		{service("quota", "smtpd_data_restrictions = $policy"), "", []string{"452 4.7.1", "daily message quota exceeded", "lower the account's rate"}},
		{service("hourly", "smtpd_end_of_data_restrictions = $policy"), "", []string{"550 5.7.0", "exceeded the max emails per hour", "at dot", "below that limit"}},
		{service("rate", "smtpd_client_message_rate_limit = 1"), "", []string{"450 4.7.1 Error: too much mail from 127.0.0.1", "rate in jobs.yaml"}},
		{service("logins", "smtpd_client_auth_rate_limit = 1"), "", []string{"450 4.7.1 Error: too many AUTH commands", "login attempts"}},
		{service("connections", "smtpd_client_connection_count_limit = 1"), "", []string{"421 4.7.0", "too many connections from 127.0.0.1", "connections"}},
		{certificate("expired", smtptest.CertExpired), "", []string{"certificate has expired", "the provider has to renew it"}},
		{certificate("wrongname", smtptest.CertWrongName), "", []string{"127.0.0.1", "Put the name the provider gives"}},
		{certificate("unknownca", smtptest.CertUnknownCA), "", []string{"unknown authority", "name its file under the account's `ca`"}},
		{service("oldtls", "smtpd_tls_mandatory_protocols = >=TLSv1, <=TLSv1.1", "tls_medium_cipherlist = ALL:@SECLEVEL=0"), "",
			[]string{"nothing newer than TLS 1.1", "update it"}},
		{service("clear", "smtpd_tls_security_level = none"), "", []string{"does not offer STARTTLS", "587 for starttls"}},
	}
}

// troubledPolicy answers for the services that ask.
func troubledPolicy(r postfixtest.Request) string {
	switch r["sasl_username"] {
	case postfixtest.UserOf("quota"):
		return "452 4.7.1 daily message quota exceeded"
	case postfixtest.UserOf("hourly"):
		return "550 5.7.0 Domain acme.example has exceeded the max emails per hour (200/200) allowed"
	}
	return "DUNNO"
}

const (
	troubledRows = 3
	wellRows     = 50
)

// TestP5_PostfixTroubles: one daemon has an account in each trouble. Its rows wait with no attempt spent and say why and what to
// do, no other account is disturbed, and when the trouble is over they leave, each once.
func TestP5_PostfixTroubles(t *testing.T) {
	s, services := inTrouble(t)
	troubles := postfixTroubles()
	for _, trouble := range troubles {
		s.mails(trouble.name(), troubledRows)
	}
	s.mails("system", wellRows)
	// Somebody else has used up what two of them allow.
	for _, name := range []string{"connections", "logins"} {
		session := s.dial(name)
		defer session.Close()
	}

	d := s.start()
	s.until("sent by the account without trouble", func() bool {
		return s.count(`account = 'system' AND state = 'sent'`) == wellRows
	})
	for _, trouble := range troubles {
		s.checkTrouble(&trouble)
	}
	status := strings.Join(strings.Fields(s.must(exitDone, "status")), " ")
	for _, trouble := range troubles {
		for _, text := range trouble.why {
			if !strings.Contains(status, text) {
				t.Errorf("status lacks %q of %s: %s", text, trouble.name(), status)
			}
		}
	}
	if text := d.log.String() + s.postfix.Log(); strings.Contains(text, "wrong-password") || strings.Contains(text, postfixtest.Password) {
		t.Error("a log has a password")
	}
	if n := strings.Count(s.postfix.Log(), "authentication failed"); n != 2 {
		t.Errorf("%d logins were refused, want one of each account with a wrong password", n)
	}

	s.mend(services)
	d.signals <- syscall.SIGHUP
	all := wellRows + troubledRows*len(troubles)
	s.until("sent when the troubles were over", func() bool {
		s.hurry()
		return s.count(`state = 'sent'`) == all
	})
	s.arrivedOnce(all)
	for account, mechanism := range map[string]string{"login": "LOGIN", "cram": "CRAM-MD5", "system": "PLAIN"} {
		if !strings.Contains(s.postfix.Log(), "sasl_method="+mechanism+", sasl_username="+postfixtest.UserOf(account)) {
			t.Errorf("account %s did not log in by %s", account, mechanism)
		}
	}
}

// inTrouble is a site with an account in each trouble, and one in none.
func inTrouble(t *testing.T) (*postfixSite, []postfixtest.Service) {
	services := []postfixtest.Service{{Name: "system"}}
	for _, trouble := range postfixTroubles() {
		services = append(services, trouble.service)
	}
	s := onPostfix(t, services...)
	s.postfix.Policy(troubledPolicy)
	for _, trouble := range postfixTroubles() {
		s.accounts[trouble.name()] = trouble.account
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.config), "wrong"), []byte("wrong-password-0815"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.configure(services...)
	return s, services
}

// mend ends all troubles: at the server, and in jobs.yaml, which a daemon has to read again.
func (s *postfixSite) mend(services []postfixtest.Service) {
	s.t.Helper()
	for _, service := range services {
		s.postfix.Change(postfixtest.Service{Name: service.Name})
	}
	s.accounts = map[string]string{"login": "auth: login", "cram": "auth: cram-md5"}
	s.postfix.Policy(func(postfixtest.Request) string { return "DUNNO" })
	s.postfix.Restart()
	s.configure(services...)
}

// TestPostfixAccountTest: the test of an account finds each trouble, and what to do; afterwards it finds none, and its mail arrives.
func TestPostfixAccountTest(t *testing.T) {
	s, services := inTrouble(t)
	for _, name := range []string{"connections", "logins"} {
		session := s.dial(name)
		defer session.Close()
	}
	for _, trouble := range postfixTroubles() {
		said := strings.Join(strings.Fields(s.must(exitFailed, "account test --to eva@kunde.example "+trouble.name(), "What to do: ")), " ")
		for _, text := range trouble.why {
			if !strings.Contains(said, text) {
				t.Errorf("%s lacks %q: %s", trouble.name(), text, said)
			}
		}
	}
	s.mend(services)
	s.hurry()
	before := len(s.postfix.Mails(0))
	for _, service := range services {
		s.must(exitDone, "account test --to eva@kunde.example "+service.Name, "auth", "mail")
	}
	s.postfix.Mails(before + len(services))
}

// dial makes a session beside the daemon's.
func (s *postfixSite) dial(service string) *smtpout.Session {
	s.t.Helper()
	session, err := smtpout.Dial(s.t.Context(), smtpout.Config{Host: "127.0.0.1", Port: s.postfix.Port(service), RootCAs: s.postfix.CA(),
		Username: postfixtest.UserOf(service), Password: postfixtest.Password, Hello: "client.acme.example"})
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

// checkTrouble waits until an account's rows tell their trouble.
func (s *postfixSite) checkTrouble(trouble *postfixTrouble) {
	s.t.Helper()
	row := s.db.Read(s.t, `SELECT MAX(id) FROM {db}.outbox WHERE account = ?`, trouble.name())
	said := ""
	s.until(trouble.name()+" explained", func() bool {
		_, stdout, stderr := s.do("queue", "why", "acme/"+row)
		said = stdout + stderr
		for _, text := range trouble.why {
			if !strings.Contains(strings.Join(strings.Fields(said), " "), text) {
				return false
			}
		}
		return true
	})
	want := troubledRows
	if trouble.name() == "rate" {
		want-- // one is allowed
	}
	if got := s.count(`account = ? AND state = 'queued' AND attempts = 0`, trouble.name()); got != want {
		s.t.Errorf("%s: %d rows wait with no attempt spent, want %d", trouble.name(), got, want)
	}
}
