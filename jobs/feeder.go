package jobs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/smtpout"
)

// feeder takes the rows of one job that go by one account, never more than there are free senders.
type feeder struct {
	r      *runner
	a      *account         // that sends
	origin *jobfile.Account // whose mail it is: a's own, or that of another account which a stands in for
	from   string           // that account's own sender
	domain string           // and domain, for Message-IDs
	who    asker
	packer *packer
	log    *zap.Logger
	hold   time.Duration // how long after its take a slot is good
	asking chan struct{} // of a limited job: holds the mail that asks for its slot
	open   chan struct{} // rows taken and not yet settled: a slow database must not make them pile up
	late   chan struct{} // of these, the ones without a sender whose messages take long to make

	mu      sync.Mutex
	offered offer
	lanes   *lanes
	probed  map[uint32]int // reopened lanes: at which turn each had its last probe
	polled  int            // the turn of the last offer
	hints   []uint64
	turns   int
	// An idle feeder has no goroutine: there may be thousands of them.
	again, running bool
}

const (
	maxHints = 10000
	// lookTime is how long a look for due rows may take.
	lookTime = 3 * time.Second
	// openPerSender bounds the outcomes that wait to be written while their senders go on.
	openPerSender = 4
	// lowEvery is how often a claim takes the longest waiting rows instead of the most urgent, so that low priorities do
	// not starve. Priority 1 goes before both.
	lowEvery = 10
)

func newFeeder(r *runner, a *account, origin *jobfile.Account) *feeder {
	f := &feeder{r: r, a: a, origin: origin, who: newAsker(r.c.place.Company, r.job), packer: newPacker(r.c.place, a.conf, r.job), log: r.log.With(zap.String("account", a.conf.Name)), hold: a.bucket.Hold(),
		probed: map[uint32]int{}, asking: make(chan struct{}, 1), open: make(chan struct{}, (openPerSender+1)*a.conf.Connections),
		late: make(chan struct{}, latePerSender*a.conf.Connections)}
	f.packer.sources = r.c.sources
	if own, err := mail.ParseAddress(origin.From); err == nil {
		f.from, f.domain = own.Addr(), own.Host
	}
	if f.standsIn() {
		f.log = f.log.With(zap.String("overflow_of", origin.Name))
	}
	f.hold = min(f.hold, a.domains.hold())
	if r.limited() {
		f.hold = min(f.hold, r.bucket.Hold())
	}
	return f
}

// offer tells where rows may be waiting, and starts the feeder unless it is at work.
func (f *feeder) offer(stop context.Context, o offer, lanes *lanes) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offered, f.lanes, f.polled, f.again = o, lanes, f.turns, true
	if !f.running {
		f.running = true
		f.r.group.Go(func() { f.run(stop) })
	}
}

// more tells whether there was another offer; otherwise the feeder has ended.
func (f *feeder) more(stop context.Context) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running = f.again && stop.Err() == nil
	f.again = false
	return f.running
}

func (f *feeder) hint(ids []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hints = append(f.hints, ids[:min(len(ids), maxHints-len(f.hints))]...)
}

// run sends as long as there is something due.
func (f *feeder) run(stop context.Context) {
	for f.more(stop) {
		f.a.line.work(f.who)
		f.drain(stop)
		f.a.line.rest(f.who)
	}
}

// drain sends until nothing is due any more.
func (f *feeder) drain(stop context.Context) {
	for more := true; more && stop.Err() == nil; {
		var err error
		more, err = f.turn(stop)
		var refused *smtpout.Error
		var limits *limitsError
		switch {
		case err == nil, errors.Is(err, errPaused), errors.As(err, &refused):
			continue // the account's pause is waited for
		case errors.As(err, &limits):
		default:
			f.r.c.report(err)
		}
		more = false
	}
}

// turn waits until a mail may go, takes it and lets it go. It returns whether there may be more.
func (f *feeder) turn(stop context.Context) (more bool, err error) {
	if err := f.awaitRoom(stop); err != nil {
		return false, nil
	}
	if err := f.r.c.fence.Pass(stop); err != nil { // before anybody else waits for this one
		return false, err
	}
	p, err := f.permit(stop, f.a.conf.Connections)
	if err != nil {
		return false, nil
	}
	var got db.Claimed
	if err = f.r.c.fence.Pass(stop); err == nil { // the permit may have come late
		err = f.r.c.place.list.readable(stop)
	}
	if err == nil {
		got, err = f.take(stop, p)
	}
	if err != nil || len(got.Rows) == 0 {
		p.release()
		f.decided()
		left, _ := f.a.wait()
		return got.Missed || left > 0, err
	}
	rows, err := f.r.c.fence.Admit(stop, got.Rows)
	if len(rows) == 0 {
		p.release()
		f.decided()
	}
	switch {
	case err != nil:
		f.returnRows(got.Rows)
		return false, err
	case len(rows) > 0:
		f.dispatch(rows, p)
	}
	return true, nil
}

// returnRows gives back rows that were taken and must not be sent.
func (f *feeder) returnRows(rows []db.Row) {
	for _, row := range rows {
		f.r.c.settle(db.Settlement{Lease: row.Lease, Change: db.Change{State: db.Queued, GivenBack: true, Lane: row.Lane}})
	}
}

// permit waits until the account and the job are both due, and keeps neither from others while it waits for the other. It has at
// most so many senders.
func (f *feeder) permit(stop context.Context, most int) (*permit, error) {
	if !f.r.limited() {
		return f.a.acquire(stop, f.who, most)
	}
	select {
	case f.asking <- struct{}{}:
	case <-stop.Done():
		return nil, stop.Err()
	}
	for {
		err := f.r.pace.wait(stop)
		var p *permit
		if err == nil {
			p, err = f.a.acquire(stop, f.who, 1)
		}
		if err != nil {
			f.decided()
			return nil, err
		}
		if time.Until(f.r.pace.due()) <= 0 {
			return p, nil
		}
		p.release() // another account's mail had the job's slot meanwhile
	}
}

// decided tells that the mail of a limited job has its slot, or has none.
func (f *feeder) decided() {
	if f.r.limited() {
		<-f.asking
	}
}

// awaitRoom waits until there is room for a claim beside the outcomes that wait to be written. Whoever waits here keeps
// nothing from other companies. The feeder alone fills the room, so it stays free.
func (f *feeder) awaitRoom(stop context.Context) (err error) {
	n := 0
	for n < f.a.conf.Connections && err == nil {
		select {
		case f.open <- struct{}{}:
			n++
		case <-stop.Done():
			err = stop.Err()
		}
	}
	for range n {
		<-f.open
	}
	return err
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
		f.open <- struct{}{}
		f.r.group.Go(func() {
			f.deliver(f.r.work, row, s, p, func() { ended.Do(f.decided) })
			f.r.c.unhold(row.Lease)
			<-f.open
		})
	}
}

// take claims rows once the first sender is connected: a server that is down or refuses the login costs no row a claim.
func (f *feeder) take(stop context.Context, p *permit) (db.Claimed, error) {
	if err := f.r.c.altered(); err != nil {
		return db.Claimed{}, err
	}
	if f.idles() {
		return db.Claimed{}, nil
	}
	claim, probe := f.claim(len(p.senders))
	first := p.senders[len(p.senders)-1]
	if first.session == nil || f.a.shared {
		if due, err := f.due(stop, claim, probe); err != nil || !due {
			return db.Claimed{}, err
		}
	}
	if err := f.a.ready(stop, first); err != nil {
		return db.Claimed{}, err
	}
	// A claim that a stop cut off might have taken rows all the same.
	taking := context.WithoutCancel(stop)
	if probe != 0 {
		one := claim
		one.Lanes, one.Limit, one.Hints, one.Aside = []uint32{probe}, 1, nil, nil
		got, err := f.r.c.place.Store.Claim(taking, one)
		if err != nil || len(got.Rows) > 0 {
			return got, err
		}
	}
	got, err := f.r.c.place.Store.Claim(taking, claim)
	if len(got.Paused) > 0 {
		f.r.sortAside(f, claim)
	}
	return got, err
}

// due tells whether there is something to claim. Nothing is dialled in vain: rows dated into next year show up in the
// routes too. And a database that hangs must not keep the account from other companies: a look can be cut off, a claim
// cannot, for it might have taken rows all the same.
func (f *feeder) due(stop context.Context, claim db.Claim, probe uint32) (bool, error) {
	if probe != 0 {
		claim.Lanes = append(slices.Clone(claim.Lanes), probe)
	}
	ctx, cancel := context.WithTimeout(stop, lookTime)
	defer cancel()
	return f.r.c.place.Store.Due(ctx, claim)
}

// claim is what to take with so many free senders. probe is a reopened lane of which only one row may go before its
// outcome is known.
func (f *feeder) claim(senders int) (c db.Claim, probe uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turns++
	c = db.Claim{Instance: f.r.c.e.instance, Routes: f.offered.routes, Priorities: f.r.priorities(), Limit: senders,
		Octets: claimOctets, MaxSize: f.packer.maxSize, Domain: f.domain, LowFirst: f.turns%lowEvery == 0}
	if f.r.flood != nil {
		c.Admit = f.r.flood.admit
	}
	probe, c.Lanes = f.probe()
	f.heedDomains(&c)
	n := min(len(f.hints), 4*senders)
	c.Hints, f.hints = f.hints[:n:n], f.hints[n:]
	return c, probe
}

// probe picks the reopened lane whose last probe is longest ago, unless all have had one since the last poll; 0 is none.
// lanes are those from which all may go. The caller holds the lock.
func (f *feeder) probe() (probe uint32, lanes []uint32) {
	lanes = []uint32{0}
	for _, lane := range f.lanes.open {
		last, known := f.probed[lane.ID]
		switch {
		case lane.Failures == 0:
			lanes = append(lanes, lane.ID)
		case known && last > f.polled:
			// It has had its probe since the last poll.
		case probe == 0 || last < f.probed[probe]:
			probe = lane.ID
		}
	}
	if probe != 0 {
		f.probed[probe] = f.turns
	}
	return probe, lanes
}
