package jobs

import (
	"context"
	"fmt"

	"outboxd/db"
)

// heldByRun tells that a row waits for its run, what that waits for, and what a person can do about it.
func (w *why) heldByRun(ctx context.Context) {
	name := runName(w.place, w.row.Run)
	r, err := w.place.Store.Run(ctx, w.row.Run)
	if err != nil {
		w.say("It is held by its run %s, which cannot be read: %v.", name, err)
		return
	}
	i := w.desk.runInfo(ctx, w.place, r)
	w.say("It is held by its run %s (%s for %s), which is %s.", name, r.Job, OnClocks(r.Scheduled), r.State)
	switch {
	case i.Waits != "":
		w.say("%s", i.Waits)
	case r.State == db.RunSending:
		w.say("It is let go in its turn, within moments.")
	}
	if w.next = i.Next; r.State == db.RunHeld {
		w.next += fmt.Sprintf("; or end this mail alone: outboxd queue cancel %s", w.name)
	}
}
