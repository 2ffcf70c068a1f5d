package jobs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

const (
	// missedAfter is how late a scheduled time may be begun without counting as missed: a restart, a database that was away.
	missedAfter = 15 * time.Minute
	// overlapTold is how long a time waits for the end of its job's run of before until a person is told.
	overlapTold = time.Hour
)

// missed says what becomes of a time at which no daemon was there.
type missed struct {
	policy string        // jobfile.Run, Skip or Ask; "" makes up for all missed times with one run, and notes nothing
	lateBy time.Duration // how late a run may begin; 0: however late
}

// due are the scheduled times that have come and have no run.
type due struct {
	times  int
	first  time.Time // wall times
	before time.Time // the one before the latest
	latest time.Time
	taken  bool      // the latest has a run, which a person has started: only the others are without
	next   time.Time // the first that has not come
}

// add notes one more that has come.
func (d *due) add(wall time.Time) {
	if d.times++; d.times == 1 {
		d.first = wall
	}
	d.before, d.latest = d.latest, wall
}

// due returns the scheduled wall times that have come since another one, and when the first one comes that has not. A person may have
// started the run of one of them: what had come before it counts as older, and of those behind it the latest counts.
func (s *scheduler) due(ctx context.Context, last time.Time) (d due, err error) {
	now := s.now()
	var taken []time.Time
	d.next = jobfile.At(s.when.Next(last), s.zone)
	if !d.next.After(now) && s.kind != kindPurge { // nobody starts one
		if taken, err = s.store.TakenTimes(ctx, last, s.names()...); err != nil {
			return d, err
		}
	}
	var byHand time.Time
	for wall := s.when.Next(last); ; wall = s.when.Next(wall) {
		if d.next = jobfile.At(wall, s.zone); wall.IsZero() { // not in the next years
			d.next = now.AddDate(1, 0, 0)
		}
		if d.next.After(now) {
			break
		}
		if d.taken = slices.ContainsFunc(taken, wall.Equal); d.taken {
			byHand = wall
		} else {
			d.add(wall)
		}
	}
	if d.taken && d.times > 0 {
		d.add(byHand)
	}
	return d, nil
}

// older tells which times there are beside the latest.
func (d due) older() string {
	if d.times == 2 {
		return OnClocks(d.first)
	}
	return fmt.Sprintf("%d times from %s to %s", d.times-1, OnClocks(d.first), OnClocks(d.before))
}

// decide tells how the run of the latest time begins, and why it does not simply run.
func (m missed) decide(now time.Time, d due, zone *time.Location) (db.RunState, string) {
	late := now.Sub(jobfile.At(d.latest, zone))
	since := fmt.Sprintf("it was to begin at %s, %s ago", OnClocks(d.latest), span(late))
	switch {
	case m.policy == "":
		return db.RunRunning, ""
	case m.lateBy > 0 && late > m.lateBy:
		return db.RunSkipped, fmt.Sprintf("missed: %s, and may be no later than %s (late_by)", since, span(m.lateBy))
	case late <= missedAfter || m.policy == jobfile.Run:
		return db.RunRunning, ""
	case m.policy == jobfile.Skip:
		return db.RunSkipped, fmt.Sprintf("missed: %s, and what was missed is left out (missed: skip)", since)
	}
	return db.RunAsked, fmt.Sprintf("missed: %s. A person decides whether it is to run (missed: ask)", since)
}
