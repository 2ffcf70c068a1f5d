package mail

import (
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// The lengths of RFC 5321 4.5.3.1 and RFC 1035 2.3.4, in octets.
const (
	maxLocal  = 64
	maxHost   = 253
	maxLabel  = 63
	maxSpec   = 254 // a path of 256 less its angle brackets
	maxIDN    = 4 * maxHost
	specials  = "()[]:;,\\"
	atextMore = "!#$%&'*+-/=?^_`{|}~."
)

// parseSpec reads local@host (RFC 5321 4.1.2, with RFC 6531 for what is not ASCII). The reason is empty when it is good.
func parseSpec(spec string) (local, host, reason string) {
	if spec == "" {
		return "", "", "there is no address between < and >"
	}
	if reason := foreignRune(spec); reason != "" {
		return "", "", reason
	}
	at := strings.IndexByte(spec, '@')
	switch {
	case at < 0:
		return "", "", "there is no @"
	case strings.IndexByte(spec[at+1:], '@') >= 0:
		return "", "", "there is more than one @; separate addresses by comma, semicolon or line feed"
	}
	local, host = spec[:at], spec[at+1:]
	if strings.HasPrefix(host, "[") {
		return "", "", "an IP address in brackets is not accepted as a domain"
	}
	if reason := checkLocal(local); reason != "" {
		return "", "", reason
	}
	if host, reason = parseHost(host); reason != "" {
		return "", "", reason
	}
	if len(local)+1+len(host) > maxSpec {
		return "", "", "the address is longer than 254 octets"
	}
	return local, host, ""
}

// foreignRune refuses what may stand nowhere in an address, whatever side of the @.
func foreignRune(spec string) string {
	for _, r := range spec {
		switch {
		case r == '"':
			return "quoted local parts are not accepted"
		case r == '<' || r == '>':
			return "there is an angle bracket within the address"
		case unicode.IsSpace(r):
			return "there is a blank within the address; separate addresses by comma, semicolon or line feed"
		case !unicode.IsPrint(r):
			return "it holds the invisible character " + codePoint(r)
		}
	}
	return ""
}

// checkLocal checks a local part: a dot-atom (RFC 5322 3.2.3), or one with UTF-8 in it (RFC 6532 3.2).
func checkLocal(local string) string {
	switch {
	case local == "":
		return "there is nothing before the @"
	case len(local) > maxLocal:
		return "the part before the @ is longer than 64 octets"
	case local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, ".."):
		return "the part before the @ has a dot too many"
	}
	for _, r := range local {
		if r < 0x80 && !isAlnum(byte(r)) && !strings.ContainsRune(atextMore, r) {
			return "the part before the @ may not hold " + strconv.QuoteRune(r)
		}
	}
	return ""
}

// parseHost checks a domain and returns it in lower case A-labels (RFC 5890). One label is enough: internal relays use
// such names.
func parseHost(host string) (string, string) {
	switch {
	case host == "":
		return "", "there is nothing after the @"
	case len(host) > maxIDN:
		return "", "the domain is longer than 253 octets"
	}
	if i := strings.IndexAny(host, specials); i >= 0 {
		return "", "a domain may not hold " + strconv.QuoteRune(rune(host[i]))
	}
	if !isASCII(host) || strings.Contains(strings.ToLower(host), "xn--") {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", "the international domain is not valid (IDNA)"
		}
		host = ascii
	}
	host = strings.ToLower(host)
	if len(host) > maxHost {
		return "", "the domain is longer than 253 octets"
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if reason := checkLabel(label); reason != "" {
			return "", reason
		}
		last = label
	}
	if strings.Trim(last, "0123456789") == "" {
		return "", "an IP address is not accepted as a domain"
	}
	return host, ""
}

// checkLabel checks one label of a domain: letters, digits and inner hyphens (RFC 1123 2.1).
func checkLabel(label string) string {
	switch {
	case label == "":
		return "the domain has a dot too many"
	case len(label) > maxLabel:
		return "a part of the domain is longer than 63 octets"
	case label[0] == '-' || label[len(label)-1] == '-':
		return "a part of the domain starts or ends with a hyphen"
	}
	for i := 0; i < len(label); i++ {
		if c := label[i]; c != '-' && !isAlnum(c) {
			return "a domain may not hold " + strconv.QuoteRune(rune(c))
		}
	}
	return ""
}
