package jobs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
)

const (
	backsAtOnce = 100              // write-backs of one look
	backsEvery  = 30 * time.Second // between two looks while none waits
)

// lookBack does what outcomes have left for later, beside the runs. One that cannot be done is tried again for ever: the company's tables are
// to say what became of its mails.
func (k *keeper) lookBack() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.backing || time.Now().Before(k.nextBack) {
		return
	}
	k.backing = true
	k.steps.Go(func() {
		pulse := k.c.e.pulses.add("write-backs of " + k.c.name)
		defer pulse.end()
		pause := k.writeBacks(k.stop, pulse)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.backing, k.nextBack = false, time.Now().Add(pause)
	})
}

// writeBacks does what is due, and returns when to look again.
func (k *keeper) writeBacks(stop context.Context, pulse *pulse) time.Duration {
	pause := backsEvery
	due, err := k.c.place.Store.DueWriteBacks(stop, backsAtOnce)
	if err == nil && len(due) > 0 {
		pause, err = keepPoll, k.fit(stop)
	}
	for _, p := range due {
		if err != nil || stop.Err() != nil {
			break
		}
		pulse.beat()
		var held bool
		if held, err = k.writeBack(stop, p); held { // others of these tables would wait as long
			break
		}
	}
	if err == nil && (k.told || len(due) > 0) {
		k.told, err = k.tellBacks(stop)
	}
	if err != nil && stop.Err() == nil {
		k.c.report(err)
		k.log.Warn(eventStoreError, zap.Error(err))
	}
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
	switch {
	case err != nil && db.Waits(err):
		return false, err
	case err != nil: // its own fault: the others do not wait for it
		err = k.c.place.Store.FailWriteBack(ctx, p, err)
	default:
		err = k.c.place.Store.RetryWriteBack(ctx, p, *w)
	}
	var failed *db.WriteBackError
	if errors.As(err, &failed) { // tellBacks tells of all of them
		return failed.HeldUp, nil
	}
	return false, err
}

// tellBacks tells a person, once, of runs whose outcomes cannot be written back, and when they could.
func (k *keeper) tellBacks(ctx context.Context) (told bool, err error) {
	counts, err := k.c.place.Store.WriteBackCounts(ctx)
	if err != nil {
		return true, err
	}
	k.logBacks(counts)
	failing := map[string]bool{}
	for run, n := range counts {
		if n.Failing == 0 {
			continue
		}
		name := runName(k.c.place, run)
		key := "write-back " + name
		failing[key] = true
		k.c.e.alerts.Start(key, fmt.Sprintf("company %s: what became of mails cannot be written into its tables", k.c.name),
			fmt.Sprintf("Of the run %s of company %s %d mails have an outcome that its on_sent or on_failed could not write, since %s:\n\n%s\n\nThe mails themselves are not affected, and outboxd tries again by itself. What to do: outboxd mailing report %s shows them; mend the statement's table or right.",
				name, k.c.name, n.Waiting, timeText(n.Since, k.c.place.Company.Timezone), n.LastError, name))
	}
	k.c.e.alerts.EndOthers("write-back "+k.c.name+"/", failing, "it was written")
	return len(failing) > 0, nil
}

// quoted is what makes of one cause a text for each row: a value, a name.
var quoted = regexp.MustCompile(`'[^']*'|"[^"]*"`)

// logBacks has one line for a run when its write-backs begin to fail, one when the cause is another, and one when it is over, whatever
// number of mails and tries there is.
func (k *keeper) logBacks(counts map[uint64]db.WriteBackCount) {
	for run, n := range counts {
		cause := quoted.ReplaceAllString(n.LastError, "")
		if before, known := k.failing[run]; n.Failing == 0 || known && before == cause {
			continue
		}
		k.failing[run] = cause
		k.log.Warn(eventWriteBack, zap.Uint64("run", run), zap.Int64("waiting", n.Waiting), zap.String("error", n.LastError))
	}
	for run := range k.failing {
		if counts[run].Failing == 0 {
			delete(k.failing, run)
			k.log.Info(eventWriteBackOver, zap.Uint64("run", run))
		}
	}
}
