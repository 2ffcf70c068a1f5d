package jobs

import (
	"cmp"
	"context"
	"fmt"

	"outboxd/db"
	"outboxd/mail"
	"outboxd/mail/compose"
)

// letter is what a row says, while its message is made.
type letter struct {
	compose.Message
	bcc    []mail.Address
	row    db.Row
	run    *knownRun // that it belongs to; nil for none
	way    way
	params string // JSON
	octets int64  // of all that is known to become part of it
	room   *share // in memory
}

// compose makes the message of a row's columns, template and attachments.
func (k *packer) compose(ctx context.Context, l *letter, p *parcel, attached []db.Attachment) error {
	if err := k.address(l); err != nil {
		return err
	}
	if err := k.envelope(ctx, p, l.To, l.Cc, l.bcc); err != nil {
		return err
	}
	p.sender(l.From, cmp.Or(k.returnPath(l.way), l.From.Addr()))
	if person := l.way.person; person.Host != "" {
		l.Own = append(l.Own, compose.Header{Name: "X-Outboxd-From", Value: person.Addr()})
	}
	if l.row.Template != "" {
		if err := k.render(ctx, l); err != nil {
			return err
		}
	}
	if err := k.attach(ctx, l, attached); err != nil {
		return err
	}
	if divert := k.place.Company.Divert; divert != "" {
		if err := l.divert(p, divert); err != nil {
			return err
		}
	}
	p.utf8 = p.utf8 || l.NeedsUTF8()
	l.room.collect()
	var err error
	p.message, err = compose.Build(l.Message)
	return err
}

// address reads the row's own columns.
func (k *packer) address(l *letter) error {
	row := l.row
	l.Message = compose.Message{Subject: row.Subject, Text: row.Text, HTML: row.HTML, MessageID: row.MessageID, Date: row.Ready.In(k.place.Company.Timezone)}
	for _, field := range []struct {
		column, text, otherwise string
		to                      *[]mail.Address
	}{
		{"recipients", row.Recipients, "", &l.To}, {"cc", row.Cc, "", &l.Cc}, {"bcc", row.Bcc, "", &l.bcc},
		{"reply_to", row.ReplyTo, l.way.replyTo, &l.ReplyTo},
	} {
		list, err := mail.ParseAddressList(cmp.Or(field.text, field.otherwise))
		if err != nil {
			return &rowError{field.column + ": " + err.Error()}
		}
		*field.to = list
	}
	l.From = l.way.from
	var err error
	l.Headers, err = compose.ParseHeaders(row.Headers)
	return err
}

// returnPath is where what cannot be delivered goes back to; "" for the sender. Whoever stands in for another account keeps that one's
// where it may.
func (k *packer) returnPath(w way) string {
	if k.account.ReturnPath != "" || w.account == k.account {
		return k.account.ReturnPath
	}
	path, err := mail.ParseAddress(w.account.ReturnPath)
	if err != nil || !mayCarry(k.account, k.place.Company.SendAs, path) {
		return ""
	}
	return path.Addr()
}

// packing is how much memory the making of a message takes, in octets for each of its content: what was read, the message, and
// what the driver has left behind.
const packing = 3

// weigh refuses a letter that is too large already, and asks for the memory that it takes.
func (k *packer) weigh(ctx context.Context, l *letter) error {
	if l.octets > k.maxSize {
		return k.tooLarge(fmt.Sprintf("the mail's content is %d octets", l.octets))
	}
	return l.room.want(ctx, packing*l.octets)
}

// tooLarge says what the limit is, and where it comes from.
func (k *packer) tooLarge(what string) error {
	if k.account.MaxSize > 0 {
		return &rowError{fmt.Sprintf("%s, the max_size of account %s is %d: make it smaller, or use another account", what, k.account.Name, k.account.MaxSize)}
	}
	return &rowError{fmt.Sprintf("%s, and %d is the limit of an account without max_size: make it smaller, or give account %s a max_size", what, k.maxSize, k.account.Name)}
}
