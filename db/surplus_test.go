package db_test

import (
	"slices"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

func TestSurplusIsHeldOnce(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 2500, "kunde.example")
	d.Exec(t, "UPDATE {db}.outbox SET state = 'cancelled' WHERE id = 1")
	loop := session(t, d)
	for _, statement := range []string{"BEGIN", "UPDATE " + d.Name + ".outbox SET subject = 'x' WHERE id = 2"} {
		_, err := loop.ExecContext(ctx, statement)
		must(t, err)
	}
	var all []uint64
	for id := uint64(1); id <= 2500; id++ {
		all = append(all, id)
	}
	held, locked, err := d.Store.HoldSurplus(ctx, "send", "too many", all)
	must(t, err)
	if held != 2498 || !slices.Equal(locked, []uint64{2}) {
		t.Errorf("held %d, locked %v", held, locked)
	}
	_, err = loop.ExecContext(ctx, "COMMIT")
	must(t, err)
	last, changed, err := d.Store.ReleaseHeld(ctx, db.HeldRows{Surplus: true, Limit: 1000})
	must(t, err)
	if last != 1002 || changed != 1000 {
		t.Errorf("released %d up to %d", changed, last)
	}
	must(t, d.Store.Hold(ctx, 3, "by a person"))
	last, changed, err = d.Store.CancelHeld(ctx, db.HeldRows{After: 2000, Limit: 1000}, "a loop")
	must(t, err)
	if last != 2500 || changed != 500 {
		t.Errorf("cancelled %d up to %d", changed, last)
	}
	if last, changed, err = d.Store.CancelHeld(ctx, db.HeldRows{After: last, Limit: 1000}, ""); last != 0 || changed != 0 || err != nil {
		t.Errorf("cancelled %d up to %d: %v", changed, last, err)
	}
	held, locked, err = d.Store.HoldSurplus(ctx, "send", "too many", all)
	must(t, err)
	if held != 1 || len(locked) != 0 { // number 2, which was locked
		t.Errorf("held %d more, locked %v", held, locked)
	}
	got := d.Read(t, "SELECT CONCAT_WS(' ', SUM(held = 0 AND state = 'queued'), SUM(held = 1 AND state = 'queued'), SUM(state = 'cancelled')) FROM {db}.outbox")
	if got != "999 1000 501" {
		t.Errorf("free, held, cancelled: %s", got)
	}
}

func TestArrivedBefore(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	if at, err := d.Store.ArrivedBefore(ctx, time.Now()); at != 0 || err != nil {
		t.Errorf("of an empty table: %d, %v", at, err)
	}
	insert(t, d, 200, "kunde.example")
	d.Exec(t, "UPDATE {db}.outbox SET created_at = created_at - INTERVAL 1 HOUR WHERE id <= 77")
	d.Exec(t, "DELETE FROM {db}.outbox WHERE id IN (1, 2, 60, 77, 78, 79, 150)")
	for ago, want := range map[time.Duration][2]uint64{2 * time.Hour: {0, 2}, 30 * time.Minute: {76, 79}, -time.Hour: {200, 200}} {
		at, err := d.Store.ArrivedBefore(ctx, time.Now().Add(-ago))
		must(t, err)
		if at < want[0] || at > want[1] {
			t.Errorf("%s ago: %d, want %v", ago, at, want)
		}
	}
}
