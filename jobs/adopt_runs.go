package jobs

import (
	"context"
	"errors"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

const adoptedRun = "the database was restored or copied, and adopted: what became of this run elsewhere is not known"

// stopRuns stops what mailings and reports had begun in an adopted database, until a person says how they go on: nobody knows what became
// of them elsewhere. One whose rows were still being made fails. It returns how many there were.
func stopRuns(ctx context.Context, p *Place) (n int, err error) {
	open, err := p.Store.OpenRuns(ctx)
	if older(err) {
		return 0, nil
	}
	for _, r := range open {
		if r.Kind == kindSQL || r.State == db.RunCancelling || r.State == db.RunStopped || err != nil {
			continue
		}
		change := db.RunChange{State: db.RunStopped, From: []db.RunState{r.State}, Note: adoptedRun}
		if r.State == db.RunRunning {
			change.State, change.EndsAs = db.RunCancelling, db.RunFailed
		}
		var changed bool
		if changed, err = p.Store.ChangeRun(ctx, r.ID, change); changed {
			n++
		}
	}
	return n, err
}

// older tells whether the tables are too old to have runs, or such of mailings; or are not this user's, in a company that has none.
func older(err error) bool {
	var schema *db.SchemaError
	return db.NoTable(err) || db.NoRight(err) || errors.As(err, &schema)
}

// skipRuns marks as skipped what a company's jobs had to do up to now: runs that are due, and those of purges and statements that had not
// ended. It returns how many jobs had some.
func skipRuns(ctx context.Context, p *Place, now time.Time) (n int, err error) {
	wall := jobfile.Wall(now, p.Company.Timezone).Truncate(time.Minute)
	jobs := runJobs(p.Company)
	for _, job := range p.Company.Jobs.Purge {
		jobs = append(jobs, runJob{name: job.Name, kind: kindPurge, Timing: jobfile.Timing{Schedule: &job.Schedule}})
	}
	for _, job := range jobs {
		last, err := p.Store.LastScheduled(ctx, job.names()...)
		if db.NoTable(err) {
			return n, nil
		}
		due := last != nil && job.Schedule != nil && !job.Schedule.Next(last.Scheduled).After(wall)
		var ended bool
		if err == nil {
			ended, err = endOwn(ctx, p, job, last)
		}
		if err != nil {
			return n, err
		}
		if !ended && !due {
			continue
		}
		_, err = p.Store.BeginRun(ctx, db.NewRun{Job: job.name, Kind: job.kind, Scheduled: wall, State: db.RunSkipped, Note: adoptedRun}, db.Instance{Host: "outboxd adopt"})
		if older(err) {
			continue
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// endOwn ends the run of a purge, or of a statement, that has not ended.
func endOwn(ctx context.Context, p *Place, job runJob, last *db.Run) (ended bool, err error) {
	open := last
	switch job.kind {
	case kindPurge:
	case kindSQL:
		if open, err = openRun(ctx, p.Store, job.names()); older(err) {
			return false, nil
		}
	default:
		return false, nil
	}
	switch {
	case err != nil || open == nil || !open.State.Open():
		return false, err
	case open.State == db.RunAsked:
		return p.Store.ChangeRun(ctx, open.ID, db.RunChange{State: db.RunSkipped, From: []db.RunState{db.RunAsked}, Note: adoptedRun})
	}
	return true, p.Store.EndRun(ctx, *open, db.RunSkipped, "the database was restored or copied, and adopted")
}
