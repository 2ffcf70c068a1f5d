package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
	"outboxd/mail/smtptest"
)

const (
	benchCompanies = "OUTBOXD_BENCH_COMPANIES" // how many companies; 1,000 when unset
	benchSecret    = "OUTBOXD_BENCH_SECRET"    // name and value of the accounts' password
	settleTime     = 2 * time.Minute           // until idle sessions are closed and the memory of the start is given back
	idleTime       = time.Minute               // watched
)

// BenchmarkCompanies prints what a thousand companies on one server cost: migrate, check, start, and one daemon with
// nothing to do.
func BenchmarkCompanies(b *testing.B) {
	n := dbtest.BenchNumber(b, benchCompanies, 1000)
	users := map[string]string{}
	for i := range n {
		users[fmt.Sprintf("u%d", i)] = benchSecret
	}
	b.Setenv(benchSecret, benchSecret)
	sink, err := smtptest.NewServer("127.0.0.1:0", smtptest.NullSink(), smtptest.Users(users))
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	server := dbtest.Own(b, dbtest.Options{})
	pool, err := db.Open(server.Server)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	for i := range n + 1 {
		if err := pool.Exec(b.Context(), fmt.Sprintf("CREATE DATABASE bench_%04d", i)); err != nil {
			b.Fatal(err)
		}
	}
	config := filepath.Join(b.TempDir(), "jobs.yaml")
	if err := os.WriteFile(config, []byte(manyCompanies(n, server, sink)), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, command := range []string{"migrate", "migrate", "check", "check --online"} {
			fmt.Printf("%d companies, %s: %s\n", n, command, timeCommand(b, config, command).Round(time.Millisecond))
		}
		watchIdle(b, pool, server, config, sink, n)
	}
}

// manyCompanies is a jobs.yaml of n companies, each with an account of its own; the last database is the control database.
func manyCompanies(n int, server *dbtest.Server, sink *smtptest.Server) string {
	var text strings.Builder
	fmt.Fprintf(&text, "version: 1\nservers: {main: {host: %s, port: %d, username: root}}\ncontrol: {server: main, database: bench_%04d}\naccounts:\n", server.Host, server.Port, n)
	for i := range n {
		fmt.Fprintf(&text, "  a%[1]d: {host: 127.0.0.1, port: %[2]d, encryption: none, username: u%[1]d, password: {env: %[3]s}, from: a@c%[1]d.example, rate: 300/hour, companies: [c%[1]d]}\n", i, sink.Port(), benchSecret)
	}
	text.WriteString("  system: {host: 127.0.0.1, port: 1, encryption: none, from: a@acme.example, rate: 100/hour}\ncompanies:\n")
	for i := range n {
		fmt.Fprintf(&text, "  c%[1]d: {server: main, database: bench_%04[1]d, accounts: [a%[1]d], jobs: {send: {kind: deliver}}}\n", i)
	}
	return text.String()
}

// timeCommand runs a command of outboxd as a process of its own.
func timeCommand(b *testing.B, config, command string) time.Duration {
	b.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"--config", config}, strings.Fields(command)...)...)
	cmd.Env = append(os.Environ(), asDaemon+"=1")
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%.2000s", command, err, out)
	}
	return time.Since(start)
}

// watchIdle starts a daemon, waits until a mail of every company has left, and prints what it uses afterwards: with nothing
// waiting, and with a mail for tomorrow in every company.
func watchIdle(b *testing.B, pool *db.Pool, server *dbtest.Server, config string, sink *smtptest.Server, n int) {
	b.Helper()
	insertEach(b, pool, n, "NULL")
	before, start := sink.Counts().Accepted, time.Now()
	cmd := startDaemon(b, config, b.TempDir())
	for sink.Counts().Accepted < before+n {
		<-time.After(10 * time.Millisecond)
		if time.Since(start) > 5*time.Minute {
			b.Fatalf("%d of %d companies have sent", sink.Counts().Accepted-before, n)
		}
	}
	fmt.Printf("%d companies, from the start of the daemon until each has sent the mail that waited: %s\n", n, time.Since(start).Round(10*time.Millisecond))
	<-time.After(settleTime)
	printIdle(b, pool, server, cmd.Process.Pid, fmt.Sprintf("%d companies idle", n))
	insertEach(b, pool, n, "NOW() + INTERVAL 1 DAY")
	<-time.After(settleTime)
	printIdle(b, pool, server, cmd.Process.Pid, fmt.Sprintf("%d companies, each with a mail for tomorrow", n))
	killDaemon(b, cmd)
}

// insertEach inserts a mail into every company.
func insertEach(b *testing.B, pool *db.Pool, n int, sendAfter string) {
	b.Helper()
	for i := range n {
		if err := pool.Exec(b.Context(), fmt.Sprintf("INSERT INTO bench_%04d.outbox (recipients, body_text, send_after) VALUES ('a@kunde.example', 'x', %s)", i, sendAfter)); err != nil {
			b.Fatal(err)
		}
	}
}

// printIdle watches a daemon for a while and prints what it used.
func printIdle(b *testing.B, pool *db.Pool, server *dbtest.Server, pid int, what string) {
	b.Helper()
	daemon, database, start := dbtest.ReadProcess(b, pid), dbtest.ReadProcess(b, server.PID()), time.Now()
	<-time.After(idleTime)
	after, databaseAfter, took := dbtest.ReadProcess(b, pid), dbtest.ReadProcess(b, server.PID()), time.Since(start)
	percent := func(d time.Duration) float64 { return 100 * d.Seconds() / took.Seconds() }
	cpu, connections := percent(after.CPU-daemon.CPU), countConnections(b, pool)
	fmt.Printf("%s: %.1f %% of a core, %s; beside it MariaDB %.1f %%\n", what, cpu, dbtest.AtMost(cpu, 5, " %"), percent(databaseAfter.CPU-database.CPU))
	fmt.Printf("%s: %d MB resident, %s; %d MB at most so far\n", what, after.Resident>>20, dbtest.AtMost(float64(after.Resident>>20), 100, " MB"), after.Peak>>20)
	fmt.Printf("%s: %d database connections, %s\n", what, connections, dbtest.AtMost(float64(connections), 20, ""))
}

// countConnections asks the server how many there are beside the one that asks.
func countConnections(b *testing.B, pool *db.Pool) (n int) {
	b.Helper()
	text, err := pool.ReadText(b.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'root'")
	if err == nil {
		_, err = fmt.Sscan(text, &n)
	}
	if err != nil {
		b.Fatal(err)
	}
	return n
}
