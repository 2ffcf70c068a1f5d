package jobfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// provider puts what the provider's preset says where the file says nothing, and compares the rest with it.
func (c *checker) provider(path string, a *Account) {
	m := c.main
	if m.bad[path+".provider"] {
		return
	}
	p := a.Preset()
	fill := func(key string, set func()) {
		if !m.written(path + "." + key) {
			set()
		}
	}
	fill("host", func() { a.Host = p.Host })
	fill("encryption", func() { a.Encryption = p.Encryption })
	fill("connections", func() { a.Connections = cmp.Or(p.Connections, 2) })
	fill("max_size", func() { a.MaxSize = p.MaxSize })
	fill("spf_include", func() { a.SPFInclude = p.SPFInclude })
	if a.Host == "" && !m.written(path+".host") {
		m.wrong(path+".host", "", "is missing", "for example host: "+cmp.Or(p.hostExample, "smtp.acme.example"))
		m.bad[path+".host"] = true
	}
	if p.needsLogin && !m.written(path+".username") {
		m.wrong(path+".username", "", "is missing", p.Name+" takes mail after a login only; add username, and oauth or password")
	}
	if p.Name != Other && p.Name != Exchange && m.has(path+".own_relay") && a.OwnRelay {
		m.wrong(path+".own_relay", "", "with provider "+p.Name+", whose server is not your own", "remove it")
	}
	c.providerBounds(path, a, p)
}

// providerBounds compares what is stated with what the provider takes at once and of one mail.
func (c *checker) providerBounds(path string, a *Account, p Provider) {
	m := c.main
	if at := path + ".connections"; m.has(at) && p.Connections > 0 && a.Connections > p.Connections {
		m.warn(at, fmt.Sprint(a.Connections), fmt.Sprintf("%s takes %d at once, of all daemons and programs together, and delays the others", p.Name, p.Connections), fmt.Sprintf("connections: %d, or less", p.Connections))
	}
	if at := path + ".max_size"; m.has(at) && p.MaxSize > 0 && a.MaxSize > p.MaxSize {
		m.warn(at, "", fmt.Sprintf("%s refuses mails of more than %d octets, unless that was raised there", p.Name, p.MaxSize), "remove it, and mails that are too large fail at once")
	}
	if at := path + ".spf_include"; m.has(at) {
		switch include, err := parseLabels(a.SPFInclude); {
		case err != nil:
			m.wrong(at, a.SPFInclude, "is no domain", "what stands after include: in the record, for example relay.example")
		case p.SPFInclude != "":
			m.wrong(at, a.SPFInclude, "with provider "+p.Name+", of which it is known: "+p.SPFInclude, "remove it")
		default:
			a.SPFInclude = include
		}
	}
	if at := path + ".password"; m.has(at) && a.OAuth == nil && !p.PasswordEnds.IsZero() {
		m.warn(at, "", p.Name+" switches sign-in by password off at the end of "+p.PasswordEnds.Format("January 2006")+", unless an administrator switches it on again", "sign in with OAuth: oauth: {client_id: ID} in place of password, then outboxd account login "+a.Name)
	}
}

// ownSender warns of senders that are not the account itself, where the provider changes or refuses them.
func (c *checker) ownSender(path string, a *Account) {
	p := a.Preset()
	_, username, err := parseAddress(a.Username)
	if p.From == FromAny || err != nil || c.main.bad[path+".provider"] {
		return
	}
	message, hint := p.Name+" refuses a sender that is not the account's own, "+username, "give "+username+" the right to send as it there, or change the address"
	if p.From == FromRewritten {
		message, hint = p.Name+" puts the account's own address in place of another sender, "+username, "make it an alias of the account there (send mail as), or change the address"
	}
	check := func(at, address string) {
		if c.main.has(at) && !strings.EqualFold(address, username) {
			c.main.warn(at, address, message, hint)
		}
	}
	if _, from, err := parseAddress(a.From); err == nil {
		check(path+".from", from)
	}
	check(path+".return_path", a.ReturnPath)
	for i, address := range a.SenderAddresses {
		check(indexed(path+".sender_addresses", i), address)
	}
}

// presetLimits compares the account's pace with its provider's limits, and adds those for windows that it has none for.
func (c *checker) presetLimits(path string, a *Account) {
	m, p := c.main, a.Preset()
	if m.bad[path+".limits"] || m.bad[path+".provider"] {
		return
	}
	for i, limit := range a.Limits {
		for _, most := range p.Limits {
			c.aboveProvider(indexed(path+".limits", i), limit, most, p)
		}
	}
	for _, most := range p.Limits {
		stated := slices.ContainsFunc(a.Limits, func(r Rate) bool { return r.Per == most.Per && r.Recipients == most.Recipients })
		c.rateAbove(path, a, most, p, stated)
		if !stated {
			a.Limits = append(a.Limits, most)
		}
	}
}

// aboveProvider reports a limit that is above the provider's for the same window. Each mail has a recipient.
func (c *checker) aboveProvider(at string, limit, most Rate, p Provider) {
	if limit.Per != most.Per || limit.Recipients && !most.Recipients || limit.N <= most.N || p.Raised {
		return
	}
	switch hint := "at most " + most.String(); {
	case limit.Per == time.Minute:
		c.main.warn(at, limit.String(), fmt.Sprintf("%s delays what is above %s", p.Name, most), hint)
	case most.Recipients && limit.N <= p.Internal:
		c.main.warn(at, limit.String(), fmt.Sprintf("%s refuses more than %s outside of your own organisation", p.Name, most), hint+", unless most are inside")
	case most.Recipients && p.Internal > 0:
		c.main.wrong(at, limit.String(), fmt.Sprintf("%s refuses what is above %d recipients/day, and may block the account", p.Name, p.Internal), hint)
	default:
		c.main.wrong(at, limit.String(), fmt.Sprintf("%s refuses what is above %s, and may block the account", p.Name, most), hint)
	}
}

// rateAbove reports a rate that a limit of the provider does not let come about. Of a limit that the file states in its place the rate
// has been compared with that.
func (c *checker) rateAbove(path string, a *Account, most Rate, p Provider, stated bool) {
	at := path + ".rate"
	if !c.main.has(at) || a.Rate.Per != time.Hour || most.Recipients {
		return
	}
	switch {
	case stated && (p.Raised || most.Per < day):
	case p.Raised && most.Per == day:
		c.main.warn(path+".provider", p.Name, "the limit of a new account holds: "+most.String(), "state the quota that was granted: limits: [50000/day]")
	case most.Per == time.Minute && a.Rate.N > 60*most.N:
		c.main.warn(at, a.Rate.String(), fmt.Sprintf("is never reached: %s takes %s", p.Name, most), fmt.Sprintf("at most %d/hour", 60*most.N))
	case most.Per == day && a.Rate.N > most.N:
		c.main.wrong(at, a.Rate.String(), fmt.Sprintf("is more in an hour than %s takes in a day: %s", p.Name, most), "100/hour to "+fmt.Sprint(most.N)+"/hour")
	}
}
