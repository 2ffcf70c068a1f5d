// Package repliestest reads a table of real replies for tests: tab separated, with a line of column names. It is not part of
// this repository; docs/testing.md says which columns it has.
package repliestest

import (
	"encoding/csv"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// variable names the file in the environment.
const variable = "OUTBOXD_REPLIES"

// imap is the phase of replies that IMAP servers give.
const imap = "imap"

// Row is a row of the table, from column to field.
type Row map[string]string

// SMTP returns the rows of SMTP servers, IMAP those of IMAP servers; none where no table is named.
func SMTP(t testing.TB) []Row { return rows(t, func(r Row) bool { return r["phase"] != imap }) }

// IMAP returns the rows of IMAP servers; none where no table is named.
func IMAP(t testing.TB) []Row { return rows(t, func(r Row) bool { return r["phase"] == imap }) }

// Named skips a test that does nothing but compare with the table, where none is named.
func Named(t testing.TB) {
	t.Helper()
	if os.Getenv(variable) == "" {
		t.Skipf("set %s to the path of a table of real replies to compare with it", variable)
	}
}

func rows(t testing.TB, wanted func(Row) bool) (all []Row) {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader := csv.NewReader(file)
	reader.Comma, reader.LazyQuotes = '\t', true
	records, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records[1:] {
		row := Row{}
		for i, column := range records[0] {
			row[column] = record[i]
		}
		if wanted(row) {
			all = append(all, row)
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rows of this kind", path)
	}
	return all
}

var replyForm = regexp.MustCompile(`^(\d{3})[ -](.*)$`)

// Lines takes an SMTP reply apart in which the lines of one of several lines stand one after another, each with its code.
func Lines(t testing.TB, reply string) (code int, lines []string) {
	t.Helper()
	parts := replyForm.FindStringSubmatch(reply)
	if parts == nil {
		t.Fatalf("no reply code in %q", reply)
	}
	code, err := strconv.Atoi(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(" "+parts[1]+" ", "\n", " "+parts[1]+"-", "\n").Replace(parts[2])
	return code, strings.Split(text, "\n")
}
