// Package compose turns one outbox row into an RFC 5322 message, or makes the finished one that a row brings (Raw) ready.
//
// Its promise: what Build returns is ready for the wire. Lines end in CRLF and hold at most 998 octets, there is no
// bare CR or LF and no NUL, header fields are folded at 76 columns where a blank allows it, and everything is 7-bit
// but in messages with an address that needs SMTPUTF8 (RFC 6532), whose servers take 8-bit text too. The header holds the
// fields the caller asked for and no other: no column can add one. The same Message gives the same octets, today and after a
// restart.
//
// Its failure rule: a row that cannot become a correct message is refused as a whole with a *FieldError that names
// the outbox column and says what to change. Nothing is cut, dropped or guessed. Build needs no network, no clock and
// no randomness.
package compose

import (
	"slices"
	"strings"
	"time"

	"outboxd/mail"
)

// Header is one extra header field of a row. Value is decoded UTF-8 in one line.
type Header struct{ Name, Value string }

// Message is what a row says about its mail. Bcc recipients stand in the envelope only and never reach this package.
type Message struct {
	From            mail.Address
	ReplyTo, To, Cc []mail.Address // each may be empty; without To and Cc the mail says undisclosed-recipients
	Subject         string         // one line; may be empty
	Text            string         // any line ends; may be empty
	HTML            string         // may be empty; without Text the text part is made from it
	Attachments     []Attachment   // order kept
	Inline          []Attachment   // images for the HTML, which shows them as cid:ContentID; one that it does not show is attached
	Headers         []Header       // order kept; see ParseHeaders for what they may hold
	Own             []Header       // outboxd's own X-Outboxd- fields, which no row may set; in one line each
	MessageID       string         // with angle brackets; NewMessageID makes one
	Date            time.Time      // written in its own zone
}

// NeedsUTF8 says that the header will hold raw UTF-8, so that the message can only travel by SMTPUTF8 (RFC 6531): a visible
// address has a local part that is not ASCII. The envelope may need it too, for a Bcc.
func (m *Message) NeedsUTF8() bool {
	return m.From.NeedsUTF8() || slices.ContainsFunc(m.ReplyTo, mail.Address.NeedsUTF8) ||
		slices.ContainsFunc(m.To, mail.Address.NeedsUTF8) || slices.ContainsFunc(m.Cc, mail.Address.NeedsUTF8)
}

// Build writes the message as mixed(related(alternative(text, HTML), images), attachments) (RFC 2046, RFC 2387), and of these
// levels only those that it needs: text alone is text/plain. Behind a message with files the slice has room for a signature, so
// that slices.Insert puts one in front of it in place. The error is always a *FieldError.
func Build(m Message) ([]byte, error) {
	if err := check(&m); err != nil {
		return nil, err
	}
	text := m.Text
	if text == "" && m.HTML != "" {
		text = textFromHTML(m.HTML)
	}
	b := &builder{takes8Bit: m.NeedsUTF8()}
	if m.HTML != "" || len(m.Attachments)+len(m.Inline) > 0 {
		b.boundary = boundary(m.MessageID)
	}
	html, images, others := b.inline(&m)
	text, html = normalise(text), normalise(html)
	addresses := 1 + len(m.ReplyTo) + len(m.To) + len(m.Cc)
	b.buf = make([]byte, 0, 1024+64*addresses+(len(text)+len(html))*5/4)
	b.header(&m)
	b.body(text, html, images, slices.Concat(m.Attachments, others))
	return b.finish(), nil
}

// header writes every field up to MIME-Version; the body's own fields follow with the body.
func (b *builder) header(m *Message) {
	b.date(m.Date)
	b.addresses("From", []mail.Address{m.From})
	b.addresses("Reply-To", m.ReplyTo)
	if len(m.To) == 0 && len(m.Cc) == 0 {
		b.plain("To: undisclosed-recipients:;")
	}
	b.addresses("To", m.To)
	b.addresses("Cc", m.Cc)
	b.subject(m.Subject)
	b.plain("Message-ID: " + m.MessageID) // never folded: some readers lose a folded one
	for _, h := range m.Own {
		b.extra(h)
	}
	automatic := true
	for _, h := range m.Headers {
		b.extra(h)
		automatic = automatic && !strings.EqualFold(h.Name, "Auto-Submitted")
	}
	if automatic {
		b.plain("Auto-Submitted: auto-generated") // RFC 3834: keeps vacation replies away
	}
	b.plain("MIME-Version: 1.0")
}

// date writes the field Date (RFC 5322 3.3).
func (b *builder) date(t time.Time) {
	b.plain("Date: " + t.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}
