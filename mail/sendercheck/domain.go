package sendercheck

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

const mostExchangers = 10 // MX records of a domain whose hosts are looked up

// from tells whether the domain of From addresses can be answered.
func (l *look) from() {
	const id = "dns.from"
	text, fault, err := l.takesMail()
	name := l.domain.name
	switch {
	case err != nil:
		l.add(unasked(id, err))
	case fault != "":
		l.add(Finding{ID: id, Level: Fail, Text: fault + ": receivers refuse mails from it, and answers to them get lost",
			Remedy: "correct the sender's address, or publish an MX record that names the server for the domain's mail"})
	case text != "":
		l.add(Finding{ID: id, Level: OK, Text: text})
	default:
		self := mx(name, name)
		l.add(Finding{ID: id, Level: Warn, Text: "it has an address but no MX record: answers and bounces go to that address", Record: &self,
			Remedy: "publish an MX record; this one says what holds without it"})
	}
}

// bounces tells whether the domain of envelope senders takes what comes back.
func (l *look) bounces() {
	const id = "dns.mx_bounce"
	text, fault, err := l.takesMail()
	f := Finding{ID: id, Level: Fail, Text: fault + ": bounces get lost", Remedy: "publish an MX record that names the server for the domain's mail, or choose another return_path"}
	switch {
	case err != nil:
		f = unasked(id, err)
	case fault != "":
	case text != "":
		f = Finding{ID: id, Level: OK, Text: text}
	default:
		self := mx(l.domain.name, l.domain.name)
		f.Text, f.Record = "it has an address but no MX record: bounces may get lost", &self
	}
	l.add(f)
}

// takesMail tells where a domain's mail goes, or why nowhere. Both are empty when it has an address alone.
func (l *look) takesMail() (text, fault string, err error) {
	name := l.domain.name
	found, err := l.r.ask(l.ctx, name, dns.TypeMX)
	if err != nil {
		return "", "", err
	}
	if !found.exists {
		return "", "there is no such domain in the DNS", nil
	}
	all, err := l.r.exchangers(l.ctx, name)
	if err != nil {
		return "", "", err
	}
	if len(all) == 0 {
		addresses, err := l.r.addresses(l.ctx, name)
		if err == nil && len(addresses) == 0 {
			fault = "it has neither an MX record nor an address"
		}
		return "", fault, err
	}
	if all[0].host == "" {
		return "", "its MX record says that it takes no mail (RFC 7505)", nil
	}
	for _, mx := range all[:min(len(all), mostExchangers)] {
		addresses, err := l.r.addresses(l.ctx, mx.host)
		if err != nil {
			return "", "", err
		}
		if len(addresses) > 0 {
			return "its mail goes to " + mx.host, "", nil
		}
	}
	return "", fmt.Sprintf("its MX record names %s, which has no address", all[0].host), nil
}

// delivers returns the public addresses of an own relay.
func (l *look) delivers(s Sender) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, host := range s.Relay {
		addresses := []netip.Addr{}
		if at, err := netip.ParseAddr(host); err == nil {
			addresses = append(addresses, at.Unmap())
		} else if addresses, err = l.r.addresses(l.ctx, host); err != nil {
			return nil, err
		}
		for _, at := range addresses {
			if isReachable(at) && !slices.Contains(all, at) {
				all = append(all, at)
			}
		}
	}
	return all, nil
}

// isReachable tells whether others in the internet can see an address.
func isReachable(at netip.Addr) bool { return at.IsGlobalUnicast() && !at.IsPrivate() }

// reverse tells whether the addresses of an own relay have names that lead back to them.
func (l *look) reverse(s Sender) {
	const id = "ptr.fcrdns"
	if s.Relay == nil {
		return
	}
	add := func(f Finding) { l.found = append(l.found, about{f, "", s.Account}) }
	addresses, err := l.delivers(s)
	switch {
	case err != nil:
		add(unasked(id, err))
		return
	case len(addresses) == 0:
		add(Finding{ID: id, Level: Warn, Text: fmt.Sprintf("could not be asked: %s has no public address in the DNS, so it is not known from where the relay delivers", strings.Join(s.Relay, ", ")),
			Remedy: "look at the relay's public address by hand: its name (PTR) must lead back to it. A relay that hands on to another server needs none"})
	}
	for _, at := range addresses {
		add(l.reverseOf(id, at))
	}
}

func (l *look) reverseOf(id string, at netip.Addr) Finding {
	names, err := l.r.names(l.ctx, at)
	if err != nil {
		return unasked(id, err)
	}
	ask := fmt.Sprintf("ask whom %s belongs to (the provider of the line or the server) for a PTR record with the relay's name, and publish that name with this address", at)
	if len(names) == 0 {
		return Finding{ID: id, Level: Fail, Text: fmt.Sprintf("%s has no name in the reverse DNS: many receivers refuse its mails", at), Remedy: ask}
	}
	for _, name := range names[:min(len(names), spfMostNames)] {
		addresses, err := l.r.addresses(l.ctx, name)
		if err != nil {
			return unasked(id, err)
		}
		if !slices.Contains(addresses, at) {
			continue
		}
		if isGeneric(name, at) {
			return Finding{ID: id, Level: Warn, Text: fmt.Sprintf("%s is called %s, like the line of a household: receivers trust it less", at, name), Remedy: ask}
		}
		return Finding{ID: id, Level: OK, Text: fmt.Sprintf("%s is called %s, which leads back to it", at, name)}
	}
	return Finding{ID: id, Level: Fail, Text: fmt.Sprintf("%s is called %s, which does not lead back to it", at, names[0]), Remedy: ask}
}

// isGeneric tells whether a name was made from the address, as those of lines that nobody runs a server on.
func isGeneric(name string, at netip.Addr) bool {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' })
	if at.Is4() {
		octets := strings.Split(at.String(), ".")
		seen := 0
		for _, o := range octets {
			if slices.Contains(parts, o) {
				seen++
			}
		}
		return seen >= 3
	}
	return slices.ContainsFunc(strings.Split(name, "."), func(label string) bool {
		return slices.Contains([]string{"dynamic", "dyn", "dhcp", "pool", "dialup", "ppp", "dsl", "generic"}, label)
	})
}
