package jobs_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"outboxd/db/dbtest"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail/smtptest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// site is a company with its database, a catching SMTP server and engines on them.
type site struct {
	t        *testing.T
	db       *dbtest.Database
	smtp     *smtptest.Server
	path     string
	logs     *observer.ObservedLogs
	log      *zap.Logger
	engine   *jobs.Engine // the last one started
	daemons  []*daemon
	state    string           // the state directory of the next engine; "" for none
	patience time.Duration    // of the next engine with a database that is away
	room     int64            // of the next engine for large messages; 0 for its own
	packTime time.Duration    // of the next engine; 0 for its own
	now      func() time.Time // of the next engine, for sending windows; nil for its own
	pauses   float64          // factor of the next engine's pauses of accounts; 0 for 1
	gates    []func()         // open what the SMTP server holds
	slowed   time.Duration    // until the next engine tells that an account is slowed; 0 for its own
}

// daemon is one engine at work.
type daemon struct {
	t      *testing.T
	engine *jobs.Engine
	stop   context.CancelFunc
	kill   context.CancelFunc
	run    func() error // waits for the end
}

func newSite(t *testing.T, opts ...smtptest.Option) *site {
	t.Helper()
	s := &site{t: t, db: dbtest.New(t), smtp: smtptest.New(t, opts...)}
	s.path = filepath.Join(t.TempDir(), "jobs.yaml")
	core, logs := observer.New(zap.InfoLevel)
	s.log, s.logs = zap.New(core), logs
	t.Cleanup(func() {
		if t.Failed() {
			for _, e := range logs.All() {
				t.Log(e.Level, e.Message, e.ContextMap())
			}
		}
	})
	return s
}

const unlimited = "rate: unlimited, own_relay: true"

// waitMost is how long a test waits for what has to come. It is no claim about speed: the computer may have other work.
const waitMost = 3 * time.Minute

// account is the YAML of an account on the site's server; more are further keys.
func (s *site) account(more string) string { return accountOn("127.0.0.1", s.smtp, more) }

// accountOn is an account on another server; host and user name are what makes it another account.
func accountOn(host string, server *smtptest.Server, more string) string {
	return fmt.Sprintf("{host: %s, port: %d, encryption: none, from: Acme <noreply@acme.example>, %s}", host, server.Port(), more)
}

// file is a whole jobs.yaml of one company with one job.
func (s *site) file(accounts, job string) string {
	return s.company(accounts, fmt.Sprintf("send: {kind: deliver, poll: 100ms, %s}", job))
}

// company is a whole jobs.yaml of one company with the given jobs.
func (s *site) company(accounts, jobs string) string {
	return s.servers("") + fmt.Sprintf(`accounts:
%s
companies:
  acme:
    server: main
    database: %s
    jobs:
      %s
`, accounts, s.db.Name, strings.ReplaceAll(jobs, "\n", "\n      "))
}

// servers is the head of a jobs.yaml.
func (s *site) servers(more string) string {
	return fmt.Sprintf("version: 1\nservers:\n  main: {host: %s, port: %d, username: %s, encryption: none}\n%s",
		s.db.Server.Host, s.db.Server.Port, s.db.Server.Username, more)
}

// two is a whole jobs.yaml of two companies; the first one's database is also the control database.
func (s *site) two(accounts string, other, server string) string {
	return s.servers(server) + fmt.Sprintf(`control: {server: main, database: %[1]s}
accounts:
%[2]s
companies:
  acme:
    server: main
    database: %[1]s
    jobs:
      send: {kind: deliver, poll: 100ms}
  beta:
%[3]s
    jobs:
      send: {kind: deliver, poll: 100ms}
`, s.db.Name, accounts, other)
}

// general is the account that each jobs.yaml must have, where a test is about others: nobody listens there.
const general = "  system: {host: 127.0.0.1, port: 1, encryption: none, from: noreply@acme.example, rate: 100/hour}\n"

// withGeneral adds the general account, as the last one, to a jobs.yaml that has none.
func withGeneral(text string) string {
	if strings.Contains(text, "\n  system:") {
		return text
	}
	return strings.Replace(text, "\ncompanies:\n", "\n"+general+"companies:\n", 1)
}

func (s *site) write(text string) *jobfile.File {
	s.t.Helper()
	if err := os.WriteFile(s.path, []byte(withGeneral(text)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	file, problems := jobfile.Load(s.path)
	if file == nil {
		s.t.Fatal(problems)
	}
	return file
}

// start runs an engine until the test ends it: before the databases go that were made until then, for outcomes are written to the
// last.
func (s *site) start(text, name string) *daemon {
	s.t.Helper()
	e, err := jobs.New(s.write(text), jobs.Options{Log: s.log, Name: name, Host: "here", State: s.state})
	if err != nil {
		s.t.Fatal(err)
	}
	e.SetDoubt(200 * time.Millisecond)
	if s.now != nil {
		e.SetNow(s.now)
	}
	if s.packTime != 0 {
		e.SetPackTime(s.packTime)
	}
	if s.room != 0 {
		e.SetRoom(s.room)
	}
	if s.patience != 0 {
		e.SetPatience(s.patience)
	}
	if s.pauses != 0 || s.slowed != 0 {
		e.SetTroubles(s.pauses, s.slowed)
	}
	stop, cancel := context.WithCancel(context.Background())
	kill, end := context.WithCancel(context.Background())
	ended, before := make(chan error, 1), s.events("started")
	d := &daemon{t: s.t, engine: e, stop: cancel, kill: end, run: sync.OnceValue(func() error { return <-ended })}
	go func() { ended <- e.Run(stop, kill) }()
	s.engine = e
	s.daemons = append(s.daemons, d)
	s.t.Cleanup(s.finish)
	s.awaitEvent("started", before+1)
	return d
}

// end stops the engine and waits for the drain.
func (d *daemon) end() {
	d.t.Helper()
	d.stop()
	if err := d.run(); err != nil && !strings.Contains(err.Error(), "stopped before") {
		d.t.Error(err)
	}
}

// killed ends the engine as a second signal does.
func (d *daemon) killed() {
	d.t.Helper()
	d.stop()
	d.kill()
	if err := d.run(); err == nil {
		d.t.Error("the engine drained although it was to end at once")
	}
}

// end stops all engines.
func (s *site) end() {
	for _, d := range s.daemons {
		d.end()
	}
	s.daemons = nil
}

// finish ends the engines with the test, whatever the SMTP server still holds.
func (s *site) finish() {
	for _, open := range s.gates {
		open()
	}
	s.end()
}

// reload lets the engine read another jobs.yaml.
func (s *site) reload(text string) {
	s.t.Helper()
	if err := s.engine.Reload(s.write(text)); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.finish) // with databases that are new since the start
}

// await returns when the query's value is what is wanted.
func (s *site) await(want, query string, args ...any) {
	s.t.Helper()
	s.awaitIn(waitMost, want, query, args...)
}

func (s *site) awaitIn(most time.Duration, want, query string, args ...any) {
	s.t.Helper()
	got := ""
	if !until(most, func() bool { got = s.db.Read(s.t, query, args...); return got == want }) {
		s.t.Fatalf("%s is %q, want %q", query, got, want)
	}
}

// until asks again and again, and tells whether it came true.
func until(most time.Duration, came func() bool) bool {
	deadline := time.Now().Add(most)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !came() {
		if time.Now().After(deadline) {
			return false
		}
		<-tick.C
	}
	return true
}

// awaitEvent returns when an event was logged so many times.
func (s *site) awaitEvent(name string, times int) {
	s.t.Helper()
	if !until(waitMost, func() bool { return s.events(name) >= times }) {
		s.t.Fatalf("event %s came %d times, want %d", name, s.events(name), times)
	}
}

func (s *site) events(name string) int { return s.logs.FilterMessage(name).Len() }

// awaitRows returns when the rows are as listed, see rows.
func (s *site) awaitRows(want ...string) {
	s.t.Helper()
	s.await(strings.Join(want, ", "), rowsQuery)
}

const rowsQuery = `SELECT GROUP_CONCAT(CONCAT_WS(' ', id, state, attempts) ORDER BY id SEPARATOR ', ') FROM {db}.outbox`

// mail inserts a row to the recipients and returns its number.
func (s *site) mail(recipients string) string {
	s.t.Helper()
	s.db.Exec(s.t, `INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES (?, 'x', 'x')`, recipients)
	return s.db.Read(s.t, `SELECT MAX(id) FROM {db}.outbox`)
}

// mails inserts n rows to r1@kunde.example and so on.
func (s *site) mails(n int) { s.mailsVia(n, "") }

func (s *site) mailsVia(n int, account string) {
	s.t.Helper()
	s.db.Exec(s.t, `INSERT INTO {db}.outbox (recipients, subject, body_text, account)
		WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		SELECT CONCAT('r', i, '@kunde.example'), 'x', 'x', NULLIF(?, '') FROM n`, n, account)
}

// messages waits until the server has accepted n messages in all.
func (s *site) messages(n int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitMost)
	defer cancel()
	if err := s.smtp.WaitMessages(ctx, n); err != nil {
		s.t.Fatal(err)
	}
}

// reached waits for the moment that a rule acts.
func reached(t *testing.T, h *smtptest.Hook) {
	t.Helper()
	select {
	case <-h.Reached():
	case <-time.After(waitMost):
		t.Fatal("the server was never asked so far")
	}
}

// onceEach checks that every Message-ID was accepted once and not begun more often, and that there are n.
func (s *site) onceEach(n int) {
	s.t.Helper()
	ledger := s.smtp.Ledger()
	if len(ledger) != n {
		s.t.Errorf("%d different messages, want %d", len(ledger), n)
	}
	for id, e := range ledger {
		if len(e.Accepted) != 1 || len(e.Began) != 1 {
			s.t.Errorf("%s was begun %d times and accepted %d times", id, len(e.Began), len(e.Accepted))
		}
	}
}

// secret writes a password file and returns its path.
func (s *site) secret(password string) string {
	s.t.Helper()
	path := filepath.Join(filepath.Dir(s.path), "secret")
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// gate makes a channel that holds the SMTP server until open is called, or the test ends.
func (s *site) gate() (hold chan struct{}, open func()) {
	hold = make(chan struct{})
	open = sync.OnceFunc(func() { close(hold) })
	s.gates = append(s.gates, open)
	return hold, open
}

// rcpt is the rule that refuses a recipient.
func rcpt(to, reply string) smtptest.Rule {
	return smtptest.Rule{Step: smtptest.StepRcpt, To: to, Do: smtptest.Reply(reply)}
}

// sender is one connection of a sender's own, with the server's defaults.
func (s *site) sender() *sql.Conn {
	s.t.Helper()
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net = s.db.Server.Username, s.db.Server.Password, "tcp"
	c.Addr = net.JoinHostPort(s.db.Server.Host, strconv.Itoa(s.db.Server.Port))
	connector, err := mysql.NewConnector(c)
	if err != nil {
		s.t.Fatal(err)
	}
	pool := sql.OpenDB(connector)
	s.t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			s.t.Error(err)
		}
	})
	conn, err := pool.Conn(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return conn
}
