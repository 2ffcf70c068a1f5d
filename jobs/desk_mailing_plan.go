package jobs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// MailingPlanRequest asks what a run would do.
type MailingPlanRequest struct {
	Name     string `json:"name"`               // a job, as acme/statements, or, where there is none of that name, an audience
	Audience bool   `json:"audience,omitempty"` // it is an audience, also where there is such a job
	At       string `json:"at,omitempty"`       // for which time, as clocks show it in the company's zone; "" means the next one, or now
	MailingContent
}

// MailingPlanReply is what a run would do. Nothing was changed.
type MailingPlanReply struct {
	Company  string           `json:"company"`
	Job      string           `json:"job"` // @staff of a mailing to an audience
	Kind     string           `json:"kind"`
	Timezone string           `json:"timezone"`
	Schedule string           `json:"schedule,omitempty"`
	For      time.Time        `json:"scheduled_at"`       // as clocks show it in the company's zone, as a time in UTC
	Next     []time.Time      `json:"next"`               // the next five times, the same; none without a schedule
	Figures  *mailing.Figures `json:"figures,omitempty"`  // nil for a kind that has no mails
	Approval string           `json:"approval,omitempty"` // who would have to approve
	Samples  []PlanSample     `json:"samples"`
	Trouble  string           `json:"trouble,omitempty"` // why the run would fail, with what to do
	Warnings []string         `json:"warnings"`
	Messages []byte           `json:"-"` // of the samples, one behind the other
}

// PlanSample is a mail of a line of the audience as it would arrive.
type PlanSample struct {
	Line int64 `json:"line"`
	Sample
}

// Enclosed are the samples' messages, which JSON has no room for.
func (r *MailingPlanReply) Enclosed() *[]byte { return &r.Messages }

// Message is that of a sample.
func (r *MailingPlanReply) Message(n int) []byte {
	from := int64(0)
	for _, s := range r.Samples[:n] {
		from += s.Size
	}
	return r.Messages[from : from+r.Samples[n].Size]
}

const (
	nextTimes   = 5
	planSamples = 3
	planTime    = 150 * time.Second // shorter than what the control socket gives an operation
)

// MailingPlan tells what a run would do: when it runs, who gets what and who does not, three mails as they would arrive, and when the last
// one would have gone. It takes nothing, changes nothing and sends nothing.
func (d *Desk) MailingPlan(ctx context.Context, q MailingPlanRequest) (MailingPlanReply, error) {
	ctx, cancel := context.WithTimeout(ctx, planTime)
	defer cancel()
	p, job, err := d.toPlan(q)
	if err != nil {
		return MailingPlanReply{}, err
	}
	l := &planner{desk: d, place: p, job: job, reply: MailingPlanReply{Company: p.Company.Name, Job: job.name, Kind: job.kind, Timezone: p.Company.Timezone.String(),
		Next: []time.Time{}, Samples: []PlanSample{}, Warnings: []string{}}}
	if err := l.times(q.At); err != nil {
		return l.reply, err
	}
	l.about(ctx)
	if job.spec == nil {
		return l.reply, nil
	}
	l.spec = job.at(p.Company, l.reply.For)
	if a := l.spec.Approval; a != nil {
		l.reply.Approval = orList(a.By)
		if a.Within > 0 {
			l.reply.Approval += fmt.Sprintf(", within %s, else %s", lengthText(a.Within), otherwise(a))
		}
	}
	return l.reply, l.audience(ctx)
}

// toPlan finds what is to be planned: a job, or a mailing to an audience with what it would say.
func (d *Desk) toPlan(q MailingPlanRequest) (*Place, runJob, error) {
	p, name, err := d.named(q.Name)
	if err != nil {
		return nil, runJob{}, err
	}
	job, noJob := runJobOf(p, name)
	a, none := audience(p, name)
	asAudience := q.Audience || strings.HasPrefix(name, audienceJob)
	switch {
	case noJob == nil && !asAudience && !q.empty():
		return p, job, &AskError{Text: fmt.Sprintf("what the job %s says stands in jobs.yaml", jobName(p, name)), Hint: "leave out --subject, --body, --template and --with; or, for a mailing to an audience of this name: --audience", Usage: true}
	case noJob == nil && !asAudience:
		return p, job, nil
	case none != nil && asAudience:
		return p, job, none
	case none != nil:
		return p, job, &AskError{Text: fmt.Sprintf("%s has no job and no audience %q", p.Company.Name, name), Hint: noJob.(*AskError).Hint + "; " + none.(*AskError).Hint}
	}
	spec := specOf(p, a, q.MailingContent)
	if !q.silent() { // who gets it is worth knowing before the letter is written
		spec, err = audienceSpec(p, a, q.MailingContent)
	}
	return p, runJob{name: spec.Job, kind: spec.Kind, spec: func(*jobfile.Company) mailing.Spec { return spec }}, err
}

// planner makes one plan.
type planner struct {
	desk  *Desk
	place *Place
	job   runJob
	spec  mailing.Spec
	reply MailingPlanReply
}

func (l *planner) warn(format string, args ...any) {
	l.reply.Warnings = append(l.reply.Warnings, fmt.Sprintf(format, args...))
}

// times finds the next times, and the one that the plan is for.
func (l *planner) times(at string) (err error) {
	now := jobfile.Wall(l.desk.now(), l.place.Company.Timezone).Truncate(time.Second)
	l.reply.For = now
	if s := l.job.Schedule; s != nil {
		l.reply.Schedule = s.Text
		for next := s.Next(now); len(l.reply.Next) < nextTimes && !next.IsZero(); next = s.Next(next) {
			l.reply.Next = append(l.reply.Next, next)
		}
		if len(l.reply.Next) > 0 {
			l.reply.For = l.reply.Next[0]
		}
	}
	if at != "" {
		l.reply.For, err = wallAt(at, now)
	}
	return err
}

// about warns of what keeps a run from beginning, or its mails from going.
func (l *planner) about(ctx context.Context) {
	c := l.place.Company
	if f, err := l.desk.Fenced(ctx, l.place); err == nil && f != nil {
		l.warn("Nothing is sent, and no run begins, for the database is not the one it was: %s. %s.", f.Why, f.Hint)
	}
	if c.Divert != "" {
		l.warn("The company diverts its mail: it goes to %s and to nobody else (divert in jobs.yaml).", c.Divert)
	}
	runs, _ := l.place.Store.Runs(ctx, db.RunFilter{Job: l.job.name, Limit: mostList}) // an error of the database shows elsewhere
	for _, r := range runs {
		name := runName(l.place, r.ID)
		switch {
		case r.Scheduled.Equal(l.reply.For) && r.State == db.RunSkipped:
			l.warn("%s says that this time was left out (%s). To have it run after all: outboxd mailing start --job %s --at %q.", name, r.Note, jobName(l.place, l.job.name), OnClocks(l.reply.For))
		case r.Scheduled.Equal(l.reply.For):
			l.warn("%s is the run of this time already, and is %s: a time has one run.", name, r.State)
		case r.State.Open() && strings.HasPrefix(r.Job, audienceJob):
			l.warn("%s, another mailing to the same audience, is %s.", name, r.State)
		case r.State.Open():
			l.warn("%s, a run of the same job, is %s: the next one waits for its end.", name, r.State)
		}
	}
	if l.job.kind != mailing.KindMailing && l.job.kind != mailing.KindReport {
		l.warn("The job runs a statement. What that mails is not known before it runs.")
	}
}
