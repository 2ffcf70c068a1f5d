package readback

import (
	"errors"
	"io"
	"strings"
	"testing"

	"outboxd/mail"
	"outboxd/mail/repliestest"
)

// refusals are a login's as servers word them, and their class. Those of the table of real replies come to them.
func refusals(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"NO [AUTHENTICATIONFAILED] Authentication failed.": "auth", "NO [UNAVAILABLE] Temporary authentication failure.": "temporary",
		"NO [ALERT] Too many simultaneous connections. (Failure)": "throttled", "BAD Command Argument Error. 11": "auth"}
	for _, r := range repliestest.IMAP(t) {
		all[r["reply"]] = r["class"]
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
