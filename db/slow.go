package db

import (
	"cmp"
	"context"
	"time"
)

// Pace is how a server's throttling slows an account.
type Pace struct {
	PerHour int // mails an hour that it may send now; 0: as many as its limits allow
	Full    int // mails an hour that its limits allow; 0: it has none
}

// slowOnce is for how long several throttling replies count as one: mails that were on their way together.
const slowOnce = time.Minute

// nothingWent is how many mails may have been counted since the last throttling reply for the next one to tell nothing new: a
// single one that was tried, and was refused after it was counted, or two of two daemons.
const nothingWent = 2

// Slow notes that the server has throttled the account, and slows it: down from the rate at which mails really went. With
// time it becomes faster again by itself. Of an account without limits, whose mails are not counted, seen is how many an hour the
// caller saw go lately, 0 when it does not know.
func (b *Buckets) Slow(ctx context.Context, k Bucket, seen int) (Pace, error) {
	if err := b.create(ctx, []Bucket{k}); err != nil {
		return Pace{}, err
	}
	if !b.isNewest() {
		return Pace{Full: k.paceOf(pacing{}, 0).Full}, nil
	}
	var pace Pace
	err := b.locked(ctx, []Bucket{k}, func(l ledger, entries []locked) error {
		e := &entries[0]
		if err := e.slow(l, seen); err != nil {
			return err
		}
		pace = k.paceOf(e.row.pacing, e.now)
		return e.write(l)
	})
	return pace, wrap(err, "slow "+k.Name+" in "+b.database)
}

// slow takes in a throttling reply.
func (e *locked) slow(l ledger, seen int) error {
	p := &e.row.pacing
	if p.slowed(e.stated.full(), e.now) > 0 {
		if since := time.Duration(e.now-p.SlowSince) * time.Microsecond; since >= 0 && since < slowOnce {
			return nil
		}
		went, err := l.sum(Window{Per: time.Hour}.usageName(e.Name), p.SlowSince/Window{Per: time.Hour}.grain().slot.Microseconds()+1)
		if err != nil {
			return err
		}
		if went.Mails <= nothingWent {
			p.SlowSince = e.now // it has not let go: the rate stays, its growth begins anew
			return nil
		}
	}
	went, err := e.lastHour(l)
	if err != nil {
		return err
	}
	most := e.Bucket.full()
	allowed := cmp.Or(p.slowed(most, e.now), most)
	if allowed == unlimited {
		went = seen
	}
	if allowed < most {
		most = max(allowed, p.SlowRefused) // no refusal makes it faster
	}
	p.SlowRefused = min(max(went, min(allowed/2, unknown), slowest), most)
	p.SlowSince = e.now
	return nil
}

// pacedAt finds the windows that hold now, and brings down what a wrong clock left behind. A process that does not know yet whether
// the clock was set forward before it began takes no more time for past than what it has seen pass since the last mail.
func (e *locked) pacedAt(l ledger) (err error) {
	if e.settled {
		e.row.SlowSince, e.row.WarmSince = min(e.row.SlowSince, e.now), min(e.row.WarmSince, e.now)
		e.Bucket = e.stated.at(e.row.pacing, e.now)
		e.latest(&e.row.tats, e.now)
		return nil
	}
	at := e.now
	if e.row.SlowRefused > 0 || e.stated.Warmup != nil {
		if e.watch.since == 0 {
			e.watch.since, err = e.judged(l, e.Name, slotTime.Microseconds())
			e.watch.since -= e.watched.Microseconds()
		}
		at = min(at, e.watch.since+e.watched.Microseconds())
	}
	e.Bucket = e.stated.at(e.row.pacing, at)
	return err
}

// lastHour is how many mails went in the last hour.
func (e *locked) lastHour(l ledger) (int, error) {
	w := Window{Per: day} // what is always counted
	for _, stated := range e.stated.Windows {
		if stated.Per == time.Hour {
			w = stated
		}
	}
	slot := w.grain().slot.Microseconds()
	from := (e.now - time.Hour.Microseconds()) / slot
	sum, err := l.sum(w.usageName(e.Name), from)
	return int(int64(sum.Mails) * time.Hour.Microseconds() / (e.now - from*slot)), err
}

// paceOf is what throttling leaves of the bucket's limits at a time.
func (b Bucket) paceOf(p pacing, now int64) Pace {
	full := b.full()
	pace := Pace{PerHour: p.slowed(full, now), Full: full}
	if full == unlimited {
		pace.Full = 0
	}
	return pace
}

// warmUp notes the first mail of a warm-up.
func (e *locked) warmUp() {
	if e.stated.Warmup != nil && e.row.WarmSince == 0 {
		e.row.WarmSince = e.now
	}
}
