package compose

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"outboxd/mail"
)

const maxSubject = 998 // characters

// FieldError says which column of the outbox row cannot become part of a message, and why. Trying again without
// changing the row never helps.
type FieldError struct {
	Field  string // from_address, reply_to, recipients, cc, subject, body_text, body_html, headers, attachment, raw, message_id or created_at
	Reason string // one line for a person; printable whatever the column held
}

// Error returns column and reason.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// check refuses what cannot be written. After it, writing cannot fail.
func check(m *Message) error {
	for _, err := range []error{
		checkAddresses("from_address", []mail.Address{m.From}),
		checkAddresses("reply_to", m.ReplyTo),
		checkAddresses("recipients", m.To),
		checkAddresses("cc", m.Cc),
		checkSubject(m.Subject),
		checkBody("body_text", m.Text),
		checkBody("body_html", m.HTML),
		checkHeaders(m.Headers),
		checkFiles(m.Attachments, m.Inline),
		checkMessageID(m.MessageID),
		checkDate(m.Date),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkDate(date time.Time) error {
	if y := date.Year(); y < 1900 || y > 9999 { // RFC 5322 3.3
		return &FieldError{"created_at", fmt.Sprintf("the year %d cannot stand in a Date", y)}
	}
	return nil
}

func checkSubject(s string) error {
	if err := checkUTF8("subject", s); err != nil {
		return err
	}
	if i := indexControl(s); i >= 0 {
		return &FieldError{"subject", controlReason(s, i)}
	}
	if n := utf8.RuneCountInString(s); n > maxSubject {
		return &FieldError{"subject", fmt.Sprintf("has %d characters; at most %d are possible", n, maxSubject)}
	}
	return nil
}

func checkBody(field, s string) error {
	if err := checkUTF8(field, s); err != nil {
		return err
	}
	if i := strings.IndexByte(s, 0); i >= 0 {
		return &FieldError{field, fmt.Sprintf("contains a NUL character at byte %d", i+1)}
	}
	return nil
}

// checkUTF8 names the first byte that is not UTF-8.
func checkUTF8(field, s string) error {
	if utf8.ValidString(s) {
		return nil
	}
	for i := 0; ; {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			return &FieldError{field, fmt.Sprintf("is not valid UTF-8 at byte %d", i+1)}
		}
		i += size
	}
}

// checkMessageID: <dot-atom@host>, so that it stands on one line and needs no quoting.
func checkMessageID(id string) error {
	inner, opened := strings.CutPrefix(id, "<")
	inner, closed := strings.CutSuffix(inner, ">")
	local, host, _ := strings.Cut(inner, "@")
	if !opened || !closed || len("Message-ID: "+id) > maxLine || !isASCII(local) || !isLocalPart(local) || !isHost(host) {
		return &FieldError{"message_id", excerpt(id) + " is not of the form <unique@domain>"}
	}
	return nil
}

// indexControl finds the first C0 control character but tab.
func indexControl(s string) int {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' })
}

func controlReason(s string, i int) string {
	what := fmt.Sprintf("control character U+%04X", s[i])
	if s[i] == '\r' || s[i] == '\n' {
		what = "line break"
	}
	return fmt.Sprintf("contains a %s at byte %d", what, i+1)
}

// isASCII reports whether s holds only printable ASCII and tabs.
func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != '\t' && (s[i] < ' ' || s[i] > '~') {
			return false
		}
	}
	return true
}

// isPrintable reports whether s holds only printable ASCII.
func isPrintable(s string) bool { return isASCII(s) && strings.IndexByte(s, '\t') < 0 }

// excerpt quotes foreign text for a reason: one printable line of moderate length.
func excerpt(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}
