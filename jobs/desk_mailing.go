package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// audienceJob is the head of a run's job when a person has started it to an audience: @staff.
const audienceJob = "@"

// runName is a run as people name it, like a row: acme/12.
func runName(p *Place, id uint64) string { return RowName{p.Company.Name, id}.String() }

// jobName is a job as people name it: acme/statements.
func jobName(p *Place, job string) string { return p.Company.Name + "/" + job }

// RunRequest names a run.
type RunRequest struct {
	Run string `json:"run"`
}

// ParseRun reads a run's name. It does not look whether there is such a company or run. The error is an *AskError.
func ParseRun(name string) (RowName, error) {
	n, err := ParseRow(name)
	if err != nil {
		return n, &AskError{Text: fmt.Sprintf("%q is no run", name), Hint: "a run is named acme/12, or 12 where there is one company; outboxd mailing list shows them", Usage: true}
	}
	return n, nil
}

// run finds a run by its name. Only runs of mailings are found.
func (d *Desk) run(ctx context.Context, name string) (*Place, db.Run, error) {
	if _, err := ParseRun(name); err != nil {
		return nil, db.Run{}, err
	}
	p, n, err := d.row(name)
	if err != nil {
		return nil, db.Run{}, err
	}
	r, err := p.Store.Run(ctx, n.ID)
	if err != nil {
		return nil, r, runError(p, n.ID, err)
	}
	return p, r, nil
}

// named finds the company of acme/statements, or of statements where there is one company, and what is named behind it.
func (d *Desk) named(name string) (*Place, string, error) {
	company, rest, found := strings.Cut(name, "/")
	if !found {
		company, rest = "", name
	}
	if rest == "" || found && company == "" {
		return nil, "", &AskError{Text: fmt.Sprintf("%q names nothing", name), Hint: "write COMPANY/NAME, as acme/statements, or the name alone where there is one company", Usage: true}
	}
	if company != "" {
		p, err := d.place(company)
		return p, rest, err
	}
	if len(d.world.Companies) != 1 || len(d.world.leftOut) > 0 {
		return nil, rest, &AskError{Text: fmt.Sprintf("%s of which company?", rest), Usage: true,
			Hint: fmt.Sprintf("name it COMPANY/%s; the companies are %s", rest, d.companies())}
	}
	return d.world.Companies[0], rest, nil
}

// runJob is a job that has runs, of whatever kind.
type runJob struct {
	name, kind string
	jobfile.Timing
	spec func(*jobfile.Company) mailing.Spec // nil for a kind that has no mails
}

// names are under which its runs stand: its own, and the one that it had before.
func (t runJob) names() []string {
	if t.Was == "" {
		return []string{t.name}
	}
	return []string{t.name, t.Was}
}

// at is what its run at a wall time does.
func (t runJob) at(c *jobfile.Company, scheduled time.Time) mailing.Spec {
	return t.spec(c).At(t.Schedule, scheduled)
}

// runJobs are the jobs of a company that have runs and can be planned and started by hand, in the order of kinds and file.
func runJobs(c *jobfile.Company) (all []runJob) {
	for _, j := range c.Jobs.Mailing {
		all = append(all, runJob{j.Name, j.Kind, j.Timing, func(c *jobfile.Company) mailing.Spec { return mailing.FromJob(c, j) }})
	}
	for _, j := range c.Jobs.Report {
		all = append(all, runJob{j.Name, j.Kind, j.Timing, func(c *jobfile.Company) mailing.Spec { return mailing.FromReport(c, j) }})
	}
	for _, j := range c.Jobs.SQL {
		all = append(all, runJob{j.Name, j.Kind, j.Timing, nil})
	}
	return all
}

// runJobOf finds a job of a company that has runs. The error is an *AskError.
func runJobOf(p *Place, name string) (runJob, error) {
	all := runJobs(p.Company)
	if i := slices.IndexFunc(all, func(t runJob) bool { return t.name == name }); i >= 0 {
		return all[i], nil
	}
	var names []string
	for _, t := range all {
		names = append(names, t.name)
	}
	return runJob{}, &AskError{Text: fmt.Sprintf("%s has no job %q that mails on a schedule", p.Company.Name, name), Hint: "the jobs are " + orNoneAt(names)}
}

// audience finds an audience of a company. The error is an *AskError.
func audience(p *Place, name string) (*jobfile.Audience, error) {
	name = strings.TrimPrefix(name, audienceJob)
	var names []string
	for _, a := range p.Company.Audiences {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	return nil, &AskError{Text: fmt.Sprintf("%s has no audience %q", p.Company.Name, name), Hint: "the audiences are " + orNoneAt(names)}
}

func orNoneAt(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// runStateError says that a run's state does not allow what was asked.
func runStateError(p *Place, r db.Run, needs string) error {
	name := runName(p, r.ID)
	text := fmt.Sprintf("the run %s is %s: %s", name, r.State, needs)
	switch r.State {
	case db.RunAsked:
		return &AskError{Text: text, Hint: fmt.Sprintf("say that it is to run: outboxd mailing resume %s; or that it is not: outboxd mailing stop %s --cancel", name, name)}
	case db.RunRunning:
		return &AskError{Text: text, Hint: "its mails are being made; look again in a moment: outboxd mailing list"}
	case db.RunHeld:
		return &AskError{Text: text, Hint: fmt.Sprintf("look at its proof, then: outboxd mailing approve %s; or end it: outboxd mailing stop %s --cancel", name, name)}
	case db.RunSending:
		return &AskError{Text: text, Hint: fmt.Sprintf("to have it send nothing more for now: outboxd mailing stop %s", name)}
	case db.RunStopped:
		return &AskError{Text: text, Hint: fmt.Sprintf("to have it go on: outboxd mailing resume %s; to end it: outboxd mailing stop %s --cancel", name, name)}
	}
	return &AskError{Text: text, Hint: fmt.Sprintf("what became of it: outboxd mailing report %s", name)}
}

// runMoved says that a run was in another state by the time it was to be changed.
func runMoved(ctx context.Context, p *Place, id uint64, needs string) error {
	r, err := p.Store.Run(ctx, id)
	if err != nil {
		return runError(p, id, err)
	}
	return runStateError(p, r, needs)
}

// runError is an error of the store about a run.
func runError(p *Place, id uint64, err error) error {
	var none *db.NoRunError
	if errors.As(err, &none) {
		return &AskError{Text: fmt.Sprintf("there is no run %s", runName(p, id)), Hint: "outboxd mailing list shows those that there are", Err: err}
	}
	return &AskError{Text: err.Error(), Hint: DatabaseHint(err), Err: err}
}
