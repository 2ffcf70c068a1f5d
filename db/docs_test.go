package db_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// Every statement that the DBAs' page shows is run, in the order of the page.
func TestStatementsOfTheDBAsPageRun(t *testing.T) {
	page, err := os.ReadFile("../docs/for-dbas.md")
	must(t, err)
	d := dbtest.New(t)
	ctx := deadline(t)
	dba := session(t, d)
	_, err = dba.ExecContext(ctx, "USE "+d.Name)
	must(t, err)
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 10 {
		t.Fatalf("%d blocks of SQL", len(blocks))
	}
	for _, b := range blocks {
		for statement := range strings.SplitSeq(b[1], ";\n") {
			if strings.TrimSpace(statement) == "" {
				continue
			}
			if _, err := dba.ExecContext(ctx, statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
	}
	for _, table := range []string{"sender", "state"} { // the tables of columns and of states are complete
		rows := d.Read(t, map[string]string{
			"sender": "SELECT GROUP_CONCAT(COLUMN_NAME) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{db}' AND TABLE_NAME = 'outbox' AND COLUMN_COMMENT LIKE 'Sender%'",
			"state":  "SELECT REPLACE(REPLACE(SUBSTRING(COLUMN_TYPE, 6), '''', ''), ')', '') FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{db}' AND TABLE_NAME = 'outbox' AND COLUMN_NAME = 'state'",
		}[table])
		for name := range strings.SplitSeq(rows, ",") {
			if !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("the page does not name %s", name)
			}
		}
	}
	one(t, d.Store, func(c *db.Claim) { c.Limit = 1 })
}
