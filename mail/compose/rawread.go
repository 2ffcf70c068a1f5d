package compose

import (
	"bytes"
	"io"
	"mime"
	netmail "net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"outboxd/mail"
)

// Limits of a raw message in octets. The header's is twice what common servers take.
const (
	maxRawHeader  = 256 << 10
	maxStoredID   = 255 // the column message_id
	mboxSeparator = "From "
)

// readLines goes through all lines once and finds the header's fields and the body.
func (r *Raw) readLines() error {
	inHeader := true
	for at, number := 0, 1; at < len(r.raw); number++ {
		end := len(r.raw)
		if i := bytes.IndexByte(r.raw[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line := bytes.TrimSuffix(r.raw[at:end], []byte("\n"))
		if ended := len(line) < end-at; ended && !bytes.HasSuffix(line, []byte("\r")) {
			r.bare++
		} else if ended {
			line = line[:len(line)-1]
		}
		if err := checkLine(line, number, inHeader); err != nil {
			return err
		}
		switch {
		case inHeader && len(line) == 0:
			inHeader = false
			r.body = end
		case inHeader:
			if err := r.readHeaderLine(line, at, end, number); err != nil {
				return err
			}
		case r.eightBit == 0 && hasEightBit(line):
			r.eightBit = number
		}
		at = end
	}
	if inHeader {
		r.body = len(r.raw)
	}
	return nil
}

func hasEightBit(octets []byte) bool {
	for _, c := range octets {
		if c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// checkLine refuses what cannot travel and cannot be mended (RFC 5321 2.3.8, 4.5.3.1.6).
func checkLine(line []byte, number int, inHeader bool) error {
	if len(line) > maxLine {
		remedy := "encode the part as quoted-printable or base64"
		if inHeader {
			remedy = "fold the field at a blank"
		}
		return rawError(number, "has %d octets, at most %d are possible; %s", len(line), maxLine, remedy)
	}
	if bytes.IndexByte(line, '\r') >= 0 {
		return rawError(number, "holds a carriage return that ends no line; end lines with CRLF or LF, and encode a part that needs it")
	}
	if bytes.IndexByte(line, 0) >= 0 {
		return rawError(number, "holds a NUL; encode the part as base64")
	}
	return nil
}

// readHeaderLine adds a line to the fields (RFC 5322 2.2).
func (r *Raw) readHeaderLine(line []byte, at, end, number int) error {
	if end > maxRawHeader {
		return rawError(number, "the header has more than %d octets; an empty line must stand between it and the body", maxRawHeader)
	}
	if !utf8.Valid(line) {
		return rawError(number, "the header holds octets that are not UTF-8; write them as encoded words (RFC 2047)")
	}
	if line[0] == ' ' || line[0] == '\t' {
		if len(r.fields) == 0 {
			return rawError(number, "begins with a blank, and there is no header field that it could continue; remove the blank")
		}
		if len(bytes.Trim(line, " \t")) == 0 {
			return rawError(number, "the header holds a line of blanks only; remove it, or make it empty where the body begins")
		}
		r.fields[len(r.fields)-1].end = end
		return nil
	}
	name, _, found := bytes.Cut(line, []byte(":"))
	switch {
	case number == 1 && bytes.HasPrefix(line, []byte(mboxSeparator)):
		return rawError(number, "begins with From and a blank: this separates the messages of a mailbox file and is no header field; remove the line")
	case !found || len(name) == 0 || !isFieldName(string(name)):
		return rawError(number, "%s is no header field such as Subject: text; an empty line must stand between header and body", excerpt(string(line)))
	}
	r.fields = append(r.fields, rawField{strings.ToLower(string(name)), at, end, number})
	return nil
}

// onceOnly are the fields that may stand once (RFC 5322 3.6, RFC 2045 3); large receivers refuse a message with two. Bcc and
// Return-Path do not go out.
var onceOnly = map[string]bool{"date": true, "from": true, "sender": true, "reply-to": true, "to": true, "cc": true, "message-id": true,
	"in-reply-to": true, "references": true, "subject": true, "mime-version": true, "content-type": true, "content-transfer-encoding": true,
	"content-disposition": true, "content-id": true}

func (r *Raw) checkFields() error {
	seen := map[string]int{}
	for _, f := range r.fields {
		if before := seen[f.name]; before > 0 && onceOnly[f.name] {
			return rawError(f.line, "the field %s stands in line %d already and may stand once; remove one of them", excerpt(f.name), before)
		}
		seen[f.name] = f.line
		if !isRemoved(f.name) && hasEightBit(r.raw[f.at:f.end]) {
			r.utf8 = true
		}
	}
	return nil
}

// readAddresses reads whom the message is from and to.
func (r *Raw) readAddresses() error {
	from := r.field("from")
	if from == nil {
		return &FieldError{"raw", "the header has no From field; add one, such as From: Acme <office@acme.example>"}
	}
	senders, err := r.addresses(from)
	if err != nil {
		return err
	}
	if f := r.field("sender"); f != nil {
		list, err := r.addresses(f)
		if err != nil {
			return err
		}
		if len(list) != 1 {
			return rawError(f.line, "Sender has %d addresses and must have one", len(list))
		}
		r.Sender = list[0]
	}
	switch {
	case len(senders) == 0:
		return rawError(from.line, "From has no address")
	case len(senders) > 1 && r.Sender == (mail.Address{}):
		return rawError(from.line, "From has %d addresses and there is no Sender field; leave one address, or add Sender with the one that sends", len(senders))
	}
	r.From, r.Authors = senders[0], senders
	return r.readRecipients()
}

func (r *Raw) readRecipients() error {
	sentOn := r.field("resent-to") != nil || r.field("resent-cc") != nil || r.field("resent-bcc") != nil
	for i := range r.fields {
		f := &r.fields[i]
		into, ok := map[string]*[]mail.Address{"to": &r.To, "cc": &r.Cc, "bcc": &r.Bcc}[f.name]
		if !ok {
			continue
		}
		list, err := r.addresses(f)
		if err != nil {
			return err
		}
		if !sentOn {
			*into = append(*into, list...)
		}
	}
	return nil
}

// addresses reads one address field (RFC 5322 3.4, RFC 6532): names, comments, groups and encoded words. What outboxd takes for an
// address nowhere it does not take here either: a quoted local part, an IP address for a domain.
func (r *Raw) addresses(f *rawField) ([]mail.Address, error) {
	value := r.value(f)
	switch {
	case value == "" && f.name == "bcc":
		return nil, nil
	case value == "":
		return nil, rawError(f.line, "the field %s is empty; remove it, or write undisclosed-recipients:;", excerpt(f.name))
	}
	parser := netmail.AddressParser{WordDecoder: &rawWords}
	found, err := parser.ParseList(value)
	if err != nil {
		return nil, rawError(f.line, "the addresses of %s cannot be read: %s", excerpt(f.name), printable(strings.TrimPrefix(err.Error(), "mail: ")))
	}
	var list []mail.Address
	for _, one := range found {
		a, err := mail.ParseAddress(one.Address)
		if err != nil {
			return nil, rawError(f.line, "%s: %s", excerpt(f.name), err)
		}
		a.Name = printable(one.Name)
		list = append(list, a)
	}
	return list, nil
}

// readMessageID reads the message's own Message-ID, which the row keeps and replies and bounces are known by.
func (r *Raw) readMessageID() error {
	f := r.field("message-id")
	if f == nil {
		return nil
	}
	id := r.value(f)
	inner := strings.TrimSuffix(strings.TrimPrefix(id, "<"), ">")
	if len(inner) != len(id)-2 || len(id) > maxStoredID || !strings.Contains(inner, "@") || strings.ContainsAny(inner, "<> ") || !isPrintable(inner) {
		return rawError(f.line, "the Message-ID %s is not of the form <unique@domain> with at most %d characters; remove the field and a new one is made", excerpt(id), maxStoredID)
	}
	r.MessageID = id
	return nil
}

// checkContent refuses a body that its header does not explain.
func (r *Raw) checkContent() error {
	encoding := r.field("content-transfer-encoding")
	switch {
	case r.eightBit > 0 && r.field("content-type") == nil:
		return rawError(r.eightBit, "holds a character beyond ASCII, and the header has no Content-Type; add Content-Type: text/plain; charset=utf-8, and Content-Transfer-Encoding: 8bit")
	case r.bare > 0 && encoding != nil && strings.EqualFold(r.value(encoding), "binary"):
		return rawError(encoding.line, "a binary body with line ends of its own cannot travel; encode it as base64")
	}
	return nil
}

// rawWords decodes encoded words. A character set that is not known never stops a mail: the octets stay as they are.
var rawWords = mime.WordDecoder{CharsetReader: func(charset string, input io.Reader) (io.Reader, error) {
	if r, err := mail.CharsetReader(charset, input); err == nil {
		return r, nil
	}
	return input, nil
}}

// decodeText decodes an unstructured field into one line for a person.
func decodeText(s string) string {
	if decoded, err := rawWords.DecodeHeader(s); err == nil {
		s = decoded
	}
	return printable(s)
}

// printable drops what does not show, and makes octets that are no UTF-8 show.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '\t' {
			return ' '
		}
		if unicode.IsControl(c) || c == '\u2028' || c == '\u2029' {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "\ufffd"))
}
