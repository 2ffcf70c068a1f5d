//go:build unix

package torture

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"outboxd/mail/smtptest"
)

// run makes the whole plan come true and compares ledger and table.
func (p plan) run(t testing.TB, binary string) *report {
	t.Helper()
	begun := time.Now()
	s := newSite(t, p, binary)
	ctx, cancel := context.WithTimeout(context.Background(), p.limit)
	defer cancel()
	for _, d := range s.daemons {
		d.start()
	}
	s.attack(ctx)
	attacked := time.Since(begun)
	s.finish(ctx)
	s.t.Logf("attacked for %s, finished after %s", attacked, time.Since(begun))
	r := s.audit()
	r.took = time.Since(begun)
	return r
}

// attack goes on until every kill is done and every row inserted.
func (s *site) attack(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var writers, troubles sync.WaitGroup
	for i := range uint64(2) {
		writers.Go(func() { s.write(ctx, s.plan.rand(partWriter+i)) })
	}
	if s.plan.every > 0 {
		troubles.Go(func() { s.troubleDatabase(ctx, s.plan.rand(partDatabase)) })
		troubles.Go(func() { s.troubleLink(ctx, s.plan.rand(partLink)) })
	}
	troubles.Go(func() { s.passTime(ctx) })
	if s.plan.frozen > 0 && len(s.daemons) > 1 {
		// Past its lease: others take its rows meanwhile, and it wakes up with them. It is not killed while it sleeps.
		sleeper := s.daemons[len(s.daemons)-1]
		troubles.Go(func() {
			pause(ctx.Done(), 5*time.Second)
			s.tally.add("daemon: frozen past its lease")
			sleeper.freeze(s.plan.frozen)
		})
	}
	s.killAll(ctx, s.plan.rand(partKills))
	writers.Wait()
	stop()
	troubles.Wait()
}

// killAll kills one daemon after the other, each after a random number of mails.
func (s *site) killAll(ctx context.Context, rng *rand.Rand) {
	mean := max(1, s.plan.rows/s.plan.kills)
	begun := time.Now()
	for s.kills() < s.plan.kills && ctx.Err() == nil {
		s.awaitMails(ctx, rng.IntN(2*mean)+1)
		pause(ctx.Done(), between(rng, 0, 30*time.Millisecond)) // at any moment of a mail, not when one has just been accepted
		if s.kills() == s.plan.kills/2 {
			s.bad.calm.Store(true)
		}
		some := s.daemons
		if time.Since(begun) < s.plan.frozen+6*time.Second && len(some) > 1 {
			some = some[:len(some)-1]
		}
		s.strike(ctx, rng, some)
	}
}

// awaitMails returns when so many more mails were accepted, or none come.
func (s *site) awaitMails(ctx context.Context, n int) {
	ctx, cancel := context.WithTimeout(ctx, s.plan.idle)
	defer cancel()
	want := s.smtp.Counts().Accepted + n
	_ = s.smtp.Wait(ctx, func(c smtptest.Counts) bool { return c.Accepted >= want }) // the time is up, which is as good
}

// strike kills a daemon and starts it again, or freezes it.
func (s *site) strike(ctx context.Context, rng *rand.Rand, daemons []*daemon) {
	d := daemons[rng.IntN(len(daemons))]
	if rng.IntN(12) == 0 {
		s.tally.add("daemon: frozen")
		d.freeze(s.lasts(rng, 50*time.Millisecond, 2*time.Second))
	}
	if rng.Float64() < s.plan.forge {
		// As if a minute had passed without a heartbeat of anybody: the next daemon that starts takes the rows back while
		// the others are still at them.
		s.tally.add("daemon: leases ended early")
		_ = s.exec(ctx, `UPDATE {db}.outbox SET lease_until = TIMESTAMPADD(SECOND, -1, UTC_TIMESTAMP(6)) WHERE qlane = 4294967295`)
	}
	d.kill()
	s.tally.add(killed)
	pause(ctx.Done(), between(rng, 0, 100*time.Millisecond))
	d.start()
}

// passTime ends the pauses of accounts and domains before their time, so that a run is not spent waiting.
func (s *site) passTime(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s.endPauses(ctx, n%5 == 0)
	}
}

// endPauses lets nobody wait for an account in trouble, nor for a killed daemon that was about to log in, nor send slower by one that was
// throttled.
func (s *site) endPauses(ctx context.Context, lanes bool) {
	_ = s.exec(ctx, `UPDATE {db}.outbox_bucket SET paused_until = NULL, failures = 0, slow_refused = 0, login_until = NULL
		WHERE paused_until IS NOT NULL OR slow_refused > 0 OR login_until IS NOT NULL`)
	if lanes {
		_ = s.exec(ctx, `UPDATE {db}.outbox_lane SET wait_until = UTC_TIMESTAMP(6) WHERE wait_until > UTC_TIMESTAMP(6)`)
	}
}
