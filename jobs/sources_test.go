package jobs_test

import (
	"strings"
	"testing"
	"time"
)

// TestAReaderThatIsRefusedMakesRowsWait: rows with a query wait and say why, the others go, a person is told, and all is well when
// the user is let in.
func TestAReaderThatIsRefusedMakesRowsWait(t *testing.T) {
	s := newSite(t)
	s.mail("a@kunde.example")
	s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, query, format) VALUES (1, 'a.csv', 'SELECT 1', 'csv')`)
	s.mail("b@kunde.example")
	s.patience = time.Millisecond
	user := strings.Replace(s.db.Name, "outboxd", "read", 1)
	s.start(s.with("  main: "+s.account(unlimited), "", "reader: {username: "+user+"}"), "one")
	s.awaitRows("1 queued 0", "2 sent 1")
	s.awaitEvent("reader_down", 1)
	s.await("1", `SELECT last_error LIKE '%Access denied%' FROM {db}.outbox WHERE id = 1`)
	again := func() { s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6)`) }
	again()
	s.awaitEvent("alert", 1)
	s.db.Exec(t, "CREATE USER '"+user+"'")
	s.db.Exec(t, "GRANT SELECT ON {db}.* TO '"+user+"'")
	again()
	s.awaitRows("1 sent 1", "2 sent 1")
	s.awaitEvent("reader_up", 1)
	if n := s.events("company_down"); n != 0 {
		t.Errorf("the company's own user counted as down %d times", n)
	}
}
