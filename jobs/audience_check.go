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

// triedMails are as many of an audience's first rows as a check makes a mail of, until one is not left out by the job's own queries.
const triedMails = 5

// MailingTrial is what a look at a mailing came to, when nothing is wrong.
type MailingTrial struct {
	Doubt  string // what a person may want to look at; "" when there is nothing
	Remedy string
}

// MailingTrouble is why a run of a mailing would fail, or its mails.
type MailingTrouble struct {
	Text   string
	Remedy string
	Err    error
}

// Error is text and remedy.
func (e *MailingTrouble) Error() string { return e.Text + "; " + e.Remedy }

// Unwrap is what happened below.
func (e *MailingTrouble) Unwrap() error { return e.Err }

// TryMailing asks for the first rows of a mailing's audience, as its next run would, and makes a mail of one of them, so that a column that its template,
// its attachments, its recheck or what it writes back needs is missed before a run misses it. Nothing is changed and nothing sent. What is wrong is
// a *MailingTrouble.
func (w *World) TryMailing(ctx context.Context, p *Place, j *jobfile.Mailing, now func() time.Time) (MailingTrial, error) {
	spec := mailing.FromJob(p.Company, j)
	wall := jobfile.Wall(now(), p.Company.Timezone).Truncate(time.Second)
	r := db.Run{Job: j.Name, Scheduled: wall}
	if j.Schedule != nil {
		if next := j.Schedule.Next(wall); !next.IsZero() {
			r.Scheduled = next
		}
		spec = spec.At(j.Schedule, r.Scheduled)
	}
	r.Period = spec.Period(r.Scheduled)
	if p.Reader == nil {
		return MailingTrial{}, audienceTrouble(noReader(spec))
	}
	head, err := mailing.ReadHead(ctx, p.Reader, p.Company.Database, spec, r.Scheduled, db.ReadLimits{Time: p.Company.Reader.Time}, triedMails)
	switch {
	case err != nil:
		return MailingTrial{}, audienceTrouble(err)
	case head.Rows == 0:
		return MailingTrial{fmt.Sprintf("the audience %s has no rows at the moment, so no mail could be made of one", spec.Audience), "look at it again when there are some, or mend its query"}, nil
	case len(head.Mails) == 0:
		return MailingTrial{fmt.Sprintf("none of the first %d rows of the audience %s can be mailed: %s", head.Rows, spec.Audience, head.Why), "mend its query, or the rows that it takes them from"}, nil
	}
	return w.tryMails(ctx, p, r, spec, head.Mails, now)
}

// TryAudience asks for the first rows of an audience that no job uses, for mailings that people start. One that needs values is left to their plan.
func (w *World) TryAudience(ctx context.Context, p *Place, a *jobfile.Audience, now func() time.Time) error {
	spec := mailing.FromAudience(p.Company, mailing.Start{Audience: a.Name})
	if p.Reader == nil {
		return audienceTrouble(noReader(spec))
	}
	_, err := mailing.ReadHead(ctx, p.Reader, p.Company.Database, spec, jobfile.Wall(now(), p.Company.Timezone), db.ReadLimits{Time: p.Company.Reader.Time}, 1)
	var wrong *mailing.AudienceError
	if err == nil || errors.As(err, &wrong) && wrong.Kind == mailing.NoValue {
		return nil
	}
	return audienceTrouble(err)
}

// audienceTrouble says why there is no audience.
func audienceTrouble(err error) error {
	var wrong *mailing.AudienceError
	if errors.As(err, &wrong) {
		return &MailingTrouble{fmt.Sprintf("audience %s: %s", wrong.Audience, wrong.Text), wrong.Remedy, err}
	}
	return &MailingTrouble{"its audience cannot be asked for: " + err.Error(), "a DBA lets the reader in from this computer, and grants it SELECT on what the query names", err}
}

// tryMails makes one of the mails.
func (w *World) tryMails(ctx context.Context, p *Place, r db.Run, spec mailing.Spec, mails []db.NewMail, now func() time.Time) (MailingTrial, error) {
	var out MailingTrial
	for _, m := range mails {
		if err := tryWriteBacks(p, r, spec, m); err != nil {
			return out, err
		}
		made, err := sampleMails(ctx, w.File, p, now, r, spec, []db.NewMail{m})
		if err != nil {
			return out, &MailingTrouble{"no mail can be made of a row of its audience: " + err.Error(), "mend the template or what the job names, or let the audience return the column that is missing", err}
		}
		if made[0].Trouble == "" {
			return MailingTrial{}, nil
		}
		out = MailingTrial{fmt.Sprintf("the first mails of the audience %s would not be sent: %s", spec.Audience, made[0].Trouble), "nothing, if that is meant; else mend what it names"}
	}
	return out, nil
}

// tryWriteBacks tells whether every value that a statement to write back names is there.
func tryWriteBacks(p *Place, r db.Run, spec mailing.Spec, m db.NewMail) error {
	known, at := &knownRun{Run: r, spec: spec}, r.Scheduled
	for _, e := range []ending{{state: db.Sent, sentAt: &at}, {state: db.Failed}} {
		back, err := known.writeBack(p, rowOf(m), m.Params, e)
		if err == nil && back != nil {
			_, _, err = db.Bind(back.Statement, back.Args)
		}
		if err != nil {
			return &MailingTrouble{map[db.State]string{db.Sent: "on_sent: ", db.Failed: "on_failed: "}[e.state] + strings.TrimPrefix(err.Error(), "query refused: "),
				"let the audience return the column, or mend the statement", err}
		}
	}
	return nil
}
