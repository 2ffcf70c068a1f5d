package db

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestLoadQueries(t *testing.T) {
	q, err := loadQueries(fstest.MapFS{
		"queries/a.sql": {Data: []byte("-- about the file\n\n-- name: one\n-- why\nSELECT 1\r\nFROM {db}.t\n\n-- name: two\nSELECT ({ids}), ({pairs})\n")},
		"queries/b.sql": {Data: []byte("-- name: three\nINSERT INTO {db}.t VALUES {rows}\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := q.of("`acme`")
	for got, want := range map[string]string{
		s.text("one"):                "SELECT 1\nFROM `acme`.t\n",
		s.list("two", 2):             "SELECT (?, ?), ((?, ?), (?, ?))\n",
		s.rows("three", 2, "(?, 1)"): "INSERT INTO `acme`.t VALUES (?, 1), (?, 1)\n",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLoadQueriesRefuses(t *testing.T) {
	for want, text := range map[string]string{
		`statement "one" stands twice`:     "-- name: one\nSELECT 1\n-- name: one\nSELECT 2\n",
		"statement without a name: SELECT": "SELECT 1\n",
		`statement "one" is empty`:         "-- name: one\n-- name: two\nSELECT 1\n",
		`not a name: -- name: One`:         "-- name: One\nSELECT 1\n",
	} {
		if _, err := loadQueries(fstest.MapFS{"queries/a.sql": {Data: []byte(text)}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// usedName finds the statements that the code asks for by name.
var usedName = regexp.MustCompile(`(?:\.text\(|\.list\(|\.rows\(|changeMails\(ctx, tx, |edit\{statement: )"([a-z-]+)"|"((?:count|purge|archive|part|piece|run)-[a-z-]+)"`)

func TestCodeAndQueriesNameTheSameStatements(t *testing.T) {
	q, err := loadQueries(queryFiles)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range usedName.FindAllStringSubmatch(string(code), -1) {
			name := m[1] + m[2]
			used[name] = true
			if q[name] == "" {
				t.Errorf("%s: no statement %q", file, name)
			}
		}
	}
	for name := range q {
		if !used[name] {
			t.Errorf("statement %q is used nowhere", name)
		}
	}
}

// P6: a connection has no database of its own, so that a statement without one would fail rather than go astray.
func TestP6_EveryStatementNamesItsDatabase(t *testing.T) {
	q, err := loadQueries(queryFiles)
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?:FROM|INTO|UPDATE|JOIN)\s+(\S+)`)
	for name, text := range q {
		for _, m := range table.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "{db}.outbox") && m[1] != "(SELECT" && !strings.Contains(text, "KEY UPDATE "+m[1]) && m[1] != "SKIP" {
				t.Errorf("%s: %s has no database", name, m[0])
			}
		}
	}
}

// The rights that Grants gives are those that the statements need, neither fewer nor more.
func TestDaemonRightsAreThoseOfTheStatements(t *testing.T) {
	q, err := loadQueries(queryFiles)
	if err != nil {
		t.Fatal(err)
	}
	need := map[string]map[string]bool{metaRight.table: {"SELECT": true}, "outbox_status": {"SELECT": true}} // Examine
	add := func(table, verb string) {
		if need[table] == nil {
			need[table] = map[string]bool{}
		}
		need[table][verb] = true
	}
	verbs := map[string]string{"FROM": "SELECT", "JOIN": "SELECT", "UPDATE": "UPDATE", "INSERT INTO": "INSERT", "DELETE FROM": "DELETE"}
	place := regexp.MustCompile(`(INSERT INTO|DELETE FROM|UPDATE|FROM|JOIN) \{db\}\.([a-z_]+)`)
	for _, text := range q {
		for _, m := range place.FindAllStringSubmatch(text, -1) {
			add(m[2], verbs[m[1]])
			if m[1] == "INSERT INTO" && strings.Contains(text, "ON DUPLICATE KEY UPDATE") {
				add(m[2], "UPDATE")
			}
			if m[1] == "UPDATE" || m[1] == "DELETE FROM" {
				add(m[2], "SELECT") // their WHERE
			}
		}
	}
	given := map[string]string{metaRight.table: metaRight.verbs}
	for _, rights := range daemonRights {
		for _, r := range rights {
			given[r.table] = r.verbs
		}
	}
	all := []string{"SELECT", "INSERT", "UPDATE", "DELETE"}
	for _, r := range slices.Concat(purgeRights, mailingRights) {
		verbs := strings.Split(given[r.table]+", "+r.verbs, ", ")
		given[r.table] = strings.Join(slices.DeleteFunc(slices.Clone(all), func(verb string) bool { return !slices.Contains(verbs, verb) }), ", ")
	}
	for _, table := range slices.Sorted(maps.Keys(need)) {
		var want []string
		for _, verb := range all {
			if need[table][verb] {
				want = append(want, verb)
			}
		}
		if got := given[table]; got != strings.Join(want, ", ") {
			t.Errorf("%s: granted %q, needed %q", table, got, want)
		}
		delete(given, table)
	}
	if len(given) > 0 {
		t.Errorf("granted and not needed: %v", given)
	}
}

func TestQuote(t *testing.T) {
	for name, want := range map[string]string{"acme": "`acme`", "a-1_$": "`a-1_$`", "": "", "a`b": "", "a.b": "", "a b": "", "é": "", strings.Repeat("a", 65): ""} {
		if got, err := quote(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}

func TestSplitStepIntoStatements(t *testing.T) {
	s := step{CompanyPart, 1, "-- why\n\nCREATE TABLE {db}.a (\n  b INT COMMENT 'x; y'\n);\n-- more\nCREATE VIEW {db}.c AS\nSELECT 1;\n"}
	got := fmt.Sprintf("%q", s.statements("`acme`"))
	if want := "[\"CREATE TABLE `acme`.a (\\n  b INT COMMENT 'x; y'\\n)\" \"CREATE VIEW `acme`.c AS\\nSELECT 1\"]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
