package jobs

import (
	"fmt"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/mail"
)

// A bounce is a later fact about a mail that was sent, not a state: outbox.bounced_at and outbox.bounce. Of a mail in another state they mean nothing.

// WithBounce is a state for people with the word that the mail came back, where it did.
func WithBounce(state string, bounced *time.Time) string {
	if bounced == nil {
		return state
	}
	return state + ", came back"
}

// came says that a mail came back, and what the bounce says.
func came(o mail.Outcome) string { return "came back" + because(o.Reply.Text) }

// bounce adds to a report that the mail came back, and what a person can do.
func (r *MailReport) bounce() {
	if r.BouncedAt == nil {
		return
	}
	o := mail.ClassifyBounce(r.Bounce)
	r.Cause = joinNotes(r.Cause, came(o))
	if r.Remedy != o.Remedy {
		r.Remedy = strings.TrimSpace(r.Remedy + " " + o.Remedy)
	}
}

// bounced tells that the row was sent and came back.
func (w *why) bounced() {
	at := w.row.BouncedAt
	if at == nil || w.row.State != db.Sent && w.row.State != db.Partial {
		return
	}
	o := mail.ClassifyBounce(w.row.Bounce)
	w.reasons = append(w.reasons, Reason{Text: fmt.Sprintf("It came back at %s%s.", w.at(*at), because(o.Reply.Text)), Cause: string(o.Class)})
	for _, r := range w.row.Each {
		if r.BouncedAt != nil {
			w.say("It came back from %s%s.", r.Address, because(mail.ClassifyBounce(r.Bounce).Reply.Text))
		}
	}
	if w.next == "" {
		w.next = o.Remedy + " To send the mail again, insert a new row"
	}
}
