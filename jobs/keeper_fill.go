package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/fence"
	"outboxd/jobs/mailing"
)

const (
	fillRows    = 1000    // of an audience, in one transaction
	fillOctets  = 8 << 20 // of what they carry, at most about that
	fillWorkers = 2       // transactions at once: while one is synced the next is written
)

// runFault says why a run fails: of itself, so that waiting does not help.
type runFault struct{ text, remedy string }

// Error returns cause and remedy.
func (e *runFault) Error() string {
	if e.remedy == "" {
		return e.text
	}
	return e.text + "; " + e.remedy
}

// fill makes the rows of a run, if nobody has the run. It takes the run's lease, which fences each transaction.
func (h *hand) fill(stop context.Context) error {
	if !h.k.c.isHere(h.spec.Host) || !h.run.Free || !h.k.beginFill() {
		return nil
	}
	defer h.k.endFill()
	kept := context.WithoutCancel(stop) // what is taken is laid down
	taken, err := h.k.store.TakeRun(kept, h.run, h.k.c.e.instance)
	if taken == nil || err != nil {
		return err
	}
	h.run = *taken
	now, err := h.k.store.Run(kept, taken.ID)
	if err == nil && stop.Err() == nil {
		if h.run, err = now, h.make(stop); err == nil {
			return nil
		}
	}
	if failed := h.ownFault(stop, err); failed != nil {
		return failed // the lease is what lets it fail
	}
	h.log.Info(eventRunLaidDown)
	h.noteWait(stop, err)
	return errors.Join(err, h.k.store.LayDownRun(kept, h.run))
}

// waitsNote begins the note of a run whose rows cannot be made at the moment.
const waitsNote = "waits: "

// noteWait notes in the run why its rows cannot be made at the moment, for whoever looks at it. It is only words: they may fail.
func (h *hand) noteWait(stop context.Context, err error) {
	if err == nil || stop.Err() != nil || ofDatabase(err) || h.run.Note == waitsNote+err.Error() {
		return
	}
	_, _ = h.change(stop, db.RunChange{From: []db.RunState{db.RunRunning}, Token: h.run.Token, Note: waitsNote + err.Error()})
}

// make makes the rows of the run that was taken, as long as its lease stands.
func (h *hand) make(stop context.Context) error {
	f := &filler{hand: h, resumed: h.run.Enqueued > 0, world: h.k.c.e.currentWorld()}
	ctx, cancel := context.WithCancelCause(stop)
	var beats sync.WaitGroup
	run := h.run // the work goes on to change its own
	beats.Go(func() { f.beat(ctx, run, cancel) })
	err := f.work(ctx)
	if lost := context.Cause(ctx); err != nil && stop.Err() == nil && lost != nil {
		err = lost
	}
	cancel(nil)
	beats.Wait()
	return err
}

func (k *keeper) beginFill() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.filling {
		return false
	}
	k.filling = true
	return true
}

func (k *keeper) endFill() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.filling = false
}

// filler is the making of one run's rows.
type filler struct {
	*hand
	resumed  bool // it was begun before: some of its rows may be there
	begun    time.Time
	world    *World
	spool    *mailing.Spool
	figures  mailing.Figures
	shown    []db.NewMail // mails that show whether any can be made
	encloser *encloser
	link     []byte // what personal links are signed with; nil: there are none

	mu  sync.Mutex
	got db.Enqueued
}

// beat prolongs the run's lease. A lease that was lost ends the work.
func (f *filler) beat(ctx context.Context, run db.Run, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		f.pulse.beat()
		err := f.k.store.BeatRun(ctx, run)
		var lost *db.RunLostError
		if errors.As(err, &lost) {
			cancel(err)
			return
		}
		if err != nil && ctx.Err() == nil {
			f.k.c.report(err)
		}
	}
}

// ownFault makes an error of the making one of the run; nil for what heals by itself, and for a lease that is lost.
func (h *hand) ownFault(stop context.Context, err error) *runFault {
	var lost *db.RunLostError
	var fenced *fence.Error
	var away *awayError
	var wait *waitError
	read, isRead := errors.AsType[*db.ReadError](err)
	if isRead {
		h.k.c.sources.noteQuery(stop, err)
	}
	switch {
	case stop.Err() != nil, errors.As(err, &lost), errors.As(err, &fenced), errors.As(err, &away), errors.As(err, &wait),
		isRead && read.Reason == db.ReadUnreachable:
		return nil
	}
	var own *runFault
	if errors.As(err, &own) {
		return own
	}
	if audience, ok := errors.AsType[*mailing.AudienceError](err); ok {
		return &runFault{"its audience cannot be read: " + audience.Error(), ""}
	}
	_, template := errors.AsType[*TemplateError](err)
	if isRead || template || isRowError(err) {
		return &runFault{err.Error(), ""}
	}
	return nil // the database's
}

// work makes all rows, shows that mails can be made of them, and lets the run go on.
func (f *filler) work(ctx context.Context) error {
	f.begun = time.Now()
	if err := f.pinTemplates(ctx); err != nil {
		return err
	}
	if f.spec.Kind == mailing.KindReport {
		return f.reportRow(ctx)
	}
	var err error
	f.spool, err = readAudience(ctx, f.k.c.place, f.spec, f.run.Scheduled)
	f.k.c.sources.noteQuery(ctx, err)
	f.k.c.sources.noteSpool(err)
	if err != nil {
		return err
	}
	defer f.spool.Close()
	if err := f.count(ctx); err != nil {
		return err
	}
	f.encloser = newEncloser(f.world.File, f.k.c.place, f.run, f.spec, f.k.c.sources)
	if err := f.enqueue(ctx); err != nil {
		return err
	}
	return f.ready(ctx, f.spool.Rows())
}

// enqueue makes a row of the outbox of each row of the audience. One reads, and two write.
func (f *filler) enqueue(stop context.Context) error {
	ctx, cancel := context.WithCancelCause(stop)
	defer cancel(nil)
	batches := make(chan []db.NewMail)
	var workers sync.WaitGroup
	for range fillWorkers {
		workers.Go(func() {
			for mails := range batches {
				if err := f.insert(ctx, mails); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	hand := func(mails []db.NewMail) error {
		select {
		case batches <- mails:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	var mails []db.NewMail
	octets := 0
	err := f.spool.Each(ctx, 1, func(_ int64, m db.NewMail) error {
		mails, octets = append(mails, m), octets+len(m.Params)
		if len(mails) < fillRows && octets < fillOctets {
			return nil
		}
		full := mails
		mails, octets = make([]db.NewMail, 0, fillRows), 0
		return hand(full)
	})
	if err == nil && len(mails) > 0 {
		err = hand(mails)
	}
	close(batches)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause // of a worker, or of the stop
	}
	return err
}

// insert gives mails what they carry, and enqueues them.
func (f *filler) insert(ctx context.Context, mails []db.NewMail) error {
	if err := f.usable(ctx, func() error { return f.k.c.place.list.end(ctx, mails) }); err != nil {
		return err
	}
	if len(f.spec.Attach) == 0 {
		return f.put(ctx, mails)
	}
	mails, err := f.passOver(ctx, mails)
	if err != nil {
		return err
	}
	first, octets := 0, 0
	for i := range mails {
		f.pulse.beat()
		if err := f.encloser.enclose(ctx, &mails[i]); err != nil {
			return err
		}
		for _, a := range mails[i].Attachments {
			octets += len(a.Content)
		}
		if octets >= fillOctets || i == len(mails)-1 {
			if err := f.put(ctx, mails[first:i+1]); err != nil {
				return err
			}
			first, octets = i+1, 0
			for j := range i + 1 {
				mails[j].Attachments = nil // not kept in memory
			}
		}
	}
	return nil
}

// passOver leaves out the mails that are there since before a restart: what they carry is not asked for again.
func (f *filler) passOver(ctx context.Context, mails []db.NewMail) ([]db.NewMail, error) {
	if !f.resumed {
		return mails, nil
	}
	known, err := f.k.store.KnownMails(ctx, f.run.ID, mails)
	if err != nil {
		return nil, err
	}
	f.add(db.Enqueued{Known: int64(len(known))})
	return slices.DeleteFunc(mails, func(m db.NewMail) bool { return known[m.Identity] }), nil
}

// put enqueues mails. Each transaction is short; a stop comes between two.
func (f *filler) put(ctx context.Context, mails []db.NewMail) error {
	b := db.Batch{Resumed: f.resumed, Mails: mails}
	return f.usable(ctx, func() error {
		got, err := f.k.store.Enqueue(context.WithoutCancel(ctx), f.run, b)
		if err == nil {
			f.add(got)
		}
		b.Resumed = true // it may have been done
		return err
	})
}

// usable does something as soon as the database can be used.
func (f *filler) usable(ctx context.Context, do func() error) error {
	for pause := time.Second; ; pause = min(2*pause, lookAgain) {
		f.pulse.beat()
		err := f.k.fit(ctx)
		if err == nil {
			err = do()
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !db.Waits(err):
			return err
		}
		f.k.c.report(err)
		if !sleep(ctx, pause) {
			return context.Cause(ctx)
		}
	}
}

func (f *filler) add(got db.Enqueued) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got.Inserted += got.Inserted
	f.got.Known += got.Known
	f.got.Twice += got.Twice
}

// ready ends the making: every row is there. Mails are made of some of them before the first one may go, and the proof goes out in the same
// transaction that lets the run wait for its approval, or send.
func (f *filler) ready(ctx context.Context, rows int64) error {
	now, err := f.k.store.Run(ctx, f.run.ID)
	if err != nil {
		return err
	}
	// Also a run that is gone on with has each row of its audience.
	if now.Enqueued < rows {
		return &runFault{fmt.Sprintf("of %d rows of its audience %d are in the outbox: rows of outbox_run or outbox_run_mail were changed by hand", rows, now.Enqueued), "start it anew"}
	}
	f.run.Enqueued, f.run.RunCounts = now.Enqueued, now.RunCounts
	f.run.Audience = &f.run.Enqueued
	mails, err := f.proofs(ctx)
	if err != nil {
		return err
	}
	change := db.RunChange{State: db.RunSending, From: []db.RunState{db.RunRunning}, Token: f.run.Token, Audience: f.run.Audience, LinkKey: f.link}
	note := ""
	if strings.HasPrefix(f.run.Note, waitsNote) {
		note = "its mails are made" // what it waited for is over
	}
	if rows < now.Enqueued {
		note = audienceAgain + fmt.Sprintf(" and has %d rows by now; of those before, %d are not among them and are mailed all the same", rows, now.Enqueued-rows)
	}
	if a := f.spec.Approval; a != nil && f.figures.Sendable > 0 {
		// Whoever has approved it before there was a proof has not seen what goes.
		change.State, change.DecideUntil, change.Unapprove = db.RunHeld, within(a), true
		note = joinNotes(note, waitsForApproval(a, f.run.StartedBy))
	} else {
		change.Allowed = f.canary()
		if a != nil {
			change.ApprovedBy = approvedByNobody
		}
	}
	change.Note = note
	changed, err := f.change(ctx, change, mails...)
	if err != nil || !changed {
		return err
	}
	took := time.Since(f.begun)
	f.log.Info(eventRunEnqueued, zap.Int64("audience", now.Enqueued), zap.Int64("known", f.got.Known), zap.Int64("mailed_before", f.got.Twice),
		zap.Duration("took", took.Round(time.Millisecond)), zap.Int("proofs", len(mails)))
	if change.State == db.RunHeld {
		f.log.Info(eventRunHeld, zap.Strings("approval", f.spec.Approval.By))
	}
	f.k.poke()
	return nil
}

// audienceAgain begins what a run's note says of an audience that was not the same when the run was gone on with.
const audienceAgain = "the audience was read again after a restart"
