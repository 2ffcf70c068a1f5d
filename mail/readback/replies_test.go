package readback

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"outboxd/mail"
)

// refusals are a login's as servers word them, and their class. Those of the table that OUTBOXD_REPLIES names come to them.
func refusals(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"NO [AUTHENTICATIONFAILED] Authentication failed.": "auth", "NO [UNAVAILABLE] Temporary authentication failure.": "temporary",
		"NO [ALERT] Too many simultaneous connections. (Failure)": "throttled", "BAD Command Argument Error. 11": "auth"}
	path := os.Getenv("OUTBOXD_REPLIES")
	if path == "" {
		return all
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	table := csv.NewReader(file)
	table.Comma, table.LazyQuotes = '\t', true
	records, err := table.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := func(record []string, name string) string { return record[slices.Index(records[0], name)] }
	for _, r := range records[1:] {
		if column(r, "phase") == "imap" {
			all[column(r, "reply")] = column(r, "class")
		}
	}
	return all
}

// TestEveryRefusalIsExplained: whatever a server says to a login, the words are kept and come with a cause and a remedy.
func TestEveryRefusalIsExplained(t *testing.T) {
	for words, class := range refusals(t) {
		conf := scripted(t, ready, func(tag, command string, w io.Writer) bool {
			if strings.HasPrefix(command, "LOGIN") {
				return say(w, tag+" "+words+"\r\n")
			}
			return polite(nil)(tag, command, w)
		})
		_, err := Open(t.Context(), conf)
		refused, ok := errors.AsType[*Error](err)
		if !ok || refused.Outcome.Reply.String() != words || refused.Outcome.Class != mail.Class(class) || refused.Outcome.Remedy == "" {
			t.Errorf("%s: %v, want class %s", words, err, class)
			if ok {
				t.Errorf("%+v", refused.Outcome)
			}
		}
	}
}
