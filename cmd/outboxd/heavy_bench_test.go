package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/mail/smtptest"
)

const (
	heavyMails  = 50
	heavyOctets = 20_000_000
	lightMails  = 500
	heavyMemory = 200 // MB
	heavyTo     = "large@kunde.example"
)

// BenchmarkMemoryOfAttachments prints the most memory that a daemon takes which has fifty attachments of 20 MB to send over many
// connections, and small mails beside them: by one account, and by five whose servers take their time.
func BenchmarkMemoryOfAttachments(b *testing.B) {
	server := dbtest.Own(b, dbtest.Options{Flags: []string{"--max-allowed-packet=64M", "--innodb-log-file-size=512M"}})
	for b.Loop() {
		sendHeavy(b, server, 1, 50, 0)
		sendHeavy(b, server, 5, 10, 2*time.Second)
	}
}

// sendHeavy sends over so many accounts and connections to a server that thinks that long over each large mail.
func sendHeavy(b *testing.B, server *dbtest.Server, accounts, connections int, delay time.Duration) {
	b.Helper()
	users := map[string]string{}
	for i := range accounts {
		users[fmt.Sprintf("u%d", i)] = benchSecret
	}
	b.Setenv(benchSecret, benchSecret)
	var light, heavy atomic.Int64
	var lightDone time.Time
	sink, err := smtptest.NewServer("127.0.0.1:0", smtptest.NullSink(), smtptest.Users(users), smtptest.MaxSize(64<<20), thinksOver(heavyTo, delay), smtptest.OnMessage(func(m smtptest.Message) {
		switch {
		case m.Size > heavyOctets:
			heavy.Add(1)
		case light.Add(1) == lightMails:
			lightDone = time.Now()
		}
	}))
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	d := dbtest.On(b, server.Server)
	for i := range heavyMails {
		d.Exec(b, "INSERT INTO {db}.outbox (recipients, subject, body_text, account) VALUES (?, 'Report', 'x', ?)", heavyTo, fmt.Sprintf("a%d", i%accounts))
		d.Exec(b, "INSERT INTO {db}.outbox_attachment (outbox_id, name, content) VALUES (?, 'report.pdf', REPEAT(CHAR(? USING latin1), ?))", i+1, 128+i, heavyOctets)
	}
	d.Exec(b, fmt.Sprintf("INSERT INTO {db}.outbox (recipients, subject, body_text, account) SELECT 'a@kunde.example', 'x', 'x', CONCAT('a', seq %% %d) FROM {db}.seq_1_to_%d", accounts, lightMails))
	config := filepath.Join(b.TempDir(), "jobs.yaml")
	if err := os.WriteFile(config, []byte(heavyConfig(d, sink, accounts, connections)), 0o600); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	cmd := startDaemon(b, config, b.TempDir())
	for heavy.Load() < heavyMails || light.Load() < lightMails {
		if time.Since(start) > 10*time.Minute {
			b.Fatalf("%d large and %d small mails were sent", heavy.Load(), light.Load())
		}
		<-time.After(20 * time.Millisecond)
	}
	p := dbtest.ReadProcess(b, cmd.Process.Pid)
	fmt.Printf("%d attachments of %d MB, %d accounts with %d connections each: %d MB resident at most, %s; sent in %s, %d small mails beside them in %s\n", heavyMails, heavyOctets/1_000_000, accounts,
		connections, p.Peak>>20, dbtest.AtMost(float64(p.Peak>>20), heavyMemory, " MB"), time.Since(start).Round(100*time.Millisecond), lightMails, lightDone.Sub(start).Round(100*time.Millisecond))
	killDaemon(b, cmd)
}

// thinksOver makes a server that takes so long for its reply to each mail to an address.
func thinksOver(to string, delay time.Duration) smtptest.Option {
	return smtptest.Decide(func(m smtptest.Moment) (smtptest.Action, bool) {
		if m.Step != smtptest.StepDot || !slices.Contains(m.To, to) {
			return smtptest.Action{}, false
		}
		thought := make(chan struct{})
		time.AfterFunc(delay, func() { close(thought) })
		return smtptest.Action{Wait: thought}, true
	})
}

func heavyConfig(d *dbtest.Database, sink *smtptest.Server, accounts, connections int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "version: 1\nservers: {main: {host: %s, port: %d, username: root}}\naccounts:\n", d.Server.Host, d.Server.Port)
	for i := range accounts {
		fmt.Fprintf(&text, "  a%d: {host: 127.0.0.1, port: %d, encryption: none, username: u%d, password: {env: %s}, from: a@acme.example, rate: unlimited, own_relay: true, connections: %d}\n", i, sink.Port(), i, benchSecret, connections)
	}
	text.WriteString("  system: {host: 127.0.0.1, port: 1, encryption: none, from: a@acme.example, rate: 100/hour}\n")
	fmt.Fprintf(&text, "companies: {acme: {server: main, database: %s, jobs: {send: {kind: deliver, poll: 100ms}}}}\n", d.Name)
	return text.String()
}
