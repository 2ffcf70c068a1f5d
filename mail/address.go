package mail

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Address is one mailbox (RFC 5322 3.4) as it stands in a header and, without its name, in an envelope.
type Address struct {
	Name  string // display name, decoded UTF-8; may be empty
	Local string // local part, unquoted form only
	Host  string // domain: lower case, A-labels (RFC 5890)
}

// Addr returns local@host, the form for the envelope and for comparing.
func (a Address) Addr() string { return a.Local + "@" + a.Host }

// NeedsUTF8 says that the address can only travel by SMTPUTF8 (RFC 6531): its local part is not ASCII.
func (a Address) NeedsUTF8() bool { return !isASCII(a.Local) }

// String returns the address for people and logs: Name <local@host>, the name in quotes where it needs them.
// It is not encoded for a header.
func (a Address) String() string {
	if a.Name == "" {
		return withoutControls(a.Addr())
	}
	name := a.Name
	if strings.ContainsAny(name, `"\,;:<>()[]@`) {
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return withoutControls(name + " <" + a.Addr() + ">")
}

// AddressError says which item of an address list is wrong and why.
type AddressError struct {
	Index  int    // the item's place in the list, from 1; empty items are not counted
	Text   string // the item, cut and without controls
	Reason string // what is wrong, in plain language
}

// Error returns the place, the text and the reason in one line.
func (e *AddressError) Error() string {
	return "address " + strconv.Itoa(e.Index) + ` "` + e.Text + `": ` + e.Reason
}

// ParseAddress reads one mailbox, with or without a display name. The error is an *AddressError.
func ParseAddress(s string) (Address, error) {
	list, err := ParseAddressList(s)
	if err != nil {
		return Address{}, err
	}
	if len(list) != 1 {
		return Address{}, &AddressError{Index: 1, Text: oneLine(s, maxItem), Reason: "exactly one address is needed here, not " + strconv.Itoa(len(list))}
	}
	return list[0], nil
}

// ParseAddressList reads the addresses of a column: separated by comma, semicolon or line feed, each with or without a
// display name. Empty items are ignored, an empty list is no error, and duplicates stay. The first wrong item ends the
// reading with an *AddressError. The time is linear in the length of s.
func ParseAddressList(s string) ([]Address, error) {
	var list []Address
	for index := 1; s != ""; {
		var item string
		item, s = cutItem(s)
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		address, reason := parseItem(item)
		if reason != "" {
			return nil, &AddressError{Index: index, Text: oneLine(item, maxItem), Reason: reason}
		}
		list = append(list, address)
		index++
	}
	return list, nil
}

// cutItem splits the first item off s. Separators within double quotes do not separate; a line feed always does, so
// that a forgotten quote spoils one line and not the rest of the list.
func cutItem(s string) (item, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\n':
			return strings.TrimSuffix(s[:i], "\r"), s[i+1:]
		case quoted && c == '\\':
			i++
			if i < len(s) && s[i] == '\n' {
				i--
			}
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ';'):
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// parseItem reads one trimmed item. The reason is empty when the address is good.
func parseItem(item string) (a Address, reason string) {
	if !utf8.ValidString(item) {
		return a, "this is not valid UTF-8"
	}
	if r, bad := controlIn(item); bad {
		return a, "it holds the control character " + codePoint(r)
	}
	name, spec, reason := splitName(item)
	if reason != "" {
		return a, reason
	}
	if a.Name, reason = cleanName(name); reason != "" {
		return a, reason
	}
	a.Local, a.Host, reason = parseSpec(strings.TrimSpace(spec))
	return a, reason
}
