package db_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// bySchedule is a run that nobody has started.
func bySchedule(scheduled time.Time, state db.RunState) db.NewRun {
	n := statements(scheduled)
	n.State, n.StartedBy, n.Note = state, db.BySchedule, "missed: it was to begin"
	return n
}

// P7: a time that was left out becomes, once, the run that a person starts for it; the schedule itself leaves it as it is.
func TestP7_ATimeThatWasLeftOutIsRunByAPerson(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	left, err := d.Store.BeginRun(ctx, bySchedule(scheduled, db.RunSkipped), me)
	must(t, err)
	if r, err := d.Store.BeginRun(ctx, bySchedule(scheduled, db.RunRunning), me); err != nil || r != nil {
		t.Fatalf("the schedule began it: %+v, %v", r, err)
	}
	d.Exec(t, `UPDATE {db}.outbox_run SET started_at = started_at - INTERVAL 1 DAY`)
	var all sync.WaitGroup
	var mu sync.Mutex
	var begun []*db.Run
	for i := range 8 {
		all.Go(func() {
			r, err := d.Store.BeginRun(ctx, statements(scheduled), db.Instance{ID: fmt.Sprintf("%08x", i), Host: "here"})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if r != nil {
				begun = append(begun, r)
			}
		})
	}
	all.Wait()
	if len(begun) != 1 {
		t.Fatalf("%d have begun it", len(begun))
	}
	r := begun[0]
	if r.ID != left.ID || r.State != db.RunRunning || r.StartedBy != "eva" || r.Spec != spec || r.Period != "2026-03" || r.Note != "" || r.EndedAt != nil || !r.Free || !r.StartedAt.After(left.StartedAt) {
		t.Errorf("%+v", r)
	}
	must(t, err)
	if taken, err := d.Store.TakeRun(ctx, *r, me); err != nil || taken == nil {
		t.Errorf("nobody can work on it: %v", err)
	}
}

// P7: what a person has left out of a job whose run was begun is still one run a time, also when the job has another name by now.
func TestP7_ATimeOfARenamedJobHasOneRun(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	done, err := d.Store.BeginRun(ctx, statements(scheduled), me)
	must(t, err)
	d.Exec(t, `UPDATE {db}.outbox_run SET state = 'done', finished_at = NOW()`)
	_, err = d.Store.BeginRun(ctx, bySchedule(scheduled.Add(day), db.RunSkipped), me)
	must(t, err)
	renamed := func(at time.Time) db.NewRun {
		n := statements(at)
		n.Job, n.Was = "letters", []string{"statements"}
		return n
	}
	if r, err := d.Store.BeginRun(ctx, renamed(scheduled), me); err != nil || r != nil {
		t.Errorf("beside run %d there is %+v, %v", done.ID, r, err)
	}
	if r, err := d.Store.BeginRun(ctx, renamed(scheduled.Add(day)), me); err != nil || r == nil {
		t.Errorf("a time that was left out: %v, %v", r, err)
	}
}

// P7: which times a schedule has seen is told apart from what people have started.
func TestP7_TimesOfAScheduleAndOfPeople(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	if last, err := d.Store.LastScheduled(ctx, "statements"); err != nil || last != nil {
		t.Errorf("of a job that never ran: %v, %v", last, err)
	}
	for i, n := range []db.NewRun{statements(scheduled), bySchedule(scheduled.Add(day), db.RunSkipped), statements(scheduled.Add(2 * day)), statements(scheduled.Add(3 * day))} {
		if r, err := d.Store.BeginRun(ctx, n, me); err != nil || r == nil {
			t.Fatal(i, r, err)
		}
		d.Exec(t, `UPDATE {db}.outbox_run SET state = 'done', finished_at = NOW() WHERE state = 'running'`)
	}
	last, err := d.Store.LastScheduled(ctx, "letters", "statements")
	if err != nil || last == nil || !last.Scheduled.Equal(scheduled.Add(day)) {
		t.Fatalf("%+v, %v", last, err)
	}
	taken, err := d.Store.TakenTimes(ctx, last.Scheduled, "letters", "statements")
	if err != nil || fmt.Sprint(taken) != fmt.Sprint([]time.Time{scheduled.Add(2 * day), scheduled.Add(3 * day)}) {
		t.Errorf("%v, %v", taken, err)
	}
	d.Exec(t, `UPDATE {db}.outbox_run SET started_by = NULL WHERE id = 3`) // an adoption's, or of an older program
	if last, err := d.Store.LastScheduled(ctx, "statements"); err != nil || last.ID != 3 {
		t.Errorf("%+v, %v", last, err)
	}
}
