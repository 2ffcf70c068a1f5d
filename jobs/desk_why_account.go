package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
)

// way finds the account and the job that send the row, or says why there are none.
func (w *why) way() (*jobfile.Account, *jobfile.Deliver) {
	c := w.place.Company
	goes, err := newResolver(w.desk.world.File, c).resolve(w.row.Account, w.row.From)
	if err != nil {
		w.say("No account can send it: %v. It fails with this reason when its turn comes.", err)
		return nil, nil
	}
	a := goes.account
	if goes.person.Host != "" {
		w.say("It goes out as %s, and answers go to %s (send_as: %s of the company).", goes.from, goes.replyTo, c.SendAs)
	}
	if len(c.Jobs.Deliver) == 0 {
		w.say("The company has no job that sends: nothing of it goes.")
		w.next = fmt.Sprintf("give the company a job of kind deliver in %s, then reload", w.desk.world.File.Path)
		return a, nil
	}
	j, misses := jobFor(c, a.Name, w.row.Priority)
	if j == nil {
		w.say("No job takes it: it has priority %d and goes by account %s, but %s.", w.row.Priority, a.Name, strings.Join(misses, "; "))
		w.next = fmt.Sprintf("change the jobs of the company in %s, then reload; or cancel the row and insert it anew", w.desk.world.File.Path)
	} else if j.Host != "" {
		w.say("Only the computer %s sends it (job %s).", j.Host, j.Name)
	}
	return a, j
}

// jobFor finds the job that sends a company's rows of a priority by an account; when none does, nil and why not.
func jobFor(c *jobfile.Company, account string, priority int) (*jobfile.Deliver, []string) {
	var misses []string
	for _, j := range c.Jobs.Deliver {
		switch {
		case len(j.Priority) > 0 && !slices.Contains(j.Priority, priority):
			misses = append(misses, fmt.Sprintf("%s takes the priorities %s", j.Name, strings.Trim(fmt.Sprint(j.Priority), "[]")))
		case len(j.Accounts) > 0 && !slices.Contains(j.Accounts, account):
			misses = append(misses, fmt.Sprintf("%s takes the accounts %s", j.Name, strings.Join(j.Accounts, ", ")))
		default:
			return j, nil
		}
	}
	return nil, misses
}

// account tells whether the account sends at all at the moment.
func (w *why) account(ctx context.Context, a *jobfile.Account) {
	if !a.Active {
		w.say("The account %s is not active (active: false in %s).", a.Name, w.desk.world.File.Path)
	}
	health, err := w.desk.world.bucketsOf(a).Health(ctx, accountBucket(a))
	if err != nil {
		w.say("The account %s cannot be judged, and nothing is sent by it until it can: %v.", a.Name, err)
		return
	}
	w.hold(a, health)
	if health.Left > 0 {
		what := "The account %s is paused"
		if health.Class == string(mail.ClassAuth) {
			what = "The login to account %s is refused"
		}
		w.sayUntil(w.row.Clock.Add(health.Left), what+"%s%s. It is tried again at %s.", a.Name, CauseText(health.Class), because(health.Reason))
		w.reasons[len(w.reasons)-1].Cause = health.Class
	}
	if fault := w.desk.signInFault(a); fault != nil {
		w.say("The account %s has no token to log in with on this computer%s. It is tried again by itself, and at once after a sign-in.", a.Name, because(explain(fault.TokenOutcome())))
	}
	if health.Pace.PerHour > 0 {
		w.say("The account %s is slowed: %s.", a.Name, slowedText(health.Pace))
	}
}

// hold tells that a person has paused the account.
func (w *why) hold(a *jobfile.Account, health db.Health) {
	if !health.Held {
		return
	}
	w.next = fmt.Sprintf("outboxd account resume %s, when it may send again", a.Name)
	if health.HeldLeft > 0 {
		w.sayUntil(w.row.Clock.Add(health.HeldLeft), "The account %s was paused by %s%s. The pause ends at %s.", a.Name, health.HeldBy, because(health.HeldReason))
		return
	}
	w.say("The account %s was paused by %s until it is resumed%s.", a.Name, health.HeldBy, because(health.HeldReason))
}

// budget tells who goes first, and when the account's rate comes to this row.
func (w *why) budget(ctx context.Context, a *jobfile.Account, job *jobfile.Deliver) {
	if w.row.AvailableAt.After(w.row.Clock) || job == nil {
		return
	}
	own, isOwn := parseOwnLane(db.Lane{Name: w.row.Lane})
	lane := w.row.LaneID
	if !isOwn {
		lane = 0 // where it would go on
	}
	ahead, err := w.place.Store.Ahead(ctx, w.row, lane, db.CountLimit+1)
	if err != nil {
		w.say("How many rows go first cannot be counted: %v.", err)
		return
	}
	next, windows, err := w.desk.pace(ctx, w.place, a, job)
	if err != nil {
		w.say("The allowance of account %s cannot be read, and nothing is sent by it until it can: %v.", a.Name, err)
		return
	}
	limits := limitText(a, job)
	domains := newDomains(a)
	if b, limited := domains.bucket(own.domain); limited && own.domain != "" {
		windows = append(windows, b.Windows...)
		limits += fmt.Sprintf(", to %s %s", own.domain, domains.limitText(own.domain))
	}
	first := w.row.Clock.Add(next)
	if next > 0 {
		w.sayUntil(first, "The limit of account %s (%s) is used up for the moment. It lets the next mail go at %s.", a.Name, limitText(a, job))
	}
	switch {
	case ahead > db.CountLimit:
		w.say("More than %d rows of the company go before it.", db.CountLimit)
	case ahead > 0 && len(windows) > 0:
		w.sayUntil(first.Add(lasting(ahead, windows)), "%s of the company %s before it at %s: its turn is about %s, later if others use the account.",
			countOf(ahead, "row"), goes(ahead), limits)
	case ahead > 0:
		w.say("%s of the company %s before it.", countOf(ahead, "row"), goes(ahead))
	}
}

func limitText(a *jobfile.Account, job *jobfile.Deliver) string {
	all := limitTexts(a)
	if job.Rate != nil {
		all = append(all, fmt.Sprintf("job %s %s", job.Name, job.Rate))
	}
	return strings.Join(all, ", ")
}

// pace tells how long the limits of account and job still wait, and what they are.
func (d *Desk) pace(ctx context.Context, p *Place, a *jobfile.Account, job *jobfile.Deliver) (time.Duration, []db.Window, error) {
	bucket := accountBucket(a)
	usage, err := d.world.bucketsOf(a).Usage(ctx, bucket)
	if err != nil {
		return 0, nil, err
	}
	health, err := d.world.bucketsOf(a).Health(ctx, bucket)
	if err != nil {
		return 0, nil, err
	}
	next, windows := usage.Next, bucket.Windows
	for _, now := range []int{health.Pace.PerHour, health.Warm} {
		if now > 0 {
			windows = append(windows, db.Window{N: now, Per: time.Hour})
		}
	}
	if own, limited := jobBucket(p.Company.Name, job); limited {
		usage, err := p.Own.Usage(ctx, own)
		if err != nil {
			return 0, nil, err
		}
		next = max(next, usage.Next)
		windows = append(windows, own.Windows...)
	}
	return next, windows, nil
}

// lasting is about how long the limits need for so many mails: hours and minutes are evenly paced, a day is counted.
func lasting(mails int, windows []db.Window) time.Duration {
	longest := time.Duration(0)
	for _, w := range windows {
		if w.Per >= 24*time.Hour {
			longest = max(longest, time.Duration(mails/w.N)*w.Per)
		} else {
			longest = max(longest, time.Duration(mails)*w.Per/time.Duration(w.N))
		}
	}
	return longest
}
