package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/mail/smtptest"
)

// testDemo shows a table that looks like outbox_status, and no daemon works on it.
func testDemo(t *testing.T) (*demo, *strings.Builder) {
	t.Helper()
	pool := testDatabase(t)
	for _, company := range companies() {
		run(t, pool, "CREATE DATABASE "+company, "CREATE TABLE "+company+`.outbox_status (id BIGINT UNSIGNED PRIMARY KEY, recipients TEXT,
			subject TEXT, state VARCHAR(20), attempts INT, next_try_at TIMESTAMP(6) NULL, last_error TEXT, message_id VARCHAR(255))`)
	}
	out := new(strings.Builder)
	return &demo{out: out, folder: t.TempDir(), pool: pool, command: "mariadb -e x",
		printed: map[string]string{}, answers: answers{}, daemon: nothing{}}, out
}

// nothing knows no reason to wait.
type nothing struct{}

func (nothing) why(context.Context, string) (string, time.Time, error) { return "", time.Time{}, nil }

// limit knows one reason for every row, and counts how often it is asked.
type limit struct {
	until time.Time
	asked int
}

func (l *limit) why(context.Context, string) (string, time.Time, error) {
	l.asked++
	return "the limit", l.until, nil
}

func TestWaitingRowsAreAskedFor(t *testing.T) {
	d, out := testDemo(t)
	first := time.Now().Add(time.Minute).Truncate(time.Second).Add(-10 * time.Millisecond)
	l := &limit{until: first.Add(10 * time.Millisecond)}
	d.daemon = l
	run(t, d.pool, "INSERT INTO bakery.outbox_status VALUES (1, 'eva@example.org', 'Hi', 'queued', 0, '2020-01-01', NULL, NULL)")
	run(t, d.pool, "INSERT INTO bakery.outbox_status VALUES (2, 'eva@example.org', 'Hi', 'queued', 1, TIMESTAMPADD(HOUR, 1, NOW(6)), '450', NULL)")
	for range 3 {
		l.until = l.until.Add(-10 * time.Millisecond) // computed anew, it is never quite the same
		if err := d.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d.daemon = d.answers // the daemon has stopped
	if err := d.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.asked != 3 {
		t.Errorf("asked %d times", l.asked)
	}
	if line := "bakery/1   queued    next at " + clock(first) + indent + "the limit\n"; strings.Count(out.String(), line) != 1 {
		t.Errorf("printed:\n%s", out)
	}
}

func TestMailsAndRowsAreShown(t *testing.T) {
	d, out := testDemo(t)
	run(t, d.pool, "INSERT INTO acme.outbox_status VALUES (1, 'eva@example.org', 'Hi', 'sending', 0, NULL, NULL, '<1@x>')")
	m := smtptest.Message{MessageID: "<1@x>", To: []string{"eva@example.org"}, Data: []byte("Subject: Hi\r\nMessage-ID: <1@x>\r\n\r\nHello\r\n")}
	arriving := make(chan smtptest.Message, 1)
	arriving <- m
	d.arriving = arriving
	if err := d.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, d.pool, "UPDATE acme.outbox_status SET state = 'sent', attempts = 1")
	for range 2 { // the second look has nothing to tell
		if err := d.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range []string{"mail to eva@example.org: Hi", "mail-001.html", "acme/1     sent"} {
		if n := strings.Count(out.String(), part); n != 1 {
			t.Errorf("%q was printed %d times:\n%s", part, n, out)
		}
	}
	if strings.Contains(out.String(), "sending") {
		t.Errorf("a passing state was printed:\n%s", out)
	}
	index := readFile(t, filepath.Join(d.folder, "index.html"))
	for _, part := range []string{"acme/1", `class="sent"`, `href="mail-001.html"`, "mariadb -e x"} {
		if !strings.Contains(index, part) {
			t.Errorf("index.html lacks %q:\n%s", part, index)
		}
	}
}

func TestWatchEnds(t *testing.T) {
	d, _ := testDemo(t)
	d.samples = []*sample{{company: "acme", id: 1, want: want{state: "sent", attempts: 1}}}
	var different *DifferentError
	if err := d.watch(t.Context(), nil, time.Millisecond); !errors.As(err, &different) || len(different.Differences) != 1 {
		t.Errorf("with nothing sent: %v", err)
	}
	gone := make(chan error, 1)
	gone <- errors.New("no such thing")
	if err := d.watch(t.Context(), gone, 0); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("with a daemon that ended: %v", err)
	}
	run(t, d.pool, "INSERT INTO acme.outbox_status VALUES (1, 'eva@example.org', 'Hi', 'sent', 1, NULL, NULL, '<1@x>')")
	if err := d.watch(t.Context(), nil, time.Minute); err != nil {
		t.Errorf("with all as expected: %v", err)
	}
}
