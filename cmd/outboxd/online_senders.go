package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/sendercheck"
)

// dnsTime is how long all questions to the DNS may take together.
const dnsTime = 2 * time.Minute

// lookup is the resolver to ask, or why there is none.
type lookup struct {
	resolver *sendercheck.Resolver
	err      error
}

// resolver is the one that was named, else the system's. A wrong name is an error; a system without one is found out when it is asked.
func (c checkCommand) resolver(i *invocation) (lookup, error) {
	name := c.Resolver
	if name == "" {
		name = i.outside.resolver
	}
	if name == "" {
		r, err := sendercheck.SystemResolver()
		return lookup{r, err}, nil
	}
	r, err := sendercheck.NewResolver(name)
	if err != nil {
		return lookup{}, &usageError{err.Error(), "outboxd check --online --resolver 192.0.2.53"}
	}
	return lookup{r, nil}, nil
}

// lookAtSenders asks the DNS what receivers will ask it. No secret is needed, but to compare keys.
func lookAtSenders(ctx context.Context, file *jobfile.File, dns lookup) []finding {
	senders, unused := sendersOf(file)
	var all []finding
	for _, domain := range unused {
		all = append(all, found("dkim.key", levelWarn, "dkim "+domain, "no active account sends mails from the domain, so nothing is signed with the key", ""))
	}
	if dns.err != nil {
		return append(all, found("dns.resolver", levelWarn, "DNS", "could not be asked: "+dns.err.Error(), "name a resolver: outboxd check --online --resolver HOST:PORT"))
	}
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	return append(all, sendercheck.Check(ctx, dns.resolver, senders)...)
}

// sendersOf describes the active accounts to the check, and names the domains with keys that none of them sends from.
func sendersOf(file *jobfile.File) (senders []sendercheck.Sender, unused []string) {
	keys := map[string]string{}
	for _, k := range file.DKIM {
		if signer, err := jobs.ReadSigner(k); err == nil {
			keys[k.Name] = signer.Record()
		}
	}
	used := map[string]bool{}
	for _, a := range file.Accounts {
		if !a.Active {
			continue
		}
		s := senderOf(file, a, keys)
		for _, k := range s.Keys {
			used[k.Domain] = true
		}
		senders = append(senders, s)
	}
	for _, k := range file.DKIM {
		if !used[k.Name] {
			unused = append(unused, k.Name)
		}
	}
	return senders, unused
}

func senderOf(file *jobfile.File, a *jobfile.Account, keys map[string]string) sendercheck.Sender {
	s := sendercheck.Sender{Account: a.Name, Host: strings.ToLower(a.Host), Envelope: domainOf(a.ReturnPath),
		Include: strings.TrimSuffix(strings.ToLower(a.SPFInclude), "."), Selectors: a.Preset().Selectors}
	from := slices.Clone(a.SenderDomains)
	for _, address := range append([]string{a.From}, a.SenderAddresses...) {
		from = append(from, domainOf(address))
	}
	companies := companiesOf(file, a)
	for _, k := range file.DKIM {
		signed := 0
		for _, company := range companies {
			if k.Serves(company) {
				signed++
			}
		}
		if signed == 0 && len(companies) > 0 { // an account of no company sends alerts, which are signed
			continue
		}
		if len(a.SenderDomains) == 0 && len(a.SenderAddresses) == 0 {
			from = append(from, k.Name) // an account for any sender sends those for whom there is a key
		}
		if slices.Contains(from, k.Name) {
			s.Keys = append(s.Keys, sendercheck.Key{Domain: k.Name, Selector: k.Selector, Record: keys[k.Name], Partly: signed < len(companies)})
		}
	}
	slices.Sort(from)
	s.From = slices.DeleteFunc(slices.Compact(from), func(domain string) bool { return domain == "" })
	if a.OwnRelay {
		s.Relay = relayNames(s.Host)
	}
	return s
}

// domainOf is the domain of an address; "" where there is none.
func domainOf(address string) string {
	at, err := mail.ParseAddress(address)
	if err != nil {
		return "" // an empty return_path; jobfile has checked what is there
	}
	return at.Host
}

// companiesOf are those that send by an account.
func companiesOf(file *jobfile.File, a *jobfile.Account) (names []string) {
	for _, c := range file.Companies {
		if a.Serves(c.Name) && (len(c.Accounts) == 0 || slices.Contains(c.Accounts, a.Name)) {
			names = append(names, c.Name)
		}
	}
	return names
}

// relayNames are the names under which others see a relay: one on this computer by the computer's.
func relayNames(host string) []string {
	if !isLocal(host) {
		return []string{host}
	}
	if name, err := os.Hostname(); err == nil {
		return []string{strings.ToLower(name)}
	}
	return []string{host}
}
