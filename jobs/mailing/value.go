package mailing

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"outboxd/db"
)

// valueText is a value as a text, and whether it is a number. The value is not nil.
func valueText(kind db.ColumnKind, value any) (text string, number bool) {
	switch v := value.(type) {
	case int64:
		return strconv.FormatInt(v, 10), true
	case uint64:
		return strconv.FormatUint(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case db.Decimal:
		return string(v), true
	case []byte:
		return string(v), false
	case time.Time:
		return timeText(kind, v), false
	case string:
		return v, false
	}
	return "", false
}

// timeText is a date, a date and time as the table shows them, or a moment.
func timeText(kind db.ColumnKind, t time.Time) string {
	switch kind {
	case db.KindDate:
		return t.Format(time.DateOnly)
	case db.KindTimestamp:
		return t.UTC().Format(time.RFC3339Nano)
	}
	return t.Format("2006-01-02 15:04:05.999999")
}

// appendNumber writes a number with its digits. The zeros that ZEROFILL puts before it are none of JSON.
func appendNumber(b []byte, text string) []byte {
	text, minus := strings.CutPrefix(text, "-")
	if minus {
		b = append(b, '-')
	}
	for len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9' {
		text = text[1:]
	}
	return append(b, text...)
}

const hexDigits = "0123456789abcdef"

// appendText writes a text as JSON does. What is not UTF-8 becomes U+FFFD.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	begin := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[begin:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			begin = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(append(b, s[begin:i]...), "\ufffd"...)
			begin = i + 1
		}
		i += size
	}
	return append(append(b, s[begin:]...), '"')
}

// oneLine is a text for people: valid, and without control characters.
func oneLine(s string) string {
	if s == "" {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r < ' ' || r == 0x7f:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// cut shortens a text to so many characters.
func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
