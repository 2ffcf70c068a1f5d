package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/mail/sendercheck/dnstest"
	"outboxd/mail/smtptest"
)

// site is a company with its database, a catching SMTP server, a jobs.yaml and a runtime folder.
type site struct {
	t       *testing.T
	db      *dbtest.Database
	smtp    *smtptest.Server
	config  string
	runtime string
	env     map[string]string
	dns     *dnstest.Server // the resolver of the program
}

func newSite(t *testing.T) *site {
	s := &site{t: t, db: dbtest.New(t), smtp: smtptest.New(t)}
	s.place()
	s.write(s.file(""))
	return s
}

// senderZone is a domain that no receiver holds anything against.
const senderZone = `
	acme.example. MX 10 mail.acme.example.
	mail.acme.example. A 192.0.2.1
	acme.example. TXT "v=spf1 mx ~all"
	_dmarc.acme.example. TXT "v=DMARC1; p=quarantine; rua=mailto:dmarc@acme.example"`

// place makes the folders and the resolver. The runtime folder is short: the path of a socket is bounded.
func (s *site) place() {
	s.t.Helper()
	s.dns = dnstest.New(s.t)
	s.dns.Add(senderZone)
	s.config = filepath.Join(s.t.TempDir(), "jobs.yaml")
	dir, err := os.MkdirTemp("", "ob")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		// A daemon that was ended at once may still be writing what it remembers.
		err := os.RemoveAll(dir)
		for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); err = os.RemoveAll(dir) {
			runtime.Gosched()
		}
		if err != nil {
			s.t.Error(err)
		}
	})
	s.runtime = dir
	s.env = map[string]string{"OUTBOXD_RUNTIME": dir}
}

// file is a jobs.yaml; more are further main keys.
func (s *site) file(more string) string {
	return fmt.Sprintf(`version: 1
control: {server: main, database: %[4]s}
servers:
  main: {host: %[1]s, port: %[2]d, username: %[3]s, encryption: none}
accounts:
  main: {host: 127.0.0.1, port: %[5]d, encryption: none, from: Acme <noreply@acme.example>, rate: 300/hour}
  bulk: {host: localhost, port: %[5]d, encryption: none, from: Acme <bulk@acme.example>, rate: unlimited, own_relay: true}
  system: {host: 127.0.0.1, port: %[5]d, encryption: none, from: noreply@acme.example, rate: 300/hour}
companies:
  acme:
    server: main
    database: %[4]s
    accounts: [bulk, main]
    jobs: {send: {kind: deliver, poll: 100ms}}
%[6]s
`, s.db.Server.Host, s.db.Server.Port, s.db.Server.Username, s.db.Name, s.smtp.Port(), more)
}

func (s *site) write(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) outside(stdout, stderr *output) outside {
	return outside{stdout: stdout, stderr: stderr, env: func(name string) string { return s.env[name] }, now: time.Now, resolver: s.dns.Addr()}
}

// do runs a command and returns its exit status and what it printed.
func (s *site) do(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	var out, errs output
	code = run(s.t.Context(), append([]string{"--config", s.config}, args...), s.outside(&out, &errs))
	return code, out.String(), errs.String()
}

// must runs a command that has to end with an exit status, and to print all of the texts.
func (s *site) must(code int, command string, texts ...string) string {
	s.t.Helper()
	got, stdout, stderr := s.do(strings.Fields(command)...)
	if got != code {
		s.t.Errorf("%s: exit status %d\n%s%s", command, got, stdout, stderr)
	}
	for _, text := range texts {
		if !strings.Contains(stdout+stderr, text) {
			s.t.Errorf("%s: lacks %q:\n%s%s", command, text, stdout, stderr)
		}
	}
	return stdout
}

// output may be read while a command writes into it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{} // closed at the next write
}

func (b *output) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.grew != nil {
		close(b.grew)
		b.grew = nil
	}
	return b.text.Write(p)
}

func (b *output) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// await returns when the text was written.
func (b *output) await(t *testing.T, text string, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		b.mu.Lock()
		if strings.Count(b.text.String(), text) >= times {
			b.mu.Unlock()
			return
		}
		if b.grew == nil {
			b.grew = make(chan struct{})
		}
		grew := b.grew
		b.mu.Unlock()
		select {
		case <-grew:
		case <-ctx.Done():
			t.Fatalf("no %q in:\n%s", text, b)
		}
	}
}

func TestUsage(t *testing.T) {
	s := &site{t: t}
	s.place()
	for command, text := range map[string]string{
		"":                                  "expected one of",
		"fly":                               "unexpected argument fly",
		"queue":                             "expected one of",
		"queue show":                        `"<row>"`,
		"queue hold x":                      "a row is named acme/17",
		"queue release acme/1":              "--reason TEXT",
		"queue settle acme/1 --reason seen": "--as",
		"queue settle acme/1 --as lost":     "must be one of",
		"queue settle acme/1 --as sent":     "--reason TEXT",
		"queue list --since yesterday":      "how long ago",
		"status --watch --every 1ms":        "at least 100ms",
		"check --fast":                      "unknown flag --fast",
		"account test":                      `"<account>"`,
		"dkim keygen":                       `"<domain>"`,
		"dkim keygen acme_example":          "is no mail domain",
		"dkim keygen a.example --kind dsa":  "must be one of",
		"dkim keygen a.example --selector=": "is no selector",
	} {
		s.must(exitWrong, command, text)
	}
	s.must(exitDone, "--help", "check", "migrate", "queue list", "account test", "audit", "--config")
	s.must(exitDone, "queue settle --help", "--as", "--reason")
	s.must(exitDone, "version", "outboxd "+version)
}

func TestWithoutAnything(t *testing.T) {
	s := &site{t: t}
	s.place()
	s.must(exitWrong, "status", "no outboxd is running", "systemctl start outboxd", s.config)
	s.must(exitWrong, "check", "1 error")
	s.must(exitWrong, "run", s.config)
	s.must(exitWrong, "migrate", s.config)
}

func TestSecretsThatCannotBeRead(t *testing.T) {
	s := newSite(t)
	s.write(strings.Replace(s.file(""), "encryption: none}\naccounts", "encryption: none, password: {file: nowhere}}\naccounts", 1))
	s.must(exitFailed, "status", "no outboxd is running", "nowhere", "sudo -u outboxd")
	s.must(exitWrong, "run", "nowhere")
	s.must(exitFailed, "migrate", "nowhere", "migrate --print")
	s.must(exitFailed, "check --online", "nowhere", "fail", "ok    account main")
	s.must(exitDone, "migrate --print", "CREATE TABLE")
	s.must(exitDone, "check", "0 errors")
}

func TestUsualFolder(t *testing.T) {
	env := func(string) string { return "P" }
	for system, want := range map[string]string{"linux": "/run/outboxd", "darwin": "/var/run/outboxd", "windows": filepath.Join("P", "outboxd")} {
		if got := usualFolder(system, env); got != want {
			t.Errorf("%s: %s", system, got)
		}
	}
}
