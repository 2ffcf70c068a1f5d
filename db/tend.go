package db

import (
	"context"
	"time"
)

// purgeEvery is how often what no window counts any more is dropped.
const purgeEvery = time.Hour

// Tend looks at the bucket's clock, so that a server's clock that was set is noticed while the bucket rests, and drops
// what its windows count no more. To be called every minute.
func (b *Buckets) Tend(ctx context.Context, k Bucket) error {
	if err := b.create(ctx, []Bucket{k}); err != nil {
		return err
	}
	err := b.locked(ctx, []Bucket{k}, func(l ledger, entries []locked) error {
		if err := entries[0].write(l); err != nil {
			return err
		}
		return entries[0].purge(l)
	})
	return wrap(err, "tend bucket "+k.Name+" in "+b.database)
}

// purge drops slots that have left their window for as long as it lasts: by the bucket's clock, and only once that can
// be believed.
func (e *locked) purge(l ledger) error {
	if !e.settled || e.watch.last-e.watch.purged < purgeEvery {
		return nil
	}
	e.watch.purged = e.watch.last
	for _, w := range append([]Window{{Per: day}, {Per: time.Hour}}, e.stated.Windows...) {
		if err := l.dropBefore(w.usageName(e.Name), (e.now-2*w.Per.Microseconds())/w.grain().slot.Microseconds()); err != nil {
			return err
		}
	}
	return l.dropAbandoned(e.Name+" to ", e.now)
}

// abandoned is after how long what an account's buckets for recipient domains counted is dropped, whoever used them.
const abandoned = 30 * day

// abandonedSlots are the numbers of such slots, as pairs of a first one and one behind the last. Slots of five minutes have the smallest
// numbers, those of 0.1 s the largest.
func abandonedSlots(now int64) (all []any) {
	for _, w := range []Window{{Per: day}, {Per: time.Hour}, {Per: time.Minute}} {
		behind := (now - abandoned.Microseconds()) / w.grain().slot.Microseconds()
		all = append(all, behind/2, behind)
	}
	return all
}
