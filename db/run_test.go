package db_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

func TestOneRunATimeOverAllDaemons(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	var runs []*db.Run
	for i := range 8 {
		all.Go(func() {
			r, err := d.Store.BeginRun(ctx, purgeAt(scheduled), db.Instance{ID: fmt.Sprintf("%08x", i), Host: "here"})
			if err != nil {
				t.Error(err)
			}
			if r != nil {
				mu.Lock()
				defer mu.Unlock()
				runs = append(runs, r)
			}
		})
	}
	all.Wait()
	if len(runs) != 1 || !runs[0].Scheduled.Equal(scheduled) || runs[0].State != db.RunRunning || runs[0].Free {
		t.Fatalf("%d runs, %+v", len(runs), runs)
	}
	if r, err := d.Store.TakeRun(ctx, *runs[0], other); err != nil || r != nil {
		t.Errorf("a run that is held was taken: %v, %v", r, err)
	}
	must(t, d.Store.EndRun(ctx, *runs[0], db.RunDone, ""))
	if r, err := d.Store.BeginRun(ctx, purgeAt(scheduled), other); err != nil || r != nil {
		t.Errorf("it ran again: %v, %v", r, err)
	}
	if r, err := d.Store.BeginRun(ctx, purgeAt(scheduled.Add(day)), other); err != nil || r == nil {
		t.Errorf("the next day: %v, %v", r, err)
	}
	if r, err := d.Store.LastRun(ctx, "another"); err != nil || r != nil {
		t.Errorf("a job that never ran: %v, %v", r, err)
	}
}

// A daemon that was paused for an hour removes nothing more once another has its run.
func TestPurgeIsFencedByTheRunsLease(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	aged(t, d, 1000, "sent", 100, 95)
	p := begin(t, d.Store, db.PassBodies, 90)
	_, err := d.Store.Step(ctx, p)
	must(t, err)
	d.Exec(t, `UPDATE {db}.outbox_run SET lease_until = NOW() - INTERVAL 1 HOUR`)
	last, err := d.Store.LastRun(ctx, "purge")
	must(t, err)
	if !last.Free || last.Contents != 500 {
		t.Fatalf("%+v", last)
	}
	taken, err := d.Store.TakeRun(ctx, *last, other)
	if err != nil || taken == nil {
		t.Fatal(taken, err)
	}
	var lost *db.RunLostError
	if _, err := d.Store.Step(ctx, p); !errors.As(err, &lost) {
		t.Errorf("the step of a lost run: %v", err)
	}
	must(t, d.Store.EndRun(ctx, p.Run, db.RunDone, ""))
	if got := d.Read(t, `SELECT CONCAT_WS(' ', state, contents, (SELECT COUNT(*) FROM {db}.outbox WHERE size = 0)) FROM {db}.outbox_run`); got != "running 500 500" {
		t.Errorf("the run is %s", got)
	}
	p.Run = *taken
	purge(t, d.Store, p)
	must(t, d.Store.EndRun(ctx, p.Run, db.RunDone, ""))
	if got := d.Read(t, `SELECT CONCAT_WS(' ', state, contents, finished_at IS NOT NULL) FROM {db}.outbox_run`); got != "done 1000 1" {
		t.Errorf("the run is %s", got)
	}
}
