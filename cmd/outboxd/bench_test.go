package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/mail/smtptest"
)

const (
	benchRows   = 1_000_000
	benchMemory = 64 // MB
	memoryTime  = 30 * time.Second
)

// BenchmarkMemory prints the resident memory of a daemon with a million rows waiting: for a limited account, and for an
// unlimited one that sends meanwhile.
func BenchmarkMemory(b *testing.B) {
	sink, err := smtptest.NewServer("127.0.0.1:0", smtptest.NullSink())
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	for b.Loop() {
		d := dbtest.New(b)
		for from := 1; from <= benchRows; from += benchRows / 4 { // no statement may last longer than 30 s
			d.Exec(b, fmt.Sprintf(`INSERT INTO {db}.outbox (recipients, subject, body_text)
				SELECT CONCAT('r', seq, '@kunde.example'), 'Invoice', REPEAT('Dear customer. ', 60) FROM {db}.seq_%d_to_%d`, from, from+benchRows/4-1))
		}
		for _, rate := range []string{"3000/hour", "unlimited, own_relay: true, connections: 64"} {
			config := filepath.Join(b.TempDir(), "jobs.yaml")
			text := fmt.Sprintf(`version: 1
servers: {main: {host: %s, port: %d, username: root}}
accounts: {system: {host: 127.0.0.1, port: %d, encryption: none, from: a@acme.example, rate: %s}}
companies: {acme: {server: main, database: %s, jobs: {send: {kind: deliver}}}}
`, d.Server.Host, d.Server.Port, sink.Port(), rate, d.Name)
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
			cmd := startDaemon(b, config, b.TempDir())
			<-time.After(memoryTime)
			p := dbtest.ReadProcess(b, cmd.Process.Pid)
			fmt.Printf("%d rows waiting, rate %s, after %s: %d MB resident, %d MB at most, %s\n", benchRows, rate, memoryTime,
				p.Resident>>20, p.Peak>>20, dbtest.AtMost(float64(p.Peak>>20), benchMemory, " MB"))
			killDaemon(b, cmd)
		}
	}
}

func killDaemon(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	if err := cmd.Process.Kill(); err != nil {
		b.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
}
