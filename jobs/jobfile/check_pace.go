package jobfile

import (
	"fmt"
	"slices"
	"time"
)

// perDomain checks the limits by recipient domain, and stores the domains as addresses have them.
func (c *checker) perDomain(path string, a *Account) {
	first := map[string]bool{}
	for i := range a.PerDomain {
		limit := &a.PerDomain[i]
		at := join(path, limit.Name)
		if domain, err := parseDomain(limit.Name); err == nil {
			limit.Name = domain
		} else if limit.Name != "*" {
			c.main.wrong(at, limit.Rate.String(), err.Error(), `a recipient's domain, for example gmail.com, or "*" for every other`)
			continue
		}
		if first[limit.Name] {
			c.main.wrong(at, limit.Rate.String(), "a second limit for the same domain", "keep one of the two")
		}
		first[limit.Name] = true
		if c.main.has(at) {
			c.domainRate(at, parent(path)+".rate", *limit, a)
		}
	}
}

func (c *checker) domainRate(at, rate string, limit DomainRate, a *Account) {
	any := slices.ContainsFunc(a.PerDomain, func(d DomainRate) bool { return d.Name == "*" })
	switch r := limit.Rate; {
	case r.Recipients:
		c.main.wrong(at, r.String(), "counts recipients", "mails count here: 300/hour")
	case r.Unlimited && (limit.Name == "*" || !any):
		c.main.wrong(at, r.String(), "is no limit", `remove it; unlimited exempts a domain from "*"`)
	case r.Per == time.Hour && a.Rate.Per == time.Hour && r.N > a.Rate.N && c.main.has(rate):
		c.main.warn(at, r.String(), fmt.Sprintf("is never reached: the account sends %s", a.Rate), "")
	}
}

// warmup checks that an account grows from its start to its rate.
func (c *checker) warmup(path string, a *Account) {
	m, at := c.main, path+".start"
	if a.Warmup == nil || !m.has(at) || !c.hourly(m, at, a.Warmup.Start) {
		return
	}
	switch start, rate := a.Warmup.Start, parent(path)+".rate"; {
	case start.Unlimited:
		m.wrong(at, start.String(), "is no beginning", "for example 100/hour")
	case !m.has(rate) || !a.Rate.Unlimited && a.Rate.Per != time.Hour:
	case a.Rate.Unlimited:
		m.wrong(path, "", "needs a rate to grow to", "state the rate that the account ends at: rate: 1200/hour")
	case start.N >= a.Rate.N:
		m.wrong(at, start.String(), fmt.Sprintf("is not below the rate of %s", a.Rate), "begin lower, or remove warmup")
	}
}
