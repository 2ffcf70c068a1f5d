package jobs

import (
	"context"
	"fmt"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// JobStatus is when a job ran last, and when it runs next. Its last run is empty when it never ran.
type JobStatus struct {
	Job       string      `json:"job"`
	Kind      string      `json:"kind"`
	Scheduled string      `json:"scheduled,omitempty"` // of the last run: what clocks showed in the company's zone
	State     db.RunState `json:"state,omitempty"`
	Contents  int64       `json:"contents"` // removed by a purge
	Rows      int64       `json:"rows"`     // removed by a purge
	Error     string      `json:"error,omitempty"`
	Next      time.Time   `json:"next"`
}

// jobStatus tells of a company's jobs with a schedule.
func jobStatus(ctx context.Context, p *Place, now time.Time) (all []JobStatus) {
	for _, job := range p.Company.Jobs.Purge {
		all = append(all, lastAndNext(ctx, p, now, job.Kind, job.Schedule, job.Name))
	}
	for _, job := range runJobs(p.Company) {
		if job.Schedule != nil {
			all = append(all, lastAndNext(ctx, p, now, job.kind, *job.Schedule, job.names()...))
		}
	}
	return all
}

// lastAndNext tells of one job, by its name and the one that it had before.
func lastAndNext(ctx context.Context, p *Place, now time.Time, kind string, when jobfile.Schedule, names ...string) JobStatus {
	zone := p.Company.Timezone
	s := JobStatus{Job: names[0], Kind: kind, Next: jobfile.At(when.Next(jobfile.Wall(now, zone)), zone)}
	last, err := p.Store.LastRun(ctx, names...)
	switch {
	case err != nil:
		s.Error = fmt.Sprintf("%v; %s", err, runRemedy(err))
	case last != nil && last.State != db.RunSkipped:
		s.Scheduled, s.State, s.Contents, s.Rows, s.Error = last.Scheduled.Format("2006-01-02 15:04"), last.State, last.Contents, last.Removed, last.LastError
	}
	return s
}
