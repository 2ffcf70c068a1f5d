//go:build unix

package jobs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/jobs/jobfile"
	"outboxd/mail/smtptest"
)

const (
	waitingSamples = 100
	waitingPoll    = 100 * time.Millisecond
	waitingRows    = "OUTBOXD_BENCH_ROWS" // that wait in each case; a million when unset
	mailingRows    = 100_000
)

// wire notes when each recipient's mail was accepted.
type wire struct {
	mu      sync.Mutex
	arrived map[string]time.Time
}

func (w *wire) at(to string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.arrived[to]
}

// sample inserts a row, waits until its mail is on the wire, and returns how long that took.
func (w *wire) sample(b *testing.B, d *dbtest.Database, to string, priority int) time.Duration {
	b.Helper()
	<-time.After(rand.N(waitingPoll)) // so that the samples fall anywhere between two polls
	d.Exec(b, `INSERT INTO {db}.outbox (recipients, account, priority) VALUES (?, 'main', ?)`, to, priority)
	inserted := time.Now()
	if !until(2*time.Minute, func() bool { return !w.at(to).IsZero() }) {
		b.Fatalf("%s never left", to)
	}
	return max(0, w.at(to).Sub(inserted))
}

func printTimes(what string, times []time.Duration) {
	slices.Sort(times)
	fmt.Printf("from INSERT to the wire, poll %s, %-46s p50 %s, p99 %s, most %s\n", waitingPoll, what+":", times[len(times)/2].Round(time.Millisecond),
		times[len(times)*99/100].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond))
}

// BenchmarkWaiting prints how long a row that can go is on its way while a million others of its company cannot, beside the
// same in an empty table, in interleaved samples; and a row of priority 1 while a mailing of 100,000 rows runs.
func BenchmarkWaiting(b *testing.B) {
	many := 1_000_000
	if text := os.Getenv(waitingRows); text != "" {
		var err error
		if many, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	fmt.Printf("many is %d rows\n", many)
	w := &wire{arrived: map[string]time.Time{}}
	server := dbtest.Own(b, dbtest.Options{Durable: true})
	sink, err := smtptest.NewServer("127.0.0.1:0", smtptest.NullSink(), smtptest.OnMessage(func(m smtptest.Message) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.arrived[m.To[0]] = m.Time
	}))
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	for b.Loop() {
		measureWaiting(b, w, server, sink, many)
		measureMailing(b, w, server, sink)
	}
}

// measureWaiting has a company for each case.
func measureWaiting(b *testing.B, w *wire, server *dbtest.Server, sink *smtptest.Server, many int) {
	cases := []struct {
		name, columns, values string
	}{
		{"nothing else waits", "", ""},
		{"many of an account out of budget", "recipients, account", "'r@kunde.example', 'slow'"},
		{"many of an account whose server is down", "recipients, account", "'r@kunde.example', 'down'"},
		{"many dated into next year", "recipients, account, send_after", "'r@kunde.example', 'main', NOW() + INTERVAL 1 YEAR"},
		{"many of a domain that throttles", "recipients, account", "'r@paused.example', 'main'"},
	}
	companies, times := make([]*dbtest.Database, len(cases)), make([][]time.Duration, len(cases))
	for i, c := range cases {
		companies[i] = dbtest.On(b, server.Server)
		if c.columns != "" {
			fillWaiting(b, companies[i], c.columns, c.values, many)
		}
	}
	last := companies[len(cases)-1]
	lane, err := last.Store.PauseLane(context.Background(), "domain:paused.example", time.Hour, "bench")
	if err != nil {
		b.Fatal(err)
	}
	stop := runEngine(b, waitingFile(b, companies, sink, 4))
	defer stop()
	start := time.Now()
	for last.Read(b, `SELECT LEAST(1, COUNT(*)) FROM (SELECT 1 FROM {db}.outbox WHERE lane = ? LIMIT 1) x`, lane.ID) == "0" {
		<-time.After(time.Millisecond) // the putting aside begins
	}
	var aside []time.Duration
	for n := 0; last.Read(b, `SELECT COUNT(*) FROM (SELECT 1 FROM {db}.outbox WHERE qlane = 0 LIMIT 2) x`) == "2"; n++ {
		aside = append(aside, w.sample(b, last, fmt.Sprintf("a%d@kunde.example", n), 3))
	}
	fmt.Printf("all rows of the domain were put aside after %s; the first row behind them left after %s\n", time.Since(start).Round(time.Second), aside[0].Round(time.Millisecond))
	printTimes("while they are put aside", aside)
	for n := range waitingSamples {
		for i, d := range companies {
			times[i] = append(times[i], w.sample(b, d, fmt.Sprintf("w%d.%d@kunde.example", i, n), 3))
		}
	}
	for i, c := range cases {
		printTimes(c.name, times[i])
	}
}

// fillWaiting inserts rows in steps that no deadline cuts off.
func fillWaiting(b *testing.B, d *dbtest.Database, columns, values string, rows int) {
	b.Helper()
	const step = 20_000
	for ; rows > 0; rows -= step {
		d.Exec(b, fmt.Sprintf("INSERT INTO {db}.outbox (%s) SELECT %s FROM {db}.seq_1_to_%d", columns, values, min(step, rows)))
	}
}

// measureMailing samples rows of priority 1 as long as the mailing runs.
func measureMailing(b *testing.B, w *wire, server *dbtest.Server, sink *smtptest.Server) {
	d := dbtest.On(b, server.Server)
	fillWaiting(b, d, "recipients, account", "'r@kunde.example', 'main'", mailingRows)
	stop := runEngine(b, waitingFile(b, []*dbtest.Database{d}, sink, 4))
	defer stop()
	var times []time.Duration
	for n := 0; d.Read(b, `SELECT COUNT(*) FROM (SELECT 1 FROM {db}.outbox WHERE qlane = 0 LIMIT 1) x`) == "1"; n++ {
		times = append(times, w.sample(b, d, fmt.Sprintf("p%d@kunde.example", n), 1))
	}
	printTimes(fmt.Sprintf("priority 1 in a mailing of %d, %d samples", mailingRows, len(times)), times)
}

// waitingFile has the accounts main, slow and down, each company's for itself.
func waitingFile(b *testing.B, companies []*dbtest.Database, sink *smtptest.Server, connections int) *jobfile.File {
	b.Helper()
	down, err := smtptest.NewServer("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	down.Down()
	var text strings.Builder
	login := companies[0].Server
	fmt.Fprintf(&text, `version: 1
servers: {main: {host: %s, port: %d, username: %s, encryption: none}}
control: {server: main, database: %s}
accounts:
  main: {host: 127.0.0.1, port: %d, encryption: none, from: a@acme.example, rate: unlimited, own_relay: true, connections: %d}
  slow: {host: localhost, port: %d, encryption: none, from: a@acme.example, rate: 100/hour}
  down: {host: localhost, port: %d, encryption: none, from: a@acme.example, rate: 3000/hour}
%scompanies:
`, login.Host, login.Port, login.Username, companies[0].Name, sink.Port(), connections, sink.Port(), down.Port(), general)
	for i, d := range companies {
		fmt.Fprintf(&text, "  c%d: {server: main, database: %s, jobs: {send: {kind: deliver, poll: %s}}}\n", i, d.Name, waitingPoll)
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
