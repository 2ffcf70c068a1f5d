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

// MailingContent is what a mailing to an audience says, and the values of the audience's parameters.
type MailingContent struct {
	Subject  string         `json:"subject,omitempty"`
	Template string         `json:"template,omitempty"`
	Text     string         `json:"text,omitempty"`
	HTML     string         `json:"html,omitempty"`
	With     map[string]any `json:"with,omitempty"`
}

// empty tells whether it says nothing.
func (m MailingContent) empty() bool {
	return m.Subject+m.Template+m.Text+m.HTML == "" && len(m.With) == 0
}

// silent tells whether there is nothing yet of which a mail could be made.
func (m MailingContent) silent() bool {
	return m.Template == "" && strings.TrimSpace(m.Text+m.HTML) == ""
}

// MailingStartRequest begins a run: of a mailing to an audience, or of a job.
type MailingStartRequest struct {
	By
	Audience string `json:"audience,omitempty"` // as acme/staff
	Job      string `json:"job,omitempty"`      // as acme/statements
	At       string `json:"at,omitempty"`       // of a job: for which time, as clocks show it in the company's zone; "" means now
	MailingContent
}

// MailingStartReply is the run that was begun.
type MailingStartReply struct {
	RunInfo
	Warnings []string `json:"warnings"`
}

// startHost stands in a run that a person has begun until a daemon takes it.
const startHost = "outboxd mailing start"

// MailingStart begins a run now. It makes the run alone: its mails are made by a daemon, which goes on wherever this one stops.
func (d *Desk) MailingStart(ctx context.Context, q MailingStartRequest) (MailingStartReply, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	p, run, err := d.toStart(q)
	if err != nil {
		return MailingStartReply{}, err
	}
	who := personOf(p.Company, q.actor())
	if !may(who, mayStart) {
		return MailingStartReply{}, forbidden(p.Company, q.actor(), who, "start mailings", mayStart)
	}
	run.StartedBy = who.Name
	reply := MailingStartReply{Warnings: []string{}}
	if reply.Warnings, err = d.mayBegin(ctx, p, run); err != nil {
		return reply, err
	}
	if err := d.audit(ctx, q.By, "mailing start", jobName(p, run.Job), startDetail(q, run, who)); err != nil {
		return reply, err
	}
	begun, err := p.Store.BeginRun(ctx, run, db.Instance{Host: startHost})
	if err != nil {
		return reply, beginError(p, err)
	}
	if begun == nil {
		return reply, &AskError{Text: fmt.Sprintf("%s has a run for %s already", jobName(p, run.Job), OnClocks(run.Scheduled)),
			Hint: "a time has one run: outboxd mailing list --job " + jobName(p, run.Job) + " shows what became of it"}
	}
	if begun.Kind == kindSQL { // whoever begins one has it
		if err := p.Store.LayDownRun(ctx, *begun); err != nil {
			return reply, runError(p, begun.ID, err)
		}
	}
	reply.RunInfo, err = d.runNow(ctx, p, begun.ID)
	return reply, err
}

// OnClocks is a time as clocks show it in the company's zone.
func OnClocks(t time.Time) string {
	if t.Second() != 0 {
		return t.Format("2006-01-02 15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}

func startDetail(q MailingStartRequest, run db.NewRun, who *jobfile.Person) string {
	detail := fmt.Sprintf("as %s, for %s", who.Name, OnClocks(run.Scheduled))
	for _, part := range []struct{ name, value string }{{"subject", q.Subject}, {"template", q.Template}} {
		if part.value != "" {
			detail += fmt.Sprintf(", %s %q", part.name, part.value)
		}
	}
	return detail
}

// toStart makes the run that a request means.
func (d *Desk) toStart(q MailingStartRequest) (*Place, db.NewRun, error) {
	if (q.Job == "") == (q.Audience == "") {
		return nil, db.NewRun{}, &AskError{Text: "either an audience or a job is started", Hint: "outboxd mailing start AUDIENCE --subject TEXT --body FILE, or outboxd mailing start --job JOB", Usage: true}
	}
	if q.Job != "" {
		return d.jobToStart(q)
	}
	p, name, err := d.named(q.Audience)
	if err != nil {
		return nil, db.NewRun{}, err
	}
	a, err := audience(p, name)
	if err != nil {
		return nil, db.NewRun{}, err
	}
	if q.At != "" {
		return nil, db.NewRun{}, &AskError{Text: "a mailing to an audience starts now", Hint: "leave out --at; what is to run at a time is a job of jobs.yaml with a schedule", Usage: true}
	}
	spec, err := audienceSpec(p, a, q.MailingContent)
	if err != nil {
		return nil, db.NewRun{}, err
	}
	now := jobfile.Wall(d.now(), p.Company.Timezone).Truncate(time.Second)
	return p, newRun(spec, now), nil
}

func newRun(s mailing.Spec, scheduled time.Time) db.NewRun {
	return db.NewRun{Job: s.Job, Kind: s.Kind, Scheduled: scheduled, State: db.RunRunning, Spec: s.JSON(), Period: s.Period(scheduled)}
}

// audienceSpec is what a mailing to an audience does. The error is an *AskError.
func audienceSpec(p *Place, a *jobfile.Audience, m MailingContent) (mailing.Spec, error) {
	wrong := func(text, hint string) (mailing.Spec, error) {
		return mailing.Spec{}, &AskError{Text: text, Hint: hint, Usage: true}
	}
	switch {
	case m.silent():
		return wrong("the mailing says nothing", "--body FILE with its text (.html: as HTML), or --template NAME")
	case m.Template != "" && m.Text+m.HTML != "":
		return wrong("the mailing has both a template and a body", "give one of the two")
	case m.Template == "" && strings.TrimSpace(m.Subject) == "":
		return wrong("the mailing has no subject", "--subject TEXT")
	}
	return specOf(p, a, m), nil
}

// specOf is a mailing to an audience, as far as it is written.
func specOf(p *Place, a *jobfile.Audience, m MailingContent) mailing.Spec {
	return mailing.FromAudience(p.Company, mailing.Start{Audience: a.Name, With: m.With, Subject: m.Subject, Template: m.Template, Text: m.Text, HTML: m.HTML})
}

func (d *Desk) jobToStart(q MailingStartRequest) (*Place, db.NewRun, error) {
	if !q.empty() {
		return nil, db.NewRun{}, &AskError{Text: "what a job says stands in jobs.yaml", Hint: "leave out --subject, --body, --template and --with; or start a mailing to its audience", Usage: true}
	}
	p, name, err := d.named(q.Job)
	if err != nil {
		return nil, db.NewRun{}, err
	}
	job, err := runJobOf(p, name)
	if err != nil {
		return nil, db.NewRun{}, err
	}
	now := jobfile.Wall(d.now(), p.Company.Timezone).Truncate(time.Second)
	at, err := wallAt(q.At, now)
	if err != nil {
		return nil, db.NewRun{}, err
	}
	if at.After(now) {
		return nil, db.NewRun{}, &AskError{Text: fmt.Sprintf("%s has not come yet", OnClocks(at)), Usage: true,
			Hint: "a run begins now; --at names a time that was missed. What is to run later is scheduled in jobs.yaml"}
	}
	if job.spec == nil {
		return p, db.NewRun{Job: job.name, Kind: job.kind, Was: job.names()[1:], Scheduled: at, State: db.RunRunning}, nil
	}
	run := newRun(job.at(p.Company, at), at)
	run.Was = job.names()[1:]
	return p, run, nil
}

// wallForms are the ways to write what clocks show.
var wallForms = []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05"}

// wallAt reads what clocks show in the company's zone; "" is now. The error is an *AskError.
func wallAt(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	for _, form := range wallForms {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &AskError{Text: fmt.Sprintf("%q is no time", text), Hint: `write it as clocks show it in the company's zone: "2026-12-01 08:00"`, Usage: true}
}

// beginError says why a run was not begun.
func beginError(p *Place, err error) error {
	var open *db.RunOpenError
	if errors.As(err, &open) {
		r := open.Run
		return &AskError{Text: fmt.Sprintf("%s has a run that has not ended: %s is %s", jobName(p, r.Job), runName(p, r.ID), r.State),
			Hint: "two runs of a job never overlap: " + runStateError(p, r, "").(*AskError).Hint, Err: err}
	}
	return &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
}

// notFenced refuses what would begin or let go mails in a copy of the database.
func (d *Desk) notFenced(ctx context.Context, p *Place) error {
	if f, err := d.Fenced(ctx, p); err == nil && f != nil {
		return &AskError{Text: fmt.Sprintf("company %s sends nothing, for its database is not the one it was: %s", p.Company.Name, f.Why), Hint: f.Hint}
	}
	return nil
}

// mayBegin refuses a run in a copy of the database. It tells what a person should know who starts a mailing.
func (d *Desk) mayBegin(ctx context.Context, p *Place, run db.NewRun) (warnings []string, err error) {
	warnings = []string{}
	if err := d.notFenced(ctx, p); err != nil {
		return warnings, err
	}
	if strings.HasPrefix(run.Job, audienceJob) {
		open, err := p.Store.Runs(ctx, db.RunFilter{Job: run.Job, States: openStates})
		if err != nil {
			return warnings, &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
		}
		for _, r := range open {
			warnings = append(warnings, fmt.Sprintf("%s, another mailing to the same audience, is %s: outboxd mailing list", runName(p, r.ID), r.State))
		}
	}
	if spec, err := mailing.Parse(run.Spec); err == nil && spec.Approval != nil && len(spec.Approval.Names(run.StartedBy)) == 0 {
		warnings = append(warnings, fmt.Sprintf("Nobody may approve this run: its approval names %s alone, who has started it. Name a second person in jobs.yaml, or say starter: yes.", run.StartedBy))
	}
	if p.Company.Divert != "" {
		warnings = append(warnings, fmt.Sprintf("The company diverts its mail: it goes to %s and to nobody else (divert in jobs.yaml).", p.Company.Divert))
	}
	return warnings, nil
}
