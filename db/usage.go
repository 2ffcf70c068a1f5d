package db

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/jmoiron/sqlx"
)

// usage is one row of outbox_usage.
type usage struct {
	Slot       int64 `db:"slot"`
	Mails      int   `db:"mails"`
	Recipients int   `db:"recipients"`
}

func (u usage) of(w Window) int {
	if w.Recipients {
		return u.Recipients
	}
	return u.Mails
}

// full tells how long a counted window stays full. A slot counts until its last moment has left the window.
func (b *Buckets) full(ctx context.Context, q sqlx.QueryerContext, name string, w Window, now int64, recipients int) (time.Duration, error) {
	slot := slotTime.Microseconds()
	oldest := (now - w.Per.Microseconds() - holdOfDay.Microseconds()) / slot
	var rows []usage
	if err := sqlx.SelectContext(ctx, q, &rows, b.sql.text("usage-since"), name, oldest); err != nil {
		return 0, err
	}
	need := 1
	if w.Recipients {
		need = min(max(1, recipients), w.N)
	}
	sum := need
	for _, r := range rows {
		sum += r.of(w)
	}
	if sum <= w.N {
		return 0, nil
	}
	// The oldest slots leave first.
	i := sort.Search(len(rows), func(i int) bool {
		left := sum
		for _, r := range rows[:i+1] {
			left -= r.of(w)
		}
		return left <= w.N
	})
	if i == len(rows) {
		return w.Per, nil
	}
	leaves := (rows[i].Slot+1)*slot + w.Per.Microseconds() + holdOfDay.Microseconds()
	return time.Duration(leaves-now) * time.Microsecond, nil
}

// holdOfDay covers the time between a take and its DATA in a counted window.
const holdOfDay = 4 * time.Second

// Refund gives a take back that never came to DATA, unless somebody took after it: then it is lost.
func (b *Buckets) Refund(ctx context.Context, t Take) error {
	for _, u := range t.undo {
		n, err := b.refund(ctx, u)
		if err != nil {
			return fmt.Errorf("give a take back in %s: %w", b.database, err)
		}
		if n == 0 {
			continue
		}
		if _, err := b.pool.db.ExecContext(ctx, b.sql.text("usage-refund"), 1, u.recipients, u.name, u.slot, 1, u.recipients); err != nil {
			return fmt.Errorf("give a take back in %s: %w", b.database, err)
		}
	}
	return nil
}

func (b *Buckets) refund(ctx context.Context, u undo) (int64, error) {
	f, a := u.before, u.after
	r, err := b.pool.db.ExecContext(ctx, b.sql.text("bucket-refund"), f.HourMails, f.MinuteMails, f.MinuteRecipients,
		u.name, a.HourMails, a.MinuteMails, a.MinuteRecipients)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
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

// Usage reads what the bucket gave out lately, in whole slots of five minutes.
func (b *Buckets) Usage(ctx context.Context, k Bucket) (Usage, error) {
	rows, err := selectAll[struct {
		bucketRow
		Clock int64 `db:"clock"`
	}](ctx, b.pool.db, b.sql.text("bucket-read"), k.Name)
	if err != nil || len(rows) == 0 {
		return Usage{}, wrap(err, "read bucket "+k.Name+" in "+b.database)
	}
	now, slot := rows[0].Clock-rows[0].ClockOffset, slotTime.Microseconds()
	used, err := selectAll[usage](ctx, b.pool.db, b.sql.text("usage-since"), k.Name, (now-day.Microseconds())/slot)
	if err != nil {
		return Usage{}, wrap(err, "read usage of "+k.Name+" in "+b.database)
	}
	u := Usage{Next: k.wait(rows[0].tats, now)}
	for _, r := range used {
		u.DayMails += r.Mails
		if r.Slot > (now-time.Hour.Microseconds())/slot {
			u.HourMails += r.Mails
		}
	}
	for _, w := range k.Windows {
		if !w.counted() {
			continue
		}
		full, err := b.full(ctx, b.pool.db, k.Name, w, now, 1)
		if err != nil {
			return Usage{}, wrap(err, "read usage of "+k.Name+" in "+b.database)
		}
		u.Next = max(u.Next, full)
	}
	return u, nil
}

// Key is the same for buckets in the same place.
func (b *Buckets) Key() string { return b.pool.Key() + " " + b.database }

// PurgeUsage drops what no window looks at any more.
func (b *Buckets) PurgeUsage(ctx context.Context, name string, now time.Time) error {
	return b.exec(ctx, "purge usage of "+name, b.sql.text("usage-purge"), name, now.Add(-2*day).Unix()/int64(slotTime/time.Second))
}

func (b *Buckets) exec(ctx context.Context, what, statement string, args ...any) error {
	_, err := b.pool.write(ctx, statement, args...)
	return wrap(err, what+" in "+b.database)
}
