package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/mail/smtptest"
)

const benchRows = 1_000_000

// BenchmarkMemory prints the resident memory of a daemon with a million rows waiting for a limited account. Linux only.
func BenchmarkMemory(b *testing.B) {
	sink, err := smtptest.NewServer("127.0.0.1:0", smtptest.NullSink())
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	for b.Loop() {
		d := dbtest.New(b)
		d.Exec(b, `INSERT INTO {db}.outbox (recipients, subject, body_text)
			SELECT CONCAT('r', seq, '@kunde.example'), 'Invoice', 'Dear customer' FROM {db}.seq_1_to_`+fmt.Sprint(benchRows))
		config, runtime := b.TempDir()+"/jobs.yaml", b.TempDir()
		text := fmt.Sprintf(`version: 1
servers: {main: {host: %s, port: %d, username: root}}
accounts: {main: {host: 127.0.0.1, port: %d, encryption: none, from: a@acme.example, rate: 3000/hour}}
companies: {acme: {server: main, database: %s, jobs: {send: {kind: deliver}}}}
`, d.Server.Host, d.Server.Port, sink.Port(), d.Name)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		cmd := startDaemon(b, config, runtime)
		<-time.After(30 * time.Second)
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "VmHWM") || strings.HasPrefix(line, "VmRSS") {
				fmt.Printf("%d rows waiting: %s", benchRows, strings.Join(strings.Fields(line), " ")+"\n")
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			b.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
	}
}
