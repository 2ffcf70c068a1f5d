package main

import (
	"os"
	"strings"
	"testing"
)

// TestZoneOfTheComputer: whatever zone outboxd's computer has, and is given later, rows go at their time and mails have
// the company's zone.
func TestZoneOfTheComputer(t *testing.T) {
	s := newSite(t)
	s.write(strings.Replace(s.file(""), "accounts: [bulk, main]", "accounts: [bulk, main]\n    timezone: Asia/Kathmandu", 1))
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, send_after) VALUES ('later@kunde.example', NOW() + INTERVAL 1 HOUR)`)
	for n, zone := range []string{"Pacific/Kiritimati", "America/Los_Angeles"} {
		t.Setenv("TZ", zone)
		cmd := startDaemon(t, s.config, s.runtime)
		s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, expires_at) VALUES ('now@kunde.example', NOW() + INTERVAL 30 MINUTE)`)
		if err := s.smtp.WaitMessages(t.Context(), n+1); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("daemon: %v", err)
		}
	}
	for _, m := range s.smtp.Messages() {
		if !strings.Contains(string(m.Data), " +0545\r\n") {
			t.Errorf("the mail's Date is not of the company's zone: %s", m.Data)
		}
	}
	if got := s.db.Read(t, `SELECT GROUP_CONCAT(state ORDER BY id) FROM {db}.outbox`); got != "queued,sent,sent" {
		t.Errorf("rows are %s", got)
	}
}
