package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail/sendercheck"
)

// lookAtContent tells whether a company's templates in the database compile, and whether its reader can read.
func lookAtContent(ctx context.Context, world *jobs.World, p *jobs.Place) (all []finding) {
	ctx, cancel := context.WithTimeout(ctx, onlineTime)
	defer cancel()
	about := fmt.Sprintf("company %s, database %s", p.Company.Name, p.Company.Database)
	add := func(id string, level sendercheck.Level, text, remedy string) {
		all = append(all, found(id, level, about, text, remedy))
	}
	n, wrong, err := p.CheckTemplateRows(ctx)
	switch {
	case err != nil: // the look at the database tells
	case len(wrong) > 0:
		for _, err := range wrong {
			add("templates", levelFail, err.Error(), "mend it in outbox_template; mails of this template fail until then")
		}
	case n > 0:
		add("templates", levelOK, counted(n, "template")+" in outbox_template", "")
	}
	if p.Reader == nil {
		return all
	}
	others, err := world.CheckReader(ctx, p)
	switch {
	case err != nil:
		add("reader", levelFail, fmt.Sprintf("reader %s: %v", p.Company.Reader.Username, err), "a DBA lets the user in from this computer, and grants it SELECT on what the queries need")
	case len(others) > 0:
		add("reader", levelWarn, fmt.Sprintf("reader %s sees the databases of other companies: %s", p.Company.Reader.Username, strings.Join(others, ", ")), "a user of its own for each company, with rights on that company's database alone")
	default:
		add("reader", levelOK, "reader "+p.Company.Reader.Username, "")
	}
	return all
}

// lookAtMailings tells of each mailing of a company whether its next run would have an audience and could make mails of it, and of the other
// audiences whether they can be asked for. How long each may take its reader says.
func lookAtMailings(i *invocation, world *jobs.World, p *jobs.Place) (looks []func() []finding) {
	c := p.Company
	for _, j := range c.Jobs.Mailing {
		looks = append(looks, func() []finding { return lookAtMailing(i, world, p, j) })
	}
	if c.Approves() {
		looks = append(looks, func() []finding { return lookAtApproval(i, p) })
	}
	for _, a := range c.Audiences {
		used := slices.ContainsFunc(c.Jobs.Mailing, func(j *jobfile.Mailing) bool { return j.Audience.Name == a.Name })
		if used {
			continue
		}
		looks = append(looks, func() []finding {
			about := fmt.Sprintf("company %s, audience %s", c.Name, a.Name)
			if err := world.TryAudience(i.ctx, p, a, i.now); err != nil {
				return []finding{mailingTrouble(about, err)}
			}
			return []finding{found("audience", levelOK, about, "can be asked for", "")}
		})
	}
	return looks
}

// lookAtApproval tells whether an approval by SQL can only be in the name of the database user who gives it.
func lookAtApproval(i *invocation, p *jobs.Place) []finding {
	ctx, cancel := context.WithTimeout(i.ctx, onlineTime)
	defer cancel()
	about := fmt.Sprintf("company %s, database %s", p.Company.Name, p.Company.Database)
	itself, err := p.Store.RecordsApprover(ctx)
	switch {
	case err != nil: // the look at the database tells
		return nil
	case itself:
		return []finding{found("approval", levelOK, about, "the database writes by itself who approves a run by SQL", "")}
	}
	return []finding{found("approval", levelWarn, about, "whoever may write outbox_run.approved_by can approve a run by SQL in another's name",
		"nothing, if only outboxd's user may write it; else a DBA runs the statements at the end of outboxd migrate --print, which make a trigger that writes who it was")}
}

func lookAtMailing(i *invocation, world *jobs.World, p *jobs.Place, j *jobfile.Mailing) []finding {
	about := fmt.Sprintf("company %s, job %s", p.Company.Name, j.Name)
	trial, err := world.TryMailing(i.ctx, p, j, i.now)
	switch {
	case err != nil:
		return []finding{mailingTrouble(about, err)}
	case trial.Doubt != "":
		return []finding{found("audience", levelWarn, about, trial.Doubt, trial.Remedy)}
	}
	return []finding{found("audience", levelOK, about, "a mail can be made of its audience "+j.Audience.Name, "")}
}

// mailingTrouble is the finding of what keeps a mailing from being sent.
func mailingTrouble(about string, err error) finding {
	var trouble *jobs.MailingTrouble
	if errors.As(err, &trouble) {
		return found("audience", levelFail, about, trouble.Text, trouble.Remedy)
	}
	return found("audience", levelFail, about, err.Error(), "")
}
