package jobs

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// runner is one deliver job at work: it looks for due rows and wakes the feeder of each account that has some.
type runner struct {
	c      *company
	job    *jobfile.Deliver
	bucket db.Bucket // of the job's own rate
	pace   *pace
	log    *zap.Logger
	stop   context.Context // ends when nothing more is to be taken; set by run
	work   context.Context // ends when mails in flight are to be abandoned

	mu       sync.Mutex
	flood    *flood // nil without hold_above
	feeders  map[feederKey]*feeder
	next     int64                  // where the next look at the routes begins
	lane     int                    // with which of the open lanes the next poll begins
	soon     time.Duration          // after the last poll: until a recipient domain that rows wait for may be sent to
	took     time.Duration          // by the last poll
	told     map[uint32]time.Time   // of lanes: until when their rows are seen to wait
	parted   map[db.Queue]time.Time // of queues: up to where their rows were looked through for people who have an account of their own
	standing overflows              // as of the last poll: whom others stand in for
	sorting  bool
	failing  bool
	parting  bool
	group    sync.WaitGroup // feeders and mails in flight
}

const (
	routesAtOnce = 64       // looked at in one poll; the next poll goes on behind them
	lanesAtOnce  = 8        // reopened lanes looked into in one poll
	claimOctets  = 64 << 20 // bodies in memory at once, a claim
)

func newRunner(c *company, job *jobfile.Deliver, work context.Context) *runner {
	r := &runner{c: c, job: job, pace: newPace(), work: work, log: c.log.With(zap.String("job", job.Name)),
		feeders: map[feederKey]*feeder{}, next: -1, told: map[uint32]time.Time{}, parted: map[db.Queue]time.Time{}}
	r.bucket, _ = jobBucket(c.place.Company.Name, job)
	r.flood = newFlood(r)
	return r
}

func (r *runner) limited() bool { return len(r.bucket.Windows) > 0 }

// run polls until stop is done, then waits for the mails in flight.
func (r *runner) run(stop context.Context) {
	r.stop = stop
	pulse := r.c.e.pulses.add("deliver " + r.c.name + "/" + r.job.Name)
	defer pulse.end()
	tick := time.NewTicker(r.job.Poll)
	defer tick.Stop()
	watch := r.c.e.watches.join(r.c.place.Pool, r.job.Poll)
	defer r.c.e.watches.leave(watch)
	for stop.Err() == nil {
		pulse.beat()
		var idle *db.Watched
		onOwnStack(func() {
			var err error
			began := time.Now()
			idle, err = r.poll(stop)
			r.took = time.Since(began)
			r.c.report(err)
		})
		if idle != nil && !watch.await(stop, *idle) {
			continue
		}
		r.c.stir()
		if idle != nil {
			continue
		}
		select {
		case <-tick.C:
		case <-r.sooner():
		case <-stop.Done():
		}
	}
	// How long the mails in flight may take is the servers' matter.
	pulse.end()
	r.group.Wait()
}

// poll finds out which accounts have rows waiting. Its cost grows with routes and lanes, not with rows. When nothing is due
// and nothing waits in a lane it returns what is to be watched.
func (r *runner) poll(ctx context.Context) (idle *db.Watched, err error) {
	if err := r.c.altered(); err != nil {
		return nil, err
	}
	lanes, err := r.c.refreshLanes(ctx)
	if err != nil {
		return nil, err
	}
	found, err := r.c.place.Store.Routes(ctx, 0, r.next, routesAtOnce)
	if err != nil {
		return nil, err
	}
	if idle, err = r.idle(ctx, lanes, found); idle != nil || err != nil {
		return idle, err
	}
	if r.next = -1; len(found) == routesAtOnce {
		r.next = int64(found[len(found)-1].Hash)
	}
	if r.flood != nil {
		if err := r.flood.look(ctx); err != nil {
			return nil, err
		}
	}
	r.partSenders(found)
	r.wantDomains(lanes.own)
	lanes = lanes.window(r.lane, lanesAtOnce, func(o ownLane) bool { return r.waits(o) > 0 })
	r.lane += lanesAtOnce
	return nil, r.hand(ctx, found, lanes)
}

// hand offers feeders what they may send: of the routes that were found and of those in the lanes.
func (r *runner) hand(ctx context.Context, found []db.Route, lanes *lanes) error {
	all := []uint32{0}
	for _, lane := range lanes.open {
		more, err := r.routesIn(ctx, lane.ID)
		if err != nil {
			return err
		}
		found = append(found, more...)
		all = append(all, lane.ID)
	}
	offers, lost := r.assign(found)
	if err := r.lookAside(ctx, lanes.own, offers); err != nil {
		return err
	}
	for key, o := range offers {
		if f := r.feeder(key); !f.idles() {
			f.offer(ctx, *o, lanes)
		}
	}
	r.tellOverflow(offers)
	r.failUnroutable(ctx, lost, all)
	return nil
}

// routesIn lists the routes of a lane's rows; a lane without any is dropped.
func (r *runner) routesIn(ctx context.Context, lane uint32) ([]db.Route, error) {
	found, err := r.c.place.Store.Routes(ctx, lane, -1, routesAtOnce)
	if err == nil && len(found) == 0 {
		err = r.c.dropLane(ctx, lane)
	}
	return found, err
}

// idle returns what is to be watched instead of being polled; nil when there is something to do.
func (r *runner) idle(ctx context.Context, lanes *lanes, found []db.Route) (*db.Watched, error) {
	if len(lanes.open) > 0 || len(lanes.paused) > 0 || len(lanes.own) > 0 || len(r.standing) > 0 || len(found) > routesWatched || r.next >= 0 {
		return nil, nil
	}
	if r.flood != nil && (len(found) > 0 || r.flood.alarmed) {
		return nil, nil // it counts rows that wait for their time too
	}
	w := &db.Watched{Store: r.c.place.Store}
	for _, route := range found {
		w.Known = append(w.Known, route.Hash)
	}
	due, err := w.Store.Due(ctx, db.Claim{Routes: w.Known, Priorities: db.Priorities, Lanes: []uint32{0}})
	if due || err != nil {
		return nil, err
	}
	return w, nil
}

// offers say where the rows of feeders may be waiting.
type offers map[feederKey]*offer

type offer struct {
	routes []uint32            // whose rows are the account's, but for some
	aside  map[uint32][]uint32 // lanes of the account itself, with the routes of their rows
}

// add adds a route to what a feeder is offered: in lanes that all use, or in one of its account's own.
func (all offers) add(key feederKey, lane, route uint32) {
	o := all[key]
	if o == nil {
		o = &offer{aside: map[uint32][]uint32{}}
		all[key] = o
	}
	switch {
	case lane != 0:
		o.aside[lane] = append(o.aside[lane], route)
	case !slices.Contains(o.routes, route):
		o.routes = append(o.routes, route)
	}
}

// offer adds a route of an account's rows to what the account's feeder is offered, and that of another one that stands in for it.
func (r *runner) offer(all offers, origin *jobfile.Account, lane uint32, route db.Route) {
	if !r.wants(origin.Name) {
		return
	}
	if r.c.accounts[origin.Name] != nil {
		all.add(feederKey{origin.Name, origin.Name}, lane, route.Hash)
	}
	if by := r.standIn(origin, route); by != "" {
		all.add(feederKey{by, origin.Name}, lane, route.Hash)
	}
}

// assign sorts routes by account; lost are those that no account may send for.
func (r *runner) assign(found []db.Route) (all offers, lost []uint32) {
	all = offers{}
	for _, route := range found {
		conf, err := r.c.resolver.route(route.Account, route.From)
		switch {
		case err == nil:
			r.offer(all, conf, 0, route)
		case !slices.Contains(lost, route.Hash):
			lost = append(lost, route.Hash)
		}
	}
	return all, lost
}

// takes tells whether the job's rows go by this account, and the account is at work.
func (r *runner) takes(account string) bool { return r.c.accounts[account] != nil && r.wants(account) }

// wants tells whether the account's rows are the job's.
func (r *runner) wants(account string) bool {
	return len(r.job.Accounts) == 0 || slices.Contains(r.job.Accounts, account)
}

func (r *runner) priorities() []int {
	if len(r.job.Priority) > 0 {
		return r.job.Priority
	}
	return db.Priorities
}

// failUnroutable ends rows that no account may send, in the background: they must not wait for ever, and cost no
// connection.
func (r *runner) failUnroutable(stop context.Context, routes []uint32, lanes []uint32) {
	if len(routes) == 0 || !r.c.failsUnroutable(r) {
		return
	}
	r.alone(&r.failing, func() {
		for more := true; more && stop.Err() == nil; {
			var err error
			if more, err = r.failSome(routes, lanes); err != nil {
				r.c.report(err)
				return
			}
		}
	})
}

// failSome takes some rows and fails those that no account may send; others that stand between them go into the lanes of their
// accounts. It returns whether there may be more of them.
func (r *runner) failSome(routes []uint32, lanes []uint32) (more bool, err error) {
	if err := r.c.fence.Pass(r.stop); err != nil {
		return false, err
	}
	got, err := r.c.place.Store.Claim(context.WithoutCancel(r.c.stop), db.Claim{Instance: r.c.e.instance, Routes: routes,
		Priorities: db.Priorities, Lanes: lanes, Limit: 100, Octets: claimOctets, Domain: r.c.domain()})
	if err != nil || len(got.Rows) == 0 {
		return false, err
	}
	var settling sync.WaitGroup
	for _, row := range got.Rows {
		t := db.Settlement{Lease: row.Lease, Change: db.Change{State: db.Queued, GivenBack: true, Lane: row.Lane}}
		if w, err := r.c.resolver.resolve(row.Account, row.From); err != nil {
			t.Change = db.Change{State: db.Failed, Verdict: true, LastError: err.Error()}
			r.log.Warn(eventFailed, zap.Uint64("id", row.ID), zap.String("reason", err.Error()))
		} else {
			t = r.c.misplaced(row, w)
		}
		r.c.hold(row.Lease)
		settling.Go(func() {
			r.c.settle(t)
			r.c.unhold(row.Lease)
		})
	}
	settling.Wait()
	return true, nil
}

// alone runs work in the background unless it runs already.
func (r *runner) alone(running *bool, work func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if *running {
		return
	}
	*running = true
	r.group.Go(func() {
		work()
		r.mu.Lock()
		*running = false
		r.mu.Unlock()
	})
}

// hint hands rows that were found behind those of paused domains to the feeders.
func (r *runner) hint(ids []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.feeders {
		f.hint(ids)
	}
}

// feeder returns the feeder of an account, for its own mail or for another one's.
func (r *runner) feeder(key feederKey) *feeder {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.feeders[key]
	if f == nil {
		f = newFeeder(r, r.c.accounts[key.account], r.c.resolver.byName(key.origin))
		r.feeders[key] = f
	}
	return f
}
