package jobs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/compose"
)

// packer makes the messages of a company's rows. It is the same for sending and for a look beforehand. It needs no network
// but the company's database.
type packer struct {
	place   *Place
	account *jobfile.Account
	maxSize int64       // octets of a message
	windows []db.Window // of the account
}

// defaultSize is the largest message where the account states no max_size, in octets.
const defaultSize = 50_000_000

func newPacker(place *Place, account *jobfile.Account) *packer {
	k := &packer{place: place, account: account, maxSize: account.MaxSize, windows: accountBucket(account).Windows}
	if k.maxSize == 0 {
		k.maxSize = defaultSize
	}
	return k
}

// rowError says what is wrong with a row: it fails before anything is sent, since waiting does not help.
type rowError struct{ text string }

func (e *rowError) Error() string { return e.text }

// skipError says that a row is not to be sent, as it says itself: a query that it rests on has brought nothing.
type skipError struct{ text string }

func (e *skipError) Error() string { return e.text }

// waitError says that something is in the way which is not the row's fault: it is given back, and waits.
type waitError struct {
	reason string
	wait   time.Duration
}

func (e *waitError) Error() string { return e.reason }

// pack makes the parcel of a row. Everything that can fail without a mail server fails here: a *rowError, *skipError or
// *waitError says what becomes of the row, any other error is the database's.
func (k *packer) pack(ctx context.Context, row db.Row, s *share) (*parcel, error) {
	if row.Size > k.maxSize {
		return nil, &rowError{fmt.Sprintf("bodies and headers are %d octets, the limit is %d: make them smaller, or raise the account's max_size", row.Size, k.maxSize)}
	}
	l, err := k.letter(row)
	if err != nil {
		return nil, err
	}
	p := &parcel{row: row, messageID: row.MessageID}
	if err := p.address(l.To, l.Cc, l.bcc); err != nil {
		return nil, err
	}
	p.from = l.From.Addr()
	p.envelope.From = k.account.ReturnPath
	if p.envelope.From == "" {
		p.envelope.From = l.From.Addr()
	}
	if divert := k.place.Company.Divert; divert != "" {
		if err := p.divert(l, divert); err != nil {
			return nil, err
		}
	}
	p.utf8 = l.NeedsUTF8() || slices.ContainsFunc(l.bcc, mail.Address.NeedsUTF8)
	if p.message, err = compose.Build(l.Message); err != nil {
		return nil, &rowError{err.Error()}
	}
	if p.message, err = k.place.signers.sign(l.From.Host, p.message); err != nil {
		return nil, err
	}
	return p, k.admits(p)
}

// admits refuses what the account's own limits could never let through.
func (k *packer) admits(p *parcel) error {
	if most := k.account.MaxSize; most > 0 && int64(len(p.message)) > most {
		return &rowError{fmt.Sprintf("the message is %d octets, the account's max_size is %d: make it smaller, or use another account", len(p.message), most)}
	}
	for _, w := range k.windows {
		if w.Recipients && len(p.envelope.To) > w.N {
			return &rowError{fmt.Sprintf("%d recipients, and the account's limits let %d through in %s: insert several rows", len(p.envelope.To), w.N, w.Per)}
		}
	}
	return nil
}

// letter is what is to be composed, and who is to get it unseen.
type letter struct {
	compose.Message
	bcc []mail.Address
}

// letter reads the row's own columns.
func (k *packer) letter(row db.Row) (*letter, error) {
	l := &letter{Message: compose.Message{Subject: row.Subject, Text: row.Text, HTML: row.HTML, MessageID: row.MessageID,
		Date: row.CreatedAt.In(k.place.Company.Timezone)}}
	for _, field := range []struct {
		column, text, otherwise string
		to                      *[]mail.Address
	}{
		{"recipients", row.Recipients, "", &l.To}, {"cc", row.Cc, "", &l.Cc}, {"bcc", row.Bcc, "", &l.bcc},
		{"reply_to", row.ReplyTo, k.account.ReplyTo, &l.ReplyTo},
	} {
		list, err := mail.ParseAddressList(cmp.Or(field.text, field.otherwise))
		if err != nil {
			return nil, &rowError{field.column + ": " + err.Error()}
		}
		*field.to = list
	}
	var err error
	if l.From, err = mail.ParseAddress(cmp.Or(row.From, k.account.From)); err != nil {
		return nil, &rowError{"from_address: " + err.Error()}
	}
	if l.Headers, err = compose.ParseHeaders(row.Headers); err != nil {
		return nil, &rowError{err.Error()}
	}
	return l, nil
}
