//go:build unix

package jobs_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/compose"
	"outboxd/mail/smtpout"
	"outboxd/mail/smtptest"
)

const (
	benchMails     = 30_000
	benchSessions  = 64
	benchCompanies = 4 // of the run with several companies, with as many accounts each
)

var benchBody = bytes.Repeat([]byte("Dear customer, this is a line of text with sixty-four characters\n"), 63)

// spent is what a run came to.
type spent struct {
	rate     float64       // mails a second
	cpu      time.Duration // a mail, of this process: outboxd and the catching server
	database time.Duration // a mail, of MariaDB
}

func (s spent) String() string {
	text := fmt.Sprintf("%.0f mails/s, %d µs of CPU a mail with the catching server's", s.rate, s.cpu.Microseconds())
	if s.database > 0 {
		text += fmt.Sprintf(", %d µs of MariaDB's", s.database.Microseconds())
	}
	return text
}

// BenchmarkThroughput sends mails of 4 KB from a MariaDB that fsyncs every commit to a server that keeps nothing, beside bare
// SMTP transactions of the same program with no database. Run it with -benchtime 1x.
func BenchmarkThroughput(b *testing.B) {
	sink, err := smtptest.NewServer("127.0.0.1:0", smtptest.NullSink())
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	server := dbtest.Own(b, dbtest.Options{Durable: true})
	for b.Loop() {
		bare := bareRate(b, false, sink)
		fmt.Printf("bare SMTP, %d sessions: %s\n", benchSessions, bare)
		fmt.Printf("the same with a message composed for each: %s\n", bareRate(b, true, sink))
		for _, companies := range []int{1, benchCompanies} {
			got := drainRate(b, server, sink, companies)
			fmt.Printf("outboxd, fsync of every commit, %d companies with %d accounts each: %s; %.2f of bare SMTP, %s\n",
				companies, companies, got, got.rate/bare.rate, dbtest.AtLeast(got.rate/bare.rate, 0.45, ""))
		}
		if source := sourceRate(b, sink); source > 0 {
			fmt.Printf("Postfix's smtp-source, %d sessions: %.0f mails/s\n", benchSessions, source)
		} else {
			fmt.Println("Postfix's smtp-source is not installed: not measured")
		}
	}
}

// fill inserts rows of 4 KB that are due, one after the other for each of the accounts.
func fill(b *testing.B, d *dbtest.Database, rows, accounts int) {
	b.Helper()
	d.Exec(b, `INSERT INTO {db}.outbox (recipients, subject, body_text, account)
		SELECT CONCAT('user', seq, '@kunde.example'), CONCAT('Invoice ', seq), ?, CONCAT(?, '-', seq % ?) FROM {db}.seq_1_to_`+fmt.Sprint(rows),
		benchBody, d.Name, accounts)
}

// benchFile is a jobs.yaml of companies with so many accounts each, which share the sessions.
func benchFile(b *testing.B, companies []*dbtest.Database, accounts int, sink *smtptest.Server, job string) *jobfile.File {
	b.Helper()
	var text strings.Builder
	server := companies[0].Server
	fmt.Fprintf(&text, "version: 1\nservers: {main: {host: %s, port: %d, username: root}}\ncontrol: {server: main, database: %s}\naccounts:\n", server.Host, server.Port, companies[0].Name)
	for _, d := range companies {
		for i := range accounts {
			fmt.Fprintf(&text, "  %s-%d: {host: 127.0.0.1, port: %d, encryption: none, from: a@acme.example, rate: unlimited, own_relay: true, connections: %d, companies: [%s]}\n",
				d.Name, i, sink.Port(), benchSessions/len(companies)/accounts, d.Name)
		}
	}
	text.WriteString(general + "companies:\n")
	for _, d := range companies {
		fmt.Fprintf(&text, "  %[1]s: {server: main, database: %[1]s, jobs: {send: {kind: deliver, %[2]s}}}\n", d.Name, job)
	}
	path := filepath.Join(b.TempDir(), "jobs.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	file, problems := jobfile.Load(path)
	if file == nil {
		b.Fatal(problems)
	}
	return file
}

// runEngine runs an engine in this process until stop, which waits for its end.
func runEngine(b *testing.B, file *jobfile.File) (stop func()) {
	b.Helper()
	e, err := jobs.New(file, jobs.Options{Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx, context.Background()) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
}

// drainRate runs an engine until nothing waits any more in any of so many companies, with as many accounts each.
func drainRate(b *testing.B, server *dbtest.Server, sink *smtptest.Server, companies int) spent {
	b.Helper()
	var all []*dbtest.Database
	for range companies {
		d := dbtest.On(b, server.Server)
		fill(b, d, benchMails/companies, companies)
		all = append(all, d)
	}
	file := benchFile(b, all, companies, sink, "poll: 100ms")
	m := startMeter(b, server)
	stop := runEngine(b, file)
	for _, d := range all {
		awaitEmpty(b, d)
	}
	got := m.stop(b)
	stop()
	for _, d := range all {
		if n := d.Read(b, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`); n != fmt.Sprint(benchMails/companies) {
			b.Fatalf("%s rows sent", n)
		}
	}
	return got
}

// meter measures what benchMails cost.
type meter struct {
	server        *dbtest.Server // nil for none
	start         time.Time
	cpu, database time.Duration
}

func startMeter(b *testing.B, server *dbtest.Server) *meter {
	m := &meter{server: server, cpu: cpuTime(b)}
	if server != nil {
		m.database = dbtest.ReadProcess(b, server.PID()).CPU
	}
	m.start = time.Now()
	return m
}

func (m *meter) stop(b *testing.B) spent {
	s := spent{rate: benchMails / time.Since(m.start).Seconds(), cpu: (cpuTime(b) - m.cpu) / benchMails}
	if m.server != nil {
		s.database = (dbtest.ReadProcess(b, m.server.PID()).CPU - m.database) / benchMails
	}
	return s
}

// bareRate sends the same mails with no database, one message again and again or each composed anew.
func bareRate(b *testing.B, composed bool, sink *smtptest.Server) spent {
	b.Helper()
	message := composeOne(b)
	var left atomic.Int64
	left.Store(benchMails)
	var all sync.WaitGroup
	m := startMeter(b, nil)
	for range benchSessions {
		all.Go(func() {
			s, err := smtpout.Dial(context.Background(), smtpout.Config{Host: "127.0.0.1", Port: sink.Port(), Encryption: smtpout.None, Auth: smtpout.AuthNone})
			if err != nil {
				b.Error(err)
				return
			}
			defer s.Close()
			for left.Add(-1) >= 0 {
				text := message
				if composed {
					text = composeOne(b)
				}
				if r := s.Send(context.Background(), smtpout.Delivery{From: "a@acme.example", To: []string{"b@kunde.example"}, Message: text}); r.Stopped != nil || r.Message.Reply.Code != 250 {
					b.Errorf("%+v", r)
					return
				}
			}
		})
	}
	all.Wait()
	return m.stop(b)
}

// composeOne makes a message as it is made of a row.
func composeOne(b *testing.B) []byte {
	to, err := mail.ParseAddressList("b@kunde.example")
	if err != nil {
		b.Error(err)
		return nil
	}
	message, err := compose.Build(compose.Message{From: mail.Address{Local: "a", Host: "acme.example"}, To: to, Subject: "Invoice 17",
		Text: string(benchBody), MessageID: "<17@acme.example>", Date: time.Now()})
	if err != nil {
		b.Error(err)
	}
	return message
}

// sourceRate is what Postfix's load generator reaches against the same server, 0 when it is not installed.
func sourceRate(b *testing.B, sink *smtptest.Server) float64 {
	b.Helper()
	source, err := exec.LookPath("smtp-source")
	if err != nil {
		if source, err = exec.LookPath("/usr/sbin/smtp-source"); err != nil {
			return 0
		}
	}
	start := time.Now()
	out, err := exec.Command(source, "-d", "-s", fmt.Sprint(benchSessions), "-l", "4096", "-m", fmt.Sprint(benchMails),
		"-f", "a@acme.example", "-t", "b@kunde.example", sink.Addr()).CombinedOutput()
	if err != nil {
		b.Fatalf("smtp-source: %v\n%s", err, out)
	}
	return benchMails / time.Since(start).Seconds()
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// awaitEmpty asks seldom: it must not disturb what is measured.
func awaitEmpty(b *testing.B, d *dbtest.Database) {
	b.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for d.Read(b, `SELECT COUNT(*) FROM (SELECT 1 FROM {db}.outbox WHERE qlane IS NOT NULL LIMIT 1) w`) != "0" {
		<-tick.C
	}
}
