package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"outboxd/db"
)

// QueueWhyReply says in sentences what a row waits for, or what became of it. Times stand in the company's zone.
type QueueWhyReply struct {
	Row      string   `json:"row"`
	State    db.State `json:"state"`
	Held     bool     `json:"held"`
	Timezone string   `json:"timezone"`
	Reasons  []Reason `json:"reasons"` // all that holds; the row goes when none is left
	Last     *LastTry `json:"last,omitempty"`
	Next     string   `json:"next,omitempty"`
}

// Reason is one thing that a row waits for, or that has happened to it.
type Reason struct {
	Text  string     `json:"text"`
	Until *time.Time `json:"until,omitempty"` // when it ends by itself, as far as is known
	Cause string     `json:"cause,omitempty"` // in one word, as in logs, where an account is in trouble
}

// QueueWhy tells what a row waits for and until when, or what became of it and what to do.
func (d *Desk) QueueWhy(ctx context.Context, q RowRequest) (QueueWhyReply, error) {
	p, name, row, err := d.show(ctx, q.Row)
	if err != nil {
		return QueueWhyReply{}, err
	}
	w := &why{desk: d, place: p, name: name, row: row}
	switch row.State {
	case db.Queued:
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		w.queued(ctx)
	case db.Sending:
		w.sending(ctx)
	default:
		w.ended()
		w.bounced()
	}
	last := w.last()
	return QueueWhyReply{name.String(), row.State, row.Held, p.Company.Timezone.String(), w.reasons, last, w.next}, nil
}

// why collects the reasons of one row.
type why struct {
	desk    *Desk
	place   *Place
	name    RowName
	row     db.Detail
	reasons []Reason
	next    string
}

func (w *why) say(format string, args ...any) {
	w.reasons = append(w.reasons, Reason{Text: fmt.Sprintf(format, args...)})
}

// sayUntil adds a reason that ends at a time, which the text gets as its last argument.
func (w *why) sayUntil(until time.Time, format string, args ...any) {
	w.reasons = append(w.reasons, Reason{Text: fmt.Sprintf(format, append(args, w.at(until))...), Until: &until})
}

// at is a time in the company's zone, with its distance from now by the database's clock.
func (w *why) at(t time.Time) string {
	text := timeText(t, w.place.Company.Timezone)
	left := t.Sub(w.row.Clock)
	if left > 0 {
		return fmt.Sprintf("%s (in %s)", text, span(left))
	}
	return fmt.Sprintf("%s (%s ago)", text, span(-left))
}

// timeText is a time as texts for people have it.
func timeText(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("2006-01-02 15:04:05 MST")
}

// span is a length of time as people say it: seconds within the hour, minutes within two days, then days.
func span(d time.Duration) string {
	switch m := d.Round(time.Minute); {
	case m < time.Hour:
		return d.Round(time.Second).String()
	case m < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", m/time.Hour, m%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
}

func (w *why) queued(ctx context.Context) {
	if to := w.place.Company.Divert; to != "" {
		w.say("The company diverts its mail: it goes to %s and to nobody else (divert in jobs.yaml).", to)
	}
	if w.row.HeldByRun {
		w.heldByRun(ctx)
		return
	}
	if w.row.Held {
		w.say("It is held%s.", because(w.row.LastError))
		w.next = fmt.Sprintf("let it go: outboxd queue release %s --reason TEXT; or end it: outboxd queue cancel %s", w.name, w.name)
		return
	}
	if f, err := w.desk.Fenced(ctx, w.place); err == nil && f != nil {
		w.say("The company sends nothing, for its database is not the one it was: %s.", f.Why)
		w.next = f.Hint
	}
	w.expiry()
	w.notBefore()
	w.lane()
	if a, job := w.way(); a != nil {
		said := len(w.reasons)
		w.account(ctx, a)
		w.overflow(a, len(w.reasons) > said)
		w.window(a)
		w.domains(ctx, a)
		w.budget(ctx, a, job)
	}
	w.engine()
	if len(w.reasons) == 0 {
		w.say("Nothing is in its way: it goes as soon as a sender is free.")
	}
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return ": " + strings.TrimSuffix(text, ".")
}

func (w *why) expiry() {
	switch e := w.row.ExpiresAt; {
	case e == nil:
	case e.After(w.row.Clock):
		w.sayUntil(*e, "It has an end: if it has not gone by then, it ends as expired at %s.")
	default:
		w.say("Its expires_at is over: %s. It ends as expired at the next look.", w.at(*e))
	}
}

func (w *why) notBefore() {
	if !w.row.AvailableAt.After(w.row.Clock) {
		return
	}
	switch after := w.row.SendAfter; {
	case w.row.Attempts > 0:
		w.sayUntil(w.row.AvailableAt, "It was refused for now%s. The next try, number %d, is at %s.", because(w.row.LastError), w.row.Attempts+1)
	case after != nil && !w.row.AvailableAt.After(*after):
		w.sayUntil(w.row.AvailableAt, "Its send_after is not reached: it goes at %s.")
	default:
		w.sayUntil(w.row.AvailableAt, "It steps aside%s. It is looked at again at %s.", because(w.row.LastError))
	}
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func goes(n int) string {
	if n == 1 {
		return "goes"
	}
	return "go"
}

// sending tells who has the row.
func (w *why) sending(ctx context.Context) {
	if i := slices.IndexFunc(w.row.Tries, func(t db.Tried) bool { return t.Token == w.row.Token && t.MarkedAt != nil }); i >= 0 {
		t := w.row.Tries[i]
		w.say("It is being sent by %s on the computer %s: the server was told to take it at %s, and its answer is awaited, for ten minutes at most.", t.Account, t.Daemon, w.at(*t.MarkedAt))
	} else {
		w.say("It was taken by %s and nothing of it has been sent yet.", w.daemon(ctx))
	}
	switch until := w.row.LeaseUntil; {
	case until == nil:
	case until.After(w.row.Clock):
		w.sayUntil(*until, "The daemon holds it and confirms that every few seconds; if it stops to, the row is free again at %s.")
	default:
		w.say("That daemon has given no sign of life since %s. Any other one takes the row back within a minute: queued if it was not handed over, uncertain if it was.", w.at(*until))
		w.next = "start outboxd if none runs: systemctl status outboxd"
	}
}

// daemon names the computer of the daemon that holds the row.
func (w *why) daemon(ctx context.Context) string {
	id, _, _ := strings.Cut(w.row.Token, "-")
	host, err := w.desk.world.Control.HostOf(ctx, id)
	if err != nil || host == "" { // the control database is away or of an older step, or the daemon could not write itself down
		return "the daemon " + id
	}
	return "the daemon on the computer " + host
}

// ended tells what became of the row.
func (w *why) ended() {
	again := fmt.Sprintf("once the cause is gone, send it again: outboxd queue retry %s", w.name)
	switch w.row.State {
	case db.Sent:
		if strings.HasPrefix(w.row.LastError, sentBefore) {
			w.say("It was sent before the database was restored or copied: %s.", w.row.LastError)
			return
		}
		if w.row.LastError != "" { // the reason of whoever settled it
			w.say("A person has settled it as sent: %s. outboxd itself did not see the server's answer.", strings.TrimSuffix(w.row.LastError, "."))
			return
		}
		w.say("It was sent%s by account %s%s.", w.sentAt(), orNone(w.row.SentVia), w.reply())
	case db.Failed:
		w.say("It failed%s.", because(w.row.LastError))
		w.next = again
	case db.Partial:
		w.say("Some of its recipients have it and some have not%s.", because(w.row.LastError))
		w.recipients()
		w.next = again + " (only those who have not got it)"
	case db.Uncertain:
		w.say("Nobody knows whether it arrived%s.", because(w.row.LastError))
		w.recipients()
		w.next = fmt.Sprintf("look into the account's sent mail or ask the recipient, then: outboxd queue settle %s --as sent --reason TEXT (or --as failed); or send it again, at the risk of a second copy: outboxd queue retry %s", w.name, w.name)
	case db.Expired:
		w.say("It could not be sent before its expires_at%s.", because(w.row.LastError))
		w.next = "if it is still wanted, insert a new row"
	case db.Suppressed:
		w.say("Nobody is to get it%s.", because(w.row.LastError))
		w.next = unsuppress(w.name.String())
	case db.Cancelled:
		w.say("It was cancelled%s.", because(w.row.LastError))
		w.next = "if it is wanted after all: outboxd queue retry " + w.name.String()
	default:
		w.say("It ended as %s%s.", w.row.State, because(w.row.LastError))
	}
	if p := w.row.Purged; p != nil {
		w.say("Its content was purged at %s; outboxd queue show has the hashes of what it was.", w.at(p.At))
		if w.next != "" {
			w.next = "if it is still wanted, insert a new row"
		}
	}
}

func (w *why) sentAt() string {
	if w.row.SentAt == nil {
		return ""
	}
	return " at " + w.at(*w.row.SentAt)
}

func orNone(s string) string {
	if s == "" {
		return "(unknown)"
	}
	return s
}

// reply is the server's last word.
func (w *why) reply() string {
	if n := len(w.row.Tries); n > 0 && w.row.Tries[n-1].Reply != "" {
		return fmt.Sprintf("; the server said: %s", w.row.Tries[n-1].Reply)
	}
	return ""
}

// recipients tells which of them have it.
func (w *why) recipients() {
	for _, r := range w.row.Each {
		if r.State == db.RecipientSuppressed { // the reason says so
			w.say("%s: %s.", r.Address, strings.TrimSuffix(r.LastError, "."))
			continue
		}
		w.say("%s: %s%s.", r.Address, r.State, because(r.LastError))
	}
}

// engine tells what the daemon itself stands in the way with.
func (w *why) engine() {
	if w.desk.live == nil {
		w.say("No outboxd runs on this computer: rows go only while one does, here or on another computer.")
		return
	}
	if h := w.desk.live().Companies[w.name.Company]; h.Down != "" {
		w.say("The daemon cannot use the company's database since %s%s.", w.at(h.Since), because(h.Down))
	}
}
