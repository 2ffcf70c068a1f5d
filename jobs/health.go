package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
)

// healthEvery is how old what is known of an account's health may be when somebody is to send by it: so soon a pause, by hand
// or because of trouble that another daemon had, and its end take effect.
const healthEvery = time.Second

// limitsPause is how long an account waits whose bucket could not be asked.
const limitsPause = 5 * time.Second

// condition is what this daemon knows of an account's health. All daemons share it by the account's bucket.
type condition struct {
	mu       sync.Mutex
	known    bool // it was read once: before, nothing is sent
	nextLook time.Time
	writing  int           // changes of it that are on their way into the database
	writes   int           // and those that have been: what was read meanwhile is out of date
	changed  chan struct{} // closed when one of the next two changes

	paused   time.Time // because of trouble: nothing is tried before
	held     bool      // by hand
	unstored bool      // the database could not be told of the pause, so it cannot end it
	yields   time.Time // another daemon tries to log in: asked again then

	failures   int  // troubles in a row, of all daemons
	proven     bool // this daemon has logged in, and there was no trouble since
	mended     bool // its settings have changed since: a pause of before does not hold back the first try
	slowed     db.Pace
	slowedAt   time.Time // since when
	flow       flow      // what this daemon sent lately
	full       time.Time // no mail fits into a counted window before
	succeeded  time.Time // when a success was last noted
	reproached time.Time // when an error was last noted that does not pause the account
}

// limitsError says that a bucket could not be asked: nothing is sent without it.
type limitsError struct{ err error }

func (e *limitsError) Error() string { return e.err.Error() }
func (e *limitsError) Unwrap() error { return e.err }

// noteBucket notes how a question to the account's bucket went, and returns its error as a *limitsError.
func (a *account) noteBucket(err error) error {
	if a.control != nil && !errors.Is(err, context.Canceled) {
		a.control.note(err)
	}
	if err == nil {
		return nil
	}
	return &limitsError{err}
}

// reportBucket notes and logs how something went on which no mail waits.
func (a *account) reportBucket(err error) {
	if err = a.noteBucket(err); err != nil {
		a.log.Warn(eventStoreError, zap.Error(err))
	}
}

// wait is how long at least nothing may be sent by the account, and what is closed when that changes.
func (a *account) wait() (time.Duration, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := max(time.Until(a.paused), time.Until(a.yields), a.tokenLeft())
	if a.held || !a.known {
		left = max(left, healthEvery)
	}
	return left, a.changed
}

// usable tells whether somebody may send by the account, as far as is known since a moment ago.
func (a *account) usable() bool {
	left, _ := a.wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return left <= 0 && time.Now().Before(a.nextLook)
}

// able tells whether mails that could go by another account should wait for this one: it is neither in trouble, nor without a
// token, nor held by hand, nor out of budget for longer than a minute.
func (a *account) able() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	able := !a.held && time.Until(a.paused) <= 0 && a.tokenLeft() <= 0 && time.Until(a.full) <= fullAfter
	if now := time.Now(); !able && a.known && now.After(a.nextLook) { // perhaps nobody waits for it who would look
		a.nextLook = now.Add(healthEvery)
		a.background.Go(func() { _, _ = a.ask(context.Background()) }) // an error is noted
	}
	return able
}

// forget lets the next one who is to send by the account look how it does.
func (a *account) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nextLook = time.Time{}
}

// fullAfter is how long a counted window has to be full until the account counts as out of budget.
const fullAfter = time.Minute

// noteFull finds out until when the account is out of budget, where its bucket lets no mail go for so long.
func (a *account) noteFull(ctx context.Context, wait time.Duration) {
	if wait <= fullAfter {
		return
	}
	usage, err := a.buckets.Usage(ctx, a.bucket)
	if a.noteBucket(err) != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.full = time.Now().Add(usage.Until)
}

// awaitHealth returns when the account may be used, however often that changes meanwhile.
func (a *account) awaitHealth(ctx context.Context) error {
	for {
		a.look(ctx)
		left, changed := a.wait()
		if left <= 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		sleepUnless(ctx, min(left, healthEvery), changed)
	}
}

// look asks how the account does, unless that was asked right before.
func (a *account) look(ctx context.Context) {
	a.mu.Lock()
	early := time.Now().Before(a.nextLook)
	a.mu.Unlock()
	if !early {
		_, _ = a.ask(ctx) // an error is noted
	}
}

// ask reads how the account does. A database that does not answer is asked less often: an account that is known, and has no
// limits, goes on without it.
func (a *account) ask(ctx context.Context) (db.Health, error) {
	a.mu.Lock()
	before := a.writes
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	health, err := a.buckets.Health(ctx, a.bucket)
	err = a.noteBucket(err)
	a.mu.Lock()
	tell := func() {}
	a.nextLook = time.Now().Add(healthEvery)
	switch {
	case err != nil && a.known:
		a.nextLook = time.Now().Add(limitsPause)
	case err == nil && a.writing == 0 && a.writes == before:
		tell = a.know(health)
	}
	a.mu.Unlock()
	tell()
	return health, err
}

// know takes in what all daemons know, and returns what is to be told of it. The caller holds the lock.
func (a *account) know(h db.Health) (tell func()) {
	left := h.Left
	if a.mended {
		left = 0
	}
	mine := max(0, time.Until(a.paused))
	if moved := left - mine; moved > time.Second || moved > 0 && mine == 0 || moved < -time.Second && !a.unstored {
		a.pauseUntil(time.Now().Add(left))
	}
	was, before := a.held, a.slowed
	if a.held = h.Held; was != a.held {
		a.stir()
	}
	a.known, a.failures, a.slowed = true, h.Failures, h.Pace
	if before.PerHour == 0 {
		a.slowedAt = time.Now()
	}
	since := a.slowedAt
	return func() {
		switch {
		case h.Held && !was:
			a.log.Warn(eventAccountHeld, zap.String("by", h.HeldBy), zap.String("reason", h.HeldReason), zap.Duration("for", h.HeldLeft))
		case was && !h.Held:
			a.log.Info(eventAccountResumed)
		}
		a.tellPace(before, h.Pace, since)
	}
}

// writeHealth changes what all daemons know of the account. What is read meanwhile is not believed: it may be of before.
func (a *account) writeHealth(write func() error) error {
	a.mu.Lock()
	a.writing++
	a.mu.Unlock()
	err := write()
	a.mu.Lock()
	a.writing--
	a.writes++
	a.mu.Unlock()
	if err != nil {
		a.log.Warn(eventStoreError, zap.Error(err))
	}
	return err
}

// pauseUntil moves the end of the pause. The caller holds the lock.
func (a *account) pauseUntil(t time.Time) {
	a.paused, a.unstored = t, false
	a.stir()
}

// stir lets those who wait for the account look again. The caller holds the lock.
func (a *account) stir() {
	close(a.changed)
	a.changed = make(chan struct{})
}
