package jobs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/fence"
	"outboxd/jobs/jobfile"
)

// runTable is outbox_run in memory, over several daemons.
type runTable struct {
	runs []db.Run
	held bool // the last one has a living daemon
	err  error
}

func (r *runTable) last() *db.Run { return &r.runs[len(r.runs)-1] }

func (r *runTable) LastScheduled(_ context.Context, jobs ...string) (last *db.Run, _ error) {
	for _, run := range r.runs {
		if slices.Contains(jobs, run.Job) && !byHand(run) && (last == nil || run.Scheduled.After(last.Scheduled)) {
			run.Free = run.State == db.RunRunning && !r.held
			last = &run
		}
	}
	return last, r.err
}

func byHand(run db.Run) bool { return run.StartedBy != "" && run.StartedBy != db.BySchedule }

func (r *runTable) TakenTimes(_ context.Context, after time.Time, jobs ...string) (all []time.Time, _ error) {
	for _, run := range r.runs {
		if slices.Contains(jobs, run.Job) && byHand(run) && run.Scheduled.After(after) {
			all = append(all, run.Scheduled)
		}
	}
	return all, r.err
}

func (r *runTable) OpenRuns(context.Context) (open []db.Run, _ error) {
	for _, run := range r.runs {
		if run.Free = run.State == db.RunRunning && !r.held; run.State.Open() {
			open = append(open, run)
		}
	}
	return open, r.err
}

func (r *runTable) BeginRun(_ context.Context, n db.NewRun, _ db.Instance) (*db.Run, error) {
	if slices.ContainsFunc(r.runs, func(run db.Run) bool { return run.Job == n.Job && run.Scheduled.Equal(n.Scheduled) }) {
		return nil, nil
	}
	r.runs = append(r.runs, db.Run{ID: uint64(len(r.runs) + 1), Job: n.Job, Kind: n.Kind, Scheduled: n.Scheduled, State: n.State, Note: n.Note,
		Spec: n.Spec, Period: n.Period, StartedBy: n.StartedBy})
	r.held = n.State == db.RunRunning
	return r.last(), nil
}

func (r *runTable) TakeRun(context.Context, db.Run, db.Instance) (*db.Run, error) {
	r.held = true
	return r.last(), nil
}

func (r *runTable) LayDownRun(context.Context, db.Run) error {
	r.held = false
	return nil
}

func (r *runTable) EndRun(_ context.Context, _ db.Run, state db.RunState, why string) error {
	r.last().State, r.last().LastError = state, why
	return nil
}

// text lists the runs, as "11-21 03:30 done".
func (r *runTable) text() string {
	var all []string
	for _, run := range r.runs {
		all = append(all, run.Scheduled.Format("01-02 15:04 ")+string(run.State))
	}
	return strings.Join(all, ", ")
}

// schedule lists the runs for times of a schedule by their times.
func (r *runTable) schedule() string {
	runs := slices.SortedFunc(slices.Values(r.runs), func(a, b db.Run) int { return a.Scheduled.Compare(b.Scheduled) })
	var all []string
	for i, run := range runs {
		switch text := run.Scheduled.Format("01-02 15:04 "); {
		case !byHand(run):
			all = append(all, text+string(run.State))
		case run.Scheduled.Hour() == 8 && i > 0:
			all = append(all, text+"by hand")
		}
	}
	return strings.Join(all, ", ")
}

// clock is a computer's clock that can be set.
type clock struct{ off atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.off.Load())) }

func (c *clock) move(d time.Duration) { c.off.Add(int64(d)) }

func schedule(t *testing.T, text string) jobfile.Schedule {
	t.Helper()
	s, err := jobfile.ParseSchedule(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// scheduling is a scheduler in simulated time, which begins at midnight UTC of 2000-01-01.
type scheduling struct {
	*scheduler
	table    *runTable
	clock    *clock
	fired    []time.Time // by the computer's clock
	fail     error
	fenced   error
	troubles []string
}

func newScheduling(t *testing.T, when, zone string) *scheduling {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	s := &scheduling{table: &runTable{}, clock: &clock{}}
	s.scheduler = &scheduler{job: "purge", kind: kindPurge, when: new(schedule(t, when)), zone: loc, store: s.table, now: s.clock.now, may: func(context.Context) error { return s.fenced }, log: zap.NewNop(), pulse: newPulses().add("x"),
		work: func(context.Context, db.Run) error {
			s.fired = append(s.fired, s.clock.now())
			return s.fail
		},
		trouble: func(err error) {
			text := "over"
			if err != nil {
				text = err.Error()
			}
			s.troubles = append(s.troubles, text)
		}}
	return s
}

// at moves the clock to a time of its zone before anything has begun.
func (s *scheduling) at(text string) {
	t, err := time.ParseInLocation(time.DateTime, text, s.zone)
	if err != nil {
		panic(err)
	}
	s.clock.move(time.Until(t))
}

// live lets a daemon run for a while.
func (s *scheduling) live(d time.Duration) {
	stop, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		s.run(stop)
		close(ended)
	}()
	time.Sleep(d)
	cancel()
	<-ended
}

// P7: a job begins with the first time after it was first seen; a time is fired once, and what was missed is made up for
// by one run as soon as a daemon is there.
func TestP7_RunsAtItsTimesAndMakesUpForMissedOnesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "30 3 * * *", "Europe/Rome")
		s.at("2026-11-21 10:00:00")
		s.live(time.Hour)
		if len(s.fired) != 0 {
			t.Errorf("fired at once: %v", s.fired)
		}
		time.Sleep(3 * 24 * time.Hour) // nobody is there
		s.live(time.Hour)
		s.live(time.Hour) // a restart
		time.Sleep(12 * time.Hour)
		s.live(24 * time.Hour)
		want := "11-21 10:00 skipped, 11-24 03:30 done, 11-25 03:30 done"
		if got := s.table.text(); got != want {
			t.Errorf("runs %s, want %s", got, want)
		}
		if len(s.fired) != 2 || s.fired[0].In(s.zone).Format(time.TimeOnly) != "11:00:00" || s.fired[1].In(s.zone).Format(time.TimeOnly) != "03:30:00" {
			t.Errorf("fired %v", s.fired)
		}
	})
}

// P7: an hour that comes twice has one run, at its first time, and one that is left out has it at the jump.
func TestP7_SummerTime(t *testing.T) {
	for _, c := range []struct{ when, begin, fired string }{
		{"30 2 * * *", "2026-10-24 12:00:00", "2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"},
		{"30 2 * * *", "2026-03-28 12:00:00", "2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScheduling(t, c.when, "Europe/Rome")
			s.at(c.begin)
			s.live(44 * time.Hour)
			var got []string
			for _, f := range s.fired {
				got = append(got, f.In(s.zone).Format(time.RFC3339))
			}
			if text := strings.Join(got, " "); text != c.fired {
				t.Errorf("from %s: fired %s, want %s", c.begin, text, c.fired)
			}
		})
	}
}

// P7: a clock that is set never makes a scheduled time come twice, and one that jumps ahead is noticed within a minute.
func TestP7_ClocksThatAreSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "0 * * * *", "UTC")
		s.at("2026-11-21 10:30:00")
		go func() {
			time.Sleep(45 * time.Minute) // 11:15
			s.clock.move(-time.Hour)     // 10:15
			time.Sleep(time.Hour)        // 11:15 once more
			s.clock.move(3 * time.Hour)  // 14:15
		}()
		s.live(2 * time.Hour)
		want := "11-21 10:30 skipped, 11-21 11:00 done, 11-21 14:00 done"
		if got := s.table.text(); got != want {
			t.Errorf("runs %s, want %s", got, want)
		}
		if late := s.fired[1].Sub(time.Date(2026, 11, 21, 14, 15, 0, 0, time.UTC)); late > time.Minute {
			t.Errorf("noticed %s late", late)
		}
	})
}

func TestRunOfAnotherDaemonIsGoneOnWithWhenThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "30 3 * * *", "UTC")
		s.at("2026-11-21 03:31:00")
		s.table.runs = []db.Run{{ID: 1, Job: "purge", Scheduled: time.Date(2026, 11, 21, 3, 30, 0, 0, time.UTC), State: db.RunRunning}}
		s.table.held = true
		s.live(time.Hour)
		if len(s.fired) != 0 {
			t.Fatal("a run that another daemon has was made")
		}
		s.table.held = false
		s.live(time.Minute)
		if got := s.table.text(); len(s.fired) != 1 || got != "11-21 03:30 done" {
			t.Errorf("runs %s", got)
		}
	})
}

func TestRunThatFailsIsToldAndNotMadeAgainBeforeItsNextTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "30 3 * * *", "UTC")
		s.at("2026-11-21 00:00:00")
		s.fail = errors.New("the disk is full")
		s.live(23 * time.Hour)
		s.fail = nil
		s.live(23 * time.Hour)
		if got := s.table.text(); got != "11-21 00:00 skipped, 11-21 03:30 failed, 11-22 03:30 done" {
			t.Errorf("runs %s", got)
		}
		if got := strings.Join(s.troubles, "; "); got != "the run of 2026-11-21 03:30 failed: the disk is full; over" {
			t.Errorf("told %s", got)
		}
		s.table.err = errors.New("away")
		s.live(95 * time.Second)
		if len(s.troubles) != 6 {
			t.Errorf("told %v", s.troubles)
		}
	})
}

func TestRunThatIsStoppedIsLaidDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "30 3 * * *", "UTC")
		s.at("2026-11-21 00:00:00")
		s.work = func(stop context.Context, _ db.Run) error {
			<-stop.Done()
			return stop.Err()
		}
		s.live(5 * time.Hour)
		if got := s.table.text(); got != "11-21 00:00 skipped, 11-21 03:30 running" || s.table.held {
			t.Errorf("runs %s, held %t", got, s.table.held)
		}
		s.work = func(context.Context, db.Run) error { return nil }
		s.live(time.Minute)
		if got := s.table.text(); got != "11-21 00:00 skipped, 11-21 03:30 done" {
			t.Errorf("runs %s", got)
		}
	})
}

// P8: in a copy of the database no run is begun, gone on with or ended.
func TestP8_NoRunInACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScheduling(t, "30 3 * * *", "UTC")
		s.at("2026-11-21 00:00:00")
		s.live(time.Hour)
		s.fenced = &fence.Error{}
		s.live(48 * time.Hour)
		if got := s.table.text(); got != "11-21 00:00 skipped" || len(s.fired) > 0 {
			t.Errorf("runs %s", got)
		}
		s.fenced = nil
		s.work = func(context.Context, db.Run) error {
			s.fenced = &fence.Error{} // found out in the middle
			return s.fenced
		}
		s.live(time.Hour)
		if got := s.table.text(); got != "11-21 00:00 skipped, 11-22 03:30 running" || !s.table.held {
			t.Errorf("runs %s, held %t", got, s.table.held)
		}
	})
}
