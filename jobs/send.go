package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"outboxd/db"
	"outboxd/mail"
	"outboxd/mail/compose"
	"outboxd/mail/smtpout"
)

// parcel is one taken row on its way: what stands in it, checked, and who is to get it.
type parcel struct {
	row      db.Row
	from     string // the sender's bare address, as the header shows it
	envelope mail.Envelope
	all      []db.Recipient // of a row with several recipients: every one, with what is known; nil for a single one
	open     []int          // positions in all of the envelope's recipients
	message  []byte
	utf8     bool
	diverted bool // the envelope has the company's divert address alone, whoever the recipients are
	asked    bool // a mark was asked for
	handed   bool // and committed: the body may have gone
}

// rowError says what is wrong with a row: it fails before anything is sent, since waiting does not help.
type rowError struct{ text string }

func (e *rowError) Error() string { return e.text }

// pack makes the parcel. Everything that can fail without a network fails here, as a *rowError. divert is the only address
// that the mail may go to, "" where it goes to its recipients.
func pack(row db.Row, a *account, maxSize int64, divert string, now time.Time) (*parcel, error) {
	if row.Size > maxSize {
		return nil, &rowError{fmt.Sprintf("bodies and headers are %d octets, the limit is %d: make them smaller, or raise the account's max_size", row.Size, maxSize)}
	}
	m := compose.Message{Subject: row.Subject, Text: row.Text, HTML: row.HTML, MessageID: row.MessageID, Date: now}
	var bcc []mail.Address
	for _, field := range []struct {
		column, text, otherwise string
		to                      *[]mail.Address
	}{
		{"recipients", row.Recipients, "", &m.To}, {"cc", row.Cc, "", &m.Cc}, {"bcc", row.Bcc, "", &bcc},
		{"reply_to", row.ReplyTo, a.conf.ReplyTo, &m.ReplyTo},
	} {
		text := field.text
		if text == "" {
			text = field.otherwise
		}
		list, err := mail.ParseAddressList(text)
		if err != nil {
			return nil, &rowError{field.column + ": " + err.Error()}
		}
		*field.to = list
	}
	var err error
	from := row.From
	if from == "" {
		from = a.conf.From
	}
	if m.From, err = mail.ParseAddress(from); err != nil {
		return nil, &rowError{"from_address: " + err.Error()}
	}
	if row.Headers != "" {
		if m.Headers, err = compose.ParseHeaders(row.Headers); err != nil {
			return nil, &rowError{err.Error()}
		}
	}
	p := &parcel{row: row}
	if err := p.address(m.To, m.Cc, bcc); err != nil {
		return nil, err
	}
	p.from = m.From.Addr()
	p.envelope.From = a.conf.ReturnPath
	if p.envelope.From == "" {
		p.envelope.From = m.From.Addr()
	}
	if divert != "" {
		if err := p.divert(&m, bcc, divert); err != nil {
			return nil, err
		}
		bcc = nil
	}
	p.utf8 = m.NeedsUTF8() || slices.ContainsFunc(bcc, mail.Address.NeedsUTF8)
	if p.message, err = compose.Build(m); err != nil {
		return nil, &rowError{err.Error()}
	}
	return p, a.admits(p)
}

// admits refuses what the account's own limits could never let through.
func (a *account) admits(p *parcel) error {
	if most := a.conf.MaxSize; most > 0 && int64(len(p.message)) > most {
		return &rowError{fmt.Sprintf("the message is %d octets, the account's max_size is %d: make it smaller, or use another account", len(p.message), most)}
	}
	for _, w := range a.bucket.Windows {
		if w.Recipients && len(p.envelope.To) > w.N {
			return &rowError{fmt.Sprintf("%d recipients, and the account's limits let %d through in %s: insert several rows", len(p.envelope.To), w.N, w.Per)}
		}
	}
	return nil
}

// address fills the envelope: each recipient once, and only those that are still open.
func (p *parcel) address(to, cc, bcc []mail.Address) error {
	seen := map[string]bool{}
	for _, part := range []struct {
		kind string
		list []mail.Address
	}{{"to", to}, {"cc", cc}, {"bcc", bcc}} {
		for _, a := range part.list {
			if seen[a.Addr()] {
				continue
			}
			seen[a.Addr()] = true
			p.all = append(p.all, db.Recipient{Position: len(p.all), Kind: part.kind, Address: a.Addr(), State: db.RecipientOpen})
		}
	}
	switch {
	case len(p.all) == 0:
		return &rowError{"recipients: there is no address"}
	case len(p.all) > maxRecipients:
		return &rowError{fmt.Sprintf("recipients: %d addresses in recipients, cc and bcc together, at most %d go into one mail: insert several rows", len(p.all), maxRecipients)}
	}
	for i := range p.all {
		for _, known := range p.row.Known {
			// By position and address: a row that was edited meanwhile is not mixed up. One still under an earlier mark
			// is open: that taking ended before the body.
			if known.Position == i && known.Address == p.all[i].Address && known.State != db.RecipientSending {
				p.all[i] = known
			}
		}
		if p.all[i].State == db.RecipientOpen {
			p.open = append(p.open, i)
			p.envelope.To = append(p.envelope.To, p.all[i].Address)
		}
	}
	if len(p.open) == 0 {
		return &rowError{"no recipient is open any more"}
	}
	if len(p.all) == 1 {
		p.all = nil
	}
	return nil
}

// marked are the recipients as the mark records them: those the server took stand under it, the others stay open.
func (p *parcel) marked(accepted []bool) []db.Recipient {
	if p.all == nil {
		return nil
	}
	out := slices.Clone(p.all)
	for i, ok := range forEach(p, accepted) {
		if r := &out[p.open[i]]; ok {
			r.State, r.Token = db.RecipientSending, p.row.Token
		}
	}
	return out
}

// errLost says that the slot went to somebody else: the row is given back and waits for the next one.
var errLost = errors.New("the slot was taken by another")

// shipment is one try to send a parcel.
type shipment struct {
	*parcel
	f      *feeder
	sender *sender
	slot   *slot
}

// send makes the transaction on the sender's session. A session that had died while it rested is replaced once: nothing
// was sent on it.
func (s *shipment) send(work context.Context) (smtpout.Result, error) {
	for fresh := false; ; fresh = true {
		result := s.sender.session.Send(work, smtpout.Delivery{
			From: s.envelope.From, To: s.envelope.To, Message: s.message, UTF8: s.utf8,
			BeforeData: s.slot.use,
			Mark: func(ctx context.Context, accepted []bool) error {
				return s.mark(ctx, s.marked(accepted))
			},
		})
		s.sender.mails++
		var stale *smtpout.StaleError
		if fresh || !errors.As(result.Stopped, &stale) {
			return result, nil
		}
		if err := s.f.a.ready(work, s.sender); err != nil {
			return smtpout.Result{}, err
		}
	}
}

// mark commits that the mail is handed over, and notes it outside of the database too.
func (s *shipment) mark(ctx context.Context, recipients []db.Recipient) error {
	c := s.f.r.c
	if err := c.fence.err(); err != nil {
		return err
	}
	s.asked = true
	err := c.place.Store.Mark(ctx, db.Mark{Lease: s.row.Lease, Account: s.f.a.conf.Name, Daemon: c.e.host, Recipients: recipients})
	var older *db.OlderError
	switch {
	case err == nil:
		s.handed = true
		c.fence.note(s.row, what(recipients, db.RecipientSending))
	case errors.As(err, &older):
		c.fence.suspect()
	}
	return err
}

// deliver sends one taken row and settles it, whatever happens. The sender goes on to the next row while the outcome is
// written. decided is called as soon as the slot is: the next mail may ask for its own then.
func (f *feeder) deliver(work context.Context, row db.Row, s *sender, p *permit, decided func()) {
	endTurn := func() {
		p.endTurn()
		decided()
	}
	settlement := f.try(work, row, s, endTurn)
	endTurn()
	f.a.free(s)
	f.r.c.settle(settlement)
	f.logOutcome(settlement, row)
}

// refuseSpent ends a row that is never to be sent, whatever it waits for.
func refuseSpent(why error) db.Change {
	var used *db.KeyUsedError
	if errors.As(why, &used) {
		return db.Change{State: db.Skipped, Verdict: true, LastError: why.Error() + ": an old mail is not sent again. If this is another one, insert it with another key"}
	}
	return db.Change{State: db.Failed, Verdict: true, LastError: why.Error() + ": insert a new row to send the mail again"}
}

// notReady is how long a row waits that was taken and then had no session: the account pauses in most cases.
const notReady = time.Second

// try does everything up to the settlement.
func (f *feeder) try(work context.Context, row db.Row, s *sender, endTurn func()) db.Settlement {
	back := func(reason string, wait time.Duration) db.Settlement {
		return db.Settlement{Lease: row.Lease, Change: db.Change{State: db.Queued, GivenBack: true, Lane: row.Lane, Wait: wait, LastError: reason}}
	}
	if f.r.stop.Err() != nil {
		return back("", 0) // the stop came while it was being taken
	}
	if row.Expired {
		rest, end, reason := db.ExpireRest(row.Known)
		return db.Settlement{Lease: row.Lease, Change: db.Change{State: end, Verdict: true, LastError: reason}, Recipients: rest}
	}
	if row.Spent != nil {
		return db.Settlement{Lease: row.Lease, Change: refuseSpent(row.Spent)}
	}
	conf, err := f.r.c.resolver.resolve(row.Account, row.From)
	if err == nil && conf.Name != f.a.conf.Name {
		f.r.c.learnRoute(row, conf.Name)
		return back("", time.Second)
	}
	var parcel *parcel
	if err == nil {
		parcel, err = pack(row, f.a, f.maxSize(), f.r.c.place.Company.Divert, f.r.c.now())
	}
	if err != nil {
		return db.Settlement{Lease: row.Lease, Change: db.Change{State: db.Failed, Verdict: true, LastError: err.Error()}}
	}
	if wait, reason := f.a.refused.left(parcel.from); wait > 0 {
		return back(reason, wait)
	}
	if err := f.a.ready(work, s); err != nil {
		return back("", notReady)
	}
	slot, err := f.takeSlot(work, len(parcel.envelope.To))
	endTurn()
	if err != nil {
		if !errors.Is(err, errLost) {
			return back("", limitsPause)
		}
		return back("", 0)
	}
	ship := &shipment{parcel: parcel, f: f, sender: s, slot: slot}
	result, err := ship.send(work)
	if !slot.used {
		slot.refund(context.WithoutCancel(work))
	}
	if err != nil {
		return back("", notReady)
	}
	t := f.decide(parcel, result)
	if parcel.handed {
		f.r.c.fence.note(row, parcel.outcome(t))
	}
	return t
}
