package jobs

import (
	"context"
	"errors"
	"fmt"

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
	start := later(now, jobfile.At(l.reply.For, l.place.Company.Timezone))
	figures, _, err := l.desk.world.figures(ctx, l.place, spool, l.spec, db.Run{Job: l.job.name, Scheduled: l.reply.For}, planSamples, start, now)
	if err != nil {
		return audienceAskError(err)
	}
	if figures.Audience == 0 {
		l.warn("%s.", l.spec.Nobody())
	}
	l.reply.Figures = &figures
	return nil
}
