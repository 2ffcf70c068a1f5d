package main

import (
	"os"
	"testing"
)

// TestAlteredTablesOnTheCommandLine: check --online names what was altered and how to mend it, and so does status while
// the daemon is at work.
func TestAlteredTablesOnTheCommandLine(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `ALTER TABLE {db}.outbox DROP KEY expires`)
	s.must(exitDone, "check --online", "warn  company acme, database "+s.db.Name+": altered by hand: the index expires (expires_at, id) of table outbox is missing",
		"What to do: ALTER TABLE `"+s.db.Name+"`.outbox ADD KEY expires (expires_at, id)")
	s.db.Exec(t, `ALTER TABLE {db}.outbox DROP COLUMN reference`)
	s.must(exitFailed, "check --online", "fail  company acme, database "+s.db.Name+": altered by hand: the column reference of table outbox is missing",
		"ADD COLUMN reference VARCHAR(255) NULL", "warn  company acme")
	s.db.Exec(t, `ALTER TABLE {db}.outbox ADD COLUMN reference VARCHAR(255) NULL, ADD KEY reference (reference)`)
	d := s.start()
	d.send("a@kunde.example")
	d.arrived(1)
	s.must(exitDone, "status", "The tables of company acme were altered:", "the index expires", "OLDEST DUE")
	if code := d.end(os.Interrupt); code != exitDone {
		t.Errorf("exit status %d", code)
	}
}

// TestTablesOneStepOlder are named by check --online, with what to do.
func TestTablesOneStepOlder(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `UPDATE {db}.outbox_meta SET value = value - 1 WHERE name = 'company'`)
	s.must(exitDone, "check --online", "the tables are one step older than this program", "run outboxd migrate")
}
