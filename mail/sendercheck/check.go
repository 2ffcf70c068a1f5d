package sendercheck

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
)

// Sender is an account, as receivers see the mails that it sends. Domains are in lower case and A-labels.
type Sender struct {
	Account   string
	Host      string   // of the server that it logs in to
	From      []string // the domains of the addresses that its mails are from
	Envelope  string   // the domain of its return_path; "": that of From
	Include   string   // what an SPF record must include for it; "": not known
	Selectors []string // under which its provider publishes DKIM keys; none: not known
	Relay     []string // the names of the own mail server that it hands mails to; nil: a provider delivers them
	Keys      []Key    // what outboxd signs its mails with
}

// Key is a DKIM key that outboxd signs with.
type Key struct {
	Domain   string
	Selector string
	Record   string // what belongs into the DNS; "": the key cannot be read
	Partly   bool   // mails of some companies that use the account are not signed
}

// key returns the key for mails from a domain.
func (s *Sender) key(domain string) (Key, bool) {
	for _, k := range s.Keys {
		if k.Domain == domain {
			return k, true
		}
	}
	return Key{}, false
}

// envelope is the domain of the envelope sender of mails from a domain.
func (s *Sender) envelope(from string) string {
	if s.Envelope != "" {
		return s.Envelope
	}
	return from
}

const (
	atOnce = 4 // domains looked at at once

	anotherResolver = "look whether the resolver works, or name another one: outboxd check --online --resolver HOST:PORT"
)

// Check looks at every domain that the senders use, and returns what it found, domain by domain in the order of their names.
func Check(ctx context.Context, r *Resolver, senders []Sender) []Finding {
	domains := gather(senders)
	found := make([][]about, len(domains))
	free := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, d := range domains {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			l := &look{ctx: ctx, r: r, domain: d}
			l.all()
			found[i] = l.found
		})
	}
	all.Wait()
	relays := &look{ctx: ctx, r: r}
	for _, s := range senders {
		relays.reverse(s)
	}
	return told(append(slices.Concat(found...), relays.found...))
}

// domain is one domain and who uses it.
type domain struct {
	name     string
	from     []Sender // whose mails are from it
	envelope []Sender // whose envelope senders are in it
}

func gather(senders []Sender) []*domain {
	all := map[string]*domain{}
	get := func(name string) *domain {
		if all[name] == nil {
			all[name] = &domain{name: name}
		}
		return all[name]
	}
	for _, s := range senders {
		envelopes := map[string]bool{}
		for _, from := range s.From {
			d := get(from)
			d.from = append(d.from, s)
			if e := s.envelope(from); !envelopes[e] {
				envelopes[e] = true
				d := get(e)
				d.envelope = append(d.envelope, s)
			}
		}
	}
	var list []*domain
	for _, d := range all {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *domain) int { return strings.Compare(a.name, b.name) })
	return list
}

// look looks at one domain.
type look struct {
	ctx    context.Context
	r      *Resolver
	domain *domain
	found  []about
}

// about is a finding with whom it is about.
type about struct {
	Finding
	domain  string
	account string
}

// add notes a finding about the domain.
func (l *look) add(f Finding) { l.found = append(l.found, about{f, l.domain.name, ""}) }

// addFor notes a finding about the domain and one account.
func (l *look) addFor(account string, f Finding) {
	l.found = append(l.found, about{f, l.domain.name, account})
}

// unasked is the finding of a check that the resolver did not answer.
func unasked(id string, err error) Finding {
	remedy := anotherResolver
	var unanswered *UnansweredError
	if !errors.As(err, &unanswered) {
		remedy = ""
	}
	return Finding{ID: id, Level: Warn, Text: "could not be asked: " + err.Error(), Remedy: remedy}
}

func (l *look) all() {
	if len(l.domain.from) > 0 {
		l.from()
	}
	if len(l.domain.envelope) > 0 {
		l.bounces()
		l.spfFindings(l.spf(l.domain.name))
	}
	if len(l.domain.from) == 0 {
		return
	}
	if isPublic(l.domain.name) {
		l.publicDomain()
		return
	}
	policy := l.dmarc()
	for _, s := range l.domain.from {
		l.alignment(s, policy, l.dkim(s))
	}
}

// told makes findings of what was found: those that say the same of several accounts are one.
func told(all []about) []Finding {
	var list []Finding
	var accounts [][]string
	var domains []string
next:
	for _, a := range all {
		for i, f := range list {
			if f.ID == a.ID && f.Level == a.Level && f.Text == a.Text && f.Remedy == a.Remedy && domains[i] == a.domain {
				if a.account != "" && !slices.Contains(accounts[i], a.account) {
					accounts[i] = append(accounts[i], a.account)
				}
				continue next
			}
		}
		list, domains = append(list, a.Finding), append(domains, a.domain)
		accounts = append(accounts, strings.Fields(a.account))
	}
	for i := range list {
		list[i].About = aboutText(domains[i], accounts[i])
	}
	return list
}

func aboutText(domain string, accounts []string) string {
	var parts []string
	if domain != "" {
		parts = append(parts, "domain "+domain)
	}
	if len(accounts) == 1 {
		parts = append(parts, "account "+accounts[0])
	}
	if len(accounts) > 1 {
		parts = append(parts, "accounts "+strings.Join(accounts, ", "))
	}
	return strings.Join(parts, ", ")
}

// organisation is the domain whose owner a domain belongs to, by the list of public suffixes (RFC 7489 3.2).
func organisation(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return domain
	}
	return org
}

// publicDomains are those of providers that anybody can have an address at. Nobody but the provider can publish anything there.
var publicDomains = []string{"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "ymail.com", "rocketmail.com",
	"aol.com", "icloud.com", "me.com", "gmx.de", "gmx.net", "gmx.com", "web.de", "mail.ru", "yandex.ru", "seznam.cz", "azet.sk", "proton.me", "onmicrosoft.com"}

func isPublic(domain string) bool {
	return slices.ContainsFunc(publicDomains, func(public string) bool { return below(domain, public) })
}

// publicDomain tells whether mails from a provider's own domain go by that provider.
func (l *look) publicDomain() {
	for _, s := range l.domain.from {
		f := Finding{ID: "dmarc.align", Level: OK, Text: "the domain is the provider's, which signs the mails of its own users"}
		switch c := l.covered(l.spf(l.domain.name), s); {
		case organisation(s.Host) == organisation(l.domain.name):
		case c.unknown:
			f.Level, f.Text = Warn, "the domain is a public mail provider's, and whether the account is with it is not known"
		case !c.yes:
			f.Level, f.Text = Fail, "the domain is a public mail provider's, and the account is not with it: receivers take such mails for forged"
			f.Remedy = "send from an address of a domain of your own"
		}
		l.addFor(s.Account, f)
	}
}
