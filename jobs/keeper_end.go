package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
)

const (
	reconcileRows = 2000 // of a run, looked at in one transaction
	// sweepShare is for how many times as long as it took a look at all rows of a run is followed by none: a run of a million that
	// takes days is not looked through all the time.
	sweepShare = 20
	sweepMost  = 2 * time.Minute
)

// reconcile counts what has ended since, and closes the run when all has. Mails end nearly in the order of their numbers: it looks on as long
// as it finds some, and through all of them now and then.
func (h *hand) reconcile(stop context.Context) error {
	begun, all := time.Now(), !time.Now().Before(h.one.sweep)
	if still := h.run.State == db.RunHeld || h.run.State == db.RunStopped; still && !all { // what ends in it ends by hand
		return nil
	}
	var after uint64
	err := h.inSteps(stop, func(ctx context.Context) (bool, error) {
		next, ended, err := h.k.store.ReconcileRun(ctx, h.run.ID, after, reconcileRows)
		after = next
		return next == 0 || ended == 0 && !all, err
	})
	if err != nil {
		return err
	}
	if all {
		h.one.sweep = time.Now().Add(min(sweepShare*time.Since(begun), sweepMost))
	}
	if h.run.State == db.RunHeld {
		h.one.sweep = time.Now().Add(lookAgain)
	}
	now, err := h.k.store.Run(stop, h.run.ID)
	if err != nil || !now.State.Open() {
		return err
	}
	if now.Audience != nil && now.Sum() < now.Enqueued {
		return h.lacking(stop)
	}
	return h.close(stop, now)
}

// lacking looks whether a run can end, of whose mails fewer have an end than were enqueued. If none of them is open, somebody has deleted
// some from outbox_run_mail: what the outbox still has of them is noted again, and goes on. The rest cannot be found: a person is told,
// and can have the run end as cancelled.
func (h *hand) lacking(stop context.Context) error {
	open, err := h.k.store.RunOpen(stop, h.run.ID)
	if err != nil || open {
		return err
	}
	now, err := h.k.store.Run(stop, h.run.ID) // the last of them may have been counted just now
	if err != nil || !now.State.Open() || now.Sum() >= now.Enqueued {
		return err
	}
	if lost := now.Enqueued - now.Sum(); lost != h.one.sought {
		if found, err := h.seek(stop); err != nil || found > 0 {
			return err
		}
		h.one.sought = lost
	}
	if now.State == db.RunCancelling {
		return h.end(stop, now)
	}
	return h.mismatch(stop, now)
}

// seek looks through the whole outbox for mails of the run that it does not know any more.
func (h *hand) seek(stop context.Context) (found int, err error) {
	var after uint64
	err = h.inSteps(stop, func(ctx context.Context) (bool, error) {
		next, n, err := h.k.store.RefindMails(ctx, h.run.ID, after, reconcileRows)
		after, found = next, found+n
		return next == 0, err
	})
	if found > 0 {
		h.log.Warn(eventRunRefound, zap.Int("mails", found))
		h.k.poke()
	}
	return found, err
}

// close ends the run when each row of its audience has its end, and the counts add up. The summary goes out in the same transaction.
func (h *hand) close(stop context.Context, now db.Run) error {
	if now.State == db.RunCancelling && now.Audience == nil { // nothing is enqueued any more
		now.Audience = &now.Enqueued
		if changed, err := h.change(stop, db.RunChange{State: now.State, From: []db.RunState{now.State}, Audience: now.Audience}); err != nil || !changed {
			return err
		}
	}
	if now.Audience == nil || now.Sum() < now.Enqueued {
		return nil
	}
	if now.Sum() != *now.Audience && now.State != db.RunCancelling {
		return h.mismatch(stop, now)
	}
	return h.end(stop, now)
}

// end ends the run, of which no mail is open any more.
func (h *hand) end(stop context.Context, now db.Run) error {
	state := db.RunDone
	if now.State == db.RunCancelling && now.EndsAs != "" {
		state = now.EndsAs
	}
	from := now.State
	if now.State = state; state == db.RunDone {
		now.Note = againNote(now.Note) // all else is what it had waited for
	}
	ended, err := h.k.store.Clock(stop)
	if err != nil {
		return err
	}
	now.EndedAt = &ended // as the summary tells it
	mails, err := h.summaries(stop, now)
	if err != nil {
		return err
	}
	changed, err := h.change(stop, db.RunChange{State: state, From: []db.RunState{from}, Note: joinNotes(now.Note, sumText(now, *now.Audience))}, mails...)
	if _, reopened := errors.AsType[*db.RunSumError](err); reopened { // a mail of it is tried again
		return nil
	}
	if err != nil || !changed {
		return err
	}
	h.log.Info(eventRunClosed, zap.String("state", string(state)), zap.Int64("audience", *now.Audience), zap.Int64("sent", now.Sent), zap.Int64("partial", now.Partial),
		zap.Int64("failed", now.Failed), zap.Int64("skipped", now.Skipped), zap.Int64("suppressed", now.Suppressed), zap.Int64("cancelled", now.Cancelled),
		zap.Int64("expired", now.Expired), zap.Int64("gone", now.Gone), zap.Duration("took", time.Since(now.StartedAt).Round(time.Second)))
	return nil
}

// againNote is the sentence of a note that says that the audience was read again and was not the same; "" when there is none.
func againNote(note string) string {
	_, rest, found := strings.Cut(note, audienceAgain)
	if !found {
		return ""
	}
	sentence, _, _ := strings.Cut(rest, ". ")
	return audienceAgain + sentence
}

// mismatch tells that all rows of a run have an end, and are not as many as its audience had. Somebody has changed outbox_run_mail or the
// run: it is not closed as if all were well.
func (h *hand) mismatch(stop context.Context, now db.Run) error {
	note := fmt.Sprintf(doesNotAddUp+": the audience had %d rows, and %d mails have an end. Rows of outbox_run or outbox_run_mail were changed by hand", *now.Audience, now.Sum())
	if strings.Contains(now.Note, note) {
		return nil
	}
	changed, err := h.change(stop, db.RunChange{State: now.State, From: []db.RunState{now.State}, Note: joinNotes(now.Note, note)})
	if err != nil || !changed {
		return err
	}
	h.log.Error(eventRunFailed, zap.String("note", note))
	h.news(doesNotAddUp, note+".\n\nSo it does not end by itself, and the job's next run waits for it.",
		fmt.Sprintf("outboxd mailing report %[1]s shows the mails that are there; then outboxd mailing stop %[1]s --cancel ends the run, with a note of what is missing", h.name()))
	return nil
}

// doesNotAddUp begins what is said of such a run.
const doesNotAddUp = "does not add up"

// fail ends the run because of itself: nothing has gone, and what is enqueued is cancelled.
func (h *hand) fail(stop context.Context, cause *runFault) error {
	ctx := context.WithoutCancel(stop)
	now, err := h.k.store.Run(ctx, h.run.ID)
	if err != nil {
		return err
	}
	token := ""
	if h.run.State == db.RunRunning {
		token = h.run.Token
	}
	changed, err := h.change(stop, db.RunChange{State: db.RunCancelling, From: []db.RunState{h.run.State}, Token: token,
		Audience: &now.Enqueued, EndsAs: db.RunFailed, Note: cause.Error()})
	if err != nil || !changed {
		return err
	}
	h.log.Error(eventRunFailed, zap.String("error", cause.text), zap.String("remedy", cause.remedy))
	h.news("failed", cause.Error()+".\n\nNothing of it is sent.", h.again())
	h.k.poke()
	return nil
}

// again is the command that starts the run's work anew.
func (h *hand) again() string {
	what, option := jobName(h.k.c.place, strings.TrimPrefix(h.run.Job, audienceJob)), "--job "
	if strings.HasPrefix(h.run.Job, audienceJob) {
		option = ""
	}
	return fmt.Sprintf("mend that, then: outboxd mailing plan %s; outboxd mailing start %s%s", what, option, what)
}

// change changes the run as long as it is what it was. Whoever is faster has decided.
func (h *hand) change(stop context.Context, change db.RunChange, mails ...db.NewMail) (bool, error) {
	if err := h.k.fit(stop); err != nil {
		return false, err
	}
	return h.k.store.ChangeRun(context.WithoutCancel(stop), h.run.ID, change, mails...)
}

// name is the run as commands take it.
func (h *hand) name() string { return runName(h.k.c.place, h.run.ID) }

// news tells a person, once, what has become of the run, and what to do.
func (h *hand) news(what, text, next string) {
	h.k.c.e.alerts.Tell(fmt.Sprintf("company %s: the run of %s for %s %s", h.k.c.name, h.run.Job, OnClocks(h.run.Scheduled), what),
		fmt.Sprintf("The run %s of job %s of company %s, for %s, %s:\n\n%s\n\nWhat to do: %s", h.name(), h.run.Job, h.k.c.name, OnClocks(h.run.Scheduled), what, text, next))
}

// tellAsked tells a person that a run waits for a word, and returns the key of that alert.
func (k *keeper) tellAsked(r db.Run) string {
	key, name := "asked "+runName(k.c.place, r.ID), runName(k.c.place, r.ID)
	k.c.e.alerts.Start(key, fmt.Sprintf("company %s: is the run of %s for %s to be made up for?", k.c.name, r.Job, OnClocks(r.Scheduled)),
		fmt.Sprintf("%s.\n\nIf it is to run now:  outboxd mailing resume %s\nIf it is left out:    outboxd mailing stop --cancel %s", r.Note, name, name))
	return key
}

// cancelledBy is what stands in the rows of a run that is cancelled.
func cancelledBy(r db.Run) string {
	text := fmt.Sprintf("its run %d of %s was cancelled", r.ID, r.Job)
	if r.Note != "" {
		text += ": " + r.Note
	}
	return text
}

// joinNotes makes one note of several.
func joinNotes(all ...string) string {
	var some []string
	for _, one := range all {
		if one = strings.TrimRight(one, ". "); one != "" {
			some = append(some, one)
		}
	}
	return strings.Join(some, ". ")
}

// orList is names with an or before the last one.
func orList(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
