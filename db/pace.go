package db

import (
	"math"
	"slices"
	"time"
)

// Warmup lets a new account, or a new server, send little at first: Start mails an hour from its first mail on, and each
// day as many times more, until what the bucket's windows allow is reached after so many Days.
type Warmup struct {
	Start int
	Days  int
}

// pacing is what a bucket remembers of its warm-up and of being throttled: all that a pace follows from, with the time.
type pacing struct {
	SlowRefused int   `db:"slow_refused"` // mails an hour at which the server throttled last; 0: never
	SlowSince   int64 `db:"slow_since"`   // when it did, in µs of the bucket's clock
	WarmSince   int64 `db:"warm_since"`   // when the first mail of the warm-up was counted; 0: not yet
}

// A throttled account goes on at some of the rate at which it was refused, is back at almost that rate within climbTime and stays
// there for stayTime: so it is refused seldom. Then it tries more, ever faster, since the limit may be gone.
const (
	slowFactor = 0.7  // of the refused rate, at once
	stayFactor = 0.95 // of the refused rate, after climbTime
	climbTime  = time.Hour
	stayTime   = 4 * time.Hour
	probeTime  = 2 * time.Hour // until it is twice the rate at which it stayed; after twice this time sixteen times
)

const (
	unlimited = 3_600_000 // mails an hour, of a bucket without limits: a throttled one that has come so far is slowed no more
	unknown   = 5_143     // mails an hour, taken for the rate at which a bucket was refused whose mails were not counted
	slowest   = 18        // mails an hour: no refusal counts as of less
)

// slowed is how many mails an hour the server's throttling leaves at a time, 0 when it leaves as many as full.
func (p pacing) slowed(full int, now int64) int {
	if p.SlowRefused == 0 {
		return 0
	}
	refused, t := float64(p.SlowRefused), max(0, time.Duration(now-p.SlowSince)*time.Microsecond)
	rate := refused * stayFactor
	switch probe := float64(t-climbTime-stayTime) / float64(probeTime); {
	case t < climbTime:
		rate = refused * (slowFactor + (stayFactor-slowFactor)*float64(t)/float64(climbTime))
	case probe > 0:
		rate *= math.Exp2(min(probe*probe, 64))
	}
	if rate >= float64(full) {
		return 0
	}
	return max(1, int(rate))
}

// warm is how many mails an hour the warm-up allows at a time, 0 when it allows as many as full.
func (p pacing) warm(w *Warmup, full int, now int64) int {
	if w == nil || w.Start < 1 || w.Start >= full {
		return 0
	}
	days := 0
	if p.WarmSince != 0 {
		days = int(max(0, now-p.WarmSince) / day.Microseconds())
	}
	if days >= w.Days {
		return 0
	}
	return int(float64(w.Start) * math.Pow(float64(full)/float64(w.Start), float64(days)/float64(w.Days)))
}

// full is how many mails an hour the bucket's windows of an hour and of a minute allow; unlimited without any.
func (b Bucket) full() int {
	full := unlimited
	for _, w := range b.Windows {
		if !w.Recipients && w.Per <= time.Hour {
			full = min(full, w.N*int(time.Hour/w.Per))
		}
	}
	return full
}

// at is the bucket with the windows that hold at a time: warm-up and throttling make the hour's smaller, or make one.
//
// A warm-up is counted. A throttled account is paced, and counted as soon as a whole hour has passed since: what went before
// was not too much then.
func (b Bucket) at(p pacing, now int64) Bucket {
	full := b.full()
	warm, slow := p.warm(b.Warmup, full, now), p.slowed(full, now)
	if warm == 0 && slow == 0 {
		return b
	}
	isHour := func(w Window) bool { return w.Per == time.Hour && !w.Recipients }
	b.Windows = slices.Clone(b.Windows)
	i := slices.IndexFunc(b.Windows, isHour)
	if i < 0 {
		i = len(b.Windows)
		b.Windows = append(b.Windows, Window{N: full, Per: time.Hour})
	}
	w := &b.Windows[i]
	if warm > 0 {
		w.N = min(w.N, warm)
	}
	if slow > 0 && slow < w.N {
		w.pace = slow
		if time.Duration(now-p.SlowSince)*time.Microsecond > w.span()+w.grain().slot {
			w.N = slow
		}
	}
	return b
}
