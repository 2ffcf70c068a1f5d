package mail

import (
	"errors"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// maxName is the longest display name in characters. Longer ones are data in the wrong column.
const maxName = 256

// maxRawName is the longest name as written, in octets: every character encoded at its longest.
const maxRawName = 16 * maxName

// splitName parts an item into its display name, as written, and its addr-spec. Without angle brackets all of it is
// the addr-spec.
func splitName(item string) (name, spec, reason string) {
	open, reason := openBracket(item)
	if reason != "" {
		return "", "", reason
	}
	if open < 0 {
		return bareSpec(item)
	}
	name, spec = item[:open], item[open+1:]
	end := strings.IndexByte(spec, '>')
	if end < 0 {
		return "", "", "the angle bracket < is not closed"
	}
	if strings.TrimSpace(spec[end+1:]) != "" {
		return "", "", "there is text after the closing >; separate addresses by comma, semicolon or line feed"
	}
	return name, spec[:end], ""
}

// openBracket finds the first < outside double quotes, or -1. On the way it refuses an open quote and a group.
func openBracket(item string) (int, string) {
	quoted, literal := false, false
	for i := 0; i < len(item); i++ {
		switch c := item[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			return i, ""
		case c == '[':
			literal = true
		case c == ':' && !literal:
			return -1, "a colon starts a group, and groups are not accepted; list the addresses, and put a name with a colon in double quotes"
		}
	}
	if quoted {
		return -1, `a double quote " is not closed`
	}
	return -1, ""
}

// bareSpec takes an item without angle brackets as an addr-spec and says what is most likely missing when it is none.
func bareSpec(item string) (name, spec, reason string) {
	switch {
	case strings.ContainsRune(item, '>'):
		return "", "", "there is a > without a < before it"
	case !strings.ContainsRune(item, '@'):
		return "", "", "there is no @; a name with a comma or semicolon must stand in double quotes"
	}
	return "", item, ""
}

// cleanName takes the quotes off a display name, decodes its encoded words (RFC 2047) and joins its blanks.
func cleanName(raw string) (name, reason string) {
	if len(raw) > maxRawName {
		return "", "the name is longer than 256 characters"
	}
	name = strings.Join(strings.Fields(unquote(raw)), " ")
	if strings.Contains(name, "=?") {
		name = decodeWords(name)
	}
	// The decoded name is looked at again: an encoded word can hide what the item did not show.
	if !utf8.ValidString(name) {
		return "", "the encoded name is not valid UTF-8"
	}
	if r, bad := controlIn(name); bad {
		return "", "the encoded name holds the control character " + codePoint(r)
	}
	name = strings.Join(strings.Fields(name), " ")
	if utf8.RuneCountInString(name) > maxName {
		return "", "the name is longer than 256 characters"
	}
	return name, ""
}

// unquote drops double quotes and resolves the backslashes within them. People mix quoted and plain words: both stay.
func unquote(s string) string {
	if !strings.Contains(s, `"`) {
		return s
	}
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c == '"':
			quoted = !quoted
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// decodeWords decodes encoded words. A name in a character set that is not known stays as it is written: readers of
// mail know more of them, and a name never stops a mail.
func decodeWords(name string) string {
	decoder := mime.WordDecoder{CharsetReader: CharsetReader}
	decoded, err := decoder.DecodeHeader(name)
	if err != nil {
		return name
	}
	return decoded
}

var errCharset = errors.New("unknown character set")

// CharsetReader is for a mime.WordDecoder: it knows the sets that old office programs still write; mime knows UTF-8, US-ASCII and
// ISO-8859-1 itself.
func CharsetReader(charset string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "windows-1250":
		return charmap.Windows1250.NewDecoder().Reader(input), nil
	case "windows-1251":
		return charmap.Windows1251.NewDecoder().Reader(input), nil
	case "windows-1252":
		return charmap.Windows1252.NewDecoder().Reader(input), nil
	case "iso-8859-2":
		return charmap.ISO8859_2.NewDecoder().Reader(input), nil
	case "iso-8859-15":
		return charmap.ISO8859_15.NewDecoder().Reader(input), nil
	}
	return nil, errCharset
}
