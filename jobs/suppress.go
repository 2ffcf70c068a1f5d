package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/mail"
)

// suppressions are the addresses of a company that get no mail: outbox_suppression. The list is asked right before a mail is made, and
// when the mails of a run are enqueued or planned. It counts for every row, also for what outboxd itself writes to people. A list that
// cannot be read is not an empty one: nothing goes until it can, and a person is told.
//
// A company that diverts its mail sends to one address alone, so that one is asked about.
type suppressions struct {
	fetch  func(ctx context.Context, addresses []string) (map[string]db.Suppression, error)
	divert string // the bare address; "" for none
	zone   *time.Location

	unread atomic.Bool // it could not be read when it was asked last
}

func newSuppressions(c *jobfile.Company, store *db.Store) *suppressions {
	l := &suppressions{fetch: store.Suppressed, zone: c.Timezone}
	if to, err := mail.ParseAddress(c.Divert); err == nil {
		l.divert = to.Addr()
	}
	return l
}

// suppressed are those of some addresses that get no mail, each with the reason: "suppressed since ...".
type suppressed map[string]string

// of asks about all of the addresses at once.
func (l *suppressions) of(ctx context.Context, addresses []string) (suppressed, error) {
	asked := addresses
	if l.divert != "" {
		asked = []string{l.divert}
	}
	found, err := l.fetch(ctx, asked)
	if ctx.Err() == nil {
		l.unread.Store(err != nil)
	}
	if len(found) == 0 || err != nil {
		return nil, err
	}
	all := suppressed{}
	for _, address := range addresses {
		if l.divert != "" {
			all[address] = fmt.Sprintf("diverted to %s, which is %s", l.divert, l.reason(l.divert, found[l.divert]))
		} else if entry, is := found[address]; is {
			all[address] = l.reason(address, entry)
		}
	}
	return all, nil
}

func (l *suppressions) reason(address string, entry db.Suppression) string {
	text := "suppressed since " + entry.At.In(l.zone).Format(time.DateOnly)
	if entry.Entry[0] == '@' {
		text += ", as everybody at " + domainOf(address)
	}
	if entry.Reason == "" {
		return text + ": no reason was given"
	}
	return text + ": " + entry.Reason
}

// readable tells whether the list can be read again that could not be read before: nothing is to be taken that would only be given back.
func (l *suppressions) readable(ctx context.Context) error {
	if !l.unread.Load() {
		return nil
	}
	_, err := l.of(ctx, []string{"outboxd@outboxd.invalid"})
	return err
}

// all is why a mail goes to nobody: every one of its recipients is suppressed; "" when somebody gets it.
func (s suppressed) all(recipients []string) string {
	for _, to := range recipients {
		if s[to] == "" {
			return ""
		}
	}
	switch n := len(recipients); n {
	case 0:
		return ""
	case 1:
		return recipients[0] + " is " + s[recipients[0]]
	default:
		return fmt.Sprintf("%d of %d recipients, first %s: %s", n, n, recipients[0], s[recipients[0]])
	}
}

// nobody tells of which mails, by their places, nobody gets one, and why.
func (l *suppressions) nobody(ctx context.Context, mails [][]string) (map[int]string, error) {
	found, err := l.of(ctx, slices.Concat(mails...))
	if len(found) == 0 || err != nil {
		return nil, err
	}
	why := map[int]string{}
	for i, to := range mails {
		if text := found.all(to); text != "" {
			why[i] = text
		}
	}
	return why, nil
}

// end ends those of the mails that nobody gets, before they are enqueued.
func (l *suppressions) end(ctx context.Context, mails []db.NewMail) error {
	recipients := make([][]string, len(mails))
	for i, m := range mails {
		if m.State == db.Queued || m.State == "" {
			recipients[i] = mailing.Addresses(m)
		}
	}
	why, err := l.nobody(ctx, recipients)
	for i, text := range why {
		mails[i].State, mails[i].LastError = db.Suppressed, text
	}
	return err
}

// suppressedError says that a row has nobody left whom it may go to.
type suppressedError struct {
	state db.State       // how the row ends: suppressed, unless others have it, or were refused, by earlier tries
	each  []db.Recipient // of a row with several
	text  string
}

func (e *suppressedError) Error() string { return e.text }

// envelope says whom a parcel goes to: each recipient once, those that are still open, and nobody who is suppressed.
func (k *packer) envelope(ctx context.Context, p *parcel, to, cc, bcc []mail.Address) error {
	if err := p.address(to, cc, bcc); err != nil {
		return err
	}
	found, err := k.suppressed(ctx, p.envelope.To)
	if err != nil {
		return err
	}
	return p.suppress(found)
}

// suppress takes those off the envelope who are suppressed. The message's header stays as it is written.
func (p *parcel) suppress(found suppressed) error {
	if len(found) == 0 {
		return nil
	}
	if p.all == nil {
		if text := found.all(p.envelope.To); text != "" {
			return &suppressedError{db.Suppressed, nil, text}
		}
		return nil
	}
	p.envelope.To, p.utf8 = nil, false
	p.open = slices.DeleteFunc(p.open, func(i int) bool {
		r := &p.all[i]
		if why := found[r.Address]; why != "" {
			*r = db.Recipient{Position: r.Position, Kind: r.Kind, Address: r.Address, State: db.RecipientSuppressed, Token: p.row.Token, LastError: why}
			return true
		}
		p.envelope.To = append(p.envelope.To, r.Address)
		p.utf8 = p.utf8 || needsUTF8(r.Address)
		return false
	})
	if len(p.open) > 0 {
		return nil
	}
	return &suppressedError{db.Together(p.all, db.Suppressed), p.all, troubles(p.all)}
}

// unsuppress is what lets a row go after all.
func unsuppress(row string) string {
	return "if it is to be mailed all the same, delete the entry from outbox_suppression, then: outboxd queue retry " + row
}

// isSuppressed tells whether an error says that nobody is left whom a row may go to.
func isSuppressed(err error) bool {
	_, is := errors.AsType[*suppressedError](err)
	return is
}
