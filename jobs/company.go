package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
)

// company is one company at work: its database, its jobs, and the leases it holds.
type company struct {
	e        *Engine
	name     string
	place    *Place
	resolver *resolver
	accounts map[string]*account // active ones that it may use
	log      *zap.Logger

	fence *fence

	fingerprint string // of all this: a reload keeps a company that is the same

	stop   context.Context // ends when nothing more is to be taken
	cancel context.CancelFunc
	done   chan struct{} // closed when everything has ended

	mu      sync.Mutex
	leases  map[db.Lease]bool
	lanes   *lanes
	strikes map[string]int      // throttled recipients in a row, by domain
	learned map[uint32][]string // accounts by route, where the route alone does not tell
	quiet   map[string]bool     // domains that wait: what is still in flight to them is no news
	stirred time.Time           // when rows were last seen waiting or under way
	outage  *outage             // of its database
	looked  uint64              // up to where rows were looked through for such without a state; housekeeping's alone
	shape   shape               // of its tables
}

const (
	fencedPause    = 2 * time.Second  // between two looks whether a fenced company may send again
	housekeeping   = 5 * time.Second  // between two heartbeats: a lease stands twelve of them
	rescueEvery    = 3                // of them
	choresEvery    = 12               // of them: what has a minute's time
	restEvery      = 60               // of them: the same, and all that there is, in an idle company
	idleAfter      = 90 * time.Second // without a row: time for the chores that the last row may have made
	lateCommit     = time.Hour        // how long after their expires_at rows may still be committed
	strikesToPause = 3                // throttled recipients in a row until their domain pauses
	domainLane     = "domain:"        // head of the name of a domain's lane
)

// run works until stop is done and the mails in flight have ended. own takes back what an earlier life of this daemon
// left behind; after a reload the mails in flight are this one's and stay.
func (c *company) run(work context.Context, own bool) {
	defer close(c.done)
	for {
		started := false
		onOwnStack(func() { started = c.start(own) })
		if !started {
			return
		}
		c.shift(work)
		own = false
	}
}

// shift does the jobs until stop is done, or until the database turns out to be a copy.
func (c *company) shift(work context.Context) {
	stop, cancel := c.fence.open(c.stop)
	defer cancel()
	if to := c.place.Company.Divert; to != "" {
		c.log.Warn(eventDiverts, zap.String("to", to))
	}
	beats, endBeats := context.WithCancel(context.WithoutCancel(c.stop))
	var working sync.WaitGroup
	for _, j := range c.jobs(work) {
		working.Go(func() { j.run(stop) })
	}
	go func() {
		working.Wait()
		// Heartbeats go on until the last mail in flight has its outcome.
		endBeats()
	}()
	c.keepHouse(beats)
	onOwnStack(func() { c.fence.end(context.WithoutCancel(c.stop)) })
}

// job is one job at work, of whatever kind. It runs until stop is done and what it has begun has ended.
type job interface{ run(stop context.Context) }

// jobs are those of the company that belong on this computer.
func (c *company) jobs(work context.Context) (all []job) {
	for _, conf := range c.place.Company.Jobs.Deliver {
		if c.here(conf.Name, conf.Host) {
			all = append(all, newRunner(c, conf, work))
		}
	}
	for _, conf := range c.place.Company.Jobs.Purge {
		if c.here(conf.Name, conf.Host) {
			all = append(all, newPurger(c, conf))
		}
	}
	return all
}

// here tells whether a job bound to host, "" for any, runs on this computer.
func (c *company) here(job, host string) bool {
	if host == "" || c.e.isHost(host) {
		return true
	}
	c.log.Info(eventJobElsewhere, zap.String("job", job), zap.String("host", host))
	return false
}

// start waits for a database with the right tables, which is the one that it was.
func (c *company) start(own bool) bool {
	pulse := c.e.pulses.add("start " + c.name)
	defer pulse.end()
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		pulse.beat()
		err := c.checkShape(c.stop)
		if err == nil {
			err = c.fence.reopen(c.stop)
		}
		if err == nil && own {
			err = c.rescue(c.stop, c.e.instance.ID)
		}
		if c.stop.Err() != nil {
			return false
		}
		var fenced *FencedError
		if errors.As(err, &fenced) {
			c.report(nil) // nothing is wrong with the server
			if pause = fencedPause; !sleep(c.stop, pause) {
				return false
			}
			continue
		}
		c.report(err)
		if err == nil {
			return true
		}
		if !sleep(c.stop, pause) {
			return false
		}
	}
}

// report notes how a statement in the company's database went. What a stop cut off says nothing.
func (c *company) report(err error) {
	var fenced *FencedError
	if errors.As(err, &fenced) {
		return // has been told
	}
	if err == nil || c.stop.Err() == nil {
		c.outage.note(err)
	}
}

// storeRemedy says what a person can do about a database error.
func storeRemedy(err error) string {
	var schema *db.SchemaError
	var altered *db.ShapeError
	switch {
	case errors.As(err, &schema):
		return schema.Remedy()
	case errors.As(err, &altered):
		return altered.Remedy()
	case db.Kind(err) == db.KindSetup:
		return "check the user, its password and its rights in jobs.yaml and on the server: outboxd check --online"
	case db.Kind(err) == db.KindReadOnly:
		return "the server takes no writes: is it a replica?"
	case db.Kind(err) == db.KindFull:
		return "make room on the database server's disk"
	case db.Kind(err) == db.KindLost:
		return "is the database server running, and can this computer reach it?"
	}
	return "outboxd check --online"
}

// keepHouse prolongs leases, returns what dead daemons left behind, and ends what has expired.
func (c *company) keepHouse(ctx context.Context) {
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
		if chores || !idle || c.fence.watchful() {
			onOwnStack(func() { cursor = c.keep(ctx, n, chores, round, cursor) })
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
		c.fence.turn(ctx, false)
	}
	if chores {
		if err := c.fence.pass(ctx); err != nil {
			c.report(err)
		}
	}
	if err != nil || c.altered() != nil || c.fence.err() != nil { // nothing is changed in a copy
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

func (c *company) hold(l db.Lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leases[l] = true
}

func (c *company) unhold(l db.Lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.leases, l)
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
		c.e.alerts.end(key, fmt.Sprintf("company %s: no mail is uncertain any more", c.name))
		return
	}
	c.e.alerts.start(key, fmt.Sprintf("company %s: it is not known whether a mail went out", c.name),
		fmt.Sprintf("A connection broke after a mail of company %s was handed over and before the server answered.\noutboxd does not send it again by itself. See:\n\n  outboxd queue list --company %s --state uncertain\n\nAsk the recipient or look into the server's log, then say what happened: outboxd queue settle, or outboxd queue retry.",
			c.name, c.name))
}

// settle writes an outcome, however long the database is away: only the end of the process gives up. Then the lease runs
// out and the mark decides.
func (c *company) settle(t db.Settlement) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := c.place.Store.Settle(context.WithoutCancel(c.stop), t)
		var lost *db.LeaseLostError
		switch {
		case err == nil:
			return
		case errors.As(err, &lost):
			c.log.Warn(eventLeaseLost, zap.Uint64("id", t.ID), zap.String("token", t.Token), zap.String("state", string(t.State)))
			return
		case db.Kind(err) == db.KindData:
			// The server refuses the outcome itself. Everything else heals, or a person heals it.
			c.log.Error(eventUnsettled, zap.Uint64("id", t.ID), zap.String("token", t.Token), zap.String("state", string(t.State)), zap.Error(err))
			return
		}
		c.report(err)
		if !sleep(c.e.kill, pause) {
			return
		}
	}
}

// failsUnroutable tells whether the job ends rows that no account may send: one job does it for the company, the first
// that is not bound to accounts.
func (c *company) failsUnroutable(r *runner) bool {
	for _, j := range c.place.Company.Jobs.Deliver {
		if len(j.Accounts) == 0 {
			return j == r.job
		}
	}
	return c.place.Company.Jobs.Deliver[0] == r.job
}

// learnRoute remembers that a route has rows of this account too: other rows of the route may not be sent, or two names
// have the same hash. It tells whether the account is at work.
func (c *company) learnRoute(row db.Row, account string) bool {
	if c.accounts[account] == nil {
		return false
	}
	hash := routeHash(row.Account, row.From)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.learned[hash], account) {
		c.learned[hash] = append(c.learned[hash], account)
	}
	return true
}

// learnedOf lists the accounts that were found to have rows of the route.
func (c *company) learnedOf(route uint32) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.learned[route])
}

// domain is that of the company's first account, for Message-IDs of rows whose account is not known.
func (c *company) domain() string {
	for _, conf := range c.resolver.accounts {
		if from, err := mail.ParseAddress(conf.From); err == nil {
			return from.Host
		}
	}
	return "outboxd.invalid" // a loaded file has senders that can be read
}

// now is the time in the company's zone.
func (c *company) now() time.Time { return time.Now().In(c.place.Company.Timezone) }
