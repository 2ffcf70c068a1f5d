package jobs_test

import (
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// step sets the number of a part's last step, as another version's migrate would have.
func step(t *testing.T, d *dbtest.Database, part db.Part, add int) {
	t.Helper()
	d.Exec(t, `UPDATE {db}.outbox_meta SET value = CAST(value AS SIGNED) + ? WHERE name = ?`, add, string(part))
}

// TestOneStepOlder: the program works on tables that lack its newest step, and on when they get it.
func TestOneStepOlder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, table := range []string{"outbox_told", "outbox_instance"} {
		s.db.Exec(t, `DROP TABLE {db}.`+table) // as if they had never been made
	}
	step(t, s.db, db.ControlPart, -1)
	s.db.OneStepOlder(t)
	s.mails(3)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.await("3", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	if behind, err := s.db.Pool.Behind(t.Context(), s.db.Name, db.CompanyPart); err != nil || !behind {
		t.Errorf("behind: %v, %v", behind, err)
	}
	if n, err := s.db.Pool.Migrate(t.Context(), s.db.Name, db.CompanyPart, db.BucketPart, db.ControlPart); err != nil || n != 2 {
		t.Fatalf("%d steps, %v", n, err)
	}
	s.mails(3)
	s.await("6", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.onceEach(6)
	if n := s.events("company_down"); n != 0 {
		t.Error("the migration has stopped the company")
	}
}

// TestTwoVersions on one database: a newer one migrates, the older one at work goes on and shares the rows; when it starts
// again it leaves the company out and says why.
func TestTwoVersions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	text := s.file("  main: "+s.account(unlimited), "")
	s.start(text, "old")
	s.mails(5)
	s.await("5", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.db.Exec(t, `CREATE TABLE {db}.outbox_newer (id INT) ENGINE=InnoDB`)
	step(t, s.db, db.CompanyPart, 1)
	s.mails(5)
	s.await("10", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.end()
	d := s.start(text, "old")
	s.awaitEvent("company_down", 1)
	if h := d.engine.Live().Companies["acme"]; !strings.Contains(h.Down, "newer than this program") || !strings.Contains(h.Down, "install the newer outboxd") {
		t.Errorf("status: %+v", h)
	}
	s.mails(1)
	s.await("10 1", `SELECT CONCAT(SUM(state = 'sent'), ' ', SUM(state = 'queued')) FROM {db}.outbox`)
	step(t, s.db, db.CompanyPart, -1) // the newer program, as far as these tables go
	s.await("11", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.onceEach(11)
}
