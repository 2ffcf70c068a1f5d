// Package compose turns one outbox row into an RFC 5322 message.
//
// Its promise: what Build returns is ready for the wire. Lines end in CRLF and hold at most 998 octets, there is no
// bare CR or LF and no NUL, header fields are folded at 76 columns where a blank allows it, and everything is 7-bit
// but for addresses whose local part needs SMTPUTF8 (RFC 6532). The header holds the fields the caller asked for and
// no other: no column can add one. The same Message gives the same octets, today and after a restart.
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

// Build writes the message: text only as text/plain, anything with HTML as multipart/alternative with the text first
// (RFC 2046 5.1.4). The error is always a *FieldError.
func Build(m Message) ([]byte, error) {
	if err := check(&m); err != nil {
		return nil, err
	}
	text, html := normalise(m.Text), normalise(m.HTML)
	if m.Text == "" && m.HTML != "" {
		text = normalise(textFromHTML(m.HTML))
	}
	addresses := 1 + len(m.ReplyTo) + len(m.To) + len(m.Cc)
	b := &builder{buf: make([]byte, 0, 1024+64*addresses+(len(text)+len(html))*5/4)}
	b.header(&m)
	if m.HTML == "" {
		b.part("text/plain", text, "")
	} else {
		b.alternative(text, html, boundary(m.MessageID))
	}
	return b.buf, nil
}

// header writes every field up to MIME-Version; the body's own fields follow with the body.
func (b *builder) header(m *Message) {
	b.field("Date")
	b.put(" ", m.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	b.end()
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
