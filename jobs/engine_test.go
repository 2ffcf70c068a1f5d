package jobs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"outboxd/db/dbtest"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail/smtptest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// site is one company with its database, a catching SMTP server and an engine on them.
type site struct {
	t      *testing.T
	db     *dbtest.Database
	smtp   *smtptest.Server
	path   string
	engine *jobs.Engine
	stop   context.CancelFunc
	ended  chan error
}

// account is the YAML of an account on the site's server; more are further keys.
func (s *site) account(more string) string {
	return fmt.Sprintf("{host: 127.0.0.1, port: %d, encryption: none, from: Acme <noreply@acme.example>, %s}", s.smtp.Port(), more)
}

// file is a whole jobs.yaml.
func (s *site) file(accounts, job string) string {
	return fmt.Sprintf(`version: 1
servers:
  main: {host: %s, port: %d, username: %s, encryption: none}
accounts:
%s
companies:
  acme:
    server: main
    database: %s
    jobs:
      send: {kind: deliver, poll: 100ms, %s}
`, s.db.Server.Host, s.db.Server.Port, s.db.Server.Username, accounts, s.db.Name, job)
}

func newSite(t *testing.T, opts ...smtptest.Option) *site {
	s := &site{t: t, db: dbtest.New(t), smtp: smtptest.New(t, opts...)}
	s.path = filepath.Join(t.TempDir(), "jobs.yaml")
	return s
}

func (s *site) write(text string) *jobfile.File {
	s.t.Helper()
	if err := os.WriteFile(s.path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	file, problems := jobfile.Load(s.path)
	if file == nil {
		s.t.Fatal(problems)
	}
	return file
}

func (s *site) start(text, name string) {
	s.t.Helper()
	e, err := jobs.New(s.write(text), jobs.Options{Log: zaptest.NewLogger(s.t, zaptest.Level(zap.WarnLevel)), Name: name, Host: "here"})
	if err != nil {
		s.t.Fatal(err)
	}
	stop, cancel := context.WithCancel(context.Background())
	s.engine, s.stop, s.ended = e, cancel, make(chan error, 1)
	go func() { s.ended <- e.Run(stop, context.Background()) }()
	s.t.Cleanup(func() { s.end() })
}

// end stops the engine and waits for the drain.
func (s *site) end() {
	if s.stop == nil {
		return
	}
	s.stop()
	if err := <-s.ended; err != nil {
		s.t.Error(err)
	}
	s.stop = nil
}

// await returns when the query's value is what is wanted.
func (s *site) await(want, query string) {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for got := ""; ; <-tick.C {
		if got = s.db.Read(s.t, query); got == want {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s is %q, want %q", query, got, want)
		}
	}
}

const unlimited = "rate: unlimited, own_relay: true"

func TestRowsLeaveAndTell(t *testing.T) {
	s := newSite(t)
	s.smtp.On(smtptest.Rule{Step: "rcpt", To: "gone@kunde.example", Do: smtptest.Reply("550 5.1.1 no such user")})
	s.smtp.On(smtptest.Rule{Step: "rcpt", To: "later@kunde.example", Do: smtptest.Reply("450 4.2.0 greylisted")})
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES
		('Eva <eva@kunde.example>', 'Grüße', 'Text'),
		('gone@kunde.example', 'x', 'x'),
		('later@kunde.example', 'x', 'x'),
		('eva@kunde.example, gone@kunde.example', 'x', 'x'),
		('no address', 'x', 'x'),
		('a@kunde.example; later@kunde.example', 'x', 'x')`)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, account) VALUES ('a@kunde.example', 'nobody')`)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.await("7", `SELECT COUNT(*) FROM {db}.outbox WHERE lease_token IS NOT NULL AND state <> 'sending'`)
	want := []string{"1 sent 1", "2 failed 1", "3 queued 1", "4 partial 1", "5 failed 1", "6 queued 1", "7 failed 1"}
	got := s.db.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', id, state, attempts) ORDER BY id) FROM {db}.outbox`)
	if got != strings.Join(want, ",") {
		t.Errorf("rows are %s", got)
	}
	t.Log(s.db.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', id, last_error) ORDER BY id SEPARATOR '\n') FROM {db}.outbox`))
	if n := len(s.smtp.Messages()); n != 3 {
		t.Errorf("%d messages", n)
	}
}
