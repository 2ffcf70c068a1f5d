package jobs_test

import (
	"strings"
	"testing"
	"time"

	"outboxd/mail/smtptest"
)

// TestAlteredTablesAtTheStart: what stops the work is named with its remedy, and mended it goes on by itself.
func TestAlteredTablesAtTheStart(t *testing.T) {
	t.Parallel()
	s, system := newSite(t), smtptest.New(t)
	s.mails(3)
	s.db.Exec(t, `ALTER TABLE {db}.outbox DROP COLUMN smtp_code`)
	s.patience = time.Millisecond
	d := s.start(withAlerts(s.file("  main: "+s.account(unlimited), ""), system), "one")
	s.awaitEvent("tables_altered", 1)
	const fault = "the column smtp_code of table outbox is missing"
	event := s.logs.FilterMessage("tables_altered").All()[0].ContextMap()
	remedy, _ := event["remedy"].(string)
	if text, _ := event["fault"].(string); !strings.Contains(text, fault) || !strings.Contains(remedy, "ADD COLUMN smtp_code SMALLINT UNSIGNED NULL") {
		t.Errorf("event: %v", event)
	}
	if got := alertsOf(t, system, 1); !strings.Contains(got, "company acme: its database cannot be used") || !strings.Contains(string(system.Messages()[0].Data), "ADD COLUMN smtp_code") {
		t.Errorf("alerts: %s\n%s", got, system.Messages()[0].Data)
	}
	if h := d.engine.Live().Companies["acme"]; !strings.Contains(h.Down, fault) {
		t.Errorf("status: %+v", h)
	}
	s.db.Exec(t, remedy)
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1")
	if got := alertsOf(t, system, 2); !strings.Contains(got, "its database works again") {
		t.Errorf("alerts: %s", got)
	}
}

// TestP2_AlteredTablesAtWork: a column that goes while mails are in flight stops the company, not the mails.
func TestP2_AlteredTablesAtWork(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hold, open := s.gate()
	dot := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Times: 1, Do: smtptest.Action{Wait: hold}})
	s.mails(1)
	d := s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	mend := func() { // MySQL knows no ADD COLUMN IF NOT EXISTS
		if s.db.Read(t, `SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'outbox' AND COLUMN_NAME = 'smtp_code'`, s.db.Name) == "0" {
			s.db.Exec(t, `ALTER TABLE {db}.outbox ADD COLUMN smtp_code SMALLINT UNSIGNED NULL`)
		}
	}
	t.Cleanup(mend) // else the drain would wait for it
	reached(t, dot)
	s.db.Exec(t, `ALTER TABLE {db}.outbox DROP COLUMN smtp_code`)
	s.mails(5)
	open()
	s.awaitEvent("tables_altered", 1)
	if h := d.engine.Live().Companies["acme"]; !strings.Contains(h.Down, "smtp_code") {
		t.Errorf("status: %+v", h)
	}
	if n := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`); n != "0" {
		t.Errorf("%s rows were settled without the column", n)
	}
	mend()
	s.await("6", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1`)
	s.onceEach(6)
}

// TestAlterationsThatStopNothing are told, and the mail goes on.
func TestAlterationsThatStopNothing(t *testing.T) {
	t.Parallel()
	s, system := newSite(t), smtptest.New(t)
	s.db.Exec(t, `ALTER TABLE {db}.outbox DROP KEY expires, DROP CONSTRAINT outbox_lease, ADD COLUMN ours INT NULL, ADD KEY ours (ours)`)
	s.db.Exec(t, `DROP VIEW {db}.outbox_status`)
	s.mails(3)
	d := s.start(withAlerts(s.file("  main: "+s.account(unlimited), ""), system), "one")
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1")
	if got := alertsOf(t, system, 1); !strings.Contains(got, "company acme: its tables were altered") {
		t.Errorf("alerts: %s", got)
	}
	text := d.engine.Live().Companies["acme"].Altered
	for _, want := range []string{"index expires (expires_at, id)", "rule outbox_lease", "view outbox_status", "ADD KEY expires (expires_at, id)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not told: %s", want, text)
		}
	}
	if strings.Contains(text, "ours") {
		t.Errorf("a DBA's own column is a fault: %s", text)
	}
}

// TestAlteredControlDatabase is told at the start.
func TestAlteredControlDatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.db.Exec(t, `ALTER TABLE {db}.outbox_audit DROP COLUMN detail`)
	s.mails(1)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitEvent("tables_altered", 1)
	if text, _ := s.logs.FilterMessage("tables_altered").All()[0].ContextMap()["fault"].(string); !strings.Contains(text, "the column detail of table outbox_audit is missing") {
		t.Errorf("the fault is %s", text)
	}
	s.awaitRows("1 sent 1")
}
