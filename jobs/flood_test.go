package jobs_test

import (
	"strings"
	"testing"

	"outboxd/jobs"
)

// standing is how many rows were sent, wait, and are held.
const standing = `SELECT CONCAT_WS(' ', SUM(state = 'sent'), SUM(state = 'queued' AND held = 0), SUM(held)) FROM {db}.outbox`

// TestFloodIsHeld: of what comes within an hour the first rows go and the surplus is held, what was sent counts, a restart
// changes nothing, and what a person releases goes and is not held again.
func TestFloodIsHeld(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	text := s.file("  main: "+s.account(unlimited+", connections: 8"), "hold_above: 100/hour")
	s.mailing(60, "kunde.example")
	s.start(text, "one")
	s.await("60 0 0", standing)
	s.mailing(2200, "loop.example")
	s.await("100 0 2160", standing)
	if n := s.db.Read(t, `SELECT MAX(IF(held, 0, id)) < MIN(IF(held, id, 9999)) FROM {db}.outbox`); n != "1" {
		t.Error("what came first is not what went")
	}
	if text := s.db.Read(t, `SELECT MIN(last_error) FROM {db}.outbox WHERE held = 1`); !strings.Contains(text, "hold_above of job send") {
		t.Errorf("last_error: %s", text)
	}
	s.mailing(3, "late.example")
	s.await("100 0 2163", standing)
	s.awaitEvent("alert", 1)
	s.end()
	s.start(text, "one")
	s.mailing(3, "later.example")
	s.await("100 0 2166", standing)
	desk := s.engine.Desk()
	for after, steps := uint64(0), 0; ; steps++ {
		reply, err := desk.QueueRelease(t.Context(), jobs.ChangeRequest{By: jobs.By{Actor: "eva", Reason: "wanted"}, Company: "acme", Surplus: true, After: after})
		if err != nil {
			t.Fatal(err)
		}
		if after = reply.Last; after == 0 {
			if steps < 2 {
				t.Errorf("%d steps", steps)
			}
			break
		}
	}
	s.await("2266 0 0", standing)
	s.end()
	if n := s.smtp.Counts().Accepted; n != 2266 {
		t.Errorf("%d mails left", n)
	}
	if n := s.events("alert"); n != 2 {
		t.Errorf("%d alerts of two lives", n)
	}
	if n := s.db.Read(t, `SELECT COUNT(*) > 2 FROM {db}.outbox_audit WHERE action = 'queue release' AND actor = 'eva'`); n != "1" {
		t.Error("the releases are not in the audit")
	}
}

// TestFloodThatWasReleasedStaysReleased: over a restart, although it has not been sent.
func TestFloodThatWasReleasedStaysReleased(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.smtp.Down()
	text := s.file("  main: "+s.account(unlimited), "hold_above: 10/hour")
	s.mails(30)
	s.start(text, "one")
	s.await("0 10 20", standing)
	s.db.Exec(t, `UPDATE {db}.outbox SET held = 0, lane = 0`) // as a DBA does
	s.end()
	s.db.Exec(t, `UPDATE {db}.outbox_bucket SET paused_until = NULL, failures = 0`)
	if err := s.smtp.Up(); err != nil {
		t.Fatal(err)
	}
	s.start(text, "one")
	s.await("30 0 0", standing)
}

// TestFloodOfAnOpenTransaction: rows that are committed late, behind rows with higher numbers that have gone.
func TestFloodOfAnOpenTransaction(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(s.file("  main: "+s.account(unlimited), "hold_above: 20/hour"), "one")
	loop := s.sender()
	for _, statement := range []string{"BEGIN", "INSERT INTO " + s.db.Name + ".outbox (recipients) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT CONCAT('r', i, '@loop.example') FROM n"} {
		if _, err := loop.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	s.mails(5)
	s.await("5 0 0", standing)
	if _, err := loop.ExecContext(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND held = 0 OR state = 'sending'`)
	if got := s.db.Read(t, standing); got != "25 0 30" { // the first twenty of the hour, and five that had gone before they were seen
		t.Errorf("sent, waiting, held: %s", got)
	}
}

// TestFloodCountsTheJobsRowsAlone, in two daemons, and what came while none ran.
func TestFloodCountsTheJobsRowsAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mailing(300, "bulk.example")
	s.db.Exec(t, `UPDATE {db}.outbox SET created_at = created_at - INTERVAL 3 HOUR, available_at = available_at - INTERVAL 3 HOUR WHERE id <= 150`)
	s.db.Exec(t, `UPDATE {db}.outbox SET state = 'cancelled' WHERE id <= 10`)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, priority) SELECT recipients, 1 FROM {db}.outbox`)
	text := s.company("  main: "+s.account(unlimited), "urgent: {kind: deliver, poll: 100ms, priority: [1]}\nsend: {kind: deliver, poll: 100ms, priority: [2, 3, 4, 5], hold_above: 50/hour}")
	s.start(text, "one")
	s.start(text, "two")
	s.await("400 0 190", standing)
	if got := s.db.Read(t, `SELECT GROUP_CONCAT(n ORDER BY h) FROM (SELECT created_at < NOW() - INTERVAL 2 HOUR AS h, COUNT(*) AS n FROM {db}.outbox WHERE state = 'sent' AND priority = 3 GROUP BY h) x`); got != "50,50" {
		t.Errorf("sent of this hour and of that three hours ago: %s", got)
	}
}

// TestFloodWithoutItsTable: on a schema one step older all goes, and a person is told.
func TestFloodWithoutItsTable(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.db.Exec(t, `RENAME TABLE {db}.outbox_surplus TO {db}.surplus_gone`)
	s.mails(30)
	s.start(s.file("  main: "+s.account(unlimited), "hold_above: 10/hour"), "one")
	s.await("30 0 0", standing)
	s.awaitEvent("alert", 1)
	s.db.Exec(t, `RENAME TABLE {db}.surplus_gone TO {db}.outbox_surplus`)
	s.mails(30)
	s.await("30 0 30", standing)
}
