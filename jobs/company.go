package jobs

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/fence"
	"outboxd/jobs/mailing"
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

	fence *fence.Fence

	fingerprint string // of all this: a reload keeps a company that is the same

	stop   context.Context // ends when nothing more is to be taken
	cancel context.CancelFunc
	done   chan struct{} // closed when everything has ended

	mu         sync.Mutex
	leases     map[db.Lease]bool
	lanes      *lanes
	ownLanes   map[string]uint32        // of single accounts, by name
	strikes    map[string]int           // throttled recipients in a row, by domain
	overflows  map[string]overflows     // by the job: whom others stand in for
	quiet      map[string]bool          // domains that wait: what is still in flight to them is no news
	stirred    time.Time                // when rows were last seen waiting or under way
	outage     *outage                  // of its database
	sources    *sources                 // what its mails are made from beside it
	looked     uint64                   // up to where rows were looked through for such without a state; housekeeping's alone
	shape      shape                    // of its tables
	begun      chan struct{}            // holds a word for the keeper that a run was begun or changed
	statements map[string]chan struct{} // the same for jobs of kind sql, by their names; never changed
}

const (
	fencedPause    = 2 * time.Second // between two looks whether a fenced company may send again
	strikesToPause = 3               // throttled recipients in a row until their domain pauses
	domainLane     = "domain:"       // head of the name of a domain's lane
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
	stop, cancel := c.fence.Open(c.stop)
	defer cancel()
	if to := c.place.Company.Divert; to != "" {
		c.log.Warn(eventDiverts, zap.String("to", to))
	}
	beats, endBeats := context.WithCancel(context.WithoutCancel(c.stop))
	var working sync.WaitGroup
	all, k := c.jobs(work), newKeeper(c, stop)
	if k.expects() {
		all = append(all, k)
	}
	for _, j := range all {
		working.Go(func() { j.run(stop) })
	}
	go func() {
		working.Wait()
		// Heartbeats go on until the last mail in flight has its outcome.
		endBeats()
	}()
	c.keepHouse(beats, k)
	k.steps.Wait()
	onOwnStack(func() { c.fence.End(context.WithoutCancel(c.stop)) })
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
	return append(all, c.timedJobs()...)
}

// timedJobs are those whose runs begin at their times. What only people start has none, but for statements, which it does too.
func (c *company) timedJobs() (all []job) {
	for _, conf := range runJobs(c.place.Company) {
		if conf.kind != kindSQL && conf.Schedule != nil && c.here(conf.name, conf.Host) {
			all = append(all, newTimed(c, conf))
		}
	}
	for _, conf := range c.place.Company.Jobs.SQL {
		if c.here(conf.Name, conf.Host) {
			all = append(all, newSQLJob(c, conf))
		}
	}
	return all
}

// wake has those look at once who work on runs: one was begun or changed.
func (c *company) wake() {
	for _, one := range append(slices.Collect(maps.Values(c.statements)), c.begun) {
		select {
		case one <- struct{}{}:
		default:
		}
	}
}

// here tells whether a job bound to host, "" for any, runs on this computer.
func (c *company) here(job, host string) bool {
	if c.isHere(host) {
		return true
	}
	c.log.Info(eventJobElsewhere, zap.String("job", job), zap.String("host", host))
	return false
}

// isHere tells whether host, "" for any, is this computer.
func (c *company) isHere(host string) bool { return host == "" || c.e.isHost(host) }

// start waits for a database with the right tables, which is the one that it was.
func (c *company) start(own bool) bool {
	pulse := c.e.pulses.add("start " + c.name)
	defer pulse.end()
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		pulse.beat()
		err := c.checkShape(c.stop)
		if err == nil {
			err = c.fence.Reopen(c.stop)
		}
		if err == nil && own {
			err = c.takeBack()
		}
		if c.stop.Err() != nil {
			return false
		}
		var fenced *fence.Error
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

// takeBack takes back what an earlier life of this daemon had in hand.
func (c *company) takeBack() error {
	if err := c.rescue(c.stop, c.e.instance.ID); err != nil {
		return err
	}
	if err := c.place.Store.LayDownRuns(c.stop, c.e.instance); !older(err) {
		return err
	}
	return nil
}

// report notes how a statement in the company's database went. What a stop cut off says nothing.
func (c *company) report(err error) {
	var fenced *fence.Error
	if errors.As(err, &fenced) {
		return // has been told
	}
	if err == nil || c.stop.Err() == nil {
		c.outage.note(err)
	}
}

// storeRemedy says what a person can do about an error of a database or a folder.
func storeRemedy(err error) string {
	var gone *awayError
	var room *mailing.SpoolError
	switch {
	case errors.As(err, &room):
		return "make room in that folder, or name another one by TMPDIR"
	case errors.As(err, &gone):
		return "mount the folder, or correct attachments in jobs.yaml"
	}
	return db.Remedy(err)
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

// domain is that of the company's first account, for Message-IDs of rows whose account is not known.
func (c *company) domain() string {
	for _, conf := range c.resolver.accounts {
		if from, err := mail.ParseAddress(conf.From); err == nil {
			return from.Host
		}
	}
	return "outboxd.invalid" // a loaded file has senders that can be read
}
