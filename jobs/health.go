package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/mail"
)

// healthEvery is how often somebody who waits for an ill account looks whether another daemon, or a person, has ended
// the pause.
const healthEvery = 2 * time.Second

// limitsPause is how long an account waits whose bucket could not be asked.
const limitsPause = 5 * time.Second

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

func (a *account) pauseLeft() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Until(a.paused)
}

// awaitHealth returns when the account is well, however often the end of its pause is moved meanwhile.
func (a *account) awaitHealth(ctx context.Context) error {
	for {
		a.mu.Lock()
		left, resumed := time.Until(a.paused), a.resumed
		a.mu.Unlock()
		if left <= 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		if sleepUnless(ctx, min(left, healthEvery), resumed) {
			a.reconsider(ctx)
		}
	}
}

// reconsider asks whether the pause is still as long as it seemed. It may have been ended meanwhile.
func (a *account) reconsider(ctx context.Context) {
	a.mu.Lock()
	early := time.Until(a.paused) <= 0 || time.Since(a.asked) < healthEvery
	if !early {
		a.asked = time.Now()
	}
	a.mu.Unlock()
	if early {
		return
	}
	health, err := a.buckets.Health(ctx, a.bucket)
	if a.noteBucket(err) != nil {
		return
	}
	a.mu.Lock()
	shorter := time.Until(a.paused)-health.Left > time.Second
	a.mu.Unlock()
	if shorter {
		a.pauseUntil(time.Now().Add(health.Left))
	}
}

// pauseFor is the pause that fits what the reply says about the next try; each trouble in a row makes the pause longer.
func pauseFor(o mail.Outcome, failures int) time.Duration {
	first, factor, most := 15*time.Second, 2.0, 15*time.Minute
	switch {
	case o.Retry == mail.RetryStop:
		first, factor, most = 5*time.Minute, 3, 4*time.Hour
	case o.Retry == mail.RetryLater:
		first, factor, most = time.Hour, 1, time.Hour
	case o.Verdict == mail.Throttled:
		first, most = time.Minute, time.Hour
	}
	pause := float64(first)
	for range min(failures, 20) {
		pause = min(pause*factor, float64(most))
	}
	// Jitter upwards only: a shorter pause would hammer.
	return time.Duration(pause * (1 + rand.Float64()/10))
}

// alertAfter is how many troubles in a row a person is told of: at once where only a person can help.
func alertAfter(o mail.Outcome) int {
	if o.Retry == mail.RetryStop {
		return 1
	}
	return 4
}

// trouble pauses the account in all daemons, so that nobody is locked out and no server hammered, and returns the pause.
// Several mails that meet the same trouble count as one.
func (a *account) trouble(ctx context.Context, o mail.Outcome) time.Duration {
	a.mu.Lock()
	if left := time.Until(a.paused); left > 0 {
		a.mu.Unlock()
		return left
	}
	pause := pauseFor(o, a.failures)
	a.failures++
	failures := a.failures
	a.mu.Unlock()
	a.pauseUntil(time.Now().Add(pause))

	reason := explain(o)
	if err := a.buckets.Pause(ctx, a.bucket.Name, pause, db.Trouble{Scope: o.Scope.String(), Class: string(o.Class), Reason: reason}); err != nil {
		a.log.Warn(eventStoreError, zap.Error(err))
	}
	a.log.Warn(eventAccountPaused, zap.Duration("pause", pause), zap.Stringer("scope", o.Scope), zap.String("class", string(o.Class)),
		zap.Stringer("step", o.Step), zap.Stringer("reply", o.Reply), zap.String("remedy", o.Remedy), zap.Int("failures", failures))
	if failures >= alertAfter(o) {
		a.alerts.start(a.alertKey(), fmt.Sprintf("account %s is paused", a.conf.Name),
			fmt.Sprintf("The account %s (%s) cannot send:\n\n%s\n\nIts mail waits and no attempt is spent. outboxd tries again by itself, the next time in about %s.",
				a.conf.Name, a.smtp, reason, pause.Round(time.Second)))
	}
	return pause
}

func (a *account) alertKey() string { return "account " + a.conf.Name }

// pauseUntil moves the end of the pause.
func (a *account) pauseUntil(t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paused = t
	close(a.resumed)
	a.resumed = make(chan struct{})
}

// well notes that a mail went through: the troubles are over. One that was in flight when the account fell ill says
// nothing.
func (a *account) well(ctx context.Context) {
	a.mu.Lock()
	if time.Until(a.paused) > 0 {
		a.mu.Unlock()
		return
	}
	ill := a.failures > 0
	a.failures = 0
	a.mu.Unlock()
	a.alerts.end(a.alertKey(), fmt.Sprintf("account %s sends again", a.conf.Name))
	if !ill {
		return
	}
	a.pauseUntil(time.Time{})
	if err := a.buckets.Heal(ctx, a.bucket.Name); err != nil {
		a.log.Warn(eventStoreError, zap.Error(err))
	}
	a.log.Info(eventAccountWell)
}

// explain is an outcome for a person: what the server said, and what to do about it.
func explain(o mail.Outcome) string {
	if o.Remedy == "" {
		return o.String()
	}
	return o.String() + ". " + o.Remedy
}
