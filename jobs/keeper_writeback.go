package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
)

const (
	backsAtOnce = 100              // write-backs of one look
	backsEvery  = 30 * time.Second // between two looks while none waits
	backsTold   = 3                // tries of a write-back until a person is told
)

// writeBacks does what outcomes have left for later, and returns when to look again. One that cannot be done is tried again for ever: the
// company's tables are to say what became of its mails.
func (k *keeper) writeBacks(stop context.Context) time.Duration {
	if left := time.Until(k.nextBacks); left > 0 {
		return left
	}
	pause := backsEvery
	due, err := k.c.place.Store.DueWriteBacks(stop, backsAtOnce)
	if err == nil && len(due) > 0 {
		err = k.c.fence.pass(stop)
	}
	for _, p := range due {
		if err != nil || stop.Err() != nil {
			break
		}
		k.pulse.beat()
		pause = keepPoll // others may be due soon
		var held bool
		if held, err = k.writeBack(stop, p); held {
			break
		}
	}
	if err != nil && stop.Err() == nil {
		k.c.report(err)
		k.log.Warn(eventStoreError, zap.Error(err))
	}
	if err == nil {
		k.tellBacks(stop)
	}
	k.nextBacks = time.Now().Add(pause)
	return pause
}

// writeBack does one. held says that the company's tables are locked: the others wait too.
func (k *keeper) writeBack(stop context.Context, p db.PendingWriteBack) (held bool, err error) {
	ctx := context.WithoutCancel(stop)
	w, err := writeBackOf(ctx, k.c.place, p.Run, p.ID)
	var gone *db.NoRowError
	if w == nil && err == nil || errors.As(err, &gone) {
		return false, k.c.place.Store.DropWriteBack(ctx, p)
	}
	if err != nil {
		return false, err
	}
	err = k.c.place.Store.RetryWriteBack(ctx, p, *w)
	var failed *db.WriteBackError
	if errors.As(err, &failed) {
		k.log.Warn(eventWriteBack, zap.Uint64("run", p.Run), zap.Uint64("id", p.ID), zap.String("error", failed.Text))
		return failed.HeldUp, nil
	}
	return false, err
}

// tellBacks tells a person, once, of runs whose outcomes cannot be written back, and when they could.
func (k *keeper) tellBacks(ctx context.Context) {
	counts, err := k.c.place.Store.WriteBackCounts(ctx)
	if err != nil {
		k.c.report(err)
		return
	}
	failing := map[string]bool{}
	for run, n := range counts {
		if n.Failing == 0 {
			continue
		}
		name := RowName{k.c.name, run}.String()
		key := "write-back " + name
		failing[key] = true
		k.c.e.alerts.start(key, fmt.Sprintf("company %s: what became of mails cannot be written into its tables", k.c.name),
			fmt.Sprintf("Of the run %s of company %s %d mails have an outcome that its on_sent or on_failed could not write, since %s:\n\n%s\n\nThe mails themselves are not affected, and outboxd tries again by itself. What to do: outboxd mailing report %s shows them; mend the statement's table or right.",
				name, k.c.name, n.Waiting, timeText(n.Since, k.c.place.Company.Timezone), n.LastError, name))
	}
	k.c.e.alerts.endOthers("write-back "+k.c.name+"/", failing, "it was written")
}
