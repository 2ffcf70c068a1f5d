package jobs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
)

// lane tells of those that the row waits with.
func (w *why) lane() {
	own, isOwn := parseOwnLane(db.Lane{Name: w.row.Lane})
	domain, _ := strings.CutPrefix(w.row.Lane, domainLane)
	switch until := w.row.LaneUntil; {
	case w.row.Lane == "" || until == nil, isOwn && own.domain == "":
	case isOwn && until.After(w.row.Clock):
		w.sayUntil(*until, "It waits with others for the recipient's domain %s%s. The next of them goes at %s.", own.domain, because(w.row.LaneReason))
	case isOwn:
		w.say("It waits with others for the recipient's domain %s%s: they go one after the other.", own.domain, because(w.row.LaneReason))
	case until.After(w.row.Clock):
		w.sayUntil(*until, "It waits with others for the recipient's domain %s, which throttles%s. The first of them tries at %s.", domain, because(w.row.LaneReason))
	default:
		w.say("It waits with others for the recipient's domain %s, whose pause ended at %s: they go one after the other.", domain, w.at(*until))
	}
}

// window tells when the account's sending window opens.
func (w *why) window(a *jobfile.Account) {
	if opens, closed := opening(a, w.place.Company, w.desk.now()); closed {
		w.sayUntil(opens, "The account %s sends in its window alone (%s, %s, not on holidays). It opens at %s.", a.Name, a.Window.Text, w.place.Company.Timezone)
	}
}

// opening tells when an account's window opens for a company; false while it is open.
func opening(a *jobfile.Account, c *jobfile.Company, now time.Time) (time.Time, bool) {
	now = now.In(c.Timezone)
	if a.Window.Open(now, c.Holidays) {
		return time.Time{}, false
	}
	return a.Window.Next(now, c.Holidays), true
}

// domains tells which limits by recipient domain the row waits for. One that it waits for with others has been told.
func (w *why) domains(ctx context.Context, a *jobfile.Account) {
	own, _ := parseOwnLane(db.Lane{Name: w.row.Lane})
	limits := newDomains(a)
	for _, b := range limits.bucketsOf(w.recipientsOf()) {
		domain := strings.TrimPrefix(b.Name, limits.head)
		usage, err := w.desk.world.bucketsOf(a).Usage(ctx, b)
		switch {
		case err != nil:
			w.say("The allowance of account %s for %s cannot be read, and nothing is sent there until it can: %v.", a.Name, domain, err)
		case usage.Next > 0 && domain != own.domain:
			w.sayUntil(w.row.Clock.Add(usage.Next), "The limit of account %s for %s (%s) is used up for the moment. It lets the next mail go at %s.", a.Name, domain,
				limits.limitText(domain))
		}
	}
}

// recipientsOf lists the addresses that the row goes to, as far as they can be read.
func (w *why) recipientsOf() (all []string) {
	if to := w.place.Company.Divert; to != "" {
		return []string{to}
	}
	for _, column := range []string{w.row.Recipients, w.row.Cc, w.row.Bcc} {
		list, err := mail.ParseAddressList(column)
		if err != nil {
			continue
		}
		for _, a := range list {
			all = append(all, a.Addr())
		}
	}
	return all
}

// overflow tells who stands in for the account, or that nobody may although it is in trouble.
func (w *why) overflow(a *jobfile.Account, troubled bool) {
	if !a.Overflow || w.desk.live == nil {
		return
	}
	for _, o := range w.desk.live().Companies[w.name.Company].Overflow {
		switch {
		case o.Account != a.Name:
			continue
		case w.row.Account != "":
			w.say("Account %s stands in for it meanwhile, but this row names account %s, and waits for it.", o.By, a.Name)
		default:
			w.say("Account %s stands in for it meanwhile, with the same sender (overflow of account %s).", o.By, a.Name)
		}
		return
	}
	r := newResolver(w.desk.world.File, w.place.Company)
	if goes, err := r.resolve(w.row.Account, w.row.From); err == nil && troubled && w.row.Account == "" && len(r.standIns(goes)) == 0 {
		w.say("No other account of the company may send as %s in its place (overflow of account %s).", goes.from.Addr(), a.Name)
	}
}

// CompanyWait is something that rows of a company wait for together.
type CompanyWait struct {
	What   string     `json:"what"`
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

// companyWaits tells what rows of a company wait for: sending windows, recipient domains.
func companyWaits(ctx context.Context, w *World, p *Place, now time.Time) (all []CompanyWait, err error) {
	for _, name := range carriers(p.Company) {
		a := w.File.Account(name)
		if opens, closed := opening(a, p.Company, now); a.Active && closed {
			all = append(all, CompanyWait{"account " + name, &opens, fmt.Sprintf("its window is %s", a.Window.Text)})
		}
	}
	lanes, err := p.Store.Lanes(ctx)
	for _, lane := range lanes {
		own, isOwn := parseOwnLane(lane)
		domain, ofDomain := strings.CutPrefix(lane.Name, domainLane)
		switch {
		case lane.Open:
		case isOwn:
			all = append(all, CompanyWait{fmt.Sprintf("mails to %s by account %s", own.domain, own.account), lane.WaitUntil, lane.Reason})
		case ofDomain:
			all = append(all, CompanyWait{"mails to " + domain, lane.WaitUntil, lane.Reason})
		}
	}
	return all, err
}
