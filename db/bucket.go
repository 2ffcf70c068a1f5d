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

// Window is one limit: no sliding Per holds more than N mails, or recipients.
type Window struct {
	N          int
	Per        time.Duration // a minute, an hour or a day
	Recipients bool
}

const day = 24 * time.Hour

// counted tells whether the window is counted, in slots of five minutes, or paced. A day is counted, since pacing would
// spread its allowance over the night; so are the recipients of an hour, since mails differ in how many they have.
func (w Window) counted() bool { return w.Per >= day || w.Recipients && w.Per >= time.Hour }

// Bucket is what limits an account or a job.
type Bucket struct {
	Name          string // account:user@host or job:company/job
	Windows       []Window
	MaxRecipients int // most recipients a mail has, at least 1; the limit holds only for such mails
}

// tolerance is how early a take may come (tau) and how long after it DATA may be written (hold). With both in the
// interval between two mails no sliding window can hold more than its limit, and 99 % of it can be used.
func tolerance(per time.Duration) (tau, hold time.Duration) {
	if per <= time.Minute {
		return 300 * time.Millisecond, 300 * time.Millisecond
	}
	return 14 * time.Second, 4 * time.Second
}

// Hold is how long after a take DATA may be written. Later, the take is forfeit: take anew.
func (b Bucket) Hold() time.Duration {
	hold := time.Hour
	for _, w := range b.Windows {
		if _, h := tolerance(w.Per); h < hold {
			hold = h
		}
	}
	return hold
}

// interval is the distance of two mails of the window: I = (T + tau + D) / (N - K + 1).
func (w Window) interval(maxRecipients int) time.Duration {
	tau, hold := tolerance(w.Per)
	k := 1
	if w.Recipients {
		k = min(max(1, maxRecipients), w.N)
	}
	i := (w.Per + tau + hold) / time.Duration(w.N-k+1)
	// Buckets count in µs: rounded up, or N of them would be shorter than the window.
	return (i + time.Microsecond - 1).Truncate(time.Microsecond)
}

// slotTime is the length of one row of outbox_usage.
const slotTime = 5 * time.Minute

// Buckets keeps token buckets in one database: the control database, or the company's for what is the company's own.
// It decides, over all daemons and restarts; when it cannot be asked nothing is sent.
type Buckets struct {
	pool     *Pool
	database string
	sql      statements
	mono     func() time.Duration // a clock that no one sets

	mu   sync.Mutex
	seen map[string]reading
}

// reading is a bucket's clock beside the monotonic one: both go at the same pace unless the server's clock is set.
type reading struct {
	bucket int64 // µs
	mono   time.Duration
}

// clockJump is how far the server's clock may leave the monotonic one before it is corrected.
const clockJump = time.Second

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
	return &Buckets{pool: p, database: database, sql: p.queries.of(quoted), mono: mono, seen: map[string]reading{}}, nil
}

// Take is the answer of the buckets.
type Take struct {
	OK   bool
	Wait map[string]time.Duration // by bucket: until its next take can succeed
	undo []undo
}

type undo struct {
	name          string
	before, after tats
	slot          int64
	recipients    int
}

// tats are the theoretical arrival times of the paced windows, in µs of the bucket's clock.
type tats struct {
	HourMails        int64 `db:"hour_mails"`
	MinuteMails      int64 `db:"minute_mails"`
	MinuteRecipients int64 `db:"minute_recipients"`
}

func (t *tats) of(w Window) *int64 {
	switch {
	case w.Per <= time.Minute && w.Recipients:
		return &t.MinuteRecipients
	case w.Per <= time.Minute:
		return &t.MinuteMails
	}
	return &t.HourMails
}

type bucketRow struct {
	Name string `db:"name"`
	tats
	ClockOffset int64 `db:"clock_offset"`
	corrected   bool
}

// Take takes one mail with so many recipients out of all the buckets, or out of none.
func (b *Buckets) Take(ctx context.Context, buckets []Bucket, recipients int) (Take, error) {
	if err := b.create(ctx, buckets); err != nil {
		return Take{}, err
	}
	var out Take
	err := b.pool.tx(ctx, func(tx *sqlx.Tx) (err error) {
		out, err = b.takeIn(ctx, tx, buckets, recipients)
		return err
	})
	if err != nil {
		// Also after an unknown COMMIT: it may have been taken, so it is not taken again for the same mail.
		return Take{}, fmt.Errorf("ask the bucket in %s: %w", b.database, err)
	}
	return out, nil
}

// create makes the rows of buckets that this process has not seen yet.
func (b *Buckets) create(ctx context.Context, buckets []Bucket) error {
	for _, k := range buckets {
		b.mu.Lock()
		_, known := b.seen[k.Name]
		b.mu.Unlock()
		if known {
			continue
		}
		if _, err := b.pool.write(ctx, b.sql.text("bucket-create"), k.Name); err != nil {
			return fmt.Errorf("make bucket %s in %s: %w", k.Name, b.database, err)
		}
		b.mu.Lock()
		if _, known := b.seen[k.Name]; !known {
			b.seen[k.Name] = reading{}
		}
		b.mu.Unlock()
	}
	return nil
}

func (b *Buckets) takeIn(ctx context.Context, tx *sqlx.Tx, buckets []Bucket, recipients int) (Take, error) {
	names := make([]any, len(buckets))
	for i, k := range buckets {
		names[i] = k.Name
	}
	var rows []bucketRow
	if err := tx.SelectContext(ctx, &rows, b.sql.list("bucket-lock", len(names)), names...); err != nil {
		return Take{}, err
	}
	if len(rows) != len(buckets) {
		b.forget(buckets)
		return Take{}, errors.New("a bucket's row was deleted: it is made anew at the next take")
	}
	var server int64
	asked := b.mono()
	if err := tx.GetContext(ctx, &server, b.sql.text("bucket-clock")); err != nil {
		return Take{}, err
	}
	mono := b.mono()
	if mono-asked > clockJump/2 {
		return Take{}, errors.New("the server told its time too late to compare it")
	}
	out := Take{OK: true, Wait: map[string]time.Duration{}}
	now := make([]int64, len(rows))
	for i := range rows {
		now[i] = b.clock(&rows[i], server, mono)
		wait, err := b.early(ctx, tx, named(buckets, rows[i].Name), rows[i], now[i], recipients)
		if err != nil {
			return Take{}, err
		}
		out.Wait[rows[i].Name] = wait
		out.OK = out.OK && wait == 0
	}
	for i, row := range rows {
		after := row.tats
		if out.OK {
			k := named(buckets, row.Name)
			k.advance(&after, now[i], recipients)
			out.Wait[row.Name] = k.wait(after, now[i])
			out.undo = append(out.undo, undo{row.Name, row.tats, after, now[i] / slotTime.Microseconds(), recipients})
		}
		if err := b.write(ctx, tx, row, after); err != nil {
			return Take{}, err
		}
	}
	for _, u := range out.undo {
		if _, err := tx.ExecContext(ctx, b.sql.text("usage-add"), u.name, u.slot, 1, u.recipients); err != nil {
			return Take{}, err
		}
	}
	return out, nil
}

func named(buckets []Bucket, name string) Bucket {
	return buckets[slices.IndexFunc(buckets, func(k Bucket) bool { return k.Name == name })]
}

// clock is the bucket's time: the server's, less what it was set by while this process watched.
func (b *Buckets) clock(row *bucketRow, server int64, mono time.Duration) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := server - row.ClockOffset
	if last := b.seen[row.Name]; last.bucket != 0 {
		expected := last.bucket + (mono - last.mono).Microseconds()
		if d := now - expected; d > clockJump.Microseconds() || -d > clockJump.Microseconds() {
			row.ClockOffset += d
			row.corrected = true
			now = expected
		}
	}
	b.seen[row.Name] = reading{now, mono}
	return now
}

func (b *Buckets) forget(buckets []Bucket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range buckets {
		delete(b.seen, k.Name)
	}
}

// early tells how long the bucket still has to wait, 0 when the mail may go now.
func (b *Buckets) early(ctx context.Context, tx *sqlx.Tx, k Bucket, row bucketRow, now int64, recipients int) (time.Duration, error) {
	wait := k.wait(row.tats, now)
	for _, w := range k.Windows {
		if !w.counted() {
			continue
		}
		full, err := b.full(ctx, tx, k.Name, w, now, recipients)
		if err != nil {
			return 0, err
		}
		wait = max(wait, full)
	}
	return wait, nil
}

// wait is how long the paced windows still have to wait, at least 0.
func (k Bucket) wait(t tats, now int64) time.Duration {
	wait := time.Duration(0)
	for _, w := range k.Windows {
		if !w.counted() {
			tau, _ := tolerance(w.Per)
			wait = max(wait, time.Duration(*t.of(w)-tau.Microseconds()-now)*time.Microsecond)
		}
	}
	return wait
}

// advance moves the paced windows on by one mail.
func (k Bucket) advance(t *tats, now int64, recipients int) {
	for _, w := range k.Windows {
		if w.counted() {
			continue
		}
		n := int64(1)
		if w.Recipients {
			n = int64(max(1, recipients))
		}
		tat := t.of(w)
		*tat = max(*tat, now) + n*w.interval(k.MaxRecipients).Microseconds()
	}
}

// write stores what a take changed; when nothing did, a corrected clock alone is worth keeping.
func (b *Buckets) write(ctx context.Context, tx *sqlx.Tx, row bucketRow, after tats) error {
	if after == row.tats && !row.corrected {
		return nil
	}
	_, err := tx.ExecContext(ctx, b.sql.text("bucket-write"), after.HourMails, after.MinuteMails, after.MinuteRecipients,
		row.ClockOffset, row.Name)
	return err
}
