//go:build postfix

package main

import (
	"bufio"
	"fmt"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/mail/postfixtest"
)

// postfixSite is a company whose accounts are at a real Postfix, one for each service.
type postfixSite struct {
	*site
	postfix  *postfixtest.Server
	accounts map[string]string // keys of an account in place of the usual ones
	job      string            // further keys of the job
}

// postfixWait is how long a test waits for what has to come.
const postfixWait = 2 * time.Minute

func onPostfix(t *testing.T, services ...postfixtest.Service) *postfixSite {
	s := &postfixSite{site: &site{t: t, db: dbtest.New(t)}, postfix: postfixtest.New(t, services...), accounts: map[string]string{}}
	s.place()
	s.password(postfixtest.Password)
	return s
}

// password writes the file that every account's password is in, unless it says otherwise.
func (s *postfixSite) password(text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.config), "password"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// account writes an account of a service into jobs.yaml; more are keys in place of the usual ones.
func (s *postfixSite) account(service string) string {
	keys := map[string]string{"username": postfixtest.UserOf(service), "password": "{file: password}", "from": postfixtest.UserOf(service), "encryption": "starttls"}
	for line := range strings.Lines(s.accounts[service]) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		keys[name] = strings.TrimSpace(value)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s: {host: 127.0.0.1, port: %d, ca: %s, rate: unlimited, own_relay: true", service, s.postfix.Port(service), s.postfix.CAFile())
	for _, name := range []string{"username", "password", "from", "encryption", "auth", "oauth"} {
		if keys[name] != "" {
			fmt.Fprintf(&b, ", %s: %s", name, keys[name])
		}
	}
	return b.String() + "}\n"
}

// configure writes the jobs.yaml with an account for each service.
func (s *postfixSite) configure(services ...postfixtest.Service) {
	s.t.Helper()
	var accounts strings.Builder
	for _, service := range services {
		accounts.WriteString(s.account(service.Name))
	}
	s.write(fmt.Sprintf(`version: 1
control: {server: main, database: %[4]s}
servers:
  main: {host: %[1]s, port: %[2]d, username: %[3]s, encryption: none}
accounts:
%[5]scompanies:
  acme:
    server: main
    database: %[4]s
    jobs: {send: {kind: deliver, poll: 100ms, retry: {first: 1s}%[6]s}}
`, s.db.Server.Host, s.db.Server.Port, s.db.Server.Username, s.db.Name, accounts.String(), s.job))
}

// mails inserts n rows by an account.
func (s *postfixSite) mails(account string, n int) {
	s.t.Helper()
	s.db.Exec(s.t, `INSERT INTO {db}.outbox (recipients, subject, body_text, account)
		SELECT CONCAT(?, seq, '@kunde.example'), CONCAT('Grüße ', seq), CONCAT('.\n..\nDobrý deň ', REPEAT('x', 2000), '\n'), ? FROM `+dbtest.Numbers(n), account, account)
}

// until asks again and again whether something has come true.
func (s *postfixSite) until(what string, came func() bool) {
	s.t.Helper()
	deadline, tick := time.Now().Add(postfixWait), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for !came() {
		if time.Now().After(deadline) {
			s.t.Fatalf("not %s: %s", what, s.db.Read(s.t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', id, account, state, attempts, last_error) SEPARATOR '\n') FROM {db}.outbox WHERE state <> 'sent'`))
		}
		<-tick.C
	}
}

// hurry ends all pauses and waits.
func (s *postfixSite) hurry() {
	s.t.Helper()
	s.db.Exec(s.t, `UPDATE {db}.outbox_bucket SET paused_until = UTC_TIMESTAMP(6) WHERE paused_until > UTC_TIMESTAMP(6)`)
	s.db.Exec(s.t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE state = 'queued' AND available_at > UTC_TIMESTAMP(6)`)
}

// count is how many rows fit a condition.
func (s *postfixSite) count(where string, args ...any) int {
	s.t.Helper()
	n, err := strconv.Atoi(s.db.Read(s.t, `SELECT COUNT(*) FROM {db}.outbox WHERE `+where, args...))
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// arrivedOnce compares what has left with what has arrived: each sent mail once, and nothing else.
func (s *postfixSite) arrivedOnce(rows int) {
	s.t.Helper()
	if got := s.count(`state = 'sent' AND attempts = 1`); got != rows {
		s.t.Errorf("%d of %d rows were sent with one attempt", got, rows)
	}
	seen := map[string]int{}
	for _, m := range s.postfix.Mails(rows) {
		header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(m.Content))).ReadMIMEHeader()
		if err != nil {
			s.t.Error(err)
		}
		seen[header.Get("Message-ID")]++
	}
	for id, n := range seen {
		if n != 1 || s.count(`message_id = ?`, id) != 1 {
			s.t.Errorf("%s arrived %d times", id, n)
		}
	}
	if len(seen) != rows {
		s.t.Errorf("%d different mails arrived, want %d", len(seen), rows)
	}
}
