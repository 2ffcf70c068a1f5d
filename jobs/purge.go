package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// purger is one job of kind purge at work.
type purger struct {
	c    *company
	job  *jobfile.Purge
	runs *scheduler
	log  *zap.Logger
}

func newPurger(c *company, job *jobfile.Purge) *purger {
	p := &purger{c: c, job: job, log: c.log.With(zap.String("job", job.Name))}
	p.runs = &scheduler{job: job.Name, kind: kindPurge, when: &job.Schedule, zone: c.place.Company.Timezone, store: c.place.Store, instance: c.e.instance,
		now: time.Now, may: c.fence.Pass, work: p.work, trouble: p.trouble, log: p.log}
	return p
}

// run purges at the scheduled times until stop is done.
func (p *purger) run(stop context.Context) {
	p.runs.pulse = p.c.e.pulses.add("purge " + p.c.name + "/" + p.job.Name)
	defer p.runs.pulse.end()
	p.runs.run(stop)
}

// trouble tells a person that the job does not work.
func (p *purger) trouble(err error) {
	remedy := ""
	var archive *db.ArchiveError
	if errors.As(err, &archive) {
		remedy = fmt.Sprintf("outboxd must be able to write into %s, and there must be room", p.job.Archive)
	}
	p.c.tellJob(p.log, p.job.Name, err, "removes nothing at the moment", remedy)
}

// runRemedy is storeRemedy for what needs the newest step of the schema.
func runRemedy(err error) string {
	if db.NoTable(err) {
		return "run outboxd migrate"
	}
	return storeRemedy(err)
}

// work does one run: first whole rows, then the content of those that stay longer.
func (p *purger) work(stop context.Context, run db.Run) (err error) {
	var file *archiveFile
	if p.job.Archive != "" {
		if file, err = p.openArchive(stop, run); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.closeArchive(stop, file)) }()
	}
	for _, part := range []struct {
		pass db.Pass
		age  time.Duration
	}{{db.PassRows, p.job.Rows}, {db.PassBodies, p.job.Bodies}} {
		if part.age == 0 {
			continue
		}
		if err := p.pass(stop, file, &db.Purge{Run: run, Pass: part.pass, Age: part.age}); err != nil {
			return err
		}
	}
	return nil
}

// pass removes in small steps, with as long a pause after each as it took: a busy server gets more air.
func (p *purger) pass(stop context.Context, file *archiveFile, todo *db.Purge) error {
	if file != nil {
		todo.Archive = file
	}
	err := p.whenItWorks(stop, func(ctx context.Context) (err error) {
		todo.Now, err = p.c.place.Store.Clock(ctx)
		return err
	})
	for err == nil {
		begun := time.Now()
		var step db.PurgeStep
		err = p.whenItWorks(stop, func(ctx context.Context) (err error) {
			if err = p.c.fence.Pass(ctx); err == nil {
				step, err = p.c.place.Store.Step(ctx, todo)
			}
			return err
		})
		if err == nil && step.End {
			return nil
		}
		if err == nil && !sleep(stop, min(time.Since(begun), longestPause)) {
			err = stop.Err()
		}
	}
	return err
}

// longestPause is well below the time that the run's lease stands.
const longestPause = 10 * time.Second

// whenItWorks does something in the database as soon as that can be used. A stop comes between two doings.
func (p *purger) whenItWorks(stop context.Context, do func(ctx context.Context) error) error {
	for pause := time.Second; ; pause = min(2*pause, lookAgain) {
		p.runs.pulse.beat()
		if stop.Err() != nil {
			return stop.Err()
		}
		err := do(context.WithoutCancel(stop))
		if err == nil || !db.Waits(err) {
			return err
		}
		p.c.report(err)
		if !sleep(stop, pause) {
			return stop.Err()
		}
	}
}
