package jobs

import (
	"context"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// sqlJob is one job of kind sql at work: its statement and the end of its run are one transaction.
type sqlJob struct {
	*timed
	conf *jobfile.SQLJob
}

func newSQLJob(c *company, conf *jobfile.SQLJob) *sqlJob {
	j := &sqlJob{newTimed(c, runJob{name: conf.Name, kind: kindSQL, Timing: conf.Timing}), conf}
	j.runs.work, j.runs.wake = j.work, c.statements[conf.Name]
	return j
}

// work runs the statement as soon as the database can be used. A stop waits for its end: how long it may take is bounded by its own
// time, not by the watchdog's patience.
func (j *sqlJob) work(stop context.Context, run db.Run) error {
	for pause := time.Second; ; pause = min(2*pause, lookAgain) {
		if stop.Err() != nil {
			return stop.Err()
		}
		err := j.c.fence.Pass(stop)
		if err == nil {
			j.runs.pulse.end()
			err = j.c.place.Store.ExecRun(context.WithoutCancel(stop), run, j.conf.Statement, j.conf.Time)
			j.runs.pulse.beat()
		}
		if err == nil || !db.Waits(err) {
			return err
		}
		j.c.report(err)
		if !sleep(stop, pause) {
			return stop.Err()
		}
	}
}
