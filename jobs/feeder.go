package jobs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/mail/smtpout"
)

// feeder takes the rows of one job that go by one account, never more than there are free senders.
type feeder struct {
	r    *runner
	a    *account
	log  *zap.Logger
	hold time.Duration // how long after its take a slot is good
	wake chan struct{}

	mu     sync.Mutex
	routes []uint32
	lanes  *lanes
	probed map[uint32]bool // lanes that have had their probe since the last poll
	hints  []uint64
	turns  int
}

const (
	maxHints = 10000
	// lowEvery is how often a claim takes the longest waiting rows instead of the most urgent, so that low priorities do
	// not starve. Priority 1 goes before both.
	lowEvery = 10
)

func newFeeder(r *runner, a *account) *feeder {
	f := &feeder{r: r, a: a, log: r.log.With(zap.String("account", a.conf.Name)), hold: a.bucket.Hold(), wake: make(chan struct{}, 1)}
	if r.limited() {
		f.hold = min(f.hold, r.bucket.Hold())
	}
	return f
}

// offer tells where rows may be waiting.
func (f *feeder) offer(routes []uint32, lanes *lanes) {
	f.mu.Lock()
	f.routes, f.lanes, f.probed = routes, lanes, map[uint32]bool{}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *feeder) hint(ids []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hints = append(f.hints, ids[:min(len(ids), maxHints-len(f.hints))]...)
}

// run sends as long as there is something due, then waits for the next offer.
func (f *feeder) run(stop context.Context) {
	for {
		select {
		case <-f.wake:
		case <-stop.Done():
			return
		}
		for more := true; more && stop.Err() == nil; {
			var err error
			more, err = f.turn(stop)
			var refused *smtpout.Error
			if err != nil && stop.Err() == nil && !errors.Is(err, errPaused) && !errors.As(err, &refused) {
				f.r.c.report(err)
				break
			}
		}
	}
}

// turn waits until a mail may go, takes it and lets it go. It returns whether there may be more.
func (f *feeder) turn(stop context.Context) (more bool, err error) {
	if f.r.limited() {
		if err := f.r.pace.enter(stop); err != nil {
			return false, nil
		}
	}
	p, err := f.a.acquire(stop, f.a.conf.Connections)
	if err != nil {
		f.endJobTurn()
		return false, nil
	}
	keep := 1
	if !f.r.limited() {
		keep = len(p.senders)
	}
	for len(p.senders) > keep {
		p.release1()
	}
	got, err := f.take(stop, p)
	if err != nil || len(got.Rows) == 0 {
		p.release()
		f.endJobTurn()
		return got.Missed || f.a.pauseLeft() > 0, err
	}
	f.dispatch(got.Rows, p)
	return true, nil
}

func (f *feeder) endJobTurn() {
	if f.r.limited() {
		f.r.pace.leave()
	}
}

// dispatch gives each row a sender of its own.
func (f *feeder) dispatch(rows []db.Row, p *permit) {
	for len(p.senders) > len(rows) {
		p.release1()
	}
	var ended sync.Once
	for _, row := range rows {
		s := p.take()
		f.r.c.hold(row.Lease)
		f.r.group.Go(func() {
			defer f.r.c.unhold(row.Lease)
			f.deliver(f.r.work, row, s, p, func() { ended.Do(f.endJobTurn) })
		})
	}
}

// take claims rows once the first sender is connected: a server that is down or refuses the login costs no row a claim.
func (f *feeder) take(stop context.Context, p *permit) (db.Claimed, error) {
	claim, probe := f.claim(len(p.senders))
	first := p.senders[len(p.senders)-1]
	if first.session == nil {
		// Nothing is dialled in vain: rows dated into next year show up in the routes too.
		due, err := f.r.c.place.Store.Due(stop, claim)
		if err != nil || !due {
			return db.Claimed{}, err
		}
	}
	if err := f.a.ready(stop, first); err != nil {
		return db.Claimed{}, err
	}
	if probe != 0 {
		one := claim
		one.Lanes, one.Limit, one.Hints = []uint32{probe}, 1, nil
		got, err := f.r.c.place.Store.Claim(stop, one)
		if err != nil || len(got.Rows) > 0 {
			return got, err
		}
		claim.Lanes = slices.DeleteFunc(claim.Lanes, func(l uint32) bool { return l == probe })
	}
	got, err := f.r.c.place.Store.Claim(stop, claim)
	if got.Paused {
		f.r.sortAside(claim.Routes)
	}
	return got, err
}

// claim is what to take with so many free senders. probe is a reopened lane of which only one row may go before its
// outcome is known.
func (f *feeder) claim(senders int) (c db.Claim, probe uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turns++
	c = db.Claim{Instance: f.r.c.e.instance, Routes: f.routes, Priorities: f.r.priorities(), Lanes: []uint32{0}, Limit: senders,
		Octets: claimOctets, MaxSize: f.maxSize(), Domain: f.a.domain, LowFirst: f.turns%lowEvery == 0}
	for _, lane := range f.lanes.open {
		switch {
		case lane.Failures == 0 && len(c.Lanes) < lanesAtOnce:
			c.Lanes = append(c.Lanes, lane.ID)
		case lane.Failures > 0 && probe == 0 && !f.probed[lane.ID]:
			probe = lane.ID
			f.probed[lane.ID] = true
			c.Lanes = append(c.Lanes, lane.ID)
		}
	}
	for domain := range f.lanes.paused {
		c.Paused = append(c.Paused, domain)
	}
	n := min(len(f.hints), 4*senders)
	c.Hints, f.hints = f.hints[:n:n], f.hints[n:]
	return c, probe
}

// maxSize is the most octets of bodies that are read at all.
func (f *feeder) maxSize() int64 {
	if f.a.conf.MaxSize > 0 {
		return f.a.conf.MaxSize
	}
	return defaultSize
}
