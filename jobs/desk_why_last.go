package jobs

import (
	"strings"
	"time"

	"outboxd/db"
	"outboxd/mail"
)

// LastTry is what became of a row's last attempt that did not go well: the server's words, what they mean and what to do.
type LastTry struct {
	At      *time.Time `json:"at,omitempty"`
	Account string     `json:"account"`
	Step    string     `json:"step"` // of the SMTP dialogue
	Verdict string     `json:"verdict"`
	Reply   string     `json:"reply,omitempty"`
	Cause   string     `json:"cause,omitempty"` // in one word, as in logs; "" where the words alone do not tell it
	Remedy  string     `json:"remedy,omitempty"`
}

// CauseText is a cause as texts for people have it, behind what was said; "" where none is known.
func CauseText(class string) string {
	if class == "" {
		return ""
	}
	return " (cause: " + class + ")"
}

// lastTry is nil for a row whose last attempt was taken, that was not tried, or that is being tried.
func lastTry(row db.Detail) *LastTry {
	if len(row.Tries) == 0 || row.State == db.Sent {
		return nil
	}
	t := row.Tries[len(row.Tries)-1]
	if t.Step == "" || t.Verdict == "" || t.Verdict == mail.Accepted.String() {
		return nil
	}
	last := &LastTry{At: t.FinishedAt, Account: t.Account, Step: t.Step, Verdict: t.Verdict, Reply: t.Reply}
	if o, ok := mail.Recall(t.Step, t.Code, t.Enhanced, t.Reply); ok {
		last.Cause, last.Remedy = string(o.Class), o.Remedy
	}
	return last
}

// last tells the cause of the last attempt, and what to do about it unless the row itself says so already.
func (w *why) last() *LastTry {
	last := lastTry(w.row)
	if last == nil || last.Cause == "" {
		return last
	}
	if strings.Contains(w.row.LastError, last.Remedy) {
		w.say("The cause of its last try's end: %s.", last.Cause)
	} else {
		w.say("Its last try, by account %s, ended at %s: %s. The cause: %s. %s", last.Account, last.Step, strings.TrimSuffix(last.Reply, "."), last.Cause, last.Remedy)
	}
	return last
}
