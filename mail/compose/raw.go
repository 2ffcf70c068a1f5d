package compose

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"outboxd/mail"
)

// Raw is a finished message (RFC 5322) that somebody else has made. Its header fields and its body go out octet for octet, but for
// what the standards ask of whoever sends it first:
//
//   - Bcc and Resent-Bcc are taken out (RFC 5322 3.6.3), and Return-Path, which is the last server's to write (RFC 5321 4.4).
//   - Date and Message-ID are added where they are missing, MIME-Version where there is MIME without it.
//   - A line feed alone becomes CRLF, and the last line gets its end.
//
// What cannot be mended without a change of the content is refused, with the line's number: a NUL, a carriage return within a line, a
// line of more than 998 octets, a line of the header that is no field, a field twice that may stand once, no From or several
// mailboxes in it without a Sender, addresses that cannot be read, octets that no character set explains.
type Raw struct {
	From    mail.Address   // the first of From
	Authors []mail.Address // all of From
	Sender  mail.Address   // of the field Sender; zero without one

	// The recipients, also those within groups. All are nil when the message is sent on (RFC 5322 3.6.6: it has Resent-To, Resent-Cc or
	// Resent-Bcc): then they are those of the first sending, and the envelope is for the row to name.
	To, Cc, Bcc []mail.Address

	Subject   string   // decoded, in one line
	MessageID string   // with angle brackets; "" when it is missing
	Own       []Header // outboxd's own X-Outboxd- fields, which Build adds; in one line each

	raw      []byte
	fields   []rawField
	body     int // where it begins in raw
	bare     int // line feeds without a carriage return
	eightBit int // the line of the first octet of the body beyond ASCII, 0 without one
	utf8     bool
}

// rawField is one header field of a raw message, with its line ends.
type rawField struct {
	name    string // lower case
	at, end int
	line    int
}

// ParseRaw reads a finished message with line ends CRLF or LF. It keeps raw, which must not be changed as long as the Raw is used. The
// error is always a *FieldError for the column raw.
func ParseRaw(raw []byte) (*Raw, error) {
	r := &Raw{raw: raw}
	for _, read := range []func() error{r.readLines, r.checkFields, r.readAddresses, r.readMessageID, r.checkContent} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	if f := r.field("subject"); f != nil {
		r.Subject = decodeText(r.value(f))
	}
	return r, nil
}

// NeedsUTF8 says that the header holds raw UTF-8, so that the message can only travel by SMTPUTF8 (RFC 6531).
func (r *Raw) NeedsUTF8() bool { return r.utf8 }

// Build returns the message for the wire. messageID and date are used where the message has none of its own. The error is a
// *FieldError for the column message_id or created_at. Behind the message is room for a signature, as in [Build].
func (r *Raw) Build(messageID string, date time.Time) ([]byte, error) {
	added := &builder{}
	if r.field("date") == nil {
		if err := checkDate(date); err != nil {
			return nil, err
		}
		added.date(date)
	}
	if r.MessageID == "" {
		if err := checkMessageID(messageID); err != nil {
			return nil, err
		}
		added.plain("Message-ID: " + messageID)
	}
	for _, h := range r.Own {
		added.extra(h)
	}
	if r.field("mime-version") == nil && slices.ContainsFunc(r.fields, func(f rawField) bool { return strings.HasPrefix(f.name, "content-") }) {
		added.plain("MIME-Version: 1.0")
	}
	message := make([]byte, 0, len(r.raw)+r.bare+len(added.buf)+len("\r\n\r\n\r\n")+signatureRoom)
	for _, f := range r.fields {
		if !isRemoved(f.name) {
			message = r.appendLines(message, r.raw[f.at:f.end])
		}
	}
	message = append(append(message, added.buf...), "\r\n"...)
	return r.appendLines(message, r.raw[r.body:]), nil
}

// isRemoved: the fields that do not go out.
func isRemoved(name string) bool {
	return name == "bcc" || name == "resent-bcc" || name == "return-path"
}

// appendLines appends text with all line ends CRLF, also the last.
func (r *Raw) appendLines(dst, text []byte) []byte {
	if r.bare > 0 {
		for {
			line, rest, ended := bytes.Cut(text, []byte{'\n'})
			if !ended {
				break
			}
			dst = append(append(dst, bytes.TrimSuffix(line, []byte{'\r'})...), "\r\n"...)
			text = rest
		}
	}
	dst = append(dst, text...)
	if len(dst) > 0 && dst[len(dst)-1] != '\n' {
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// field returns the first field of that name, or nil.
func (r *Raw) field(name string) *rawField {
	if i := slices.IndexFunc(r.fields, func(f rawField) bool { return f.name == name }); i >= 0 {
		return &r.fields[i]
	}
	return nil
}

// value returns what stands behind the colon, unfolded (RFC 5322 2.2.3) and without blanks at its ends.
func (r *Raw) value(f *rawField) string {
	_, text, _ := strings.Cut(string(r.raw[f.at:f.end]), ":")
	return strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), "\n", ""))
}

// rawError names the line of the trouble.
func rawError(line int, format string, args ...any) error {
	return &FieldError{"raw", fmt.Sprintf("line %d: ", line) + fmt.Sprintf(format, args...)}
}
