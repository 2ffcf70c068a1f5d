package jobfile

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

var (
	nameForm       = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	databaseForm   = regexp.MustCompile(`^[A-Za-z0-9_$-]{1,64}$`)
	labelForm      = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
	envForm        = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	credentialForm = regexp.MustCompile(`^[A-Za-z0-9_@:-][A-Za-z0-9_.@:-]*$`)
)

// validName tells whether s may name a server, an account, a company or a job.
func validName(s string) bool { return nameForm.MatchString(s) }

// checkDatabase checks an identifier that will stand between backticks in every statement.
func checkDatabase(s string) error {
	switch strings.ToLower(s) {
	case "mysql", "sys", "information_schema", "performance_schema":
		return errors.New("belongs to the database server itself")
	}
	if !databaseForm.MatchString(s) {
		return errors.New("is no database name that can be used here")
	}
	return nil
}

// parseHost checks a host name or IP address and returns it in lower case.
func parseHost(s string) (string, error) {
	if _, err := netip.ParseAddr(s); err == nil {
		return strings.ToLower(s), nil
	}
	switch {
	case strings.Contains(s, "://"):
		return "", errors.New("is a URL; only the host belongs here")
	case strings.HasPrefix(s, "["):
		return "", errors.New("has brackets; write an IPv6 address without")
	case strings.Count(s, ":") == 1:
		return "", errors.New("has a port; that has its own key")
	}
	host, err := parseLabels(s)
	if err != nil {
		return "", err
	}
	if last := host[strings.LastIndexByte(host, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", errors.New("is no valid IP address")
	}
	return host, nil
}

// parseHostPort splits a host with or without a port, as parseHost takes it. An IPv6 address with a port has brackets.
func parseHostPort(s string, otherwise int) (host string, port int, err error) {
	if _, err := netip.ParseAddr(s); err == nil || strings.Contains(s, "://") || !strings.Contains(s, ":") {
		host, err := parseHost(s)
		return host, otherwise, err
	}
	name, digits, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, errors.New("is no host with a port")
	}
	if port, err = strconv.Atoi(digits); err != nil || port < 1 || port > 65535 || digits[0] == '+' || digits[0] == '0' {
		return "", 0, errors.New("has a port that is none, 1 to 65535")
	}
	host, err = parseHost(name)
	return host, port, err
}

// parseDomain checks a mail domain and returns it in lower case and A-labels (RFC 5890).
func parseDomain(s string) (string, error) {
	if strings.HasPrefix(s, "@") {
		return "", errors.New("begins with @; write the domain alone")
	}
	if strings.ContainsAny(s, "_*") {
		return "", errors.New("is no mail domain")
	}
	domain, err := parseLabels(s)
	if err != nil {
		return "", errors.New("is no mail domain")
	}
	if strings.Trim(domain[strings.LastIndexByte(domain, '.')+1:], "0123456789") == "" {
		return "", errors.New("is no mail domain")
	}
	return domain, nil
}

func parseLabels(s string) (string, error) {
	bad := errors.New("is no host name")
	ascii := s
	if strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) {
		var err error
		if ascii, err = idna.Lookup.ToASCII(s); err != nil {
			return "", bad
		}
	}
	if len(ascii) > 253 {
		return "", bad
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if !labelForm.MatchString(label) {
			return "", bad
		}
	}
	return strings.ToLower(ascii), nil
}

// parseAddress checks one mailbox, with or without a display name, and returns the address alone: local@domain.
// It is stricter than RFC 5322: no quoted local part, no address literal, no group, no comment, no control character.
func parseAddress(s string) (name, addr string, err error) {
	a, err := mail.ParseAddress(s)
	if err != nil || !strings.HasSuffix(strings.TrimSuffix(s, ">"), a.Address) { // quotes, a group, a comment
		return "", "", errors.New("is no mail address")
	}
	at := strings.LastIndexByte(a.Address, '@')
	local := a.Address[:at]
	domain, err := parseDomain(a.Address[at+1:])
	if err != nil {
		return "", "", errors.New("has a domain that cannot be one")
	}
	if len(local) > 64 || !isDotAtom(local) {
		return "", "", errors.New("has a part before the @ that is too long or has characters that cannot stand there")
	}
	if strings.ContainsFunc(a.Name, unicode.IsControl) {
		return "", "", errors.New("has a control character in its name")
	}
	return a.Name, local + "@" + domain, nil
}

// isDotAtom follows RFC 5322 3.2.3 and, for characters beyond ASCII, RFC 6531.
func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool {
			return r <= ' ' || strings.ContainsRune("()<>[]:;@\\,\"", r) || r >= 0x7f && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
		}) {
			return false
		}
	}
	return true
}

func domainOf(addr string) string { return addr[strings.LastIndexByte(addr, '@')+1:] }

// isLoopback tells whether a host, as parseHost returns it, is this computer and nothing else.
func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// nearest returns the word that s was probably meant to be, or "".
func nearest(s string, words []string) string {
	s = strings.ReplaceAll(strings.ToLower(s), "-", "_")
	if len(s) > maxShown {
		return ""
	}
	best, least := "", 3
	if len(s) <= 4 {
		least = 2
	}
	for _, word := range words {
		if d := distance(s, strings.ReplaceAll(word, "-", "_")); d < least && d < len(word) {
			best, least = word, d
		}
	}
	return best
}

// distance counts the edits between two words: insert, delete, replace, swap of neighbours.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range y {
		rows[0][j+1] = j + 1
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			replace := rows[i-1][j-1]
			if x[i-1] != y[j-1] {
				replace++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replace)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}

// namesOf writes names for people: a, b and c.
func namesOf(names []string) string {
	switch n := len(names); n {
	case 0:
		return "none"
	case 1:
		return names[0]
	default:
		return fmt.Sprintf("%s and %s", strings.Join(names[:n-1], ", "), names[n-1])
	}
}
