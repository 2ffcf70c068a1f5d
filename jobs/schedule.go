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

// runStore is where the runs of a company's jobs stand.
type runStore interface {
	LastRun(ctx context.Context, jobs ...string) (*db.Run, error)
	BeginRun(ctx context.Context, n db.NewRun, i db.Instance) (*db.Run, error)
	SkipRun(ctx context.Context, job string, until time.Time, i db.Instance) error
	TakeRun(ctx context.Context, r db.Run, i db.Instance) (*db.Run, error)
	LayDownRun(ctx context.Context, r db.Run) error
	EndRun(ctx context.Context, r db.Run, state db.RunState, why string) error
}

// scheduler fires the runs of one job. A scheduled time has one run, over all daemons and whatever clocks do: it is named
// by what clocks show in the company's zone, and what stands in the database is not begun again. Times that were missed,
// because no daemon was there, are made up for by one run as soon as one is.
type scheduler struct {
	job      string
	when     jobfile.Schedule
	zone     *time.Location
	store    runStore
	instance db.Instance
	now      func() time.Time
	may      func(ctx context.Context) error              // nil: the database is not a copy, in which nothing is begun or written
	work     func(stop context.Context, run db.Run) error // does or goes on with a run; when stop is done it may return early
	trouble  func(err error)                              // tells a person that runs fail, or with nil that they do not any more
	log      *zap.Logger
	pulse    *pulse
}

const (
	// lookAgain is how soon is looked at a run that another daemon has, which may be gone, and at a database in trouble.
	lookAgain = 30 * time.Second
	// clockSlice bounds how long a clock that is set, or a computer that slept, goes unnoticed.
	clockSlice = time.Minute
)

// run fires until stop is done.
func (s *scheduler) run(stop context.Context) {
	for stop.Err() == nil {
		run, next, err := s.next(stop)
		switch {
		case stop.Err() != nil:
		case err != nil:
			s.trouble(err)
			next = s.now().Add(lookAgain)
		case run != nil:
			s.fire(stop, *run)
			continue
		}
		if !s.await(stop, next) {
			return
		}
	}
}

// next returns the run that is to be made now, or when to look again.
func (s *scheduler) next(ctx context.Context) (run *db.Run, again time.Time, err error) {
	again = s.now().Add(lookAgain)
	last, err := s.store.LastRun(ctx, s.job)
	if err == nil {
		err = s.may(ctx)
	}
	switch {
	case err != nil:
		return nil, again, err
	case last == nil: // nothing is owed from before the job was there
		return nil, s.now(), s.store.SkipRun(ctx, s.job, jobfile.Wall(s.now(), s.zone).Truncate(time.Minute), s.instance)
	case last.State == db.RunRunning && !last.Free:
		return nil, again, nil
	case last.State == db.RunRunning:
		run, err = s.store.TakeRun(ctx, *last, s.instance)
		return run, again, err
	}
	due, next := s.due(last.Scheduled)
	if due.IsZero() {
		return nil, next, nil
	}
	run, err = s.store.BeginRun(ctx, db.NewRun{Job: s.job, Kind: "purge", Scheduled: due, State: db.RunRunning, StartedBy: "schedule"}, s.instance)
	return run, again, err
}

// due is the latest scheduled wall time that has come since another one, or zero; next is when the first one comes that
// has not.
func (s *scheduler) due(last time.Time) (due, next time.Time) {
	now := s.now()
	for wall := s.when.Next(last); ; wall = s.when.Next(wall) {
		if wall.IsZero() { // not in the next years
			return due, now.AddDate(1, 0, 0)
		}
		if next = jobfile.At(wall, s.zone); next.After(now) {
			return due, next
		}
		due = wall
	}
}

// await waits until the clock shows the time.
func (s *scheduler) await(stop context.Context, until time.Time) bool {
	for {
		s.pulse.beat()
		left := until.Sub(s.now())
		if left <= 0 {
			return stop.Err() == nil
		}
		if !sleep(stop, min(left, clockSlice)) {
			return false
		}
	}
}

// fire makes one run. An end that cannot be written is no matter: the lease runs out, and whoever takes the run then
// finds nothing left to do.
func (s *scheduler) fire(stop context.Context, run db.Run) {
	log := s.log.With(zap.Uint64("run", run.ID), zap.String("scheduled", run.Scheduled.Format("2006-01-02 15:04")))
	log.Info(eventRunStarted)
	begun := time.Now()
	err := s.work(stop, run)
	ctx := context.WithoutCancel(stop)
	if s.may(ctx) != nil {
		return // its lease runs out
	}
	var lost *db.RunLostError
	switch {
	case errors.As(err, &lost):
		log.Warn(eventLeaseLost, zap.Error(err))
		return
	case err != nil && stop.Err() != nil:
		log.Info(eventRunLaidDown)
		err = s.store.LayDownRun(ctx, run)
	case err != nil:
		log.Error(eventRunFailed, zap.Error(err))
		s.trouble(fmt.Errorf("the run of %s failed: %w", run.Scheduled.Format("2006-01-02 15:04"), err))
		err = s.store.EndRun(ctx, run, db.RunFailed, err.Error())
	default:
		if err = s.store.EndRun(ctx, run, db.RunDone, ""); err == nil {
			log.Info(eventRunDone, zap.Duration("took", time.Since(begun).Round(time.Millisecond)))
			s.trouble(nil)
		}
	}
	if err != nil {
		log.Warn(eventStoreError, zap.Error(err))
	}
}
