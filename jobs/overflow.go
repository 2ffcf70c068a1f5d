package jobs

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
)

// feederKey names a feeder of a job: the account that sends, and the one whose mail it is. They differ while one stands in.
type feederKey struct{ account, origin string }

// standIn returns the account that sends a route's mail in place of its own, for now: where that one says overflow, and is down or
// out of budget. "" when the mail goes its own way, or waits for it.
func (r *runner) standIn(origin *jobfile.Account, route db.Route) string {
	if !origin.Overflow || !origin.Active || route.Account != "" || !r.c.open(origin) || r.c.able(origin.Name) {
		return ""
	}
	sender, err := parseSender(route.From)
	if err != nil {
		return ""
	}
	w, err := wayBy(origin, r.c.resolver.sendAs, sender)
	if err != nil {
		return ""
	}
	for _, a := range r.c.resolver.standIns(w) {
		// A route is of a whole domain: a person's own account stands in for that person alone.
		whole := len(a.SenderAddresses) == 0 || len(origin.SenderAddresses) > 0
		if whole && r.takes(a.Name) && r.c.open(a) && r.c.able(a.Name) {
			return a.Name
		}
	}
	return ""
}

// standIns lists the accounts that may send a mail in place of its own, in order of preference: as nobody else than it goes out as.
func (r *resolver) standIns(w way) (list []*jobfile.Account) {
	for _, a := range r.accounts {
		if a.Active && a.Identity() != w.account.Identity() && mayCarry(a, r.sendAs, w.from) {
			list = append(list, a)
		}
	}
	return list
}

// mayCarry tells whether an account may send another one's mail under its From: jobs.yaml lists the sender, or says nothing and the
// provider lets any stand.
func mayCarry(a *jobfile.Account, sendAs string, from mail.Address) bool {
	if len(a.SenderAddresses)+len(a.SenderDomains) > 0 {
		return maySend(a, from)
	}
	return keepsFrom(a, from) && !asSystem(a, sendAs, from)
}

// able tells whether the account is at work and can send now.
func (c *company) able(account string) bool {
	a := c.accounts[account]
	return a != nil && a.able()
}

// open tells whether the account's sending window is open for the company.
func (c *company) open(a *jobfile.Account) bool {
	return a.Window.Open(c.e.now().In(c.place.Company.Timezone), c.place.Company.Holidays)
}

// idles tells why a feeder takes nothing now although rows wait: it is out of its account's window, all its company's mail goes to one
// domain that has to wait, or it stands in for an account that is able again.
func (f *feeder) idles() bool {
	c := f.r.c
	if !c.open(f.a.conf) || f.a.domains.left(c.divertDomain(), c.name) > 0 {
		return true
	}
	if !f.standsIn() {
		return false
	}
	refused, _ := f.a.refused.left(f.from)
	return refused > 0 || c.able(f.origin.Name) || !c.open(f.origin)
}

// standsIn tells whether the feeder sends another account's mail.
func (f *feeder) standsIn() bool { return f.origin.Name != f.a.conf.Name }

// serves tells whether the row is one of the feeder's.
func (f *feeder) serves(row db.Row, w way) bool {
	return w.account.Name == f.origin.Name && (!f.standsIn() || row.Account == "" && mayCarry(f.a.conf, f.r.c.resolver.sendAs, w.from))
}

// elsewhere puts a row where it is found by whoever sends it.
func (f *feeder) elsewhere(row db.Row, w way) db.Settlement {
	if w.account.Name != f.origin.Name {
		return f.r.c.misplaced(row, w)
	}
	return givenBack(row, "waits for account "+f.origin.Name+": "+f.a.conf.Name+" may not send it in its place", time.Minute)
}

// overflows says by whom accounts are stood in for.
type overflows map[string]string

// tellOverflow logs who stands in for whom when that changes, and keeps it for status: until the account is able again, also while
// nothing of it waits.
func (r *runner) tellOverflow(all offers) {
	now, before := overflows{}, r.standing
	for origin, by := range before {
		if !r.c.able(origin) {
			now[origin] = by
		}
	}
	for key := range all {
		if key.account != key.origin {
			now[key.origin] = key.account
		}
	}
	r.standing = now
	r.c.mu.Lock()
	r.c.overflows[r.job.Name] = now // which nobody changes
	r.c.mu.Unlock()
	for origin, by := range now {
		if before[origin] != by {
			r.log.Warn(eventOverflow, zap.String("account", origin), zap.String("by", by))
		}
	}
	for origin := range before {
		if now[origin] == "" {
			r.log.Info(eventOverflowOver, zap.String("account", origin))
		}
	}
}

// stoodInFor lists the accounts that others stand in for, by name.
func (c *company) stoodInFor() (list []Overflow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for job, all := range c.overflows {
		for origin, by := range all {
			list = append(list, Overflow{job, origin, by})
		}
	}
	slices.SortFunc(list, func(a, b Overflow) int {
		return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Job, b.Job))
	})
	return list
}

// Overflow says that another account sends the mail of an account for now.
type Overflow struct {
	Job     string `json:"job"`
	Account string `json:"account"`
	By      string `json:"by"`
}
