package jobs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/mail"
)

// troubleTimes are how long accounts in trouble wait, the same for all; a test shortens it.
type troubleTimes struct {
	pauses float64       // factor of every pause
	slowed time.Duration // until a person is told that an account is slowed
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
// Several mails that meet the same trouble count as one. A server that throttles also slows the account.
func (a *account) trouble(ctx context.Context, o mail.Outcome) time.Duration {
	a.mu.Lock()
	if left := time.Until(a.paused); left > 0 {
		a.mu.Unlock()
		return left
	}
	pause := time.Duration(float64(pauseFor(o, a.failures)) * a.times.pauses)
	a.failures++
	a.proven = false
	failures := a.failures
	a.pauseUntil(time.Now().Add(pause))
	a.unstored = true
	a.mu.Unlock()

	reason := explain(o)
	err := a.writeHealth(func() error {
		return a.buckets.Pause(ctx, a.bucket.Name, pause, db.Trouble{Scope: o.Scope.String(), Class: string(o.Class), Reason: reason})
	})
	a.mu.Lock()
	a.unstored = err != nil
	a.mu.Unlock()
	a.log.Warn(eventAccountPaused, zap.Duration("pause", pause), zap.Stringer("scope", o.Scope), zap.String("class", string(o.Class)),
		zap.Stringer("step", o.Step), zap.Stringer("reply", o.Reply), zap.String("remedy", o.Remedy), zap.Int("failures", failures))
	if o.Verdict == mail.Throttled {
		a.slow(ctx)
	}
	if failures >= alertAfter(o) {
		a.alerts.Start(a.alertKey(), fmt.Sprintf("account %s is paused", a.conf.Name),
			fmt.Sprintf("The account %s (%s) cannot send:\n\n%s\n\nIts mail waits and no attempt is spent. outboxd tries again by itself, the next time in about %s.",
				a.conf.Name, a.smtp, reason, pause.Round(time.Second)))
	}
	return pause
}

func (a *account) alertKey() string { return "account " + a.conf.Name }

// slow lets all daemons send less by the account: its server does not take so much.
func (a *account) slow(ctx context.Context) {
	a.mu.Lock()
	seen := a.flow.perHour(time.Now())
	a.mu.Unlock()
	var pace db.Pace
	err := a.writeHealth(func() (err error) {
		pace, err = a.buckets.Slow(ctx, a.bucket, seen)
		return err
	})
	if err != nil || pace.PerHour == 0 {
		return
	}
	a.mu.Lock()
	before := a.slowed
	if a.slowed = pace; before.PerHour == 0 {
		a.slowedAt = time.Now()
	}
	since := a.slowedAt
	a.mu.Unlock()
	a.tellPace(before, pace, since)
}

// flow is how many mails this daemon sent lately.
type flow struct {
	minute      time.Time // begin of the present one
	now, before int       // mails in it, and in the one before
}

func (f *flow) add(at time.Time) {
	f.turn(at)
	f.now++
}

// perHour is how many mails an hour went in the fuller of the last two minutes.
func (f *flow) perHour(at time.Time) int {
	f.turn(at)
	return max(f.now, f.before) * int(time.Hour/time.Minute)
}

func (f *flow) turn(at time.Time) {
	switch since := at.Sub(f.minute); {
	case since >= 2*time.Minute:
		f.minute, f.now, f.before = at, 0, 0
	case since >= time.Minute:
		f.minute, f.now, f.before = f.minute.Add(time.Minute), 0, f.now
	}
}

// slowAlertAfter is how long an account is slowed before a person is told: a server that takes less than the rate for so long
// will not take more by itself.
const slowAlertAfter = time.Hour

func slowedKey(account string) string { return "slowed " + account }

// tellPace tells that the account is slower, or as fast again as its limits let it.
func (a *account) tellPace(before, after db.Pace, since time.Time) {
	switch {
	case after.PerHour > 0 && (before.PerHour == 0 || after.PerHour < before.PerHour):
		a.log.Warn(eventAccountSlowed, zap.Int("per_hour", after.PerHour), zap.Int("full", after.Full))
	case after.PerHour == 0 && before.PerHour > 0:
		a.log.Info(eventAccountRecovered, zap.Duration("after", time.Since(since)))
	}
	if after.PerHour == 0 {
		a.alerts.End(slowedKey(a.conf.Name), fmt.Sprintf("account %s is not slowed any more", a.conf.Name))
	} else if time.Since(since) >= a.times.slowed {
		a.alerts.Start(slowedKey(a.conf.Name), fmt.Sprintf("account %s is slowed", a.conf.Name),
			fmt.Sprintf("The server of account %s (%s) does not take what jobs.yaml allows: for %s the account has been slowed, now to %d mails an hour%s. "+
				"No mail is lost, and outboxd goes faster again as far as the server lets it. If this stays so, set a lower rate, or ask the provider for a higher limit.",
				a.conf.Name, a.smtp, time.Since(since).Round(time.Minute), after.PerHour, fullText(after)))
	}
}

// fullText says what a slowed account would send at full pace.
func fullText(p db.Pace) string {
	if p.Full == 0 {
		return ""
	}
	return fmt.Sprintf(" of %d", p.Full)
}

// noteEvery is how often successes, and errors that do not pause the account, are noted.
const noteEvery = time.Minute

// well notes that a mail went through: the troubles are over. One that was in flight when the account fell ill says
// nothing.
func (a *account) well(ctx context.Context) {
	a.mu.Lock()
	a.flow.add(time.Now())
	if time.Until(a.paused) > 0 {
		a.mu.Unlock()
		return
	}
	ill := a.failures > 0
	a.failures = 0
	note := time.Since(a.succeeded) >= noteEvery
	if note {
		a.succeeded = time.Now()
	}
	a.mu.Unlock()
	if note {
		a.beside(func(ctx context.Context) error { return a.buckets.NoteSuccess(ctx, a.bucket.Name) })
	}
	a.alerts.End(a.alertKey(), fmt.Sprintf("account %s sends again", a.conf.Name))
	if ill {
		a.heal(ctx)
	}
}

// heal ends the account's troubles for all daemons.
func (a *account) heal(ctx context.Context) {
	if err := a.writeHealth(func() error { return a.buckets.Heal(ctx, a.bucket.Name) }); err == nil {
		a.log.Info(eventAccountWell)
	}
}

// reproach notes an error that does not pause the account: people see it as the account's last one.
func (a *account) reproach(o mail.Outcome) {
	a.mu.Lock()
	note := time.Since(a.reproached) >= noteEvery
	if note {
		a.reproached = time.Now()
	}
	a.mu.Unlock()
	if note {
		a.beside(func(ctx context.Context) error {
			return a.buckets.NoteError(ctx, a.bucket.Name, string(o.Class), explain(o))
		})
	}
}

// beside notes something for people, and keeps no mail waiting for it.
func (a *account) beside(note func(ctx context.Context) error) {
	a.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		a.reportBucket(note(ctx))
	})
}

// explain is an outcome for a person: what the server said, and what to do about it.
func explain(o mail.Outcome) string {
	if o.Remedy == "" {
		return o.String()
	}
	return strings.TrimSuffix(o.String(), ".") + ". " + o.Remedy
}
