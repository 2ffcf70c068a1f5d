package jobs

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/mail"
)

// company is one company at work: its database, its jobs, and the leases it holds.
type company struct {
	e        *Engine
	name     string
	place    *Place
	resolver *resolver
	accounts map[string]*account // active ones that it may use
	mark     string              // fingerprint: a reload keeps a company that is the same
	log      *zap.Logger
	wake     chan struct{}

	stop   context.Context // ends when nothing more is to be taken
	cancel context.CancelFunc
	done   chan struct{} // closed when everything has ended

	mu      sync.Mutex
	leases  map[db.Lease]bool
	lanes   *lanes
	strikes map[string]int // throttled recipients in a row, by domain
	down    string         // why the database cannot be used, "" when it can
	since   time.Time      // of the last change of down
	told    bool           // a person knows that it is down
}

// lanes is what the lanes said at the last poll.
type lanes struct {
	open   []db.Lane         // whose pause is over
	paused map[uint32]uint32 // hash of the recipient domain to lane
}

const (
	housekeeping   = 5 * time.Second
	downAlertAfter = time.Minute
	strikesToPause = 3
	domainLane     = "domain:"
)

// run works until stop is done and the mails in flight have ended. own takes back what an earlier life of this daemon
// left behind; after a reload the mails in flight are this one's and stay.
func (c *company) run(work context.Context, own bool) {
	defer close(c.done)
	if !c.start(own) {
		return
	}
	beats, endBeats := context.WithCancel(context.WithoutCancel(c.stop))
	var keep, runners sync.WaitGroup
	keep.Go(func() { c.keepHouse(beats) })
	for _, job := range c.place.Company.Jobs {
		if job.Host != "" && !c.e.isHost(job.Host) {
			c.log.Info(eventJobElsewhere, zap.String("job", job.Name), zap.String("host", job.Host))
			continue
		}
		r := newRunner(c, job, work)
		runners.Go(func() { r.run(c.stop) })
	}
	runners.Wait()
	// Heartbeats go on until the last mail in flight has its outcome.
	endBeats()
	keep.Wait()
}

// start waits for a database with the right tables.
func (c *company) start(own bool) bool {
	pulse := c.e.pulses.add("start " + c.name)
	defer pulse.end()
	for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
		pulse.beat()
		err := c.place.Pool.CheckSchema(c.stop, c.place.Store.Database(), db.CompanyPart, db.BucketPart)
		if err == nil && own {
			err = c.rescue(c.stop, c.e.instance.ID)
		}
		if c.stop.Err() != nil {
			return false
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

// report notes whether the company's database works; a person is told once, and once when it is over.
func (c *company) report(err error) {
	if c.stop.Err() != nil && err != nil {
		return
	}
	c.mu.Lock()
	was, since := c.down, c.since
	switch {
	case err == nil && was == "", err != nil && was != "":
	case err == nil:
		c.down, c.since = "", time.Now()
	default:
		c.down, c.since = err.Error(), time.Now()
	}
	tell := err != nil && was != "" && !c.told && time.Since(since) >= downAlertAfter
	over := err == nil && was != "" && c.told
	if tell || over {
		c.told = tell
	}
	c.mu.Unlock()
	switch {
	case err != nil && was == "":
		c.log.Error(eventCompanyDown, zap.Error(err), zap.String("remedy", storeRemedy(err)))
	case err == nil && was != "":
		c.log.Info(eventCompanyUp, zap.Duration("after", time.Since(since)))
	}
	if tell {
		c.e.alerts.start("company "+c.name, fmt.Sprintf("company %s: its database cannot be used", c.name),
			fmt.Sprintf("The database of company %s has been out of reach or out of order since %s:\n\n%v\n%s\n\nIts mail waits; outboxd goes on by itself when the database is back. Other companies are not affected.",
				c.name, c.local(since), err, storeRemedy(err)))
	}
	if over {
		c.e.alerts.end("company "+c.name, fmt.Sprintf("company %s: its database works again", c.name))
	}
}

// storeRemedy says what a person can do about a database error.
func storeRemedy(err error) string {
	var schema *db.SchemaError
	switch {
	case errors.As(err, &schema):
		return "run outboxd migrate"
	case db.Kind(err) == db.KindSetup:
		return "check the user, its password and its rights in jobs.yaml and on the server: outboxd check --online"
	case db.Kind(err) == db.KindReadOnly:
		return "the server takes no writes: is it a replica?"
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
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		pulse.beat()
		if err := c.beat(ctx); err != nil {
			c.report(err)
			continue
		}
		if n%3 == 0 {
			c.report(c.rescue(ctx, ""))
		}
		next, expired, _, err := c.place.Store.Expire(ctx, cursor)
		if err != nil {
			c.report(err)
			continue
		}
		if cursor = next; expired > 0 {
			c.log.Warn(eventExpired, zap.Int64("rows", expired))
		}
		if n%12 == 0 {
			c.checkUncertain(ctx)
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
	for _, j := range c.place.Company.Jobs {
		if j.OnUncertain != "resend" {
			return false
		}
	}
	return len(c.place.Company.Jobs) > 0
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
		case !db.Waits(err):
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
	for _, j := range c.place.Company.Jobs {
		if len(j.Accounts) == 0 {
			return j == r.job
		}
	}
	return c.place.Company.Jobs[0] == r.job
}

// refreshLanes reads the lanes anew.
func (c *company) refreshLanes(ctx context.Context) (*lanes, error) {
	all, err := c.place.Store.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	l := &lanes{paused: map[uint32]uint32{}}
	for _, lane := range all {
		if lane.Open {
			l.open = append(l.open, lane)
		} else if domain, ok := strings.CutPrefix(lane.Name, domainLane); ok {
			l.paused[crc32.ChecksumIEEE([]byte(domain))] = lane.ID
		}
	}
	c.mu.Lock()
	c.lanes = l
	c.mu.Unlock()
	return l, nil
}

func (c *company) pausedLanes() map[uint32]uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lanes.paused
}

// learn notes what a transaction tells about the recipients' domains: several throttled recipients in a row pause the
// domain, so that its rows step aside together; in a lane that has just reopened one is enough. One that goes through
// ends the trouble.
func (c *company) learn(p *parcel, outcomes []mail.Outcome) {
	for i, o := range outcomes {
		_, domain, _ := strings.Cut(p.envelope.To[i], "@")
		throttled := o.Verdict == mail.Throttled && o.Scope == mail.ScopeRecipient
		c.mu.Lock()
		if throttled {
			c.strikes[domain]++
		} else {
			delete(c.strikes, domain)
		}
		pause := c.strikes[domain] >= strikesToPause || throttled && p.row.Lane != 0
		if pause {
			delete(c.strikes, domain)
		}
		c.mu.Unlock()
		if pause {
			c.pauseDomain(domain, o)
		}
		if o.Verdict == mail.Accepted && p.row.Lane != 0 {
			c.report(c.place.Store.HealLane(context.WithoutCancel(c.stop), p.row.Lane))
		}
	}
}

func (c *company) pauseDomain(domain string, o mail.Outcome) {
	ctx := context.WithoutCancel(c.stop)
	failures := 0
	for _, lane := range c.openLanes() {
		if lane.Name == domainLane+domain {
			failures = lane.Failures
		}
	}
	wait := pauseFor(o, failures)
	if _, err := c.place.Store.PauseLane(ctx, domainLane+domain, wait, explain(o)); err != nil {
		c.report(err)
		return
	}
	c.log.Warn(eventDomainPaused, zap.String("domain", domain), zap.Duration("pause", wait), zap.Stringer("reply", o.Reply))
}

func (c *company) openLanes() []db.Lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lanes == nil {
		return nil
	}
	return c.lanes.open
}

// now is the time in the company's zone.
func (c *company) now() time.Time { return time.Now().In(c.place.Company.Timezone) }

// local writes a time in the company's zone.
func (c *company) local(t time.Time) string {
	return t.In(c.place.Company.Timezone).Format("2006-01-02 15:04:05 MST")
}

// sleep waits, and tells whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
