//go:build unix

package jobs_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail/smtpout"
	"outboxd/mail/smtptest"
)

const (
	benchMails    = 30_000
	benchSessions = 64
)

// BenchmarkThroughput sends mails of 4 KB from a MariaDB that fsyncs every commit to a server that keeps nothing, beside bare
// SMTP transactions of the same program with no database. Run it with -benchtime 1x.
func BenchmarkThroughput(b *testing.B) {
	sink, err := smtptest.NewServer("127.0.0.1:0", smtptest.NullSink())
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	server := dbtest.Own(b, dbtest.Options{Durable: true})
	d := dbtest.On(b, server.Server)
	for b.Loop() {
		bare, bareCPU := bareRate(b, sink)
		fill(b, d)
		rate, cpu := drainRate(b, d, benchFile(b, d, sink))
		fmt.Printf("bare SMTP, %d sessions: %.0f mails/s, %.0f µs of CPU a mail, the catching server's included\n", benchSessions, bare, bareCPU)
		fmt.Printf("outboxd, fsync on every commit: %.0f mails/s, %.0f µs of CPU a mail, the database's not included; %.2f of bare SMTP\n", rate, cpu, rate/bare)
		if source := sourceRate(b, sink); source > 0 {
			fmt.Printf("Postfix's smtp-source, %d sessions: %.0f mails/s; outboxd is %.2f of it\n", benchSessions, source, rate/source)
		} else {
			fmt.Println("Postfix's smtp-source is not installed: not measured")
		}
	}
}

// fill inserts due rows of 4 KB.
func fill(b *testing.B, d *dbtest.Database) {
	b.Helper()
	body := bytes.Repeat([]byte("Dear customer, this is a line of text with sixty-four characters\n"), 63)
	d.Exec(b, `INSERT INTO {db}.outbox (recipients, subject, body_text)
		SELECT CONCAT('user', seq, '@kunde.example'), CONCAT('Invoice ', seq), ? FROM {db}.seq_1_to_`+fmt.Sprint(benchMails), body)
}

func benchFile(b *testing.B, d *dbtest.Database, sink *smtptest.Server) *jobfile.File {
	b.Helper()
	path := filepath.Join(b.TempDir(), "jobs.yaml")
	text := fmt.Sprintf(`version: 1
servers: {main: {host: %s, port: %d, username: root}}
accounts: {main: {host: 127.0.0.1, port: %d, encryption: none, from: a@acme.example, rate: unlimited, own_relay: true, connections: %d}}
companies: {acme: {server: main, database: %s, jobs: {send: {kind: deliver, poll: 100ms}}}}
`, d.Server.Host, d.Server.Port, sink.Port(), benchSessions, d.Name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	file, problems := jobfile.Load(path)
	if file == nil {
		b.Fatal(problems)
	}
	return file
}

// drainRate runs an engine until nothing waits any more.
func drainRate(b *testing.B, d *dbtest.Database, file *jobfile.File) (rate, cpuMicros float64) {
	b.Helper()
	e, err := jobs.New(file, jobs.Options{Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	stop, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	cpu, start := cpuTime(b), time.Now()
	go func() { ended <- e.Run(stop, context.Background()) }()
	awaitEmpty(b, d)
	took := time.Since(start)
	used := cpuTime(b) - cpu
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	if n := d.Read(b, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`); n != fmt.Sprint(benchMails) {
		b.Fatalf("%s rows sent", n)
	}
	return benchMails / took.Seconds(), float64(used.Microseconds()) / benchMails
}

// bareRate sends the same mails with no database and no composing.
func bareRate(b *testing.B, sink *smtptest.Server) (rate, cpuMicros float64) {
	b.Helper()
	message := append([]byte("From: a@acme.example\r\nTo: b@kunde.example\r\nSubject: x\r\n\r\n"), bytes.Repeat([]byte("Dear customer, this is a line of text with sixty-four characters\r\n"), 63)...)
	var left atomic.Int64
	left.Store(benchMails)
	var all sync.WaitGroup
	cpu, start := cpuTime(b), time.Now()
	for range benchSessions {
		all.Go(func() {
			s, err := smtpout.Dial(context.Background(), smtpout.Config{Host: "127.0.0.1", Port: sink.Port(), Encryption: smtpout.None, Auth: smtpout.AuthNone})
			if err != nil {
				b.Error(err)
				return
			}
			defer s.Close()
			for left.Add(-1) >= 0 {
				if r := s.Send(context.Background(), smtpout.Delivery{From: "a@acme.example", To: []string{"b@kunde.example"}, Message: message}); r.Stopped != nil || r.Message.Reply.Code != 250 {
					b.Errorf("%+v", r)
					return
				}
			}
		})
	}
	all.Wait()
	return benchMails / time.Since(start).Seconds(), float64((cpuTime(b) - cpu).Microseconds()) / benchMails
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
