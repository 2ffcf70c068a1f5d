package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// Buckets keeps token buckets in one database: the control database, or the company's for what is the company's own.
// It decides, over all daemons and restarts; when it cannot be asked nothing is sent.
type Buckets struct {
	pool     *Pool
	database string
	sql      statements
	mono     func() time.Duration // a clock that no one sets
	within   func(ctx context.Context, f func(ledger) error) error

	mu     sync.Mutex
	seen   map[string]watch // by bucket
	newest bool             // the tables have what this program's newest step adds
	looked time.Duration    // when that was last looked at, by mono
}

// Buckets returns the buckets in the named database. mono is a monotonic clock; nil means the process's own.
func (p *Pool) Buckets(database string, mono func() time.Duration) (*Buckets, error) {
	quoted, err := quote(database)
	if err != nil {
		return nil, err
	}
	if mono == nil {
		start := time.Now()
		mono = func() time.Duration { return time.Since(start) }
	}
	b := &Buckets{pool: p, database: database, sql: p.queries.of(quoted), mono: mono, seen: map[string]watch{}}
	b.within = func(ctx context.Context, f func(ledger) error) error {
		return p.tx(ctx, func(tx *sqlx.Tx) error { return f(tables{ctx, tx, b.sql}) })
	}
	return b, nil
}

// Take is the answer of the buckets.
type Take struct {
	OK   bool
	Wait map[string]time.Duration // by bucket: until its next take can succeed
	Held bool                     // a person has paused one of them
	undo []undo
}

// undo is what a take changed in one bucket.
type undo struct {
	bucket string
	by     tats
	counts []usage
	at     moment
}

// moment is one by the clocks of the bucket and of the process.
type moment struct {
	bucket int64 // µs
	mono   time.Duration
}

// sameClock is how far the two may part between a take and its return.
const sameClock = 100 * time.Millisecond

// sameClock tells whether the bucket's clock went on as it should between the two, so that its slots mean the same.
func (m moment) sameClock(later moment) bool {
	return distance(later.bucket-m.bucket-(later.mono-m.mono).Microseconds()) <= sameClock.Microseconds()
}

// locked is a bucket under lock, at a moment of its clock.
type locked struct {
	Bucket             // with the windows that hold at that moment
	stated      Bucket // as the caller has it
	row, before bucketRow
	now         int64 // µs
	watch       watch
	settled     bool          // the clock can be believed
	watched     time.Duration // for how long this process has
}

// Take lets one mail begin: it takes its turn in the pace of all the buckets, or of none. Where hour or day are full it is
// nobody's turn. The windows of a minute are looked at in Count alone, since they are over before the mail comes to DATA.
func (b *Buckets) Take(ctx context.Context, buckets []Bucket, recipients int) (Take, error) {
	return b.take(ctx, buckets, recipients, nil)
}

// Count counts a mail with so many recipients, right before its DATA, in all windows of the buckets, or in none. This is
// what keeps the limits. Where the database is so slow that DATA cannot follow within Hold, slow is by how much later it may
// come: at most MaxSlow.
func (b *Buckets) Count(ctx context.Context, buckets []Bucket, recipients int, slow time.Duration) (Take, error) {
	return b.take(ctx, buckets, recipients, &counting{min(slow, MaxSlow)})
}

// MaxSlow bounds how far ahead of now a mail is counted.
const MaxSlow = 10 * time.Second

// counting is a question of Count's; nil is one of Take's.
type counting struct{ slow time.Duration }

func (b *Buckets) take(ctx context.Context, buckets []Bucket, recipients int, count *counting) (Take, error) {
	if err := b.create(ctx, buckets); err != nil {
		return Take{}, err
	}
	var out Take
	err := b.locked(ctx, buckets, func(l ledger, entries []locked) (err error) {
		out, err = decide(l, entries, recipients, count)
		return err
	})
	if err != nil {
		// Also after an unknown COMMIT: it may have been taken, so it is not taken again for the same mail.
		return Take{}, fmt.Errorf("ask the bucket in %s: %w", b.database, err)
	}
	return out, nil
}

// locked has something done to the buckets under lock, and keeps what the look at the clocks said.
func (b *Buckets) locked(ctx context.Context, buckets []Bucket, do func(l ledger, entries []locked) error) error {
	var entries []locked
	err := b.within(ctx, func(l ledger) (err error) {
		if entries, err = b.open(l, buckets); err == nil {
			err = do(l, entries)
		}
		return err
	})
	b.note(err)
	if err == nil {
		b.remember(entries)
	}
	return err
}

// create makes the rows of buckets that this process has not seen yet.
func (b *Buckets) create(ctx context.Context, buckets []Bucket) error {
	if err := b.lookForStep(ctx); err != nil {
		return err
	}
	for _, k := range buckets {
		if _, known := b.watchOf(k.Name); known {
			continue
		}
		if err := b.within(ctx, func(l ledger) error { return l.create(k.Name) }); err != nil {
			return fmt.Errorf("make bucket %s in %s: %w", k.Name, b.database, err)
		}
	}
	return nil
}

// open locks the buckets and reads their clocks: the server's, less what it was set by.
func (b *Buckets) open(l ledger, buckets []Bucket) ([]locked, error) {
	names := make([]string, len(buckets))
	for i, k := range buckets {
		names[i] = k.Name
	}
	rows, err := l.lock(names)
	if err != nil {
		return nil, err
	}
	if len(rows) != len(buckets) {
		b.forget(buckets)
		return nil, errors.New("a bucket's row was deleted: it is made anew at the next take")
	}
	asked := b.mono()
	server, err := l.clock()
	if err != nil {
		return nil, err
	}
	answered := b.mono()
	entries := make([]locked, len(rows))
	for i, row := range rows {
		k := b.fitting(buckets[slices.IndexFunc(buckets, func(k Bucket) bool { return k.Name == row.Name })])
		w, _ := b.watchOf(row.Name)
		e := locked{Bucket: k, stated: k, row: row, before: row}
		e.row.ClockOffset = w.look(server, row.ClockOffset, asked, answered)
		e.now, e.watch = server-e.row.ClockOffset, w
		e.watched = w.last - w.first
		e.settled = e.watched >= settleTime
		if err := e.pacedAt(l); err != nil {
			return nil, err
		}
		entries[i] = e
	}
	return entries, nil
}

func (b *Buckets) watchOf(name string) (w watch, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w, known = b.seen[name]
	return w, known
}

// remember keeps what the looks at the clocks said, once the transaction is committed.
func (b *Buckets) remember(entries []locked) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		if old, known := b.seen[e.Name]; !known || old.last < e.watch.last {
			b.seen[e.Name] = e.watch
		}
	}
}

func (b *Buckets) forget(buckets []Bucket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range buckets {
		delete(b.seen, k.Name)
	}
}

// decide takes the mail where no bucket has to wait, and writes what changed.
func decide(l ledger, entries []locked, recipients int, count *counting) (Take, error) {
	out := Take{OK: true, Wait: map[string]time.Duration{}}
	for i := range entries {
		e := &entries[i]
		wait, err := e.waits(l, recipients, count != nil)
		if err != nil {
			return Take{}, err
		}
		if !e.settled { // what a clock says that may have been set is asked again
			wait = min(wait, settleTime-e.watched)
		}
		out.Wait[e.Name] = wait
		out.OK = out.OK && wait == 0
		out.Held = out.Held || count == nil && e.row.HoldLeft != 0
	}
	for i := range entries {
		e := &entries[i]
		if out.OK {
			u := undo{bucket: e.Name, at: moment{e.now, e.watch.last}}
			if count != nil {
				u.counts = e.counts(recipients, e.now+count.slow.Microseconds())
				if err := l.add(u.counts); err != nil {
					return Take{}, err
				}
				// A microsecond on the pace, so that the row is written: a lock does not reach the other nodes of a cluster,
				// where of two that write the same row only one is let through.
				e.row.HourMails++
				e.warmUp()
			} else {
				u.by = e.advance(&e.row.tats, e.now, recipients)
				out.Wait[e.Name] = e.wait(e.row.tats, e.now)
			}
			out.undo = append(out.undo, u)
		}
		if err := e.write(l); err != nil {
			return Take{}, err
		}
	}
	return out, nil
}

// write keeps what has changed; a corrected clock alone is worth it.
func (e *locked) write(l ledger) error {
	if e.row.pacing != e.before.pacing {
		if err := l.writePacing(e.Name, e.row.pacing); err != nil {
			return err
		}
	}
	if e.row.tats == e.before.tats && e.row.ClockOffset == e.before.ClockOffset {
		return nil
	}
	return l.write(e.row)
}

// waits tells how long the bucket still has to wait, 0 when the mail may begin, or may be counted.
func (e *locked) waits(l ledger, recipients int, count bool) (time.Duration, error) {
	full, err := e.fullFor(l, recipients, count)
	if count {
		return full, err
	}
	return max(full, e.held(), e.wait(e.row.tats, e.now)), err
}

// fullFor tells how long a window has no room for the mail, 0 when all have; those of a minute are for a count alone.
func (e *locked) fullFor(l ledger, recipients int, count bool) (wait time.Duration, err error) {
	for _, w := range e.Windows {
		if !count && w.Per <= time.Minute {
			continue
		}
		full, err := e.full(l, w, recipients)
		if err != nil {
			return 0, err
		}
		wait = max(wait, full)
	}
	return wait, nil
}

// counts are where the mail counts: in slots of five minutes in any case, for people; and in the total, which is the row
// that two counts on different nodes of a cluster both write, so that one of them loses and counts anew.
func (e *locked) counts(recipients int, at int64) []usage {
	all := []usage{{e.Name + " total", 0, 1, recipients}}
	for _, w := range append([]Window{{Per: day}}, e.Windows...) {
		count := usage{w.usageName(e.Name), at / w.grain().slot.Microseconds(), 1, recipients}
		if !slices.Contains(all, count) {
			all = append(all, count)
		}
	}
	return all
}

// Refund gives back what a mail took, or counted, that did not come to DATA.
func (b *Buckets) Refund(ctx context.Context, t Take) error {
	if len(t.undo) == 0 {
		return nil
	}
	buckets := make([]Bucket, len(t.undo))
	for i, u := range t.undo {
		buckets[i].Name = u.bucket
	}
	err := b.locked(ctx, buckets, func(l ledger, entries []locked) error {
		for i := range entries {
			if err := t.undo[i].apply(l, &entries[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return wrap(err, "give a take back in "+b.database)
}

// apply undoes the take in its bucket. Where the clock was set since, the count stands in another slot: it stays.
func (u undo) apply(l ledger, e *locked) error {
	same := u.at.sameClock(moment{e.now, e.watch.last})
	if same {
		e.row.HourMails -= u.by.HourMails
		e.row.MinuteMails -= u.by.MinuteMails
		e.row.MinuteRecipients -= u.by.MinuteRecipients
	}
	if err := e.write(l); err != nil || !same {
		return err
	}
	for _, count := range u.counts {
		if err := l.remove(count); err != nil {
			return err
		}
	}
	return nil
}
