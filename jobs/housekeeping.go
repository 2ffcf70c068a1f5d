package jobs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

const (
	housekeeping = 5 * time.Second  // between two heartbeats: a lease stands twelve of them
	rescueEvery  = 3                // of them
	choresEvery  = 12               // of them: what has a minute's time
	restEvery    = 60               // of them: the same, and all that there is, in an idle company
	idleAfter    = 90 * time.Second // without a row: time for the chores that the last row may have made
	lateCommit   = time.Hour        // how long after their expires_at rows may still be committed
)

// keepHouse prolongs leases, returns what dead daemons left behind, and ends what has expired. Of a company that expects no runs it
// looks for open ones.
func (c *company) keepHouse(ctx context.Context, k *keeper) {
	pulse := c.e.pulses.add("housekeeping " + c.name)
	defer pulse.end()
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	var cursor db.ExpireCursor
	phase, round := rand.IntN(restEvery), 0 // many companies do not do their chores at the same time
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		pulse.beat()
		idle, every := c.idle(), choresEvery
		if idle {
			every = restEvery
		}
		chores := n == 0 || (n+phase)%every == 0
		if chores {
			round++
		}
		if chores || !idle || c.fence.Watchful() {
			onOwnStack(func() { cursor = c.keep(ctx, n, chores, round, cursor) })
		}
		if !k.expects() && (chores || k.watchful()) && k.stop.Err() == nil {
			onOwnStack(func() { k.look() })
		}
	}
}

// keep does the nth turn of housekeeping, with the chores of the given round when it is their turn. It returns where the next one goes on to look for expired rows.
func (c *company) keep(ctx context.Context, n int, chores bool, round int, cursor db.ExpireCursor) db.ExpireCursor {
	c.outage.probe(func() error { return c.place.Store.ProbeWrite(ctx) })
	err := c.beat(ctx)
	if err != nil {
		c.report(err)
	}
	c.lookAtShape(ctx, chores && round%shapeEvery == 0)
	if err == nil {
		c.fence.Turn(ctx, false)
	}
	if chores {
		if err := c.fence.Pass(ctx); err != nil {
			c.report(err)
		}
	}
	if err != nil || c.altered() != nil || c.fence.Err() != nil { // nothing is changed in a copy
		return cursor
	}
	if chores || n%rescueEvery == 0 {
		c.report(c.rescue(ctx, ""))
	}
	cursor = c.expire(ctx, cursor)
	if chores {
		c.checkUncertain(ctx)
		c.tendBuckets(ctx)
		c.refuseMisfits(ctx)
		c.endStateless(ctx)
	}
	return cursor
}

// expire ends some of the rows that are over their time, and returns where to go on.
func (c *company) expire(ctx context.Context, cursor db.ExpireCursor) db.ExpireCursor {
	next, expired, end, err := c.place.Store.Expire(ctx, cursor)
	if err != nil {
		c.report(err)
		return cursor
	}
	if expired > 0 {
		c.log.Warn(eventExpired, zap.Int64("rows", expired))
	}
	if end && !next.At.IsZero() {
		// Rows may be committed after their time: the last hour is looked through again.
		next = db.ExpireCursor{At: next.At.Add(-lateCommit)}
	}
	return next
}

// stir notes that rows wait or are under way, or that this cannot be told.
func (c *company) stir() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stirred = time.Now()
}

// idle tells whether nothing has waited nor been under way for a while.
func (c *company) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.leases) == 0 && time.Since(c.stirred) > idleAfter
}

// tendBuckets looks after the limits of the jobs.
func (c *company) tendBuckets(ctx context.Context) {
	for _, job := range c.place.Company.Jobs.Deliver {
		if b, limited := jobBucket(c.name, job); limited {
			c.report(c.place.Own.Tend(ctx, b))
		}
	}
}

// beat prolongs the leases of the mails in flight.
func (c *company) beat(ctx context.Context) error {
	c.mu.Lock()
	leases := make([]db.Lease, 0, len(c.leases))
	for l := range c.leases {
		leases = append(leases, l)
	}
	c.mu.Unlock()
	return c.place.Store.Heartbeat(ctx, leases)
}

// rescue returns expired leases, and with own those of that instance.
func (c *company) rescue(ctx context.Context, own string) error {
	for {
		got, err := c.place.Store.Rescue(ctx, db.Rescue{Own: own, Resend: c.resends()})
		if err != nil {
			return err
		}
		if !got.Any() {
			return nil
		}
		c.log.Warn(eventRescued, zap.Int("queued", len(got.Queued)), zap.Int("uncertain", len(got.Uncertain)), zap.Int("held", len(got.Held)),
			zap.Uint64s("uncertain_ids", got.Uncertain), zap.Uint64s("held_ids", got.Held))
	}
}

// resends tells whether the company's jobs resend what is uncertain. Rows that nobody sends any more have no job, so all
// of the company's must agree.
func (c *company) resends() bool {
	for _, j := range c.place.Company.Jobs.Deliver {
		if j.OnUncertain != jobfile.Resend {
			return false
		}
	}
	return len(c.place.Company.Jobs.Deliver) > 0
}

// checkUncertain tells a person of rows whose fate only a person can find out.
func (c *company) checkUncertain(ctx context.Context) {
	n, err := c.place.Store.CountUncertain(ctx)
	if err != nil {
		c.report(err)
		return
	}
	key := "uncertain " + c.name
	if n == 0 {
		c.e.alerts.End(key, fmt.Sprintf("company %s: no mail is uncertain any more", c.name))
		return
	}
	c.e.alerts.Start(key, fmt.Sprintf("company %s: it is not known whether a mail went out", c.name),
		fmt.Sprintf("A connection broke after a mail of company %s was handed over and before the server answered.\noutboxd does not send it again by itself. See:\n\n  outboxd queue list --company %s --state uncertain\n\nAsk the recipient or look into the server's log, then say what happened: outboxd queue settle, or outboxd queue retry.",
			c.name, c.name))
}
