package sendercheck

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// The names of terms that more than one place looks for.
const (
	spfVersion  = "v=spf1"
	spfAll      = "all"
	spfInclude  = "include"
	spfRedirect = "redirect"
)

// spfTerm is a mechanism or a modifier of an SPF record (RFC 7208 4.6.1).
type spfTerm struct {
	text      string       // as it stands there
	qualifier byte         // + - ~ or ?; 0 of a modifier
	name      string       // lower case
	domain    string       // the domain-spec, macros and all; "" where none is written
	bits4     int          // prefix lengths of a and mx; all bits where none is written
	bits6     int          //
	network   netip.Prefix // of ip4 and ip6
}

// isSPF tells whether a TXT record is one of SPF (RFC 7208 4.5).
func isSPF(text string) bool {
	if len(text) < len(spfVersion) || !strings.EqualFold(text[:len(spfVersion)], spfVersion) {
		return false
	}
	return len(text) == len(spfVersion) || text[len(spfVersion)] == ' '
}

// parseSPF reads a record. Any error in it makes receivers take none of it (RFC 7208 4.6).
func parseSPF(text string) ([]spfTerm, error) {
	var all []spfTerm
	once := map[string]bool{}
	for word := range strings.SplitSeq(text[len(spfVersion):], " ") {
		if word == "" {
			continue
		}
		t, err := parseTerm(word)
		if err != nil {
			return nil, err
		}
		if t.qualifier == 0 && (t.name == spfRedirect || t.name == "exp") {
			if once[t.name] {
				return nil, fmt.Errorf("%s= stands there twice", t.name)
			}
			once[t.name] = true
		}
		all = append(all, t)
	}
	return all, nil
}

var modifierForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9._-]*)=(.*)$`)

func parseTerm(word string) (spfTerm, error) {
	t := spfTerm{text: word, bits4: 32, bits6: 128}
	if m := modifierForm.FindStringSubmatch(word); m != nil {
		t.name, t.domain = strings.ToLower(m[1]), m[2]
		if t.name == spfRedirect || t.name == "exp" {
			return t, t.checkDomain()
		}
		if !macroString.MatchString(t.domain) {
			return t, fmt.Errorf("%s has a wrong macro", quoted(word))
		}
		return t, nil
	}
	t.qualifier = '+'
	if strings.ContainsRune("+-~?", rune(word[0])) {
		t.qualifier, word = word[0], word[1:]
	}
	end := strings.IndexAny(word, ":/")
	if end < 0 {
		end = len(word)
	}
	t.name = strings.ToLower(word[:end])
	return t, t.parseMechanism(word[end:])
}

var cidrForm = regexp.MustCompile(`^(.*?)(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?$`)

// parseMechanism reads what follows the name.
func (t *spfTerm) parseMechanism(rest string) error {
	domain, has := strings.CutPrefix(rest, ":")
	switch t.name {
	case spfAll:
		if rest != "" {
			return fmt.Errorf("%s: all takes nothing", quoted(t.text))
		}
		return nil
	case "ip4", "ip6":
		return t.parseNetwork(domain)
	case "a", "mx":
		m := cidrForm.FindStringSubmatch(rest)
		if m == nil {
			return fmt.Errorf("%s cannot be read", quoted(t.text))
		}
		if m[2] != "" {
			t.bits4, _ = strconv.Atoi(m[2])
		}
		if m[3] != "" {
			t.bits6, _ = strconv.Atoi(m[3])
		}
		if t.bits4 > 32 || t.bits6 > 128 {
			return fmt.Errorf("%s has a prefix that is too long", quoted(t.text))
		}
		rest = m[1]
		domain, has = strings.CutPrefix(rest, ":")
	case "ptr":
	case spfInclude, "exists":
		if !has {
			return fmt.Errorf("%s lacks a domain", quoted(t.text))
		}
	default:
		return fmt.Errorf("there is no mechanism %s", quoted(t.text))
	}
	if rest == "" {
		return nil
	}
	if !has {
		return fmt.Errorf("%s cannot be read", quoted(t.text))
	}
	t.domain = domain
	return t.checkDomain()
}

func (t *spfTerm) parseNetwork(text string) error {
	address, bits, slash := strings.Cut(text, "/")
	at, err := netip.ParseAddr(address)
	if err != nil || at.Is4() != (t.name == "ip4") || at.Zone() != "" {
		return fmt.Errorf("%s has no %s address", quoted(t.text), map[string]string{"ip4": "IPv4", "ip6": "IPv6"}[t.name])
	}
	length := at.BitLen()
	if slash {
		if length, err = strconv.Atoi(bits); err != nil || length > at.BitLen() || strconv.Itoa(length) != bits {
			return fmt.Errorf("%s has a wrong prefix length", quoted(t.text))
		}
	}
	t.network, err = at.Prefix(length)
	return err
}

// macroString is macro-string, and domainEnd how a domain-spec ends (RFC 7208 7.1): with a label that is no number, or a macro.
const macroExpand = `%(?:\{[slodiphvSLODIPHV]([1-9][0-9]*)?[rR]?[-.+,/_=]*\}|[%_-])`

var (
	macroString = regexp.MustCompile(`^(?:[!-$&-~]|` + strings.Replace(macroExpand, "slodiphv", "slodiphvcrtCRT", 1) + `)*$`)
	domainForm  = regexp.MustCompile(`^(?:[!-$&-~]|` + macroExpand + `)*(?:\.([A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)\.?|` + macroExpand + `)$`)
	numberForm  = regexp.MustCompile(`^[0-9]+$`)
)

func (t *spfTerm) checkDomain() error {
	m := domainForm.FindStringSubmatch(t.domain)
	if m == nil || numberForm.MatchString(m[2]) {
		return fmt.Errorf("%s has no domain that can be looked up", quoted(t.text))
	}
	return nil
}
