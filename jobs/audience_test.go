package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"outboxd/mail/page"
)

// TestRunOfAHostileAudience: whatever a row holds, it becomes a row of the outbox that has an end with a reason, and no mail has a recipient or a
// header that the row did not name as such.
func TestRunOfAHostileAudience(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(0)
	const good = "'eva@kunde.example'"
	rows := []string{ // recipients, subject, name, reference, expires_at
		good + ", 'Hello', 'Eva', 'r', NULL", // sent
		good + `, NULL, CONCAT('Eva', CHAR(13), CHAR(10), 'Bcc: all@kunde.example', CHAR(13), CHAR(10), CHAR(13), CHAR(10), 'x'), 'r', NULL`, // sent: in the text a line is a line
		good + ", NULL, REPEAT('ž', 65535), 'r', NULL", // sent
		good + ", CONCAT('Hello', CHAR(10), 'Bcc: all@kunde.example'), 'Eva', 'r', NULL",
		good + ", REPEAT('x', 2000), 'Eva', 'r', NULL",
		good + ", NULL, x'00ff', 'r', NULL",
		good + ", NULL, CONCAT('a', CHAR(0)), 'r', NULL",
		good + ", NULL, 'Eva', REPEAT('r', 300), NULL",
		good + ", NULL, 'Eva', 'r', CAST('2100-01-01 00:00:00' AS DATETIME)",
		"CONCAT('eva@kunde.example', CHAR(13), 'Bcc: all@kunde.example'), NULL, 'Eva', 'r', NULL",
		"CONCAT('Eva', CHAR(10), 'Bcc: all <eva@kunde.example>'), NULL, 'Eva', 'r', NULL",
		"x'ff40', NULL, 'Eva', 'r', NULL", "'', NULL, 'Eva', 'r', NULL", "NULL, NULL, 'Eva', 'r', NULL", "REPEAT('a@kunde.example,', 10000), NULL, 'Eva', 'r', NULL",
	}
	for i, row := range rows {
		rows[i] = fmt.Sprintf("SELECT %s, %d", row, i+1)
	}
	rows[0] = "SELECT " + good + " AS recipients, 'Hello' AS subject, CAST('Eva' AS BINARY) AS name, 'r' AS reference, NULL AS expires_at, 1 AS id"
	s.db.Exec(t, `CREATE VIEW {db}.hostile AS `+strings.Join(rows, " UNION ALL "))
	s.db.Exec(t, `UPDATE {db}.outbox_template SET subject = 'Statement', text = 'Dear {{.name}}'`)
	text := strings.Replace(s.mailingFile(""), `"SELECT email AS recipients, id FROM customer ORDER BY id"`, `"SELECT * FROM hostile"`, 1)
	s.begin(text)
	s.start(text, "one")
	s.await(fmt.Sprintf("done %d 3 0 %d 0", len(rows), len(rows)-3), runSum)
	if got := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'skipped' AND CHAR_LENGTH(last_error) > 20`); got != fmt.Sprint(len(rows)-3) {
		t.Errorf("%s rows have a reason", got)
	}
	for _, m := range s.smtp.Messages() {
		if read := page.Read(m.Data); len(m.To) != 1 || m.To[0] != "eva@kunde.example" || read.Get("Bcc") != "" {
			t.Errorf("a mail to %v, Bcc %q", m.To, read.Get("Bcc"))
		}
	}
}
