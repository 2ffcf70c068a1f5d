package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// runStore is where the runs of a company's jobs stand.
type runStore interface {
	LastScheduled(ctx context.Context, jobs ...string) (*db.Run, error)
	TakenTimes(ctx context.Context, after time.Time, jobs ...string) ([]time.Time, error)
	OpenRuns(ctx context.Context) ([]db.Run, error)
	BeginRun(ctx context.Context, n db.NewRun, i db.Instance) (*db.Run, error)
	TakeRun(ctx context.Context, r db.Run, i db.Instance) (*db.Run, error)
	LayDownRun(ctx context.Context, r db.Run) error
	EndRun(ctx context.Context, r db.Run, state db.RunState, why string) error
}

// scheduler fires the runs of one job. A scheduled time has one run, over all daemons and whatever clocks do: it is named
// by what clocks show in the company's zone, and what stands in the database is not begun again. Of times that were missed,
// because no daemon was there, the latest is made up for, left out or asked about, as the job says; the others are left out. A run that
// a person starts stands for a time of the schedule only if it names that time.
type scheduler struct {
	job      string
	was      string // the job's name of before, "" when it has none
	kind     string
	when     *jobfile.Schedule // nil: only people begin runs
	missed   missed
	zone     *time.Location
	store    runStore
	instance db.Instance
	now      func() time.Time
	may      func(ctx context.Context) error                 // nil: the database is not a copy, in which nothing is begun or written
	spec     func(scheduled time.Time) (spec, period string) // what a run keeps of the job as it is now; nil: nothing
	work     func(stop context.Context, run db.Run) error    // does or goes on with a run; when stop is done it may return early. nil: a keeper has the runs
	begun    func(run db.Run)                                // tells the keeper of a run; nil without one
	late     func(open *db.Run, due time.Time)               // tells a person of a time that waits for the end of a run, or with nil that it does not any more; may be nil
	leftOut  func(scheduled time.Time, note string)          // tells a person of a time that was left out; may be nil
	trouble  func(err error)                                 // tells a person that runs fail, or with nil that they do not any more
	log      *zap.Logger
	pulse    *pulse
	wake     chan struct{} // holds a word that a person has begun a run whose work is done here; nil without one
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

// names are those under which the job's runs stand.
func (s *scheduler) names() []string {
	if s.was == "" {
		return []string{s.job}
	}
	return []string{s.job, s.was}
}

// next returns the run that is to be made now, or when to look again.
func (s *scheduler) next(ctx context.Context) (run *db.Run, again time.Time, err error) {
	again = s.now().Add(lookAgain)
	last, open, err := s.stands(ctx)
	if err == nil {
		err = s.may(ctx)
	}
	switch {
	case err != nil:
		return nil, again, err
	case open != nil && open.Free:
		run, err = s.store.TakeRun(ctx, *open, s.instance)
		return run, again, err
	case open != nil:
		return nil, again, nil
	case s.when == nil:
		return nil, s.now().Add(time.Minute), nil
	case last == nil: // nothing is owed from before the job was there
		run, err = s.store.BeginRun(ctx, s.newRun(jobfile.Wall(s.now(), s.zone).Truncate(time.Minute), db.RunSkipped, firstSeen), s.instance)
		if run != nil {
			again = s.now()
		}
		return nil, again, err
	}
	due, err := s.due(ctx, last.Scheduled)
	if err != nil {
		return nil, again, err
	}
	if due.times == 0 {
		if next := s.now().Add(time.Minute); s.wake != nil && due.next.After(next) { // a person may begin one, where no word comes from
			return nil, next, nil
		}
		return nil, due.next, nil
	}
	return s.begin(ctx, due, again)
}

// stands returns the last run of the schedule and, where the work is done here, the one that has not ended.
func (s *scheduler) stands(ctx context.Context) (last, open *db.Run, err error) {
	if s.when != nil {
		last, err = s.store.LastScheduled(ctx, s.names()...)
	}
	switch {
	case err != nil || s.work == nil:
	case s.kind != kindPurge:
		open, err = openRun(ctx, s.store, s.names())
	case last != nil && last.State.Open():
		open = last
	}
	return last, open, err
}

// openRun returns the run of a job, under any of its names, that has not ended.
func openRun(ctx context.Context, store interface {
	OpenRuns(ctx context.Context) ([]db.Run, error)
}, names []string) (*db.Run, error) {
	open, err := store.OpenRuns(ctx)
	if i := slices.IndexFunc(open, func(r db.Run) bool { return slices.Contains(names, r.Job) }); i >= 0 {
		return &open[i], err
	}
	return nil, err
}

// begin begins the run of what is due, or leaves it out. The run is the caller's to make where the job's work is done here.
func (s *scheduler) begin(ctx context.Context, due due, again time.Time) (*db.Run, time.Time, error) {
	if waits, err := s.waits(ctx, due); waits || err != nil {
		return nil, again, err
	}
	state, note := s.missed.decide(s.now(), due, s.zone)
	if err := s.leaveOlder(ctx, due); err != nil || due.taken {
		return nil, again, err
	}
	run, err := s.store.BeginRun(ctx, s.newRun(due.latest, state, note), s.instance)
	if _, open := errors.AsType[*db.RunOpenError](err); open { // a person was faster
		err = nil
	}
	if run == nil || err != nil {
		return nil, again, err
	}
	log := s.logOf(*run)
	switch {
	case state == db.RunSkipped:
		log.Warn(eventRunLeftOut, zap.String("note", note))
		if s.leftOut != nil {
			s.leftOut(due.latest, note)
		}
	case state == db.RunAsked:
		log.Warn(eventRunAsked, zap.String("note", note))
	case s.work != nil:
		return run, again, nil
	default:
		log.Info(eventRunStarted)
		s.trouble(nil)
	}
	if s.begun != nil {
		s.begun(*run)
	}
	return nil, s.now(), nil
}

// waits tells whether the job's run of before has not ended. A person is told once of one that takes long.
func (s *scheduler) waits(ctx context.Context, due due) (bool, error) {
	if s.work != nil { // has been looked at
		return false, nil
	}
	before, err := openRun(ctx, s.store, s.names())
	if err != nil {
		return true, err
	}
	if s.late != nil && (before == nil || s.now().Sub(jobfile.At(due.first, s.zone)) > overlapTold) {
		s.late(before, due.latest)
	}
	return before != nil, nil
}

// leaveOlder notes as one run that times before the latest were missed. A purge makes up for all of them with one run: of it
// nothing is noted.
func (s *scheduler) leaveOlder(ctx context.Context, due due) error {
	if s.missed.policy == "" || due.times < 2 {
		return nil
	}
	note := fmt.Sprintf("missed: %s; only the latest time that was missed, %s, counts", due.older(), OnClocks(due.latest))
	if jobfile.At(due.first, s.zone).Equal(jobfile.At(due.latest, s.zone)) { // nobody was late
		note = fmt.Sprintf("clocks were put forward over %s: at that moment the run of %s begins, which stands for it too", due.older(), OnClocks(due.latest))
	}
	run, err := s.store.BeginRun(ctx, s.newRun(due.before, db.RunSkipped, note), s.instance)
	if err == nil && run != nil {
		s.logOf(*run).Warn(eventRunLeftOut, zap.String("note", note))
	}
	return err
}

func (s *scheduler) newRun(scheduled time.Time, state db.RunState, note string) db.NewRun {
	n := db.NewRun{Job: s.job, Kind: s.kind, Scheduled: scheduled, State: state, StartedBy: db.BySchedule, Note: note}
	if s.was != "" {
		n.Was = []string{s.was}
	}
	if s.spec != nil && state != db.RunSkipped {
		n.Spec, n.Period = s.spec(scheduled)
	}
	return n
}

// firstSeen is the note of the run with which a job begins to be.
const firstSeen = "outboxd saw the job for the first time: nothing is made up for from before"

// await waits until the clock shows the time.
func (s *scheduler) await(stop context.Context, until time.Time) bool {
	for {
		s.pulse.beat()
		left := until.Sub(s.now())
		if left <= 0 {
			return stop.Err() == nil
		}
		timer := time.NewTimer(min(left, clockSlice))
		select {
		case <-timer.C:
		case <-s.wake:
			until = s.now()
		case <-stop.Done():
		}
		timer.Stop()
		if stop.Err() != nil {
			return false
		}
	}
}

func (s *scheduler) logOf(run db.Run) *zap.Logger {
	return s.log.With(zap.Uint64("run", run.ID), zap.String("scheduled", OnClocks(run.Scheduled)))
}

// fire makes one run. An end that cannot be written is no matter: the lease runs out, and whoever takes the run then
// finds nothing left to do.
func (s *scheduler) fire(stop context.Context, run db.Run) {
	log := s.logOf(run)
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
		s.trouble(fmt.Errorf("the run of %s failed: %w", OnClocks(run.Scheduled), err))
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
