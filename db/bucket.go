package db

import (
	"time"
)

// Window is one limit: no sliding Per holds more than N mails, or recipients.
//
// Every window is counted at DATA, in slots of outbox_usage, and the count is what keeps it. Those of mails in an hour, and
// those of a minute, are paced besides, where a mail begins: a day is not, since pacing would spread its allowance over the
// night, nor are the recipients of an hour.
type Window struct {
	N          int
	Per        time.Duration // a minute, an hour or a day
	Recipients bool

	pace int // mails that it is paced for, where that is less than N; else 0
}

const day = 24 * time.Hour

func (w Window) paced() bool { return w.Per <= time.Minute || w.Per < day && !w.Recipients }

// grain is how finely a window is counted and paced.
type grain struct {
	slot  time.Duration // that one row of outbox_usage counts
	hold  time.Duration // how long after it was counted a mail may come to DATA
	early time.Duration // how early a paced take may come: so much lateness is made up for
}

// What slot and hold take off the window is what cannot be used of it: less than 1 %.
func (w Window) grain() grain {
	switch {
	case w.Per <= time.Minute:
		return grain{100 * time.Millisecond, 250 * time.Millisecond, 5 * time.Second}
	case w.Per <= time.Hour:
		return grain{5 * time.Second, 4 * time.Second, 14 * time.Second}
	}
	return grain{slotTime, 4 * time.Second, 0}
}

// slotTime is the length of the rows of outbox_usage that stand under the bucket's own name.
const slotTime = 5 * time.Minute

// drift is how far two clocks that nobody sets may part: that share of the time. Half of it is allowed between the
// server's clock and the process's before the first counts as set, the other half between the latter and the world's.
const drift = 1.0 / 5000

// span is how long a mail counts after the end of its slot.
func (w Window) span() time.Duration {
	return w.Per + time.Duration(drift*float64(w.Per)) + w.grain().hold
}

// interval is the distance of two mails, or recipients, of a paced window that is used to the full.
func (w Window) interval() time.Duration {
	n := w.N
	if w.pace > 0 {
		n = min(n, w.pace)
	}
	i := (w.span() + w.grain().slot) / time.Duration(n)
	// Buckets count in µs: rounded up, or the pace would be faster than the count.
	return (i + time.Microsecond - 1).Truncate(time.Microsecond)
}

// weight is what a mail with so many recipients counts for. One that is larger than the whole window fills it.
func (w Window) weight(recipients int) int {
	if !w.Recipients {
		return 1
	}
	return min(max(1, recipients), w.N)
}

// usageName is under what name outbox_usage counts the slots of the window.
func (w Window) usageName(bucket string) string {
	if slot := w.grain().slot; slot != slotTime {
		return bucket + " " + slot.String()
	}
	return bucket
}

// Bucket is what limits an account or a job.
type Bucket struct {
	Name    string // account:user@host, job:company/job, or account:user@host to recipient.domain
	Windows []Window
	Warmup  *Warmup // nil: none
}

// Hold is how long after Count was asked DATA may be written, apart from what Count was told. Later, the count is given
// back: count anew.
func (b Bucket) Hold() time.Duration {
	hold := Window{Per: time.Hour}.grain().hold
	for _, w := range b.Windows {
		hold = min(hold, w.grain().hold)
	}
	return hold
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

// wait is how long the paced windows still have to wait, at least 0.
func (b Bucket) wait(t tats, now int64) time.Duration {
	wait := time.Duration(0)
	for _, w := range b.Windows {
		if w.paced() {
			wait = max(wait, time.Duration(*t.of(w)-w.grain().early.Microseconds()-now)*time.Microsecond)
		}
	}
	return wait
}

// advance moves the paced windows on by one mail, and returns by how much.
func (b Bucket) advance(t *tats, now int64, recipients int) (by tats) {
	for _, w := range b.Windows {
		if w.paced() {
			*by.of(w) = int64(w.weight(recipients)) * w.interval().Microseconds()
			*t.of(w) = max(*t.of(w), now) + *by.of(w)
		}
	}
	return by
}

// latest brings arrival times that no take can have set, and so a clock that was wrong, down to what a take right now
// could set.
func (b Bucket) latest(t *tats, now int64) {
	for _, w := range b.Windows {
		if w.paced() {
			most := now + w.grain().early.Microseconds() + int64(w.weight(w.N))*w.interval().Microseconds()
			*t.of(w) = min(*t.of(w), most)
		}
	}
}
