package mail

import (
	"strings"
	"testing"

	"outboxd/mail/repliestest"
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

// TestClassifyCorpus compares Classify with a table of real replies, where one is named.
func TestClassifyCorpus(t *testing.T) {
	repliestest.Named(t)
	var total, agreed, classes int
	for _, row := range readCorpus(t) {
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
	repliestest.Named(t)
	for _, row := range readCorpus(t) {
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
func readCorpus(t *testing.T) []repliestest.Row {
	t.Helper()
	rows := repliestest.SMTP(t)
	for _, row := range rows {
		if corpusPhases[row["phase"]] == nil {
			t.Fatalf("%s: unknown phase %q", row["id"], row["phase"])
		}
	}
	return rows
}

// corpusReply makes a Reply of a row's text.
func corpusReply(t *testing.T, text string) Reply {
	t.Helper()
	code, lines := repliestest.Lines(t, text)
	return ParseReply(code, strings.Join(lines, "\n"))
}
