package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"outboxd/db"
	"outboxd/mail/compose"
)

// forward makes a finished message ready: it goes as it is, to those whom the row's columns name, else to those of its header.
func (k *packer) forward(ctx context.Context, l *letter, p *parcel, attached []db.Attachment) error {
	row := l.row
	for _, other := range []struct {
		name  string
		given bool
	}{{"template", row.Template != ""}, {"body_text", row.Text != ""}, {"body_html", row.HTML != ""}, {"headers", row.Headers != ""},
		{"reply_to", row.ReplyTo != ""}, {"attachments", len(attached) > 0}} {
		if other.given {
			return &rowError{fmt.Sprintf("raw: the row has %s too, and a finished message is sent as it is: leave one of the two out", other.name)}
		}
	}
	if err := k.weigh(ctx, l); err != nil {
		return err
	}
	text, err := k.place.Store.Raw(ctx, row.ID)
	if err != nil {
		return err
	}
	r, err := compose.ParseRaw(text)
	if err != nil {
		return err
	}
	if err := k.checkRaw(r, row, l.way); err != nil {
		return err
	}
	if err := k.addressRaw(ctx, r, row, l.way, p); err != nil {
		return err
	}
	p.messageID = cmp.Or(r.MessageID, row.MessageID, k.place.messageID(row, r.From.Host))
	p.message, err = r.Build(p.messageID, row.Ready.In(k.place.Company.Timezone))
	if err != nil {
		return err
	}
	return k.allowedWithin(p.message)
}

// checkRaw refuses a finished message that the account may not send, or that is another one than before.
func (k *packer) checkRaw(r *compose.Raw, row db.Row, w way) error {
	for i, a := range append(slices.Clone(r.Authors), r.Sender) {
		field := "From"
		if i == len(r.Authors) {
			field = "Sender"
		}
		switch {
		case w.account != k.account && a.Host != "" && !mayCarry(k.account, k.place.Company.SendAs, a):
			return &waitError{fmt.Sprintf("its %s is %s, so it waits for account %s: %s may not send it in its place", field, a.Addr(), w.account.Name, k.account.Name), time.Minute}
		case !maySend(k.account, a):
			return &rowError{fmt.Sprintf("raw: its %s is %s, and account %s may not send as @%s: set account or from_address to what may, or add the sender to the account's sender_domains or sender_addresses",
				field, a.Addr(), k.account.Name, a.Host)}
		case asSystem(k.account, k.place.Company.SendAs, a):
			return &rowError{fmt.Sprintf("raw: its %s is %s, and send_as: %s of the company lets account %s send as itself alone. A finished message is not changed: give it the From %s, or insert its parts in place of it",
				field, a.Addr(), k.place.Company.SendAs, k.account.Name, k.account.From)}
		}
	}
	if r.MessageID != "" && row.MessageID != "" && r.MessageID != row.MessageID {
		return &rowError{fmt.Sprintf("raw: its Message-ID is %s, and this row was tried as %s: insert a new row for another message", r.MessageID, row.MessageID)}
	}
	return nil
}

// addressRaw fills the envelope. A diverted message keeps its header.
func (k *packer) addressRaw(ctx context.Context, r *compose.Raw, row db.Row, w way, p *parcel) error {
	l := &letter{row: row, way: w}
	if row.Recipients+row.Cc+row.Bcc == "" {
		l.To, l.Cc, l.bcc = r.To, r.Cc, r.Bcc
	} else if err := k.address(l); err != nil {
		return err
	}
	if err := k.envelope(ctx, p, l.To, l.Cc, l.bcc); err != nil {
		return err
	}
	sender := r.From
	if row.From != "" {
		sender = w.from
	}
	p.sender(r.From, cmp.Or(k.returnPath(w), sender.Addr()))
	if divert := k.place.Company.Divert; divert != "" {
		l.ReplyTo = nil
		if err := l.divert(p, divert); err != nil {
			return err
		}
		r.Own = l.Own
	}
	p.utf8 = p.utf8 || r.NeedsUTF8()
	return nil
}

// messageID is that of a finished message which has none: like that of other rows, made from the row alone.
func (p *Place) messageID(row db.Row, domain string) string {
	mark := sha256.Sum256([]byte(p.Company.Database))
	return fmt.Sprintf("<%s.%d.%x@%s>", row.CreatedAt.UTC().Format("20060102150405.000000"), row.ID, mark[:4], domain)
}
