package mail

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest texts, in runes, that go into errors and logs.
const (
	maxText = 500
	maxItem = 60
)

// oneLine makes foreign text fit for a log: valid UTF-8, no controls, no invisible characters, single blanks, at most
// max runes. A cut text ends in an ellipsis.
func oneLine(s string, max int) string {
	// Without this a text of a megabyte would be walked for the sake of a line.
	if limit := 8 * max; len(s) > limit {
		s = s[:limit]
	}
	line := []rune(strings.Join(strings.FieldsFunc(s, unshown), " "))
	if len(line) > max {
		line = append(line[:max-1], '…')
	}
	return string(line)
}

// unshown tells blanks, controls and invisible characters from those that print. Broken UTF-8 prints as U+FFFD.
func unshown(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }

// withoutControls drops what controlIn finds, and tabs.
func withoutControls(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, s)
}

// controlIn finds the first control character or line separator. A tab counts as a blank.
func controlIn(s string) (rune, bool) {
	for _, r := range s {
		if unicode.IsControl(r) && r != '\t' || r == '\u2028' || r == '\u2029' {
			return r, true
		}
	}
	return 0, false
}

// codePoint names a rune that cannot be shown: U+200B.
func codePoint(r rune) string { return fmt.Sprintf("%U", r) }

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
