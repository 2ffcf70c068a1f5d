package db_test

import (
	"context"
	"time"

	"outboxd/db"
)

// simDaemon asks the buckets as the engine does: one mail at a time begins, not before the last answer said, each company
// in its turn; it is counted at DATA, and waits there when a window is full; a turn that never came to DATA is given back.
type simDaemon struct {
	w       *world
	up      bool
	life    int // how often it was started
	born    time.Duration
	rate    float64 // what its monotonic clock gains
	buckets *db.Buckets
	next    map[string]time.Duration // by bucket: not to be asked before
	free    int                      // senders
	paused  time.Duration            // nothing is tried before
	ill     int                      // troubles in a row
	turn    int
	asks    int
}

// while has something happen unless the daemon has ended by then.
func (d *simDaemon) while(after time.Duration, do func()) {
	life := d.life
	d.w.in(after, func() {
		if d.life == life && d.up {
			do()
		}
	})
}

func (d *simDaemon) start() {
	w := d.w
	d.up, d.born, d.free = true, w.now, simSenders
	d.life++
	d.rate = float64(w.random.IntN(101)-50) * 1e-6
	d.next = map[string]time.Duration{}
	d.buckets = w.open(func() time.Duration { return time.Duration((1 + d.rate) * float64(w.now-d.born)) })
	d.buckets.Inject(w.read, w.mishap)
	w.watchIdle()
	d.ask()
	d.while(time.Minute, d.tend)
	if !w.calm {
		d.while(w.after(4*time.Hour), d.kill)
	}
}

// kill ends the daemon: what it has taken is not given back.
func (d *simDaemon) kill() {
	d.w.kills++
	d.up = false
	d.w.watchIdle()
	d.w.in(d.w.between(2*time.Second, time.Minute), d.start)
}

func (d *simDaemon) tend() {
	for _, k := range []db.Bucket{d.w.account, d.w.job} {
		_ = d.buckets.Tend(context.Background(), k) // a database that is away is asked again
	}
	d.w.watchIdle()
	d.while(time.Minute, d.tend)
}

// simParcel is a mail on its way.
type simParcel struct {
	company, recipients int
	buckets             []db.Bucket
	take                db.Take
	ready               time.Duration // when the server had taken its recipients
	slow                time.Duration // how much longer a count may take
}

// ask waits until a mail may ask for its slot. Called again, it waits anew.
func (d *simDaemon) ask() {
	if d.free == 0 {
		return
	}
	d.asks++
	number := d.asks
	wait := max(d.w.mail(), d.next[d.w.account.Name]-d.w.now, d.paused-d.w.now, 0)
	d.while(wait+d.w.between(0, 3*time.Millisecond), func() {
		if number != d.asks {
			return
		}
		if d.w.watchIdle(); d.w.mail() == 0 && d.free > 0 && d.next[d.w.account.Name] <= d.w.now && d.paused <= d.w.now {
			d.send()
		}
		d.ask()
	})
}

// send takes a slot for the next company's mail and lets it go.
func (d *simDaemon) send() {
	w := d.w
	p := &simParcel{recipients: 1, buckets: []db.Bucket{w.account}}
	if w.recipients != nil {
		p.recipients = w.recipients(w.random)
	}
	d.turn++
	if p.company = d.turn % simCompanies; p.company == simCompanies-1 {
		if d.next[w.job.Name] > w.now {
			p.company = 0
		} else {
			p.buckets = append(p.buckets, w.job)
		}
	}
	if !d.take(p) {
		return
	}
	d.free--
	latency := w.between(20*time.Millisecond, time.Second)
	switch w.random.IntN(20) {
	case 0:
		latency += w.between(0, 20*time.Second)
	case 1, 2, 3:
		latency += w.between(0, 3*time.Second)
	}
	refused := w.random.IntN(5) == 0
	d.while(latency, func() { d.data(p, refused) })
}

// take asks the buckets for the mail's turn, and notes when to ask again.
func (d *simDaemon) take(p *simParcel) bool {
	var err error
	p.take, err = d.buckets.Take(context.Background(), p.buckets, p.recipients)
	for _, k := range p.buckets {
		if err != nil {
			d.next[k.Name] = d.w.now + 5*time.Second
		} else {
			d.next[k.Name] = d.w.now + p.take.Wait[k.Name]
		}
	}
	return p.take.OK
}

// data is where the mail comes to DATA, or was refused before.
func (d *simDaemon) data(p *simParcel, refused bool) {
	w, asked := d.w, d.w.now
	if p.ready == 0 {
		p.ready = w.now
	}
	if refused {
		w.refused++
		d.refund(p)
		return
	}
	if w.provider.atMail && !w.provider.takes(w.now) {
		d.throttled()
		d.refund(p)
		return
	}
	count, err := d.buckets.Count(context.Background(), p.buckets, p.recipients, p.slow)
	wait := max(count.Wait[w.account.Name], count.Wait[w.job.Name])
	switch {
	case err != nil || w.now+wait-p.ready > time.Minute:
		d.refund(p)
	case !count.OK:
		d.while(wait, func() { d.data(p, false) })
	case w.now-asked > w.account.Hold()+p.slow: // the database took too long
		p.slow = min(2*(w.now-asked), db.MaxSlow)
		_ = d.buckets.Refund(context.Background(), count)
		d.while(0, func() { d.data(p, false) })
	case !w.provider.atMail && !w.provider.takes(w.now):
		d.throttled()
		d.done()
	default:
		d.well()
		w.sent = append(w.sent, sentMail{w.now, p.recipients, p.company})
		d.while(w.between(20*time.Millisecond, 500*time.Millisecond), d.done)
	}
}

// refund gives the turn back and frees the sender.
func (d *simDaemon) refund(p *simParcel) {
	if d.buckets.Refund(context.Background(), p.take) == nil {
		for _, k := range p.buckets {
			d.next[k.Name] = d.w.now
		}
	}
	d.done()
}

// done frees the sender.
func (d *simDaemon) done() {
	d.free++
	d.ask()
}
