package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// audience reads who would get what, as the run would.
func (l *planner) audience(ctx context.Context) error {
	if l.spec.Kind == mailing.KindReport {
		l.reply.Figures = &mailing.Figures{Audience: 1, Sendable: 1}
		return nil
	}
	c := l.place.Company
	if l.place.Reader == nil {
		return &AskError{Text: fmt.Sprintf("%s has no database user that audiences may be read with", c.Name), Hint: "give the company a reader, or a login of its own, in jobs.yaml"}
	}
	spool, err := mailing.Read(ctx, l.place.Reader, c.Database, l.spec, l.reply.For, db.ReadLimits{Time: c.Reader.Time})
	if err != nil {
		return audienceAskError(err)
	}
	err = l.count(ctx, spool)
	return errors.Join(err, spool.Close())
}

// audienceAskError says why there is no audience.
func audienceAskError(err error) error {
	var wrong *mailing.AudienceError
	if errors.As(err, &wrong) {
		return &AskError{Text: fmt.Sprintf("audience %s: %s", wrong.Audience, wrong.Text), Hint: wrong.Remedy, Err: err}
	}
	return &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
}

func (l *planner) count(ctx context.Context, spool *mailing.Spool) error {
	resolver := newResolver(l.desk.world.File, l.place.Company)
	counting := mailing.Counting{Samples: planSamples, Account: func(m db.NewMail) (string, error) {
		way, err := resolver.resolve(m.Account, m.From)
		if err != nil {
			return "", err
		}
		return way.account.Name, nil
	}}
	if period := l.spec.Period(l.reply.For); period != "" {
		counting.Used = func(ctx context.Context, keys []string) (map[string]uint64, error) {
			return l.place.Store.MailedKeys(ctx, l.spec.Kinds(), period, keys)
		}
	}
	figures, _, err := mailing.Count(ctx, spool, counting)
	if err != nil {
		return audienceAskError(err)
	}
	if figures.Audience == 0 {
		l.warn("%s.", l.spec.Nobody())
	}
	before, err := l.place.Store.PreviousRun(ctx, db.Run{Job: l.job.name, Scheduled: l.reply.For}, l.job.names()...)
	if err != nil {
		return &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
	}
	if before != nil {
		figures.Previous = before.Audience
	}
	l.finish(ctx, &figures)
	l.reply.Figures = &figures
	return nil
}

// finish estimates when the last mail would have gone, by the account that takes longest.
func (l *planner) finish(ctx context.Context, f *mailing.Figures) {
	c := l.place.Company
	now, from := l.desk.now(), jobfile.At(l.reply.For, c.Timezone)
	ahead := 0
	if from.After(now) {
		now = from
	} else if routes, err := waitingRoutes(ctx, l.place); err == nil {
		if counts, err := l.place.Store.Counts(ctx, routes); err == nil {
			ahead = counts.Due
		}
	}
	for _, share := range f.Accounts {
		a := l.desk.world.File.Account(share.Account)
		job, misses := jobFor(c, a.Name, l.spec.Priority)
		if job == nil {
			l.warn("No job of the company sends mails of priority %d by account %s: %v.", l.spec.Priority, a.Name, misses)
			job = &jobfile.Deliver{}
		}
		if !a.Active {
			l.warn("The account %s is not active: nothing is sent by it.", a.Name)
		}
		_, windows, err := l.desk.pace(ctx, l.place, a, job)
		if err != nil {
			l.warn("The allowance of account %s cannot be read: %v.", a.Name, err)
			continue
		}
		end := mailing.Finish(now, share.Mails, int64(ahead), windows, a.Window, c.Holidays, c.Timezone)
		if end.IsZero() {
			f.Finish, f.FinishNote = nil, fmt.Sprintf("not within five years, by the limits of account %s (%s)", a.Name, limitText(a, job))
			return
		}
		if end = end.UTC().Truncate(time.Second); f.Finish == nil || end.After(*f.Finish) {
			f.Finish, f.FinishNote = &end, "by the limits of account "+a.Name+": "+limitText(a, job)
			if ahead > 0 {
				f.FinishNote += fmt.Sprintf("; before them go %s that wait already", countOf(ahead, "mail"))
			}
		}
	}
}
