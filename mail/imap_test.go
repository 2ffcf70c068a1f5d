package mail

import (
	"strings"
	"testing"

	"outboxd/mail/repliestest"
)

var imapCases = []struct {
	rule, text string
	step       Step
	class      Class
	want       Verdict
	remedy     string
}{
	{"app password", "NO [ALERT] Application-specific password required: https://example.org (Failure)", StepAuth, ClassAuth, Permanent, "app password"},
	{"connections", "NO [ALERT] Too many simultaneous connections. (Failure)", StepAuth, ClassThrottled, Throttled, "connected"},
	{"trouble", "NO [UNAVAILABLE] Temporary authentication failure", StepAuth, ClassTemporary, Temporary, "again"},
	{"trouble", "BYE shutting down", StepConnect, ClassTemporary, Temporary, "again"},
	{"encryption", "NO [PRIVACYREQUIRED] not in clear", StepAuth, ClassConfig, Permanent, "imaps"},
	{"IMAP off", "NO Your account is not enabled for IMAP use.", StepAuth, ClassAuth, Permanent, "switched off"},
	{"token", "NO AUTHENTICATE failed.", StepAuth, ClassAuth, Permanent, "IMAP.AccessAsUser.All"},
	{"Exchange Online", "NO LOGIN failed.", StepAuth, ClassAuth, Permanent, "Exchange Online"},
	{"folder", "NO [NONEXISTENT] Unknown Mailbox: Test", StepData, ClassConfig, Permanent, "folder"},
	{"", "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", StepAuth, ClassAuth, Permanent, "password"},
	{"", "NO what?", StepData, ClassTemporary, Temporary, "again"},
	{"", "", StepConnect, ClassTemporary, Temporary, "again"},
}

func TestClassifyIMAP(t *testing.T) {
	reached := map[string]bool{}
	for _, c := range imapCases {
		reached[c.rule] = true
		got := ClassifyIMAP(c.step, c.text)
		if got.Class != c.class || got.Verdict != c.want || got.Scope != ScopeAccount || !strings.Contains(got.Remedy, c.remedy) || got.Reply.String() != c.text {
			t.Errorf("%s: %+v", c.text, got)
		}
	}
	for _, r := range imapRules {
		if !reached[r.name] {
			t.Errorf("no case for the rule %q", r.name)
		}
	}
}

// TestClassifyIMAPCorpus compares with the table's IMAP rows; all of them are answers to a login.
func TestClassifyIMAPCorpus(t *testing.T) {
	repliestest.Named(t)
	for _, row := range repliestest.IMAP(t) {
		got := ClassifyIMAP(StepAuth, row["reply"])
		if got.Class != Class(row["class"]) || got.Scope != corpusScopes[row["scope"]] || got.Retry != corpusRetries[row["retry"]] || got.Remedy == "" {
			t.Errorf("%s: %+v, listed %s/%s/%s", row["id"], got, row["class"], row["scope"], row["retry"])
		}
		for _, concrete := range []string{"app password", "OAuth 2.0", "IMAP.AccessAsApp"} {
			if strings.Contains(row["remedy"], concrete) && !strings.Contains(got.Remedy, concrete) {
				t.Errorf("%s: the table's remedy names %q, ours does not: %s", row["id"], concrete, got.Remedy)
			}
		}
	}
}
