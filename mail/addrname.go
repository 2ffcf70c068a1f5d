package mail

import (
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
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

// decodeWords decodes encoded words. A name in a character set that is not known stays as it is written: a name
// never stops a mail.
func decodeWords(name string) string {
	decoder := mime.WordDecoder{CharsetReader: CharsetReader}
	decoded, err := decoder.DecodeHeader(name)
	if err != nil {
		return name
	}
	return decoded
}

// CharsetReader reads a character set by the name that mails give it, for texts and for a mime.WordDecoder.
func CharsetReader(charset string, input io.Reader) (io.Reader, error) {
	set, err := htmlindex.Get(charset)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", charset, err)
	}
	return set.NewDecoder().Reader(input), nil
}
