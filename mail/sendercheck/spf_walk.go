package sendercheck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// The limits of RFC 7208 4.6.4.
const (
	spfMostLookups = 10 // terms that ask the DNS, over all records
	spfMostVoids   = 2  // of those that find nothing
	spfMostNames   = 10 // MX or PTR records of one term

	spfAuditLookups = 60 // where a walk over a whole record ends
)

// The results of check_host (RFC 7208 2.6).
const (
	spfNone      = "none"
	spfNeutral   = "neutral"
	spfPass      = "pass"
	spfFail      = "fail"
	spfSoftfail  = "softfail"
	spfPermerror = "permerror"
	spfTemperror = "temperror"
)

var spfQualifiers = map[byte]string{'+': spfPass, '-': spfFail, '~': spfSoftfail, '?': spfNeutral}

// spfError is a record that receivers take for broken (permerror).
type spfError struct{ text string }

func (e *spfError) Error() string { return e.text }

var (
	errNoSPF   = &spfError{"there is no SPF record"}
	errManySPF = &spfError{"there is more than one SPF record"}
	errTooMany = &spfError{fmt.Sprintf("it takes more than %d lookups", spfMostLookups)}
	errVoids   = &spfError{fmt.Sprintf("more than %d lookups find nothing", spfMostVoids)}
	errCircle  = &spfError{"it leads back to itself"}
	errEndless = &spfError{"it goes on and on"}
	errManyMX  = &spfError{fmt.Sprintf("it has more than %d MX records", spfMostNames)}
)

// spfWalk goes through an SPF record and what it includes. With an address it is check_host (RFC 7208 4): it ends at the first
// term that matches. Without one it looks at every term, as the mail from an address that no term names does.
type spfWalk struct {
	r      *Resolver
	ip     netip.Addr
	sender string // local@host
	hello  string

	lookups, voids int
	path           []string // domains whose records are being read

	// Without an address only.
	vouched  []string       // domains whose pass is a pass: of include and redirect
	networks []netip.Prefix // of ip4 and ip6
	costs    []spfCost      // of the first record's terms
	ending   byte           // the qualifier of all; 0 where there is none
	faults   []spfFault     // what makes receivers take none of it
	empty    []string       // terms that found nothing
	unasked  error          // the first question without an answer
	term     string         // of the first record, being looked at
}

// spfFault is what is wrong with a term of the first record, or with what it leads to.
type spfFault struct {
	term string
	err  error
}

type spfCost struct {
	term    string
	lookups int
}

// spfRecord returns a domain's SPF record.
func (r *Resolver) spfRecord(ctx context.Context, domain string) (string, error) {
	texts, err := r.texts(ctx, domain)
	if err != nil {
		return "", err
	}
	texts = slices.DeleteFunc(texts, func(s string) bool { return !isSPF(s) })
	switch len(texts) {
	case 0:
		return "", errNoSPF
	case 1:
		return texts[0], nil
	}
	return "", errManySPF
}

// check is check_host for the walk's address, and a look at everything without one.
func (w *spfWalk) check(ctx context.Context, domain string) (result string, err error) {
	if !validDomain(domain) {
		return spfNone, nil
	}
	return w.record(ctx, spfFrame{strings.ToLower(domain), true, true})
}

// validDomain tells whether a name can have an SPF record (RFC 7208 4.3).
func validDomain(domain string) bool {
	if len(domain) > longestName || !strings.Contains(domain, ".") {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// spfFrame is a record being read.
type spfFrame struct {
	domain  string // lower case
	vouched bool   // its pass is a pass of the whole
	top     bool   // its ending is that of the whole: the first record, or one that it redirects to
}

func (w *spfWalk) record(ctx context.Context, f spfFrame) (string, error) {
	if slices.Contains(w.path, f.domain) {
		return spfPermerror, errCircle
	}
	text, err := w.r.spfRecord(ctx, f.domain)
	if errors.Is(err, errNoSPF) {
		return spfNone, nil
	}
	if err != nil {
		return failedResult(err), err
	}
	terms, err := parseSPF(text)
	if err != nil {
		return spfPermerror, &spfError{err.Error()}
	}
	w.path = append(w.path, f.domain)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	return w.terms(ctx, f, terms)
}

func failedResult(err error) string {
	var broken *spfError
	if errors.As(err, &broken) {
		return spfPermerror
	}
	return spfTemperror
}

func (w *spfWalk) terms(ctx context.Context, f spfFrame, terms []spfTerm) (string, error) {
	redirect := -1
	if i := slices.IndexFunc(terms, func(t spfTerm) bool { return t.name == spfAll && t.qualifier != 0 }); f.top && i >= 0 {
		w.ending = terms[i].qualifier
	}
	for i, t := range terms {
		switch {
		case t.qualifier == 0 && t.name == spfRedirect:
			redirect = i
		case t.qualifier == 0:
		case t.name == spfAll:
			return spfQualifiers[t.qualifier], nil
		default:
			matched, err := w.measured(t, func() (bool, error) { return w.match(ctx, f, t) })
			if err != nil {
				return failedResult(err), err
			}
			if matched {
				return spfQualifiers[t.qualifier], nil
			}
		}
	}
	if redirect < 0 {
		return spfNeutral, nil
	}
	result := spfNeutral
	_, err := w.measured(terms[redirect], func() (_ bool, err error) {
		result, err = w.redirect(ctx, f, terms[redirect])
		return false, err
	})
	return result, err
}

// measured looks at a term and notes what it cost. Without an address an error is noted and the walk goes on.
func (w *spfWalk) measured(t spfTerm, look func() (bool, error)) (bool, error) {
	before := w.lookups
	if len(w.path) == 1 {
		w.term = t.text
	}
	matched, err := look()
	if len(w.path) == 1 && w.lookups > before {
		w.costs = append(w.costs, spfCost{t.text, w.lookups - before})
	}
	var unanswered *UnansweredError
	switch {
	case err == nil || w.ip.IsValid() || errors.Is(err, errEndless):
		return matched, err
	case errors.As(err, &unanswered):
		w.unasked = cmp.Or(w.unasked, error(unanswered))
	case len(w.faults) < spfMostLookups:
		w.faults = append(w.faults, spfFault{w.term, fmt.Errorf("%s: %w", quoted(t.text), err)})
	}
	return false, nil
}

// redirect goes on with another domain's record in place of this one's (RFC 7208 6.1).
func (w *spfWalk) redirect(ctx context.Context, f spfFrame, t spfTerm) (string, error) {
	target, known, err := w.target(ctx, f, t)
	if err != nil {
		return failedResult(err), err
	}
	if !known {
		return spfNeutral, nil
	}
	w.vouch(f.vouched, target)
	result, err := w.record(ctx, spfFrame{target, f.vouched, f.top})
	if err == nil && result == spfNone {
		return spfPermerror, errNoSPF
	}
	return result, err
}

// target counts a term that asks the DNS, and returns the domain that it asks about. known is false when that depends on the mail.
func (w *spfWalk) target(ctx context.Context, f spfFrame, t spfTerm) (name string, known bool, err error) {
	w.lookups++
	switch {
	case !w.ip.IsValid() && w.lookups > spfAuditLookups:
		return "", false, errEndless
	case w.ip.IsValid() && w.lookups > spfMostLookups:
		return "", false, errTooMany
	case t.domain == "":
		return f.domain, true, nil
	}
	name, known = w.expand(ctx, t.domain, f.domain)
	if _, err := canonical(name); known && err != nil {
		return "", false, &spfError{err.Error()}
	}
	return strings.ToLower(name), known, nil
}

func (w *spfWalk) vouch(vouched bool, domain string) {
	if vouched && !slices.Contains(w.vouched, domain) {
		w.vouched = append(w.vouched, domain)
	}
}
