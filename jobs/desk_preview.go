package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/compose"
)

// PreviewRequest asks for the message of a row, whatever its state; or of a company's template, as a row with these columns
// would have it that was inserted now.
type PreviewRequest struct {
	Row      string `json:"row,omitempty"`
	Company  string `json:"company,omitempty"` // may be left out where there is one
	Template string `json:"template,omitempty"`
	Params   string `json:"params,omitempty"`
	Language string `json:"language,omitempty"`
	To       string `json:"to,omitempty"`   // "": the account's own sender
	From     string `json:"from,omitempty"` // "": the account's own sender
}

// PreviewReply is a message as it would be handed over, octet by octet but for a signature's time.
type PreviewReply struct {
	Row          string   `json:"row,omitempty"`
	Company      string   `json:"company"`
	Account      string   `json:"account"`
	EnvelopeFrom string   `json:"envelope_from"`
	EnvelopeTo   []string `json:"envelope_to"`
	SMTPUTF8     bool     `json:"smtputf8"` // an address needs it
	MessageID    string   `json:"message_id"`
	Size         int64    `json:"size"`     // octets
	Warnings     []string `json:"warnings"` // what a person would otherwise learn later
	Message      []byte   `json:"-"`
}

// Enclosed is the message, which JSON has no room for.
func (r *PreviewReply) Enclosed() *[]byte { return &r.Message }

// Preview makes a message as sending does, by the same code. It takes nothing, changes nothing and sends nothing. A message that
// cannot be made is an *AskError with the words that the row's last_error would have. One message is made at a time, for it may be large.
func (d *Desk) Preview(ctx context.Context, q PreviewRequest) (PreviewReply, error) {
	select {
	case d.previewing <- struct{}{}:
		defer func() { <-d.previewing }()
	case <-ctx.Done():
		return PreviewReply{}, ctx.Err()
	}
	if q.Row != "" {
		return d.previewRow(ctx, q.Row)
	}
	return d.previewTemplate(ctx, q)
}

func (d *Desk) previewRow(ctx context.Context, row string) (PreviewReply, error) {
	p, name, detail, err := d.show(ctx, row)
	if err != nil {
		return PreviewReply{}, err
	}
	s := &sight{file: d.world.File, now: d.now, place: p, what: name.String()}
	if err := s.by(detail.Account, detail.From, detail.Priority); err != nil {
		return PreviewReply{}, err
	}
	taken, err := p.Store.Row(ctx, name.ID, s.domain(), s.packer.maxSize)
	if err != nil {
		return PreviewReply{}, askError(name, "", err)
	}
	if taken.Spent != nil {
		return PreviewReply{}, s.refused(spentError(taken.Spent))
	}
	s.warnState(detail, taken)
	if detail.State != db.Queued && detail.State != db.Sending {
		taken.Known = nil // all recipients, for it is looked at and not sent again
		s.packer.suppressed = func(context.Context, []string) (suppressed, error) { return nil, nil }
	}
	reply, err := s.pack(ctx, taken)
	reply.Row = name.String()
	return reply, err
}

// spentError is what becomes of a row that is never to be sent.
func spentError(why error) error {
	c := refuseSpent(why)
	if c.State == db.Skipped {
		return &skipError{c.LastError}
	}
	return &rowError{c.LastError}
}

func (d *Desk) previewTemplate(ctx context.Context, q PreviewRequest) (PreviewReply, error) {
	if q.Template == "" {
		return PreviewReply{}, &AskError{Text: "nothing is named to be shown", Hint: "name a row, or a company's template", Usage: true}
	}
	p, err := d.placeOrOnly(q.Company)
	if err != nil {
		return PreviewReply{}, err
	}
	s := &sight{file: d.world.File, now: d.now, place: p, what: "the message"}
	if err := s.by("", q.From, usualPriority); err != nil {
		return PreviewReply{}, err
	}
	sender, _ := parseSender(q.From) // what is no address was refused above
	id, err := compose.NewMessageID(cmp.Or(sender.Host, s.domain()), rand.Reader)
	if err != nil {
		return PreviewReply{}, err
	}
	now := d.now()
	s.packer.content = func(context.Context, db.Row) (db.Content, error) { return db.Content{Params: q.Params}, nil }
	return s.pack(ctx, db.Row{Recipients: cmp.Or(q.To, s.packer.account.From), From: q.From, Template: q.Template, Language: q.Language,
		Priority: usualPriority, MessageID: id, CreatedAt: now, Ready: now})
}

// usualPriority is what a row has that states none.
const usualPriority = 3

// sight is one message while it is looked at.
type sight struct {
	file     *jobfile.File
	now      func() time.Time
	place    *Place
	what     string // for people
	packer   *packer
	way      way
	warnings []string
}

func (s *sight) warn(format string, args ...any) {
	s.warnings = append(s.warnings, fmt.Sprintf(format, args...))
}

// by finds the account and the job that would send it.
func (s *sight) by(account, from string, priority int) error {
	c := s.place.Company
	var err error
	if s.way, err = newResolver(s.file, c).resolve(account, from); err != nil {
		return s.refused(err)
	}
	a := s.way.account
	if s.way.person.Host != "" {
		s.warn("It goes out as %s, and answers go to %s (send_as: %s of the company).", s.way.from, s.way.replyTo, c.SendAs)
	}
	if !a.Active {
		s.warn("The account %s is not active: nothing is sent by it.", a.Name)
	}
	if opens, closed := opening(a, c, s.now()); closed {
		s.warn("The window of account %s (%s) is closed: it sends from %s.", a.Name, a.Window.Text, timeText(opens, c.Timezone))
	}
	if c.Divert != "" {
		s.warn("The company diverts its mail: it goes to %s and to nobody else (divert in jobs.yaml).", c.Divert)
	}
	job, _ := jobFor(c, a.Name, priority)
	if job == nil {
		s.warn("No job of the company takes mails of priority %d by account %s: it is not sent.", priority, a.Name)
		job = &jobfile.Deliver{}
	}
	s.packer = newPacker(s.place, a, job)
	return nil
}

// domain is that of the account's own sender, for Message-IDs.
func (s *sight) domain() string {
	own, err := mail.ParseAddress(s.packer.account.From)
	if err != nil {
		return ""
	}
	return own.Host
}

// warnState says where a row stands, when that is not on its way.
func (s *sight) warnState(detail db.Detail, row db.Row) {
	switch detail.State {
	case db.Queued:
		if detail.Held {
			s.warn("%s is held: it goes when it is released.", s.what)
		}
		if row.Expired {
			s.warn("The expires_at of %s is over: it ends as expired.", s.what)
		}
	case db.Sending:
	case db.Sent, db.Partial, db.Uncertain:
		s.warn("%s is %s: this is made anew, from the row, its template and its files as they are now.", s.what, detail.State)
	default:
		s.warn("%s is %s: it is not sent.", s.what, detail.State)
	}
}

func (s *sight) pack(ctx context.Context, row db.Row) (PreviewReply, error) {
	reply, err := s.make(ctx, row)
	if err != nil {
		return PreviewReply{}, s.refused(err)
	}
	return reply, nil
}

// make makes the message. Its error is a packer's.
func (s *sight) make(ctx context.Context, row db.Row) (PreviewReply, error) {
	p, err := s.packer.pack(ctx, row, s.way, nil)
	if err != nil {
		return PreviewReply{}, err
	}
	return PreviewReply{Company: s.place.Company.Name, Account: s.packer.account.Name, EnvelopeFrom: p.envelope.From, EnvelopeTo: p.envelope.To,
		SMTPUTF8: p.utf8, MessageID: p.messageID, Size: int64(len(p.message)), Warnings: append([]string{}, s.warnings...), Message: p.message}, nil
}

// refused says why there is no message, in the words of the row's last_error.
func (s *sight) refused(err error) error {
	var wrong *rowError
	var skip *skipError
	var wait *waitError
	end, hint := "", "mend what it names, then look again"
	switch {
	case errors.As(err, &wrong):
		end = "would fail"
	case errors.As(err, &skip):
		end = "would end as skipped"
	case errors.As(err, &wait):
		end = "would wait"
	case isSuppressed(err):
		end, hint = "would go to nobody", "if it is to be mailed all the same, delete the entry from outbox_suppression"
	default:
		return &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
	}
	return &AskError{Text: s.what + " " + end + ": " + err.Error(), Err: err, Hint: hint}
}
