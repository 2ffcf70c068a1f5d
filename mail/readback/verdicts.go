package readback

import (
	"bufio"
	"bytes"
	"cmp"
	"strings"

	"github.com/emersion/go-message/textproto"
	"github.com/emersion/go-msgauth/authres"
)

// maxHeader is how much of a header is read, in octets.
const maxHeader = 64 << 10

// Verdicts is what the topmost Authentication-Results field (RFC 8601) says. A server puts its own above what was there
// before, and whoever sends a mail may put any below: so no other one is believed. By is the name of the server that wrote
// it, "" where it gives none; a person has to see that it is the recipient's.
type Verdicts struct {
	By    string
	Told  bool // there is such a field
	SPF   Verdict
	DKIM  Verdict
	DMARC Verdict
}

// Verdict is the result of one method; the zero value is one that the server does not speak of.
type Verdict struct {
	Result string // pass, fail, softfail, none, ...
	Of     string // the address or domain that was looked at
	Reason string // "" for none
}

// Passed tells whether the server found it in order.
func (v Verdict) Passed() bool { return v.Result == string(authres.ResultPass) }

// String returns the verdict in a line.
func (v Verdict) String() string {
	text := cmp.Or(v.Result, "not told")
	if v.Of != "" {
		text += " for " + v.Of
	}
	if v.Reason != "" {
		text += " (" + v.Reason + ")"
	}
	return text
}

// readHeader reads a header that may be cut off.
func readHeader(b []byte) (textproto.Header, error) {
	if len(b) >= maxHeader { // the last line is not whole
		b = b[:bytes.LastIndexByte(b[:maxHeader], '\n')+1]
	}
	return textproto.ReadHeader(bufio.NewReader(bytes.NewReader(append(bytes.Clone(b), "\r\n\r\n"...))))
}

// verdictsOf reads the topmost Authentication-Results. What cannot be read is not told.
func verdictsOf(h textproto.Header) Verdicts {
	fields := h.FieldsByKey("Authentication-Results")
	if !fields.Next() {
		return Verdicts{}
	}
	v := Verdicts{Told: true}
	value := withoutComments(fields.Value())
	if name, _, _ := strings.Cut(strings.TrimSpace(value), " "); strings.Contains(name, "=") {
		value = "?;" + value // Microsoft 365 leaves its name out
	}
	name, results, _ := authres.Parse(value) // what stands before a mistake is taken
	if name != "?" {
		v.By = name
	}
	for _, r := range results {
		switch r := r.(type) {
		case *authres.SPFResult:
			v.SPF = better(v.SPF, Verdict{string(r.Value), cmp.Or(r.From, r.Helo), r.Reason})
		case *authres.DKIMResult:
			v.DKIM = better(v.DKIM, Verdict{string(r.Value), cmp.Or(r.Domain, r.Identifier), r.Reason})
		case *authres.DMARCResult:
			v.DMARC = better(v.DMARC, Verdict{string(r.Value), r.From, r.Reason})
		}
	}
	return v
}

// better keeps the first verdict, or the first that passed: of several signatures one is enough.
func better(a, b Verdict) Verdict {
	if a.Result == "" || !a.Passed() && b.Passed() {
		return b
	}
	return a
}

// withoutComments takes comments in parentheses and quotes out of a structured field (RFC 5322 3.2), and whatever within
// quotes would part it: the parser knows neither.
func withoutComments(value string) string {
	var b strings.Builder
	depth, quoted, escaped := 0, false, false
	for _, r := range value {
		switch {
		case escaped:
			escaped = false
			if depth == 0 && r != ';' {
				b.WriteRune(r)
			}
		case r == '\\':
			escaped = true
		case quoted && r == '"', !quoted && depth == 0 && r == '"':
			quoted = !quoted
		case quoted:
			if r == ';' || r == ' ' {
				r = '_'
			}
			b.WriteRune(r)
		case r == '(':
			depth++
		case r == ')' && depth > 0:
			depth--
			b.WriteByte(' ')
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return b.String()
}
