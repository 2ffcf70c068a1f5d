package db

import (
	"context"
	"fmt"
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

// Health is what troubles a bucket's account: shared by all daemons, so that together they do not hammer a server.
type Health struct {
	Left     time.Duration // of the pause; 0 when there is none or it is over
	Scope    string        // account or server
	Reason   string
	Failures int // troubles in a row
}

// Health reads the account's troubles. A bucket that was never used has none.
func (b *Buckets) Health(ctx context.Context, name string) (Health, error) {
	rows, err := selectAll[struct {
		Left     int64  `db:"pause_left"`
		Scope    string `db:"pause_scope"`
		Reason   string `db:"pause_reason"`
		Failures int    `db:"failures"`
	}](ctx, b.pool.db, b.sql.text("bucket-health"), name)
	if err != nil {
		return Health{}, fmt.Errorf("read the health of %s in %s: %w", name, b.database, err)
	}
	if len(rows) == 0 {
		return Health{}, nil
	}
	r := rows[0]
	return Health{time.Duration(r.Left) * time.Microsecond, r.Scope, r.Reason, r.Failures}, nil
}

// Pause keeps every daemon from using the account for so long, and counts the trouble.
func (b *Buckets) Pause(ctx context.Context, name string, wait time.Duration, scope, reason string) error {
	return b.exec(ctx, "pause "+name, b.sql.text("bucket-pause"), name, micros(wait), scope, cut(reason, maxReply))
}

// Heal ends the account's troubles: it works again.
func (b *Buckets) Heal(ctx context.Context, name string) error {
	return b.exec(ctx, "heal "+name, b.sql.text("bucket-heal"), name)
}

// Usage is what a bucket gave out.
type Usage struct {
	HourMails int           // in the last hour
	DayMails  int           // in the last day
	Next      time.Duration // until the paced windows let the next mail go
}

// Usage reads what the bucket gave out lately, in whole slots of five minutes, and changes nothing.
func (b *Buckets) Usage(ctx context.Context, k Bucket) (Usage, error) {
	var u Usage
	err := b.within(ctx, func(l ledger) (err error) {
		u, err = usageOf(l, k)
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
	e := locked{Bucket: k, row: rows[0], now: now, watched: 2 * day} // not settled: it mends nothing
	u.Next, err = e.waits(l, 1, false)
	return u, err
}

// Key is the same for buckets in the same place.
func (b *Buckets) Key() string { return b.pool.Key() + " " + b.database }

func (b *Buckets) exec(ctx context.Context, what, statement string, args ...any) error {
	_, err := b.pool.write(ctx, statement, args...)
	return wrap(err, what+" in "+b.database)
}
