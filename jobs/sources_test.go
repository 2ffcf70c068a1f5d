package jobs_test

import (
	"strings"
	"testing"
	"time"

	"outboxd/mail/page"
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

// TestContentThatCannotBeReadNowFailsNoRow: trouble of the database gives the row back, with no attempt spent.
func TestContentThatCannotBeReadNowFailsNoRow(t *testing.T) {
	s := newSite(t)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.mail("first@kunde.example")
	s.awaitRows("1 sent 1")
	s.db.Exec(t, `INSERT INTO {db}.outbox_content (content) VALUES ('shared')`)
	s.db.Exec(t, `RENAME TABLE {db}.outbox_content TO {db}.away`)
	s.db.Exec(t, `INSERT INTO {db}.outbox (id, recipients, body_text, held) VALUES (2, 'a@kunde.example', 'x', 1)`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, hash) VALUES (2, 'a.txt', SHA2('shared', 256))`)
	s.db.Exec(t, `UPDATE {db}.outbox SET held = 0 WHERE id = 2`)
	s.awaitEvent("given_back", 1)
	s.await("queued 0 0", `SELECT CONCAT_WS(' ', state, claims, attempts) FROM {db}.outbox WHERE id = 2`)
	s.db.Exec(t, `RENAME TABLE {db}.away TO {db}.outbox_content`)
	s.awaitRows("1 sent 1", "2 sent 1")
	if got := fileOf(t, page.Read(s.smtp.Messages()[1].Data), "a.txt"); got != "shared" {
		t.Errorf("attachment %q", got)
	}
}
