package db_test

import (
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// What some recipients have is not told as cancelled: neither where a person cancels the row, nor with all that is held.
func TestCancelledRowThatSomeHave(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients) VALUES ('a@b.example, b@b.example'), ('a@b.example, b@b.example'), ('a@b.example'), ('a@b.example, b@b.example')`)
	for _, id := range []int{1, 2, 4} {
		reached(t, d, id, "accepted", "open")
	}
	ctx := deadline(t)
	must(t, d.Store.Cancel(ctx, 1, "no"))
	d.Exec(t, `UPDATE {db}.outbox SET held = 1 WHERE id IN (2, 3)`)
	if last, n, err := d.Store.CancelHeld(ctx, db.HeldRows{Limit: 100}, "no"); last != 3 || n != 2 || err != nil {
		t.Errorf("%d up to %d, %v", n, last, err)
	}
	if got := columns(t, d, "CONCAT(state, held)"); got != "partial0,partial0,cancelled0,queued0" {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = 1`); got != "no: 1 of 2 recipients were not reached; outbox_recipient says who" {
		t.Error(got)
	}
}
