//go:build postfix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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
	troubles := postfixTroubles()
	services := []postfixtest.Service{{Name: "system"}}
	for _, trouble := range troubles {
		services = append(services, trouble.service)
	}
	s := onPostfix(t, services...)
	s.postfix.Policy(troubledPolicy)
	for _, trouble := range troubles {
		s.accounts[trouble.name()] = trouble.account
		s.mails(trouble.name(), troubledRows)
	}
	s.mails("system", wellRows)
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.config), "wrong"), []byte("wrong-password-0815"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.configure(services...)
	// Somebody else has used up what two of them allow.
	first := s.dial("connections")
	defer first.Close()
	second := s.dial("logins")
	defer second.Close()

	d := s.start()
	s.until("sent by the account without trouble", func() bool {
		return s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'system' AND state = 'sent'`) == fmt.Sprint(wellRows)
	})
	for _, trouble := range troubles {
		s.checkTrouble(&trouble)
	}
	if text := d.log.String() + s.postfix.Log(); strings.Contains(text, "wrong-password") || strings.Contains(text, postfixtest.Password) {
		t.Error("a log has a password")
	}
	if n := strings.Count(s.postfix.Log(), "authentication failed"); n != 2 {
		t.Errorf("%d logins were refused, want one of each account with a wrong password", n)
	}

	for _, trouble := range troubles {
		s.postfix.Change(postfixtest.Service{Name: trouble.name()})
	}
	s.accounts = map[string]string{"login": "auth: login", "cram": "auth: cram-md5"}
	s.postfix.Policy(func(postfixtest.Request) string { return "DUNNO" })
	s.postfix.Restart()
	s.configure(services...)
	d.signals <- syscall.SIGHUP
	all := wellRows + troubledRows*len(troubles)
	s.until("sent when the troubles were over", func() bool {
		s.db.Exec(t, `UPDATE {db}.outbox_bucket SET paused_until = UTC_TIMESTAMP(6) WHERE paused_until > UTC_TIMESTAMP(6)`)
		s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE state = 'queued' AND available_at > UTC_TIMESTAMP(6)`)
		return s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`) == fmt.Sprint(all)
	})
	s.arrivedOnce(all)
	for account, mechanism := range map[string]string{"login": "LOGIN", "cram": "CRAM-MD5", "system": "PLAIN"} {
		if !strings.Contains(s.postfix.Log(), "sasl_method="+mechanism+", sasl_username="+postfixtest.UserOf(account)) {
			t.Errorf("account %s did not log in by %s", account, mechanism)
		}
	}
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
	waiting := fmt.Sprint(want)
	if got := s.db.Read(s.t, `SELECT COUNT(*) FROM {db}.outbox WHERE account = ? AND state = 'queued' AND attempts = 0`, trouble.name()); got != waiting {
		s.t.Errorf("%s: %s rows wait with no attempt spent, want %s", trouble.name(), got, waiting)
	}
}

// TestPostfixRows: rows of every kind, and what Postfix says of each.
func TestPostfixRows(t *testing.T) {
	system := postfixtest.Service{Name: "system", Settings: []string{"smtpd_recipient_restrictions = $policy"}}
	s := onPostfix(t, system)
	s.postfix.Policy(func(r postfixtest.Request) string {
		if r["recipient"] == "grey@kunde.example" {
			return "450 4.2.0 Greylisted, come back later"
		}
		return "DUNNO"
	})
	s.configure(system)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, cc, bcc, from_address, subject, body_text, body_html) VALUES
		('Eva Nová <eva@kunde.example>', 'jan@kunde.example', 'ida@kunde.example', NULL, 'Faktúra', 'Dobrý deň', '<p>Dobrý deň</p>'),
		('gone@kunde.example', NULL, NULL, NULL, 'x', 'x', NULL),
		('eva@kunde.example, gone@kunde.example', NULL, NULL, NULL, 'x', 'x', NULL),
		('eva@kunde.example, grey@kunde.example', NULL, NULL, NULL, 'x', 'x', NULL),
		('eva@kunde.example', NULL, NULL, ?, 'x', 'x', NULL),
		('eva@kunde.example', NULL, NULL, NULL, 'x', REPEAT('y', 2000000), NULL)`, postfixtest.Stranger)
	d := s.start()
	s.until("as it should be", func() bool {
		return s.db.Read(t, `SELECT GROUP_CONCAT(CONCAT(state, attempts > 0, COALESCE(last_error, '') <> '') ORDER BY id) FROM {db}.outbox`) == "sent10,failed11,partial11,queued11,queued01,failed11"
	})
	for id, text := range map[int]string{2: "550 5.1.1", 3: "550 5.1.1", 4: "450 4.2.0", 5: "553 5.7.1", 6: "1000000 octets"} {
		s.must(exitDone, fmt.Sprintf("queue why acme/%d", id), text)
	}
	s.postfix.Policy(func(postfixtest.Request) string { return "DUNNO" })
	s.until("sent to the greylisted", func() bool { return s.db.Read(t, `SELECT state FROM {db}.outbox WHERE id = 4`) == "sent" })

	// The sender that was refused is not asked for again and again; a daemon that begins anew asks.
	s.postfix.Allow(postfixtest.Stranger, postfixtest.UserOf("system"))
	s.postfix.Restart()
	if code := d.end(syscall.SIGTERM); code != exitDone {
		t.Errorf("exit status %d:\n%s", code, &d.log)
	}
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE id = 5`)
	s.start()
	s.until("sent as the other sender", func() bool { return s.db.Read(t, `SELECT state FROM {db}.outbox WHERE id = 5`) == "sent" })

	got := map[string]int{}
	for _, m := range s.postfix.Mails(7) {
		got[m.From+" "+m.To]++
		if strings.Contains(m.Content, "ida@kunde.example") {
			t.Errorf("a copy tells of the Bcc:\n%s", m.Content)
		}
	}
	for pair, want := range map[string]int{"system@acme.example eva@kunde.example": 3, "system@acme.example jan@kunde.example": 1, "system@acme.example ida@kunde.example": 1,
		"system@acme.example grey@kunde.example": 1, postfixtest.Stranger + " eva@kunde.example": 1} {
		if got[pair] != want {
			t.Errorf("%s: %d copies, want %d of %v", pair, got[pair], want, got)
		}
	}
}

// TestPostfixReports: what Postfix delivers or cannot deliver later it reports as it was asked to, with the row's name.
func TestPostfixReports(t *testing.T) {
	system := postfixtest.Service{Name: "system", Settings: []string{"smtpd_reject_unlisted_recipient = no"}}
	s := onPostfix(t, system)
	s.job = ", dsn: {notify: [success, failure, delay], return: headers}"
	s.configure(system)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES ('eva@kunde.example', 'x', 'secret text'), (?, 'x', 'secret text')`, postfixtest.Unknown)
	s.start()
	s.until("sent", func() bool { return s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`) == "2" })
	reports := map[string]string{}
	for _, m := range s.postfix.Mails(3) { // eva's, and two reports
		if m.From == "" && m.To == postfixtest.UserOf("system") {
			_, id, _ := strings.Cut(m.Content, "Original-Envelope-Id: ")
			id, _, _ = strings.Cut(id, "\n")
			reports[id] = m.Content
		}
	}
	for id, words := range map[string][]string{"acme/1": {"Final-Recipient: rfc822; eva@kunde.example", "Action: delivered", "Status: 2.0.0"},
		"acme/2": {"Final-Recipient: rfc822; " + postfixtest.Unknown, "Action: failed", "Status: 5.1.1"}} {
		for _, word := range append(words, "Content-Type: text/rfc822-headers") {
			if !strings.Contains(reports[id], word) {
				t.Errorf("the report on %s lacks %q:\n%s", id, word, reports[id])
			}
		}
		if strings.Contains(reports[id], "secret text") {
			t.Errorf("the report on %s repeats the mail", id)
		}
	}
}

const (
	restartRows = 400
	restarts    = 4
)

// TestP1P2_PostfixRestarts restarts Postfix while the daemon sends: no mail is lost, none comes twice, and what is sent has come.
func TestP1P2_PostfixRestarts(t *testing.T) {
	system := postfixtest.Service{Name: "system"}
	s := onPostfix(t, system)
	s.configure(system)
	s.mails("system", restartRows)
	s.start()
	ended := func() int {
		n, err := strconv.Atoi(s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state IN ('sent', 'uncertain')`))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	onward := func() { // nobody waits for pauses
		s.db.Exec(t, `UPDATE {db}.outbox_bucket SET paused_until = UTC_TIMESTAMP(6) WHERE paused_until > UTC_TIMESTAMP(6)`)
		s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE state = 'queued' AND available_at > UTC_TIMESTAMP(6)`)
	}
	for n := range restarts {
		s.until("so far", func() bool { onward(); return ended() >= (n+1)*restartRows/(restarts+2) })
		s.postfix.Restart()
	}
	s.until("all ended", func() bool { onward(); return ended() == restartRows })

	sent, err := strconv.Atoi(s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`))
	if err != nil {
		t.Fatal(err)
	}
	came, ids := map[string]int{}, ""
	for _, m := range s.postfix.Mails(sent) {
		came[m.To]++
		ids += m.To + " " + m.ID + "; "
	}
	uncertain, delivered := 0, 0
	for n := 1; n <= restartRows; n++ {
		to := fmt.Sprintf("system%d@kunde.example", n)
		switch open := s.db.Read(t, `SELECT state FROM {db}.outbox WHERE rcpt = ?`, to) == "uncertain"; {
		case came[to] > 1:
			t.Errorf("%s has it %d times of %s", to, came[to], ids)
		case open:
			uncertain++
			delivered += came[to]
		case came[to] == 0:
			t.Errorf("%s has it not, and the row says sent", to)
		}
	}
	t.Logf("%d rows, %d restarts of Postfix: %d uncertain, of which %d were delivered", restartRows, restarts, uncertain, delivered)
}
