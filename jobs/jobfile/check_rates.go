package jobfile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

const (
	leastRate = 100  // mails an hour
	mostRate  = 3000 // mails an hour, for a server that is not one's own
)

// rates checks the pace of an account against what is sensible, and its limits against the pace.
func (c *checker) rates(path string, a *Account) {
	m := c.main
	rate := path + ".rate"
	if m.has(rate) {
		if c.hourly(m, rate, a.Rate) && !a.OwnRelay && !m.bad[path+".own_relay"] {
			c.paceBounds(rate, a.Rate)
		}
	}
	seen := map[Rate]bool{}
	for i, limit := range a.Limits {
		at := indexed(path+".limits", i)
		if !m.has(at) {
			continue
		}
		window := Rate{Per: limit.Per, Recipients: limit.Recipients}
		switch {
		case limit.Unlimited:
			m.wrong(at, limit.String(), "is no limit", "remove it")
		case limit.Per == time.Hour && !limit.Recipients:
			m.wrong(at, limit.String(), "the mails of an hour are limited by rate", "change rate in place of a limit")
		case seen[window]:
			m.wrong(at, limit.String(), "a second limit for the same window", "keep one of the two")
		case m.has(rate) && a.Rate.Per == time.Hour && limit.Per < day:
			if most := limit.N * int(time.Hour/limit.Per); most < a.Rate.N {
				m.warn(at, limit.String(), fmt.Sprintf("the rate of %s is never reached: this is at most %d/hour", a.Rate, most), "raise the limit or lower the rate")
			}
		case m.has(rate) && a.Rate.Per == time.Hour && limit.Per == day && limit.N < a.Rate.N:
			m.warn(at, limit.String(), fmt.Sprintf("is less in a day than the rate is in an hour, %s", a.Rate), "raise the limit or lower the rate")
		}
		seen[window] = true
	}
	c.presetLimits(path, a)
}

// hourly tells whether r is a number of mails an hour, or unlimited, and reports it where not.
func (c *checker) hourly(s *source, path string, r Rate) bool {
	const hint = "for example 1200/hour; other limits of an account belong under limits: [30/minute, 10000 recipients/day]"
	switch {
	case r.Unlimited:
		return true
	case r.Recipients:
		s.wrong(path, r.String(), "a rate counts mails, not recipients", hint)
	case r.Per != time.Hour:
		s.wrong(path, r.String(), "a rate is a number of mails an hour", hint)
	default:
		return true
	}
	return false
}

func (c *checker) paceBounds(path string, r Rate) {
	const hint = "100/hour to 3000/hour; a mail server of your own may have any rate: own_relay: true"
	switch {
	case r.Unlimited:
		c.main.wrong(path, r.String(), "a provider's server that is sent mail without limit blacklists the sender", hint)
	case r.N < leastRate:
		c.main.wrong(path, r.String(), "less than 100/hour is of no use: a mailing of some hundred mails would take the day", hint)
	case r.N > mostRate:
		c.main.wrong(path, r.String(), "more than 3000/hour gets the sender blacklisted", hint)
	}
}

// checkTwins compares accounts that are one account to their provider: one allowance cannot have two sizes.
func (c *checker) checkTwins() {
	first := map[string]*Account{}
	for _, a := range c.Accounts {
		path := join("accounts", a.Name)
		if !c.main.has(path) || c.main.bad[path+".host"] || c.main.bad[path+".username"] {
			continue
		}
		twin := first[a.Identity()]
		if twin == nil {
			first[a.Identity()] = a
			continue
		}
		c.compareTwins(path, a, join("accounts", twin.Name), twin)
	}
}

func (c *checker) compareTwins(path string, a *Account, twinPath string, twin *Account) {
	message := fmt.Sprintf("differs from account %s, though both are %s to the provider", twin.Name, a.Identity())
	const hint = "one account has one allowance: state the same in both"
	both := func(key string) bool { return !c.main.bad[path+key] && !c.main.bad[twinPath+key] }
	if both(".rate") && a.Rate != twin.Rate {
		c.main.wrong(path+".rate", a.Rate.String(), message, hint)
	}
	if both(".limits") && !slices.Equal(sortedRates(a.Limits), sortedRates(twin.Limits)) {
		c.main.wrong(path+".limits", strings.Join(sortedRates(a.Limits), ", "), message, hint)
	}
	if both(".per_domain") && !slices.Equal(sortedDomains(a.PerDomain), sortedDomains(twin.PerDomain)) {
		c.main.wrong(path+".per_domain", "", message, hint)
	}
	if both(".window") && !slices.Equal(a.Window.parts(), twin.Window.parts()) {
		c.main.wrong(path+".window", "", message, hint)
	}
	if both(".warmup") && !reflect.DeepEqual(a.Warmup, twin.Warmup) {
		c.main.wrong(path+".warmup", "", message, hint)
	}
	if both(".own_relay") && a.OwnRelay != twin.OwnRelay {
		c.main.wrong(path+".own_relay", "", message, hint)
	}
}

func sortedRates(rates []Rate) []string {
	out := make([]string, len(rates))
	for i, r := range rates {
		out[i] = r.String()
	}
	slices.Sort(out)
	return out
}

func sortedDomains(list []DomainRate) []DomainRate {
	return slices.SortedFunc(slices.Values(list), func(a, b DomainRate) int { return strings.Compare(a.Name, b.Name) })
}
