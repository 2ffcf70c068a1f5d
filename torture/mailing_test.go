//go:build unix

package torture

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/mail/smtptest"
)

// The flags of make mailing-torture. Without them TestP7_MailingTorture is the short form.
var (
	flagRecipients   = flag.Int("recipients", 5000, "how many recipients the mailing has")
	flagMailingKills = flag.Int("mailing-kills", 5, "how often a daemon is killed meanwhile")
)

// mailingRun is one mailing, daemons that are killed while it runs, and what the SMTP server has got.
type mailingRun struct {
	*site
	recipients int
	rng        *rand.Rand

	mu   sync.Mutex
	got  map[string]int // mails that were accepted, by recipient
	data map[string]int // DATA commands read
}

// TestP7_MailingTorture kills daemons at any moment of a mailing, half of them while its rows are made, and wants each recipient to
// have it once, and the run reconciled.
func TestP7_MailingTorture(t *testing.T) {
	t.Parallel() // most of it is waiting
	m := newMailingRun(t, *flagRecipients)
	begun := time.Now()
	for _, d := range m.daemons {
		d.start()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	m.begin(ctx)
	half := *flagMailingKills / 2
	m.killWhile(ctx, half, `SELECT COALESCE(SUM(enqueued), 0) FROM {db}.outbox_run`)
	m.await(ctx, "sending", `SELECT state FROM {db}.outbox_run WHERE kind = 'mailing' AND state <> 'skipped'`)
	enqueued := time.Since(begun)
	m.killWhile(ctx, *flagMailingKills-half, `SELECT COUNT(*) FROM {db}.outbox WHERE run_id IS NOT NULL AND state = 'sent'`)
	m.settle(ctx)
	m.await(ctx, "done", `SELECT state FROM {db}.outbox_run WHERE kind = 'mailing' AND state <> 'skipped'`)
	took := time.Since(begun)
	m.stopAll()
	m.check(t)
	if m.tally.of("while rows were made") == 0 {
		t.Error("no daemon was killed while the rows were made")
	}
	t.Logf("%d recipients, %d kills, %d of them while the rows were made: every row in the outbox after %s, run closed after %s; %d uncertain were settled. %s", m.recipients, m.kills(),
		m.tally.of("while rows were made"), enqueued.Round(time.Millisecond), took.Round(time.Millisecond), m.tally.of("settled"), m.db.Read(t, `SELECT note FROM {db}.outbox_run WHERE state = 'done'`))
}

func newMailingRun(t testing.TB, recipients int) *mailingRun {
	t.Helper()
	s := &site{t: t, plan: plan{seed: *flagSeed, daemons: 2}, tally: newTally(), bad: &misbehaviour{done: make(chan struct{})}, dir: t.TempDir(), binary: build(t, nil)}
	t.Cleanup(func() { close(s.bad.done) })
	m := &mailingRun{site: s, recipients: recipients, rng: s.plan.rand(partKills), got: map[string]int{}, data: map[string]int{}}
	s.server = dbtest.Own(t, dbtest.Options{})
	s.db = dbtest.On(t, s.server.Server)
	s.root = s.sessions("root", "", s.server.Port)
	s.smtp = smtptest.New(t, smtptest.NullSink(), smtptest.OnMessage(m.accept), smtptest.Decide(m.read))
	s.db.Exec(t, `CREATE TABLE {db}.customer (id INT PRIMARY KEY, email VARCHAR(100) NOT NULL, mailed INT NOT NULL DEFAULT 0)`)
	const atOnce = 5000
	for done := 0; done < recipients; done += atOnce {
		s.db.Exec(t, `INSERT INTO {db}.customer (id, email) SELECT seq + ?, CONCAT('c', seq + ?, '@d', seq % 12, '.example') FROM `+dbtest.Numbers(min(atOnce, recipients-done)), done, done)
	}
	s.db.Exec(t, `INSERT INTO {db}.outbox_template (name, language, subject, text) VALUES ('statement', '', 'Statement {{.id}}', 'Customer {{.id}}')`)
	m.write()
	for i := range s.plan.daemons {
		s.daemons = append(s.daemons, newDaemon(s, i+1))
	}
	return m
}

// write writes jobs.yaml: one unlimited account, and one mailing to all customers on the first of the month.
func (m *mailingRun) write() {
	m.config = filepath.Join(m.dir, "jobs.yaml")
	text := fmt.Sprintf(`version: 1
servers:
  main: {host: 127.0.0.1, port: %d, username: root, encryption: none}
accounts:
  relay: {host: 127.0.0.1, port: %d, encryption: none, from: Acme <a@acme.example>, rate: unlimited, own_relay: true, connections: 16}
  system: {host: 127.0.0.1, port: 1, encryption: none, from: noreply@acme.example, rate: 100/hour}
companies:
  acme:
    server: main
    database: %s
    accounts: [relay]
    audiences: {all: "SELECT email AS recipients, id FROM customer ORDER BY id"}
    jobs:
      send: {kind: deliver, poll: 100ms}
      statements: {kind: mailing, schedule: "0 0 1 * *", audience: {name: all}, template: statement, key: [id], once_per: month}
`, m.server.Port, m.smtp.Port(), m.db.Name)
	if err := os.WriteFile(m.config, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// begin lets the run of this month be due: the job ran last in the month before.
func (m *mailingRun) begin(ctx context.Context) {
	m.t.Helper()
	m.await(ctx, "1", `SELECT COUNT(*) FROM {db}.outbox_run WHERE job = 'statements' AND state = 'skipped'`)
	m.stopAll()
	m.db.Exec(m.t, `UPDATE {db}.outbox_run SET scheduled_at = DATE_FORMAT(scheduled_at, '%Y-%m-01') - INTERVAL 1 DAY`)
	for _, d := range m.daemons {
		d.start()
	}
}

// read notes a DATA command.
func (m *mailingRun) read(at smtptest.Moment) (smtptest.Action, bool) {
	if at.Step == smtptest.StepData {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.data[at.To[0]]++
	}
	return smtptest.Action{}, false
}

func (m *mailingRun) accept(one smtptest.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got[one.To[0]]++
}

// killWhile kills one daemon after the other while a number grows up to the recipients, about evenly.
func (m *mailingRun) killWhile(ctx context.Context, kills int, query string) {
	for i := range kills {
		want := (i+1)*m.recipients/(kills+1) - m.rng.IntN(m.recipients/(2*kills+2)+1)
		tick := time.NewTicker(5 * time.Millisecond)
		for n, _ := m.count(ctx, query); n < want && ctx.Err() == nil; n, _ = m.count(ctx, query) {
			<-tick.C
		}
		tick.Stop()
		// Whoever has the run dies: both do, one right after the other.
		for _, d := range m.daemons {
			d.kill()
		}
		m.tally.add(killed)
		if n, _ := m.count(ctx, `SELECT COUNT(*) FROM {db}.outbox_run WHERE state = 'running'`); n > 0 {
			m.tally.add("while rows were made")
		}
		for _, d := range m.daemons {
			d.start()
		}
	}
}

// await waits for a value of the database.
func (m *mailingRun) await(ctx context.Context, want, query string) {
	m.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for got := ""; ; {
		row := m.root.QueryRowContext(ctx, m.sql(query))
		if _ = row.Scan(&got); got == want { // the row may not be there yet
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.t.Fatalf("%s is %q, want %q\n%s", query, got, want, m.daemons[0].tail())
		}
	}
}

// settle decides, as a person does who asks the server, about the mails of which nobody knows whether they went: those that were in flight
// when a daemon was killed.
func (m *mailingRun) settle(ctx context.Context) {
	m.t.Helper()
	m.await(ctx, "0", `SELECT COUNT(*) FROM {db}.outbox WHERE state IN ('queued', 'sending')`)
	rows, err := m.root.QueryContext(ctx, m.sql(`SELECT id, recipients FROM {db}.outbox WHERE state = 'uncertain'`))
	if err != nil {
		m.t.Fatal(err)
	}
	arrived := map[bool][]string{}
	for rows.Next() {
		var id uint64
		var to string
		if err := rows.Scan(&id, &to); err != nil {
			m.t.Fatal(err)
		}
		m.mu.Lock()
		there := m.got[to] > 0
		if m.data[to] == 0 {
			m.t.Errorf("%s is uncertain, and the server never read a DATA for it", to)
		}
		m.mu.Unlock()
		arrived[there] = append(arrived[there], "acme/"+strconv.FormatUint(id, 10))
	}
	if err := rows.Err(); err != nil {
		m.t.Fatal(err)
	}
	for there, names := range arrived {
		m.tally.addN("settled", len(names))
		command := []string{"queue", "retry", "--reason", "the server has not got it"}
		if there {
			command = []string{"queue", "settle", "--as", "sent", "--reason", "the server has it"}
		}
		if err := m.daemons[0].do(append(command, names...)...); err != nil {
			m.t.Fatal(err)
		}
	}
}

// check compares what the server got with what the run says.
func (m *mailingRun) check(t testing.TB) {
	m.mu.Lock()
	defer m.mu.Unlock()
	twice := 0
	for to, n := range m.got {
		if n != 1 {
			if twice++; twice < 10 {
				t.Errorf("%s got it %d times", to, n)
			}
		}
	}
	if len(m.got) != m.recipients {
		t.Errorf("%d of %d recipients got it", len(m.got), m.recipients)
	}
	n := strconv.Itoa(m.recipients)
	for query, want := range map[string]string{
		`SELECT CONCAT_WS(' ', audience, enqueued, sent, partial + failed + skipped + suppressed + cancelled + expired + gone) FROM {db}.outbox_run WHERE state = 'done'`: n + " " + n + " " + n + " 0",
		`SELECT COUNT(*) FROM {db}.outbox`:                                                n,
		`SELECT COUNT(*) FROM {db}.outbox_key WHERE kind = 'statements'`:                  n,
		`SELECT COUNT(DISTINCT outbox_id) FROM {db}.outbox_run_mail WHERE state = 'sent'`: n,
	} {
		if got := m.db.Read(t, query); got != want {
			t.Errorf("%s is %s, want %s", query, got, want)
		}
	}
	for _, text := range m.tally.broken["ended"] {
		t.Error(strings.TrimSpace(text))
	}
}
