package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// audience reads who would get what, as the run would.
func (l *planner) audience(ctx context.Context) error {
	if l.spec.Kind == mailing.KindReport {
		return l.report(ctx)
	}
	spool, err := readAudience(ctx, l.place, l.spec, l.reply.For)
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
	now := l.desk.now()
	figures, lines, err := l.desk.world.figures(ctx, l.place, spool, l.spec, l.run(), planSamples, l.start(now), now)
	if err != nil {
		return audienceAskError(err)
	}
	if figures.Audience == 0 {
		l.warn("The audience %s has no rows at this time: there is nobody to mail.", l.spec.Audience)
	}
	l.reply.Figures = &figures
	if l.spec.Template == "" && strings.TrimSpace(l.spec.Text+l.spec.HTML) == "" {
		l.warn("It has no content yet, so there are no samples: --subject TEXT with --body FILE, or --template NAME, shows some.")
		return nil
	}
	mails, err := spool.Lines(ctx, lines)
	if err != nil {
		return audienceAskError(err)
	}
	return l.samples(ctx, lines, mails)
}

// run is the one that would begin.
func (l *planner) run() db.Run {
	return db.Run{Job: l.job.name, Kind: l.job.kind, Scheduled: l.reply.For, Spec: l.spec.JSON(), Period: l.spec.Period(l.reply.For)}
}

// start is when its mails would begin to go.
func (l *planner) start(now time.Time) time.Time {
	return later(now, jobfile.At(l.reply.For, l.place.Company.Timezone))
}

// report makes the one mail of a report.
func (l *planner) report(ctx context.Context) error {
	m, err := reportMail(ctx, l.desk.world.File, l.place, l.run(), l.spec, nil)
	if err != nil {
		return l.fails(err)
	}
	f := &mailing.Figures{Audience: 1}
	l.reply.Figures = f
	switch m.State {
	case db.Skipped:
		f.Unusable = 1
	case db.Suppressed:
		f.Suppressed = 1
	}
	if f.Unusable+f.Suppressed > 0 {
		f.Troubles = []mailing.Trouble{{Line: 1, Address: m.Recipients, Reason: m.LastError}}
		return nil
	}
	f.Sendable, f.Accounts = 1, []mailing.AccountShare{{Account: m.Account, Mails: 1}}
	now := l.desk.now()
	f.Finish, f.FinishNote = l.desk.world.estimate(ctx, l.place, f.Accounts, m.Priority, l.start(now), now)
	return l.samples(ctx, []int64{1}, []db.NewMail{m})
}

// samples makes some of the mails as they would arrive, one at a time with whoever else looks at messages.
func (l *planner) samples(ctx context.Context, lines []int64, mails []db.NewMail) error {
	select {
	case l.desk.previewing <- struct{}{}:
		defer func() { <-l.desk.previewing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	all, err := sampleMails(ctx, l.desk.world.File, l.place, l.desk.now, l.run(), l.spec, mails)
	if err != nil {
		return l.fails(err)
	}
	for i, s := range all {
		l.reply.Samples = append(l.reply.Samples, PlanSample{Line: lines[i], Sample: s})
		l.reply.Messages = append(l.reply.Messages, s.Message...)
	}
	return nil
}

// fails says that the run would, where that is its own fault; anything else is an error of the question.
func (l *planner) fails(err error) error {
	err = meaning(err)
	_, wait := errors.AsType[*waitError](err)
	if !wait && !isRowError(err) {
		return &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
	}
	l.reply.Trouble = err.Error()
	return nil
}
