package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/fence"
)

// The kinds of runs beside those of mailings and reports.
const (
	kindSQL   = "sql"
	kindPurge = "purge"
)

// timed is a job that begins runs at its times. The keeper works on them.
type timed struct {
	c    *company
	job  string
	runs *scheduler
	log  *zap.Logger
}

// newTimed makes a job of jobs.yaml whose runs begin at its times.
func newTimed(c *company, conf runJob) *timed {
	j := &timed{c: c, job: conf.name, log: c.log.With(zap.String("job", conf.name))}
	j.runs = &scheduler{job: conf.name, was: conf.Was, kind: conf.kind, when: conf.Schedule, missed: missed{conf.Missed, conf.LateBy}, zone: c.place.Company.Timezone,
		store: c.place.Store, instance: c.e.instance, now: c.e.now, may: c.fence.Pass, trouble: j.trouble, late: j.late, leftOut: j.leftOut, log: j.log,
		begun: func(db.Run) { c.wake() }}
	if conf.spec != nil {
		j.runs.spec = func(scheduled time.Time) (string, string) {
			s := conf.at(c.place.Company, scheduled)
			return s.JSON(), s.Period(scheduled)
		}
	}
	return j
}

// run begins runs at the scheduled times until stop is done.
func (j *timed) run(stop context.Context) {
	j.runs.pulse = j.c.e.pulses.add(j.runs.kind + " " + j.c.name + "/" + j.job)
	defer j.runs.pulse.end()
	j.runs.run(stop)
}

// trouble tells a person that the job does not work. A database that is away is told of elsewhere.
func (j *timed) trouble(err error) {
	j.c.tellJob(j.log, j.job, err, "does not do its work at the moment", "")
}

// tellJob tells a person that a job does not work, or with nil that it does again. A database that is away is told of elsewhere.
func (c *company) tellJob(log *zap.Logger, job string, err error, what, remedy string) {
	key := "job " + c.name + "/" + job
	var fenced *fence.Error
	switch {
	case errors.As(err, &fenced): // has been told
		return
	case err == nil:
		c.e.alerts.End(key, fmt.Sprintf("company %s: the job %s works again", c.name, job))
		return
	case db.Waits(err):
		c.report(err)
		return
	}
	if remedy == "" {
		remedy = runRemedy(err)
	}
	log.Warn(eventStoreError, zap.Error(err), zap.String("remedy", remedy))
	c.e.alerts.Start(key, fmt.Sprintf("company %s: the job %s does not work", c.name, job),
		fmt.Sprintf("The job %s of company %s %s:\n\n%v\n%s\n\nMail is sent all the same.", job, c.name, what, err, remedy))
}

// late tells a person that a run waits for the end of the one before it.
func (j *timed) late(open *db.Run, due time.Time) {
	key := "waits " + j.c.name + "/" + j.job
	if open == nil {
		j.c.e.alerts.End(key, fmt.Sprintf("company %s: the job %s waits no more for its run of before", j.c.name, j.job))
		return
	}
	name := runName(j.c.place, open.ID)
	j.c.e.alerts.Start(key, fmt.Sprintf("company %s: the run of %s for %s waits for the one before it", j.c.name, j.job, OnClocks(due)),
		fmt.Sprintf("The job %s of company %s was to begin a run at %s. It waits until its run %s, of %s, has ended: that one is %s.\n%s\n\nWhat to do: outboxd mailing list shows it; outboxd mailing approve %s, resume %s or stop %s takes it on; stop --cancel ends it.",
			j.job, j.c.name, OnClocks(due), name, OnClocks(open.Scheduled), open.State, open.Note, name, name, name))
}

// leftOut tells a person that a time was left out.
func (j *timed) leftOut(scheduled time.Time, note string) {
	next := fmt.Sprintf("if it is to run after all: outboxd mailing start --job %s --at %q", jobName(j.c.place, j.job), OnClocks(scheduled))
	j.c.e.alerts.Tell(fmt.Sprintf("company %s: the run of %s for %s is left out", j.c.name, j.job, OnClocks(scheduled)),
		fmt.Sprintf("The job %s of company %s does not run for %s. It was %s.\n\nWhat to do: %s.", j.job, j.c.name, OnClocks(scheduled), note, next))
}
