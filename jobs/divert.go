package jobs

import (
	"slices"
	"strings"

	"outboxd/mail"
	"outboxd/mail/compose"
)

// divert turns the mail to the company's divert address: nobody else stands in the envelope, and nobody else in the fields
// that a reader answers to. X-Outboxd- fields say whom it was for.
func (l *letter) divert(p *parcel, to string) error {
	address, err := mail.ParseAddress(to)
	if err != nil {
		return &rowError{"divert: " + err.Error()}
	}
	for _, field := range []struct {
		name string
		list []mail.Address
	}{{"To", l.To}, {"Cc", l.Cc}, {"Bcc", l.bcc}, {"Reply-To", l.ReplyTo}} {
		if len(field.list) > 0 {
			l.Own = append(l.Own, compose.Header{Name: "X-Outboxd-" + field.name, Value: listText(field.list)})
		}
	}
	l.To, l.Cc, l.bcc, l.ReplyTo = []mail.Address{address}, nil, nil, []mail.Address{address}
	l.Headers = slices.DeleteFunc(l.Headers, func(h compose.Header) bool { return answersTo[strings.ToLower(h.Name)] })
	p.envelope.To, p.diverted, p.utf8 = []string{address.Addr()}, true, address.NeedsUTF8() || needsUTF8(p.envelope.From)
	return nil
}

// answersTo are the fields of a row that make a reader's program write to somebody.
var answersTo = map[string]bool{"mail-followup-to": true, "mail-reply-to": true, "disposition-notification-to": true, "return-receipt-to": true,
	"list-unsubscribe": true, "list-unsubscribe-post": true, "list-post": true}

func listText(list []mail.Address) string {
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}

// forEach returns what happened to each open recipient: of a diverted mail, what happened to the one that it went to.
func forEach[T any](p *parcel, outcomes []T) []T {
	if !p.diverted || len(outcomes) != 1 {
		return outcomes
	}
	return slices.Repeat(outcomes, len(p.open))
}
