package sendercheck

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// spfState is what a domain's SPF record says.
type spfState struct {
	domain string
	texts  []string // its records; one is right
	walk   *spfWalk // through it; nil when there is not exactly one that can be read
	err    error    // why it could not be asked
	broken string   // why it cannot be read
}

// spf walks through a domain's record.
func (l *look) spf(domain string) *spfState {
	s := &spfState{domain: domain}
	texts, err := l.r.texts(l.ctx, domain)
	if err != nil {
		s.err = err
		return s
	}
	s.texts = slices.DeleteFunc(texts, func(text string) bool { return !isSPF(text) })
	if len(s.texts) != 1 {
		return s
	}
	if _, err := parseSPF(s.texts[0]); err != nil {
		s.broken = err.Error()
		return s
	}
	s.walk = &spfWalk{r: l.r, sender: "postmaster@" + domain}
	_, _ = s.walk.check(l.ctx, domain) // the walk knows what it met, and that it did not end
	return s
}

// coverage tells whether a record lets an account's mails pass.
type coverage struct {
	yes     bool
	unknown bool
	text    string   // by what, or what is not known
	missing []string // terms that would let them
}

// covered tells whether the record lets the sender's mails pass.
func (l *look) covered(s *spfState, by Sender) coverage {
	switch {
	case s.err != nil:
		return coverage{unknown: true, text: "could not be asked: " + s.err.Error()}
	case by.Include != "":
		return l.coveredByInclude(s, by.Include)
	case by.Relay != nil:
		return l.coveredByAddress(s, by)
	}
	return coverage{unknown: true, text: "not known what the record must contain for the account's server"}
}

func (l *look) coveredByInclude(s *spfState, include string) coverage {
	term := spfInclude + ":" + include
	c := coverage{missing: []string{term}}
	switch {
	case s.walk == nil:
		return c
	case slices.Contains(s.walk.vouched, include):
		return coverage{yes: true, text: term + " is there"}
	}
	flat, err := l.flattened(s.domain, include)
	if err == nil {
		err = s.walk.unasked
	}
	switch {
	case flat:
		return coverage{yes: true, text: "all addresses of " + include + " are there one by one"}
	case err != nil:
		return coverage{unknown: true, text: "could not be asked: " + err.Error()}
	}
	return c
}

// flattened tells whether the record passes every network that the include names.
func (l *look) flattened(domain, include string) (bool, error) {
	named := &spfWalk{r: l.r, sender: "postmaster@" + include}
	if _, err := named.check(l.ctx, include); err != nil || named.unasked != nil {
		return false, errors.Join(err, named.unasked)
	}
	for _, network := range named.networks {
		if result, err := l.r.passes(l.ctx, domain, network.Addr()); result != spfPass {
			return false, ifUnanswered(err)
		}
	}
	return len(named.networks) > 0, nil
}

// passes evaluates a domain's record for an address.
func (r *Resolver) passes(ctx context.Context, domain string, at netip.Addr) (string, error) {
	w := &spfWalk{r: r, ip: at, sender: "postmaster@" + domain, hello: domain}
	return w.check(ctx, domain)
}

// ifUnanswered keeps an error that says that a question had no answer.
func ifUnanswered(err error) error {
	var unanswered *UnansweredError
	if errors.As(err, &unanswered) {
		return err
	}
	return nil
}

func (l *look) coveredByAddress(s *spfState, by Sender) coverage {
	addresses, err := l.delivers(by)
	switch {
	case err != nil:
		return coverage{unknown: true, text: "could not be asked: " + err.Error()}
	case len(addresses) == 0:
		return coverage{unknown: true, text: fmt.Sprintf("not known from which address the relay delivers: %s has no public address in the DNS", strings.Join(by.Relay, ", "))}
	}
	var c coverage
	for _, at := range addresses {
		result, err := spfNone, error(nil)
		if s.walk != nil {
			result, err = l.r.passes(l.ctx, s.domain, at)
		}
		switch {
		case result == spfPass:
			c.text = strings.TrimPrefix(c.text+", "+at.String(), ", ")
		case ifUnanswered(err) != nil:
			return coverage{unknown: true, text: "could not be asked: " + err.Error()}
		case at.Is4():
			c.missing = append(c.missing, "ip4:"+at.String())
		default:
			c.missing = append(c.missing, "ip6:"+at.String())
		}
	}
	c.yes, c.text = len(c.missing) == 0, c.text+" may send"
	return c
}
