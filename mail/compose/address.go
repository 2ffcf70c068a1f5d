package compose

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"outboxd/mail"
)

// Limits of an address, in octets (RFC 5321 4.5.3.1, RFC 1035 2.3.4).
const (
	maxLocal = 64
	maxHost  = 253
)

// addresses writes one address field (RFC 5322 3.4), folded between names and addresses; nothing for an empty list.
func (b *builder) addresses(name string, list []mail.Address) {
	if len(list) == 0 {
		return
	}
	b.field(name)
	for i, a := range list {
		addr := a.Local + "@" + a.Host
		if a.Name != "" {
			addr = "<" + addr + ">"
		}
		if i < len(list)-1 {
			addr += ","
		}
		switch phrase, ok := displayName(a.Name); {
		case a.Name == "":
			b.put(" ", addr)
		case !ok:
			b.encoded(a.Name)
			b.put(" ", addr)
		case len(phrase)+len(addr)+2 > foldAt:
			b.put(" ", phrase)
			b.put(" ", addr)
		default: // kept on one line, which is easier on the eye and on simple parsers
			b.put(" ", phrase+" "+addr)
		}
	}
	b.end()
}

// displayName returns a name as bare words or as a quoted string; not ok when it must be encoded.
func displayName(name string) (phrase string, ok bool) {
	if !isPrintable(name) || len(name) > maxWord || strings.Contains(name, "=?") {
		return "", false
	}
	if singleSpaced(name) && isAtomText(name) {
		return name, true
	}
	phrase = quote(name)
	return phrase, len(phrase) <= maxWord
}

// quote makes a quoted-string (RFC 5322 3.2.4) of printable ASCII.
func quote(s string) string {
	quoted := make([]byte, 0, 2*len(s)+2)
	quoted = append(quoted, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			quoted = append(quoted, '\\')
		}
		quoted = append(quoted, s[i])
	}
	return string(append(quoted, '"'))
}

// checkAddresses checks a column of addresses. They were parsed before, but this is where a header is written.
func checkAddresses(field string, list []mail.Address) error {
	for i, a := range list {
		if reason := addressFault(a); reason != "" {
			return &FieldError{field, fmt.Sprintf("address %d (%s): %s", i+1, excerpt(a.Local+"@"+a.Host), reason)}
		}
	}
	return nil
}

func addressFault(a mail.Address) string {
	switch {
	case a.Local == "" && a.Host == "":
		return "no address"
	case !utf8.ValidString(a.Name):
		return "the name is not valid UTF-8"
	case strings.ContainsFunc(a.Name, unicode.IsControl):
		return "the name contains a control character"
	case a.Local == "" || len(a.Local) > maxLocal:
		return fmt.Sprintf("the part before the @ must have 1 to %d bytes", maxLocal)
	case a.Host == "" || len(a.Host) > maxHost:
		return fmt.Sprintf("the part after the @ must have 1 to %d bytes", maxHost)
	case !utf8.ValidString(a.Local):
		return "the part before the @ is not valid UTF-8"
	case !isLocalPart(a.Local):
		return "the part before the @ contains a character or a dot that may not stand there"
	case !isHost(a.Host):
		return "the part after the @ is not a domain in ASCII form"
	}
	return ""
}

// isLocalPart: a dot-atom (RFC 5322 3.2.3) with the characters of RFC 6532 3.2.
func isLocalPart(s string) bool {
	dot := true // a dot may not stand first, last or beside another
	for _, r := range s {
		switch {
		case r == '.':
			if dot {
				return false
			}
			dot = true
			continue
		case r < utf8.RuneSelf && !isAtext(byte(r)), !unicode.IsPrint(r):
			return false
		}
		dot = false
	}
	return !dot
}

// isHost: labels of letters, digits, - and _ joined by dots. Address literals are not accepted anywhere in outboxd.
func isHost(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool {
			return r >= utf8.RuneSelf || r != '-' && r != '_' && !isAlphaNum(byte(r))
		}) {
			return false
		}
	}
	return true
}

// isAtomText reports whether s consists of atoms and spaces.
func isAtomText(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != ' ' && !isAtext(s[i]) {
			return false
		}
	}
	return true
}

// isAtext: RFC 5322 3.2.3.
func isAtext(c byte) bool {
	return isAlphaNum(c) || c < utf8.RuneSelf && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isAlphaNum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
