package db

import (
	"context"
	"time"
)

// full tells how long a counted window has no room for the mail, 0 when it has. A slot counts until its last moment has
// left the window.
func (e *locked) full(l ledger, w Window, recipients int) (time.Duration, error) {
	name, slot := w.usageName(e.Name), w.grain().slot.Microseconds()
	from := func(at int64) int64 { return (at - w.span().Microseconds()) / slot }
	at, err := e.judged(l, name, slot)
	if err != nil {
		return 0, err
	}
	sum, err := l.sum(name, from(at))
	if err != nil {
		return 0, err
	}
	if last := (e.now + MaxSlow.Microseconds()) / slot; sum.Slot > last && e.settled {
		if err := fold(l, name, e.now/slot, last); err != nil {
			return 0, err
		}
	}
	over := sum.of(w) + w.weight(recipients) - w.N
	if over <= 0 {
		return 0, nil
	}
	rows, err := l.slots(name, from(at))
	if err != nil {
		return 0, err
	}
	for _, r := range rows { // the oldest slots leave first
		if over -= r.of(w); over <= 0 {
			leaves := (r.Slot+1)*slot + w.span().Microseconds()
			return time.Duration(leaves-at) * time.Microsecond, nil
		}
	}
	return w.Per, nil
}

// judged is as of when a window is looked at: now. A process that does not know yet whether the server's clock was set
// forward before it began takes no more time for past than what it has seen pass since the last take.
func (e *locked) judged(l ledger, name string, slot int64) (int64, error) {
	if e.settled {
		return e.now, nil
	}
	all, err := l.sum(name, 0)
	if err != nil || all.Slot == 0 {
		return e.now, err
	}
	return min(e.now, (all.Slot+1)*slot+e.watched.Microseconds()), nil
}

// fold counts in the current slot what stands in slots after the last that there can be: the server's clock was wrong
// then, and those mails have gone.
func fold(l ledger, name string, current, last int64) error {
	later, err := l.sum(name, last+1)
	if err != nil {
		return err
	}
	later.Name, later.Slot = name, current
	if err := l.add([]usage{later}); err != nil {
		return err
	}
	return l.dropAfter(name, last)
}

// Usage is what a bucket gave out.
type Usage struct {
	HourMails int           // in the last hour
	DayMails  int           // in the last day
	Next      time.Duration // until the next mail may go
	Until     time.Duration // until a window of an hour or a day that is full has room; 0: all have
}

// Usage reads what the bucket gave out lately, in whole slots of five minutes, and changes nothing.
func (b *Buckets) Usage(ctx context.Context, k Bucket) (Usage, error) {
	if err := b.lookForStep(ctx); err != nil {
		return Usage{}, err
	}
	var u Usage
	err := b.within(ctx, func(l ledger) (err error) {
		u, err = usageOf(l, b.fitting(k))
		return err
	})
	return u, wrap(err, "read usage of "+k.Name+" in "+b.database)
}

func usageOf(l ledger, k Bucket) (u Usage, err error) {
	rows, err := l.read(k.Name)
	if err != nil || len(rows) == 0 {
		return Usage{}, err
	}
	server, err := l.clock()
	if err != nil {
		return Usage{}, err
	}
	now, slot := server-rows[0].ClockOffset, slotTime.Microseconds()
	used, err := l.slots(k.Name, (now-day.Microseconds())/slot)
	if err != nil {
		return Usage{}, err
	}
	for _, r := range used {
		u.DayMails += r.Mails
		if r.Slot > (now-time.Hour.Microseconds())/slot {
			u.HourMails += r.Mails
		}
	}
	e := locked{Bucket: k.at(rows[0].pacing, now), row: rows[0], now: now, watched: 2 * day} // not settled: it mends nothing
	u.Until, err = e.fullFor(l, 1, false)
	u.Next = max(u.Until, e.wait(e.row.tats, now))
	return u, err
}

// Key is the same for buckets in the same place.
func (b *Buckets) Key() string { return b.pool.Key() + " " + b.database }
