package db_test

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"outboxd/db"
)

// A simulation runs the buckets themselves on clocks of its own: daemons that ask as the engine does, a database and
// daemons that end and come back at random, and a database server whose clock is set and drifts.

// scenario is one account and what happens to it.
type scenario struct {
	windows    []db.Window
	recipients func(*rand.Rand) int // of a mail; nil means one
	office     bool                 // there is mail from 8 to 18 o'clock only
	lasts      time.Duration
	seed       uint64
	calm       bool // nothing ends, and no clock is set
	warmup     *db.Warmup
	provider   *provider  // nil: it takes everything
	memory     *db.Memory // where it runs, for what it asks of it; nil: elsewhere
	daemons    int        // 0: simDaemons
}

// sentMail is a mail that came to DATA.
type sentMail struct {
	at         time.Duration
	recipients int
	company    int
}

const (
	simDaemons   = 3
	simCompanies = 5 // the last of them has a rate of its own
	simSenders   = 8 // of a daemon
)

// world is a simulation at work.
type world struct {
	scenario
	t      testing.TB
	random *rand.Rand
	now    time.Duration // the true time since it began
	events events
	number int
	open   func(mono func() time.Duration) *db.Buckets

	account, job db.Bucket
	all          []*simDaemon
	server       simClock
	down         bool // the database
	sent         []sentMail
	idle         []span    // times in which nobody could send
	slowings     []slowing // in the order of time
	kills, steps int
	refused      int
}

// span is a time from one moment to another.
type span struct{ from, to time.Duration }

// simClock is a server's clock.
type simClock struct {
	ahead time.Duration // of the true time, at the time since
	since time.Duration
	rate  float64 // how much it gains: 1e-5 are 10 ppm
}

func (c *simClock) at(now time.Duration) time.Duration {
	return now + c.ahead + time.Duration(c.rate*float64(now-c.since))
}

// set moves the clock, and lets it go at another pace from now on.
func (c *simClock) set(now, by time.Duration, rate float64) {
	c.ahead, c.since, c.rate = c.at(now)-now+by, now, rate
}

const simEpoch = 1_800_000_000_000_000 // µs: the server's clock when a simulation begins

func newWorld(t testing.TB, s scenario, open func(mono func() time.Duration) *db.Buckets) *world {
	if s.provider == nil {
		s.provider = &provider{}
	}
	w := &world{scenario: s, t: t, random: rand.New(rand.NewPCG(s.seed, 11)), open: open,
		account: db.Bucket{Name: account, Windows: s.windows, Warmup: s.warmup},
		job:     db.Bucket{Name: "job:e/send", Windows: []db.Window{{N: 1000, Per: time.Hour}}}}
	if len(s.windows) > 0 {
		w.job.Windows[0] = db.Window{N: s.windows[0].N / 3, Per: s.windows[0].Per}
	}
	for range cmp.Or(s.daemons, simDaemons) {
		d := &simDaemon{w: w}
		w.all = append(w.all, d)
		w.in(time.Duration(w.random.Int64N(int64(time.Minute))), d.start)
	}
	if !s.calm {
		w.in(w.after(12*time.Hour), w.databaseEnds)
		w.in(w.after(8*time.Hour), w.clockIsSet)
	}
	return w
}

// run lets the time pass, until the end.
func (w *world) run() {
	for len(w.events) > 0 && w.now < w.lasts {
		e := heap.Pop(&w.events).(event)
		w.now = max(w.now, e.at)
		e.do()
	}
	slices.SortFunc(w.sent, func(a, b sentMail) int { return int(a.at - b.at) })
}

// in has something happen after so long.
func (w *world) in(d time.Duration, do func()) {
	w.number++
	heap.Push(&w.events, event{w.now + d, w.number, do})
}

// after is a random time, as long on average.
func (w *world) after(mean time.Duration) time.Duration {
	return time.Duration(w.random.ExpFloat64() * float64(mean))
}

// between is a random time of at least least and less than most.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.random.Int64N(int64(most-least)))
}

// mail tells how long it is until there is mail, 0 when there is some.
func (w *world) mail() time.Duration {
	hour := w.now % (24 * time.Hour)
	switch {
	case !w.office || hour >= 8*time.Hour && hour < 18*time.Hour:
		return 0
	case hour < 8*time.Hour:
		return 8*time.Hour - hour
	}
	return 32*time.Hour - hour
}

func (w *world) databaseEnds() {
	w.down = true
	w.in(w.between(5*time.Second, 2*time.Minute), func() {
		w.down = false
		w.in(w.after(12*time.Hour), w.databaseEnds)
	})
	if w.random.IntN(2) == 0 {
		w.setClock() // its host started anew
	}
}

func (w *world) clockIsSet() {
	w.setClock()
	w.in(w.after(8*time.Hour), w.clockIsSet)
}

// setClock is an hour more or less, as where somebody takes the zone for the time; or what NTP, or a hand, does.
func (w *world) setClock() {
	w.steps++
	by := []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour, 5 * time.Second, -5 * time.Second,
		900 * time.Millisecond, -900 * time.Millisecond, 60 * time.Millisecond, -60 * time.Millisecond, 0}[w.random.IntN(11)]
	rate := []float64{0, 0, 2e-5, -2e-5, 5e-4, -5e-4, 0.08, -0.08}[w.random.IntN(8)]
	w.server.set(w.now, by, rate)
}

// read is a reading of the server's clock in the midst of a round trip.
func (w *world) read() int64 {
	trip := w.between(100*time.Microsecond, 5*time.Millisecond)
	if w.random.IntN(1000) == 0 {
		trip += w.between(0, 3*time.Second) // the server stood still
	}
	there := time.Duration(w.random.Int64N(int64(trip)))
	µs := simEpoch + w.server.at(w.now+there).Microseconds()
	w.now += trip
	return µs
}

// mishap is what happens to the next transaction.
func (w *world) mishap() db.Mishap {
	switch {
	case w.down:
		return db.Unreached
	case !w.calm && w.random.IntN(5000) == 0:
		return db.ReplyLost
	}
	return db.NoMishap
}

// outages are the times in which nobody could send, less what the buckets make up for.
func (w *world) outages(early time.Duration) (all []span) {
	slices.SortFunc(w.idle, func(a, b span) int { return int(a.from - b.from) })
	for _, s := range w.idle {
		if s.to-s.from > early {
			all = append(all, span{s.from + early, s.to})
		}
	}
	return all
}

// watchIdle notes whether somebody could send.
func (w *world) watchIdle() {
	idle := w.down || w.mail() > 0 || !slices.ContainsFunc(w.all, func(d *simDaemon) bool { return d.up })
	last := len(w.idle) - 1
	switch open := last >= 0 && w.idle[last].to > w.lasts; {
	case idle && !open:
		w.idle = append(w.idle, span{w.now, w.lasts + 1})
	case !idle && open:
		w.idle[last].to = w.now
	}
}

type event struct {
	at     time.Duration
	number int // events of one moment happen in their order
	do     func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].number < e[j].number
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
