package jobs

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
)

// openAccounts makes the accounts, or keeps those of before that are the same. At the start an account whose secret or
// certificates cannot be read is left aside, and its rows wait; afterwards that is an error, and all are reported together.
func (e *Engine) openAccounts(w *World, before map[string]*account) (map[string]*account, error) {
	accounts := map[string]*account{}
	var errs []error
	for _, conf := range w.File.Accounts {
		if !conf.Active {
			continue
		}
		to, err := e.state.access(conf)
		if err != nil && before == nil {
			w.unusable[conf.Name] = err
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		buckets := w.bucketsOf(conf)
		shared := w.usersOf(conf.Name) > 1
		settings := fingerprint(conf, to.secret, buckets.Key(), shared)
		if old := before[conf.Name]; old != nil && old.fingerprint == settings {
			accounts[conf.Name] = old
			continue
		}
		a := newAccount(conf, to, buckets, e.log, e.alerts, e.troubles)
		a.fingerprint, a.mended, a.shared = settings, before[conf.Name] != nil, shared
		if buckets == w.buckets {
			a.control = e.control
		}
		accounts[conf.Name] = a
	}
	return accounts, errors.Join(errs...)
}

func unusableKey(account string) string { return "unusable " + account }

const (
	// tendEvery is how many rounds of keepAccounts make the minute between two looks at an account's bucket.
	tendEvery = int(time.Minute / (idleSession / 2))
	// dropEvery is how many rounds pass until what was handed over long ago is dropped.
	dropEvery = 10 * tendEvery
)

// keepAccounts closes sessions that nobody uses, and looks after the limits.
func (e *Engine) keepAccounts(ctx context.Context) {
	pulse := e.pulses.add("accounts")
	defer pulse.end()
	for n := 0; sleep(ctx, idleSession/2); n++ {
		pulse.beat()
		e.mu.Lock()
		all := slices.Collect(maps.Values(e.accounts))
		e.mu.Unlock()
		for _, a := range all {
			a.closeIdle()
			if a.isSlowed() || e.alerts.IsOn(slowedKey(a.conf.Name)) { // it may recover while it rests
				a.look(ctx)
			}
			if n%tendEvery == 0 {
				a.tend(ctx)
			}
			pulse.beat()
		}
		if n%dropEvery == 0 {
			e.mu.Lock()
			control := e.world.Control
			e.mu.Unlock()
			if err := control.PurgeHanded(ctx); err != nil {
				e.log.Warn(eventStoreError, zap.Error(err))
			}
		}
	}
}

// tend looks after the clocks and the slots of the account's buckets.
func (a *account) tend(ctx context.Context) {
	a.reportBucket(a.domains.tend(ctx, a.buckets))
	if a.limited() {
		a.reportBucket(a.buckets.Tend(ctx, a.bucket))
	}
}
