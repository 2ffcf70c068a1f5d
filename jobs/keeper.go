package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/fence"
	"outboxd/jobs/mailing"
)

// keeperStore is where runs of mailings and reports stand. Each change is guarded there by what the run is: a keeper that
// comes too late changes nothing.
type keeperStore interface {
	OpenRuns(ctx context.Context) ([]db.Run, error)
	Run(ctx context.Context, id uint64) (db.Run, error)
	Clock(ctx context.Context) (time.Time, error)

	TakeRun(ctx context.Context, r db.Run, i db.Instance) (*db.Run, error)
	BeatRun(ctx context.Context, r db.Run) error
	LayDownRun(ctx context.Context, r db.Run) error
	KnownMails(ctx context.Context, run uint64, mails []db.NewMail) (map[[16]byte]bool, error)
	Enqueue(ctx context.Context, r db.Run, b db.Batch) (db.Enqueued, error)

	ChangeRun(ctx context.Context, id uint64, c db.RunChange, mails ...db.NewMail) (bool, error)
	ReleaseRun(ctx context.Context, id uint64, limit int) (n int, end bool, err error)
	HoldRun(ctx context.Context, id uint64, limit int) (n int, end bool, err error)
	CancelRun(ctx context.Context, id uint64, why string, limit int) (n int, end bool, err error)
	RunFirst(ctx context.Context, id uint64) (db.RunFirst, error)
	RunOpen(ctx context.Context, id uint64) (bool, error)
	ReconcileRun(ctx context.Context, id, after uint64, limit int) (next uint64, ended int, err error)
	RefindMails(ctx context.Context, id, after uint64, limit int) (next uint64, found int, err error)
}

// keeper takes a company's runs of mailings and reports from their beginning to their end. There is one in each daemon, and any number of
// them do no harm: what is long is done by the one that has the run's lease, all else is a step that one of them makes first.
//
// A run fails by what is its own alone: an audience that cannot be read as it is written, a mail that cannot be made. While a database
// or a reader is away, runs wait. What a keeper leaves behind, also one that was killed, the next one goes on with. A run goes on by what
// stood in jobs.yaml when it began.
type keeper struct {
	c     *company
	store keeperStore
	now   func() time.Time
	log   *zap.Logger
	stop  context.Context

	steps   sync.WaitGroup
	mu      sync.Mutex
	inHand  map[uint64]*kept
	filling bool // one run's rows are being made

	backing  bool              // write-backs are being retried
	nextBack time.Time         // no look at them before
	failing  map[uint64]string // runs whose write-backs fail, with the cause that the log has
	told     bool              // a person may have been told of some that cannot be done: by an earlier life too
}

// kept is what a keeper knows of an open run.
type kept struct {
	busy  bool      // a step is at work
	again time.Time // no step before
	pause time.Duration
	sweep time.Time // no look at all its rows before

	sought int64 // so many of its mails were missing when they were sought in the outbox
}

const (
	keepPoll  = 2 * time.Second  // between two looks while there are open runs
	keepIdle  = 5 * time.Second  // while there are none; whoever begins one wakes the keeper of its daemon
	stepsMost = 8                // runs of one company that are worked on at once
	beatEvery = 10 * time.Second // a lease stands six of them
)

// newKeeper makes the keeper of a company that works until stop is done.
func newKeeper(c *company, stop context.Context) *keeper {
	return &keeper{c: c, store: c.place.Store, now: c.e.now, log: c.log, stop: stop, inHand: map[uint64]*kept{}, failing: map[uint64]string{}, told: true}
}

// expects tells whether the company may have runs. Of one that has nothing to mail by jobs.yaml the housekeeping looks now and then, with its
// chores: a run may be left of a job that is gone.
func (k *keeper) expects() bool {
	j := k.c.place.Company.Jobs
	return len(j.Mailing)+len(j.Report)+len(j.SQL)+len(k.c.place.Company.Audiences) > 0
}

// run looks after runs until stop is done and what is in hand was laid down.
func (k *keeper) run(stop context.Context) {
	pulse := k.c.e.pulses.add("runs of " + k.c.name)
	defer pulse.end()
	defer k.steps.Wait()
	for {
		pulse.beat()
		var pause time.Duration
		onOwnStack(func() { pause = k.look() })
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-k.c.begun:
		case <-stop.Done():
		}
		timer.Stop()
		if stop.Err() != nil {
			return
		}
	}
}

// look has a step made in each open run that has none, and returns when to look again.
func (k *keeper) look() time.Duration {
	runs, err := k.store.OpenRuns(k.stop)
	switch {
	case older(err): // a job that begins runs says so
		return backsEvery
	case err != nil:
		k.c.report(err)
		return keepIdle
	}
	k.forget(runs)
	pause := keepIdle
	for _, r := range runs {
		if r.Kind != mailing.KindMailing && r.Kind != mailing.KindReport {
			continue
		}
		pause = keepPoll
		if one := k.take(r); one != nil {
			k.steps.Go(func() { k.step(k.stop, r, one) })
		}
	}
	k.lookBack()
	return pause
}

// watchful tells whether the next look must not wait for the housekeeping's chores.
func (k *keeper) watchful() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.inHand) > 0 || k.backing
}

// poke has the next look come at once.
func (k *keeper) poke() { k.c.wake() }

// take returns what is known of a run that may have a step now, nil when it has one or is to wait.
func (k *keeper) take(r db.Run) *kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	one := k.inHand[r.ID]
	if one == nil {
		one = &kept{}
		k.inHand[r.ID] = one
	}
	busy := 0
	for _, other := range k.inHand {
		if other.busy {
			busy++
		}
	}
	if one.busy || busy >= stepsMost || time.Now().Before(one.again) {
		return nil
	}
	one.busy = true
	return one
}

// step takes a run on as far as it goes now.
func (k *keeper) step(stop context.Context, r db.Run, one *kept) {
	pulse := k.c.e.pulses.add("run " + runName(k.c.place, r.ID))
	defer pulse.end()
	log := k.log.With(zap.String("job", r.Job), zap.Uint64("run", r.ID), zap.String("scheduled", OnClocks(r.Scheduled)))
	h := &hand{k: k, run: r, one: one, log: log, pulse: pulse}
	err := k.fit(stop)
	if err == nil {
		onOwnStack(func() { err = h.step(stop) })
	}
	pause := h.rest
	if err != nil && stop.Err() == nil {
		pause = h.fault(stop, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	one.busy, one.pause = false, pause
	one.again = time.Now().Add(pause)
}

// fit tells whether anything may be changed in the company's database: nil.
func (k *keeper) fit(ctx context.Context) error {
	if err := k.c.altered(); err != nil {
		return err
	}
	return k.c.fence.Pass(ctx)
}

// forget drops what is known of runs that have ended, and ends the alerts of what they do not wait for any more.
func (k *keeper) forget(open []db.Run) {
	k.mu.Lock()
	defer k.mu.Unlock()
	states := map[uint64]db.RunState{}
	asked := map[string]bool{}
	for _, r := range open {
		states[r.ID] = r.State
		if r.State == db.RunAsked {
			asked[k.tellAsked(r)] = true
		}
	}
	for id, one := range k.inHand {
		if _, there := states[id]; !there && !one.busy {
			delete(k.inHand, id)
		}
	}
	k.c.e.alerts.EndOthers("asked "+k.c.name+"/", asked, "a person has decided about it")
}

// hand is a run in a keeper's hand, for one step.
type hand struct {
	k     *keeper
	run   db.Run
	spec  mailing.Spec
	one   *kept
	log   *zap.Logger
	pulse *pulse
	rest  time.Duration // how long the run may be left alone
}

// step does what the run's state asks for, then what is always to be done.
func (h *hand) step(stop context.Context) (err error) {
	if h.run.State == db.RunAsked {
		return nil // a person decides
	}
	// One that is being cancelled comes to its end also without it.
	if h.spec, err = mailing.Parse(h.run.Spec); err != nil && h.run.State != db.RunCancelling {
		return h.fail(stop, &runFault{"what it is to do cannot be read: " + err.Error(), "outboxd was updated since it began, or outbox_run.spec was edited; start it anew with outboxd mailing start"})
	}
	switch h.run.State {
	case db.RunRunning:
		return h.fill(stop)
	case db.RunHeld:
		err = h.held(stop)
	case db.RunSending:
		err = h.send(stop)
	case db.RunStopped:
		err = h.inSteps(stop, func(ctx context.Context) (end bool, err error) {
			_, end, err = h.k.store.HoldRun(ctx, h.run.ID, stepRows)
			return end, err
		})
	case db.RunCancelling:
		why := cancelledBy(h.run)
		err = h.inSteps(stop, func(ctx context.Context) (end bool, err error) {
			_, end, err = h.k.store.CancelRun(ctx, h.run.ID, why, stepRows)
			return end, err
		})
	}
	if err != nil {
		return err
	}
	return h.reconcile(stop)
}

// stepRows is how many rows of a run are changed in one transaction.
const stepRows = 1000

// inSteps changes rows of the run in short transactions, with as long a pause after each as it took: a busy server, and everybody else's
// mail, gets more air. It ends early when the run's state has changed: then nothing is changed any more.
func (h *hand) inSteps(stop context.Context, change func(ctx context.Context) (end bool, err error)) error {
	for {
		h.pulse.beat()
		if err := h.k.fit(stop); err != nil {
			return err
		}
		begun := time.Now()
		end, err := change(context.WithoutCancel(stop))
		if err != nil || end {
			return err
		}
		if !sleep(stop, min(time.Since(begun), longestPause)) {
			return stop.Err()
		}
	}
}

// fault says what an error of a step means, and returns how long the run is left alone. Nothing but a step's own failure ends a
// run; everything else waits for what is away.
func (h *hand) fault(stop context.Context, err error) time.Duration {
	var lost *db.RunLostError
	var fenced *fence.Error
	var failed *runFault
	switch {
	case errors.As(err, &fenced): // has been told
		return keepPoll
	case errors.As(err, &lost):
		h.log.Info(eventLeaseLost, zap.Error(err))
		return keepPoll
	case errors.As(err, &failed):
		return h.fault(stop, h.fail(stop, failed))
	case err == nil:
		return 0
	}
	if ofDatabase(err) {
		h.k.c.report(err)
	}
	h.log.Warn(eventStoreError, zap.Error(err))
	return min(max(2*h.one.pause, keepPoll), lookAgain)
}

// ofDatabase tells whether an error of a step is the company's database's. All else that a run waits for is told of elsewhere.
func ofDatabase(err error) bool {
	var read *db.ReadError
	var away *awayError
	var wait *waitError
	var room *mailing.SpoolError
	return !errors.As(err, &read) && !errors.As(err, &away) && !errors.As(err, &wait) && !errors.As(err, &room)
}
