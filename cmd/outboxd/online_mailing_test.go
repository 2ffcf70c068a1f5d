package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"outboxd/db/dbtest"
)

// TestCheckOnlineTriesMailings: what would spoil a run of a mailing is found before it, with what to do, and nothing is changed or sent.
func TestCheckOnlineTriesMailings(t *testing.T) {
	const query = "SELECT email AS recipients, id AS customer_id, name, total FROM customer WHERE total >= :min ORDER BY id"
	s := mailingSite(t, "eva")
	written, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	config := string(written)
	s.db.Exec(t, `CREATE FUNCTION {db}.w(n INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO {db}.customer (id) VALUES (n); RETURN n; END`)
	slow := "SELECT 'a@kunde.example' AS recipients, a.seq AS customer_id, 'n' AS name, 1 AS total FROM " + strings.Join([]string{numbers("a"), numbers("b"), numbers("c")}, ", ") + " WHERE :min > 0 GROUP BY a.seq + b.seq + c.seq"
	for name, c := range map[string]struct {
		old, new string
		code     int
		want     []string
	}{
		"all is well":       {"", "", exitDone, []string{"ok    company acme, job statements: a mail can be made of its audience customers (audience)"}},
		"no address column": {"email AS recipients, ", "email, ", exitFailed, []string{"fail  company acme, job statements: audience customers: it has no column recipients", "What to do: name the one with the address so: email AS recipients"}},
		"wrong SQL":         {query, "SELECT email AS recipients FORM customer WHERE total > :min", exitFailed, []string{"audience customers: its query is refused: error 1064", "mend the SQL"}},
		"too slow":          {query, slow, exitFailed, []string{"audience customers: its query is too slow: it was ended after 1s", "add an index"}},
		"writing":           {query, "SELECT email AS recipients, id AS customer_id, w(:min) AS name, total FROM customer", exitFailed, []string{"audience customers: its query may only read"}},
		"empty":             {"{min: 1}", "{min: 1000}", exitDone, []string{"warn  company acme, job statements: the audience customers has no rows at the moment"}},
		"a missing key":     {"key: [customer_id]", "key: [customer_id, level]", exitFailed, []string{"it has no column level, which key names; it has recipients, customer_id, name, total"}},
		"a name twice":      {"name, total FROM", "name, total, id AS total FROM", exitFailed, []string{"two of its columns are called total"}},
		"a missing column":  {"id AS customer_id, name, total", "id AS customer_id, total", exitFailed, []string{"no mail can be made of a row of its audience", "name", "let the audience return the column"}},
		"a missing value":   {"mailed_at = :sent_at WHERE id = :customer_id", "mailed_at = :sent_at WHERE id = :customer", exitFailed, []string{"on_sent: there is no parameter customer"}},
		"a wrong recheck":   {"        account: bulk\n", "        account: bulk\n        recheck: SELECT 1 FROM nothing WHERE id = :customer_id\n", exitFailed, []string{"recheck: ", "nothing"}},
		"all are rechecked": {"        account: bulk\n", "        account: bulk\n        recheck: SELECT 1 FROM customer WHERE id = :customer_id + 100\n", exitDone, []string{"warn  company acme, job statements: the first mails of the audience customers would not be sent: ", "recheck"}},
		"nobody can get it": {"email AS recipients", "NULL AS recipients", exitDone, []string{"warn  company acme, job statements: none of the first 4 rows of the audience customers can be mailed: recipients is empty"}},
		"another audience":  {"    mailing: {account", "      others: SELECT id FROM customer\n      by-tag: SELECT tag AS recipients FROM outbox_tag WHERE tag = :tag\n    mailing: {account", exitFailed, []string{"fail  company acme, audience others: audience others: it has no column recipients", "ok    company acme, audience by-tag"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(config, "reader: {username: "+s.db.Server.Username+"}", "reader: {username: "+s.db.Server.Username+", time: 1s}", 1)
			if c.old != "" && !strings.Contains(text, c.old) {
				t.Fatalf("no %q in %s", c.old, text)
			}
			s.write(strings.Replace(text, c.old, c.new, 1))
			begun := time.Now()
			s.must(c.code, "check --online", c.want...)
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("it took %s", took)
			}
		})
	}
	if got := s.db.Read(t, `SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM {db}.outbox_run), (SELECT COUNT(*) FROM {db}.outbox), (SELECT COUNT(*) FROM {db}.customer))`); got != "0 0 4" {
		t.Errorf("a check has changed something: %s", got)
	}
}

// TestCheckOnlineTellsWhoRecordsApprovals: an approval by SQL may be in another's name until a DBA has run what migrate --print shows last.
func TestCheckOnlineTellsWhoRecordsApprovals(t *testing.T) {
	s := mailingSite(t, "eva")
	s.must(exitDone, "check --online", "warn  company acme, database "+s.db.Name+": whoever may write outbox_run.approved_by can approve a run by SQL in another's name (approval)", "outboxd migrate --print")
	_, triggers, found := strings.Cut(s.must(exitDone, "migrate --print"), "DROP TRIGGER IF EXISTS")
	if !found {
		t.Fatal("migrate --print has no trigger")
	}
	for statement := range strings.SplitSeq(strings.TrimSpace("DROP TRIGGER IF EXISTS"+triggers), ";\n") {
		s.db.Exec(t, strings.TrimSuffix(statement, ";"))
	}
	s.must(exitDone, "check --online", "ok    company acme, database "+s.db.Name+": the database writes by itself who approves a run by SQL (approval)")
	if n := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox_run`); n != "0" {
		t.Errorf("a check has left %s runs", n)
	}
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	without := strings.ReplaceAll(strings.ReplaceAll(string(text), ", approval: {by: [jan]}", ""), "        approval: {by: [jan], within: 8h}\n", "")
	s.write(without)
	if out := s.must(exitDone, "migrate --print") + s.must(exitDone, "check --online"); strings.Contains(out, "TRIGGER") || strings.Contains(out, "(approval)") {
		t.Error("of a company without approvals it tells of them")
	}
}

func numbers(alias string) string {
	return strings.Replace(dbtest.Numbers(10000), ") numbers", ") "+alias, 1)
}
