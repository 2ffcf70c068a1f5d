package jobs

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// aheadLimit is where the mails that wait before a mailing are no longer counted.
const aheadLimit = 200_000

// estimate says when the last of a mailing's mails would have gone, by the account that takes longest: after what waits for it now, within
// its limits, its window and the company's holidays. nil: nobody knows, or never; the note says why, and what else to know.
func (w *World) estimate(ctx context.Context, p *Place, shares []mailing.AccountShare, priority int, start, now time.Time) (last *time.Time, note string) {
	for _, share := range shares {
		e := estimate{world: w, place: p, account: w.File.Account(share.Account), priority: priority, start: start, now: now}
		ends, err := e.ends(ctx, share.Mails)
		switch {
		case err != nil:
			return nil, fmt.Sprintf("cannot be told: the allowance of account %s cannot be read: %v", share.Account, err)
		case ends.IsZero():
			return nil, e.note
		case last == nil || ends.After(*last):
			ends = ends.UTC().Truncate(time.Second)
			last, note = &ends, e.note
		}
	}
	return last, note
}

// estimate is that of one account.
type estimate struct {
	world      *World
	place      *Place
	account    *jobfile.Account
	priority   int
	start, now time.Time
	note       string
}

// ends is when the account has sent so many mails of the company; the zero time when it never has.
func (e *estimate) ends(ctx context.Context, mails int64) (time.Time, error) {
	a, c := e.account, e.place.Company
	job, _ := jobFor(c, a.Name, e.priority)
	switch {
	case !a.Active:
		e.note = fmt.Sprintf("never: the account %s is not active", a.Name)
		return time.Time{}, nil
	case job == nil:
		e.note = fmt.Sprintf("never: no job of the company sends mails of priority %d by account %s", e.priority, a.Name)
		return time.Time{}, nil
	}
	ahead, err := e.ahead(ctx)
	if err != nil {
		return time.Time{}, err
	}
	buckets, bucket := e.world.bucketsOf(a), accountBucket(a)
	usage, err := buckets.Usage(ctx, bucket)
	if err != nil {
		return time.Time{}, err
	}
	health, err := buckets.Health(ctx, bucket)
	if err != nil {
		return time.Time{}, err
	}
	windows := bucket.Windows
	if own, limited := jobBucket(c.Name, job); limited {
		windows = append(windows, own.Windows...)
	}
	finish := func(from time.Time, mails int64) time.Time {
		return mailing.Finish(from, mails, windows, a.Window, c.Holidays, c.Timezone)
	}
	e.explain(job, health, ahead)
	from := finish(e.now.Add(max(usage.Until, health.Left, health.HeldLeft)), ahead)
	if !from.IsZero() {
		from = finish(later(from, e.start), mails)
	}
	if from.IsZero() {
		e.note = "not within five years, " + e.note
	}
	return from, nil
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// explain says what the estimate rests on, and what it does not know.
func (e *estimate) explain(job *jobfile.Deliver, health db.Health, ahead int64) {
	a := e.account
	e.note = fmt.Sprintf("by the limits of account %s: %s", a.Name, cmp.Or(limitText(a, job), "none"))
	if a.Window != nil {
		e.note += ", " + a.Window.Text
	}
	switch {
	case ahead >= aheadLimit:
		e.note += fmt.Sprintf("; before them go more than %d mails that wait already: it may be later", aheadLimit)
	case ahead > 0:
		e.note += fmt.Sprintf("; before them go %s that wait already", countOf(int(ahead), "mail"))
	}
	switch {
	case health.Held && health.HeldLeft == 0:
		e.note += "; the account is paused until somebody resumes it, and the time counts from then"
	case health.Left > 0:
		e.note += "; the account is in trouble at the moment: it may be later"
	case health.Pace.PerHour > 0:
		e.note += fmt.Sprintf("; the account is slowed to %d mails an hour at the moment: it may be later", health.Pace.PerHour)
	case health.Warm > 0:
		e.note += fmt.Sprintf("; the account warms up, with %d mails an hour at the moment: it will be later", health.Warm)
	}
}

// ahead counts the mails of the company that wait for the account and go first.
func (e *estimate) ahead(ctx context.Context) (sum int64, err error) {
	routes, err := waitingRoutes(ctx, e.place)
	if err != nil {
		return 0, err
	}
	resolver := newResolver(e.world.File, e.place.Company)
	for _, r := range routes {
		if by, err := resolver.route(r.Account, r.From); err != nil || by != e.account || sum >= aheadLimit {
			continue // a row that nobody sends keeps nobody waiting
		}
		n, err := e.place.Store.WaitingBefore(ctx, r, e.priority, int(aheadLimit-sum))
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
