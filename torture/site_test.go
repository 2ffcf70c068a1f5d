//go:build unix

package torture

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"outboxd/db"
	"outboxd/db/dbtest"
	"outboxd/mail/smtptest"
)

// site is a company with its database, its SMTP server, its daemons, and what the harness knows of them.
type site struct {
	t       testing.TB
	plan    plan
	server  *dbtest.Server
	db      *dbtest.Database
	root    *sql.DB // the harness's sessions: straight to the database, and past its read_only
	client  *sql.DB // a customer's program: by the same way as the daemons
	link    *link   // the daemons' way to the database
	smtp    *smtptest.Server
	bad     *misbehaviour
	ledger  *ledger
	post    *post
	tally   *tally
	dir     string
	config  string
	binary  string
	daemons []*daemon
}

// flags of the MariaDB. Everything stands in one tablespace, so that it can be full.
var flags = []string{"--innodb-file-per-table=0", "--innodb-autoextend-increment=4", "--innodb-lock-wait-timeout=2",
	"--innodb-data-file-path=" + roomy, "--max-connections=150"}

const (
	roomy  = "ibdata1:12M:autoextend"
	dbUser = "outboxd_daemon"
	secret = "secret"
)

func newSite(t testing.TB, p plan, binary string) *site {
	t.Helper()
	s := &site{t: t, plan: p, binary: binary, ledger: newLedger(), tally: newTally(), post: &post{}, dir: t.TempDir()}
	s.server = dbtest.Own(t, dbtest.Options{Flags: flags})
	s.db = dbtest.On(t, s.server.Server)
	s.root = s.sessions("root", "", s.server.Port)
	s.grant()
	s.link = newLink(t, net.JoinHostPort(s.server.Host, strconv.Itoa(s.server.Port)))
	s.client = s.sessions(db.SenderUser(s.db.Name), secret, s.link.port())
	s.bad = &misbehaviour{plan: p, ledger: s.ledger, tally: s.tally, done: make(chan struct{}), times: map[string]uint64{}}
	s.smtp = smtptest.New(t, smtptest.NullSink(), smtptest.OnMessage(s.ledger.accept), smtptest.Decide(s.bad.decide),
		smtptest.Users(map[string]string{"u1": secret, "u2": secret, "u3": secret, "u4": secret}))
	t.Cleanup(func() { close(s.bad.done) })
	s.configure()
	for i := range p.daemons {
		s.daemons = append(s.daemons, newDaemon(s, i+1))
	}
	return s
}

// sessions opens the database for the harness itself.
func (s *site) sessions(user, password string, port int) *sql.DB {
	s.t.Helper()
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = user, password, "tcp", net.JoinHostPort(s.server.Host, strconv.Itoa(port))
	c.Timeout, c.ReadTimeout, c.WriteTimeout = 2*time.Second, 20*time.Second, 20*time.Second
	c.Logger = &mysql.NopLogger{} // lost connections are what this is about
	connector, err := mysql.NewConnector(c)
	if err != nil {
		s.t.Fatal(err)
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxIdleConns(12) // what it has it keeps, also when there are no more
	s.t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// grant makes the daemons' user, with no more rights than it has anywhere.
func (s *site) grant() {
	s.t.Helper()
	text, err := db.Grants(s.db.Name, dbUser, db.Needs{}, db.CompanyPart, db.BucketPart, db.ControlPart)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSpace(line), ";")
		if alter, ok := strings.CutPrefix(line, "-- ALTER"); ok {
			line = strings.Replace("ALTER"+alter, "'PASSWORD'", "'"+secret+"'", 1)
		}
		if line != "" && !strings.HasPrefix(line, "--") {
			s.db.Exec(s.t, line)
		}
	}
}

// configure writes jobs.yaml: three relays that may send without limit, and one limited account.
func (s *site) configure() {
	s.t.Helper()
	s.config = filepath.Join(s.dir, "jobs.yaml")
	for name, text := range map[string]string{s.config: fmt.Sprintf(`version: 1
control: {server: main, database: %[1]s}
servers:
  main: {host: 127.0.0.1, port: %[2]d, username: %[3]s, password: {file: password}, encryption: none}
accounts:
  relay: {host: 127.0.0.1, port: %[4]d, encryption: none, username: u1, password: {file: password}, from: Acme <a@acme.example>, rate: unlimited, own_relay: true, connections: 12}
  relay2: {host: 127.0.0.1, port: %[4]d, encryption: none, username: u2, password: {file: password}, from: Acme <b@acme.example>, rate: unlimited, own_relay: true, connections: 8}
  relay3: {host: 127.0.0.1, port: %[4]d, encryption: none, username: u3, password: {file: password}, from: Acme <c@acme.example>, rate: unlimited, own_relay: true, connections: 4}
  paced: {host: 127.0.0.1, port: %[4]d, encryption: none, username: u4, password: {file: password}, from: Acme <%[5]s>, rate: %[6]d/hour, limits: [%[7]d/minute], own_relay: true, connections: 4}
  system: {host: 127.0.0.1, port: 1, encryption: none, from: noreply@acme.example, rate: 100/hour}
companies:
  acme:
    server: main
    database: %[1]s
    accounts: [relay, relay2, relay3, paced]
    jobs: {send: {kind: deliver, poll: 100ms, retry: {attempts: 40, first: 1s, max: 3s, give_up_after: 1d}}}
`, s.db.Name, s.link.port(), dbUser, s.smtp.Port(), pacedSender, 60*s.plan.paced, s.plan.paced),
		filepath.Join(s.dir, "password"): secret} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) kills() int { return s.tally.of(killed) }

func (s *site) sql(statement string) string { return strings.ReplaceAll(statement, "{db}", s.db.Name) }

// exec runs a statement while anything may go wrong.
func (s *site) exec(ctx context.Context, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := s.root.ExecContext(ctx, s.sql(statement), args...)
	return err
}

// count reads one number, and false when the database cannot tell.
func (s *site) count(ctx context.Context, query string) (n int, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := s.root.QueryRowContext(ctx, s.sql(query)).Scan(&n)
	return n, err == nil
}
