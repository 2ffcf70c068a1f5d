package jobs_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// accountTrouble is a way in which an account cannot send.
type accountTrouble struct {
	name    string
	options []smtptest.Option // of the server, besides the usual ones
	rule    smtptest.Rule     // of the server; none without a step
	keys    string            // of the account, besides or in place of the usual ones
	why     []string          // what the row says: the server's words, or what does not fit, and what to do
}

// accountTroubles are the troubles by what goes wrong, with the replies of real servers. Those of a real Postfix are in cmd/outboxd.
func accountTroubles() []accountTrouble {
	at := func(step smtptest.Step, reply string) smtptest.Rule {
		return smtptest.Rule{Step: step, Do: smtptest.Reply(reply)}
	}
	dismiss := func(step smtptest.Step, reply string) smtptest.Rule {
		return smtptest.Rule{Step: step, Do: smtptest.ReplyAndHangup(reply)}
	}
	certificate := func(kind smtptest.Certificate) []smtptest.Option {
		return []smtptest.Option{smtptest.WithCertificate(kind)}
	}
	none := smtptest.Rule{}
	return []accountTrouble{
		{"plain", nil, none, "password: {file: wrong}", []string{"535 5.7.8", "password"}},
		{"login", nil, none, "auth: login, password: {file: wrong}", []string{"535 5.7.8", "password"}},
		{"cram", nil, none, "auth: cram-md5, password: {file: wrong}", []string{"535 5.7.8", "password"}},
		{"mechanism", []smtptest.Option{smtptest.Mechanisms("NTLM")}, none, "", []string{"offers AUTH NTLM", "encryption and auth"}},
		{"locked", nil, at(smtptest.StepAuth, "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."), "", []string{"535 5.7.139"}},
		{"sendasmail", nil, at(smtptest.StepMail, "553 5.7.1 <x@acme.example>: Sender address rejected: not owned by user x"), "", []string{"at mail", "not owned by user", "allow"}},
		{"sendasrcpt", nil, at(smtptest.StepRcpt, "550 5.7.1 Client does not have permissions to send as this sender"), "", []string{"at rcpt", "permissions to send as", "Send"}},
		{"sendasdata", nil, at(smtptest.StepData, "550 5.7.60 SMTP; Client does not have permissions to send as this sender"), "", []string{"at data", "5.7.60", "Send"}},
		{"sendasdot", nil, at(smtptest.StepDot, "554 5.2.252 SendAsDenied; x@acme.example not allowed to send as y@acme.example"), "", []string{"at dot", "SendAsDenied", "Send"}},
		{"quotamail", nil, at(smtptest.StepMail, "550 5.4.5 Daily user sending limit exceeded."), "", []string{"at mail", "Daily user sending limit", "limit"}},
		{"quotarcpt", nil, at(smtptest.StepRcpt, "452 4.7.1 daily message quota exceeded"), "", []string{"at rcpt", "daily message quota", "limit"}},
		{"quotadot", nil, at(smtptest.StepDot, "550 Domain acme.example has exceeded the max emails per hour (200/200) allowed"), "", []string{"at dot", "max emails per hour", "limit"}},
		{"rate", nil, at(smtptest.StepMail, "450 4.7.1 Error: too much mail from 127.0.0.1"), "", []string{"at mail", "too much mail", "slow"}},
		{"logins", nil, at(smtptest.StepAuth, "454 4.7.0 Too many login attempts, please try again later."), "", []string{"at auth", "Too many login attempts", "login attempts"}},
		{"connections", nil, dismiss(smtptest.StepConnect, "421 4.7.0 Too many connections, slow down"), "", []string{"at connect", "Too many connections", "connections"}},
		{"concurrent", nil, dismiss(smtptest.StepMail, "432 4.3.2 Concurrent connections limit exceeded."), "", []string{"Concurrent connections", "connections"}},
		{"expired", certificate(smtptest.CertExpired), none, "", []string{"certificate has expired", "renew"}},
		{"name", certificate(smtptest.CertWrongName), none, "", []string{"127.0.0.1", "Put the name the provider gives"}},
		{"ca", certificate(smtptest.CertUnknownCA), none, "", []string{"unknown authority", "`ca`"}},
		{"oldtls", []smtptest.Option{smtptest.MaxTLS(tls.VersionTLS11)}, none, "", []string{"nothing newer than TLS 1.1", "update"}},
		{"clear", []smtptest.Option{smtptest.WithoutStartTLS()}, none, "", []string{"does not offer STARTTLS", "587"}},
	}
}

// usual are the options of the account's server without the trouble.
func (a accountTrouble) usual(authority *smtptest.Authority) []smtptest.Option {
	return []smtptest.Option{smtptest.SignedBy(authority), smtptest.RequireTLS(), smtptest.RequireAuth(), smtptest.Users(map[string]string{a.name: "right-password"})}
}

// server starts the account's server with the trouble.
func (a accountTrouble) server(t *testing.T, authority *smtptest.Authority) *smtptest.Server {
	t.Helper()
	server := smtptest.New(t, append(a.usual(authority), a.options...)...)
	if a.rule.Step != "" {
		server.On(a.rule)
	}
	return server
}

// entries are the account in jobs.yaml, with the trouble and without.
func (a accountTrouble) entries(port int) (sick, well string) {
	entry := fmt.Sprintf("\n  %[1]s: {host: 127.0.0.1, port: %[2]d, ca: ca.pem, username: %[1]s, from: %[1]s@acme.example, %[3]s", a.name, port, unlimited)
	well = entry + ", password: {file: right}}"
	if !strings.Contains(a.keys, "password") {
		entry += ", password: {file: right}"
	}
	if a.keys != "" {
		entry += ", " + a.keys
	}
	return entry + "}", well
}

// authority makes one that signs certificates, and puts it beside jobs.yaml, with a right and a wrong password.
func (s *site) authority() *smtptest.Authority {
	s.t.Helper()
	authority, err := smtptest.NewAuthority()
	if err != nil {
		s.t.Fatal(err)
	}
	for name, text := range map[string]string{"ca.pem": string(authority.PEM()), "right": "right-password", "wrong": "wrong-password"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(s.path), name), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return authority
}

// TestP5_EveryTroubleOfAnAccount: one daemon has an account in each trouble. Its rows wait with no attempt spent and say why and
// what to do; no other account is disturbed; and when the trouble is over they leave, each once.
func TestP5_EveryTroubleOfAnAccount(t *testing.T) {
	const rows = 3
	t.Parallel()
	s := newSite(t)
	troubles, authority := accountTroubles(), s.authority()
	servers, sick, well := map[string]*smtptest.Server{}, "  system: "+s.account(unlimited), "  system: "+s.account(unlimited)
	for _, trouble := range troubles {
		server := trouble.server(t, authority)
		servers[trouble.name] = server
		ill, mended := trouble.entries(server.Port())
		sick, well = sick+ill, well+mended
		s.mailsVia(rows, trouble.name)
	}
	s.mailsVia(rows, "system")
	s.start(s.file(sick, ""), "one")
	s.await(fmt.Sprint(rows), `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'system' AND state = 'sent'`)
	for _, trouble := range troubles {
		s.explained(trouble)
		s.await(fmt.Sprint(rows), `SELECT COUNT(*) FROM {db}.outbox WHERE account = ? AND state = 'queued' AND attempts = 0`, trouble.name)
		if c := servers[trouble.name].Counts(); c.PasswordInClear+c.MailInClear+c.HelloFallbacks != 0 {
			t.Errorf("%s: %+v", trouble.name, c)
		}
	}

	for _, trouble := range troubles {
		old := servers[trouble.name]
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		server, err := smtptest.NewServer(old.Addr(), trouble.usual(authority)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		servers[trouble.name] = server
	}
	s.reload(s.file(well, ""))
	if !until(waitMost, func() bool {
		s.db.Exec(t, `UPDATE {db}.outbox_bucket SET paused_until = UTC_TIMESTAMP(6) WHERE paused_until > UTC_TIMESTAMP(6)`)
		s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE state = 'queued' AND available_at > UTC_TIMESTAMP(6)`)
		return s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state <> 'sent'`) == "0"
	}) {
		t.Fatal(s.db.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', account, state, attempts, last_error) SEPARATOR '\n') FROM {db}.outbox WHERE state <> 'sent'`))
	}
	s.await(fmt.Sprint(rows*(len(troubles)+1)), `SELECT COUNT(*) FROM {db}.outbox WHERE attempts = 1`)
	for _, trouble := range troubles {
		if n := servers[trouble.name].Counts().Accepted; n != rows {
			t.Errorf("%s: %d mails were accepted, want %d", trouble.name, n, rows)
		}
	}
}

// explained waits until one of an account's rows tells its trouble.
func (s *site) explained(trouble accountTrouble) {
	s.t.Helper()
	row, said := s.db.Read(s.t, `SELECT MAX(id) FROM {db}.outbox WHERE account = ?`, trouble.name), ""
	if !until(waitMost, func() bool {
		why, err := s.engine.Desk().QueueWhy(s.t.Context(), jobs.RowRequest{Row: row})
		if err != nil {
			s.t.Fatal(err)
		}
		said = why.Next
		for _, reason := range why.Reasons {
			said += " " + reason.Text
		}
		for _, text := range trouble.why {
			if !strings.Contains(said, text) {
				return false
			}
		}
		return true
	}) {
		s.t.Errorf("%s: %q lacks one of %q", trouble.name, said, trouble.why)
	}
}
