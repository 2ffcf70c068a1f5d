package db_test

import (
	"slices"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// What the server has cut short is no result, though it only warns of it: an audience of 1,001 people is not the one that was asked for.
func TestReadOnlyRefusesAResultThatTheServerHasCutShort(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, "CREATE TABLE {db}.item (name VARCHAR(5000))")
	d.Exec(t, "INSERT INTO {db}.item SELECT REPEAT('x', 5000) FROM "+many("a")+" WHERE a.seq <= 300")
	for statement, numbers := range map[string][]uint16{
		"SELECT 1, GROUP_CONCAT(name) FROM item": {1260},
		"SELECT REPEAT('x', 1 << 30)":            {1301},
		"WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n": {1931, 3636}, // to MySQL that is an error
	} {
		if e := readError(t, d, statement, unbounded); e.Reason != db.ReadFailed || !slices.Contains(numbers, e.Number) || e.Remedy == "" {
			t.Errorf("%s: %v", statement, e)
		}
	}
	for _, statement := range []string{"SELECT 1 / 0", "SELECT CAST('12abc' AS SIGNED)", "SELECT LEFT(name, 2) FROM item"} {
		query(t, d, statement, nil)
	}
}
