package mail

import (
	"encoding/csv"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// corpusPhases maps the phase of a corpus row to the steps at which its reply may come. A reply to "data" is read after
// the command or after the dot; a "dsn" row tells what a bounce quotes.
var corpusPhases = map[string][]Step{
	"connect": {StepConnect}, "auth": {StepAuth}, "mail": {StepMail}, "rcpt": {StepRcpt},
	"data": {StepDot, StepData}, "dsn": {StepDot},
}

var corpusRetries = map[string]Retry{
	"no": RetryNo, "backoff": RetryBackoff, "later": RetryLater, "stop": RetryStop, "split": RetrySplit,
}

var corpusScopes = map[string]Scope{
	"message": ScopeMessage, "recipient": ScopeRecipient, "account": ScopeAccount, "server": ScopeServer,
}

// TestClassifyCorpus compares Classify with a table of real replies, read from the file that OUTBOXD_REPLIES names: tab
// separated, with the columns id, phase, reply, class, scope and retry. The table is not part of this repository.
func TestClassifyCorpus(t *testing.T) {
	path := os.Getenv("OUTBOXD_REPLIES")
	if path == "" {
		t.Skip("set OUTBOXD_REPLIES to the path of smtp_replies.tsv to compare with a table of real replies")
	}
	var total, agreed, classes int
	for _, row := range readCorpus(t, path) {
		total++
		same, sameClass := 1, 1
		for _, step := range corpusPhases[row["phase"]] {
			got := Classify(step, corpusReply(t, row["reply"]))
			scope, retry := corpusScopes[row["scope"]], corpusRetries[row["retry"]]
			if got.Scope != scope || got.Retry != retry {
				same = 0
				t.Logf("%s at %s: got %s/%s, listed %s/%s: %s", row["id"], step, got.Scope, got.Retry, scope, retry, row["reply"])
			}
			if got.Class != Class(row["class"]) {
				sameClass = 0
				t.Logf("%s at %s: got class %s, listed %s: %s", row["id"], step, got.Class, row["class"], row["reply"])
			}
		}
		agreed += same
		classes += sameClass
	}
	if total == 0 {
		t.Fatal("the table has no SMTP rows")
	}
	share := 100 * float64(agreed) / float64(total)
	t.Logf("scope and retry agree in %d of %d rows (%.1f %%), class in %d (%.1f %%)", agreed, total, share, classes, 100*float64(classes)/float64(total))
	if share < 95 {
		t.Errorf("scope and retry agree in %.1f %%, at least 95 %% is required", share)
	}
	if classes < total {
		t.Errorf("class agrees in %d of %d rows only", classes, total)
	}
}

// corpusSteps are the concrete things that the table's remedies name: where one stands there, ours has to name it too.
var corpusSteps = []string{"admin.microsoft.com", "Authenticated SMTP", "Set-CASMailbox", "Exchange admin centre > Settings > Mail flow", "Conditional Access", "Entra",
	"OAuth 2.0", "December 2026", "587", "465", "STARTTLS", "Send as", "Delegation", "up to an hour", "Sent Items", "retention policy", "licence", "500", "2,000", "10,000",
	"Restricted entities", "Microsoft support", "smtp.office365.com", "connector", "sender.office.com", "TLS 1.2", "app password", "16 letters", "myaccount.google.com",
	"browser", "SMTP relay service", "25 MB", "encrypted archive", "Postmaster Tools", "0.1 %", "SPF", "DKIM", "DMARC", "reverse DNS", "senders.yahooinc.com", "Spamhaus",
	"AWS", "sandbox", "group", "links", "rate"}

// TestRemediesOfTheCorpus wants every remedy to be as concrete as the table's.
func TestRemediesOfTheCorpus(t *testing.T) {
	path := os.Getenv("OUTBOXD_REPLIES")
	if path == "" {
		t.Skip("set OUTBOXD_REPLIES to the path of smtp_replies.tsv to compare with a table of real replies")
	}
	for _, row := range readCorpus(t, path) {
		for _, step := range corpusPhases[row["phase"]] {
			got := strings.ToLower(Classify(step, corpusReply(t, row["reply"])).Remedy)
			for _, concrete := range corpusSteps {
				if concrete = strings.ToLower(concrete); strings.Contains(strings.ToLower(row["remedy"]), concrete) && !strings.Contains(got, concrete) {
					t.Errorf("%s at %s: the table's remedy names %q, ours does not: %s", row["id"], step, concrete, got)
				}
			}
		}
	}
}

// readCorpus reads the SMTP rows of the table.
func readCorpus(t *testing.T, path string) []map[string]string {
	t.Helper()
	var rows []map[string]string
	for _, row := range readTable(t, path) {
		if row["phase"] == "imap" {
			continue
		}
		if corpusPhases[row["phase"]] == nil {
			t.Fatalf("%s: unknown phase %q", row["id"], row["phase"])
		}
		rows = append(rows, row)
	}
	return rows
}

// readTable reads the table's rows as maps from column to field.
func readTable(t *testing.T, path string) []map[string]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader := csv.NewReader(file)
	reader.Comma = '\t'
	reader.LazyQuotes = true
	records, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, column := range records[0] {
			row[column] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

var corpusLine = regexp.MustCompile(`^(\d{3})[ -](.*)$`)

// corpusReply makes a Reply of a row's text, in which the lines of a reply of several lines stand one after another.
func corpusReply(t *testing.T, text string) Reply {
	t.Helper()
	parts := corpusLine.FindStringSubmatch(text)
	if parts == nil {
		t.Fatalf("no reply code in %q", text)
	}
	code, err := strconv.Atoi(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.NewReplacer(" "+parts[1]+" ", "\n", " "+parts[1]+"-", "\n").Replace(parts[2])
	return ParseReply(code, lines)
}
