package mailing

import (
	"cmp"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

const (
	finishStep = 5 * time.Minute // as limits of a day are counted
	// finishYears bounds an estimate: what takes longer is never.
	finishYears = 5
	// unlimitedRate is what is taken for the pace of an account without limits, in mails an hour.
	unlimitedRate = 36_000
)

// Finish estimates when the last of so many mails will have gone by an account with these limits: evenly paced by its windows of an
// hour and less, counted by the longer ones, only while its sending window is open (nil: always), and at one recipient a mail. Of what went before now it knows nothing. The zero time means not within five years.
func Finish(now time.Time, mails int64, windows []db.Window, w *jobfile.Window, h jobfile.Holidays, zone *time.Location) time.Time {
	if mails == 0 {
		return now
	}
	left := float64(mails)
	per := finishRate(windows)
	days := longWindows(windows)
	at, end := now.In(zone), now.AddDate(finishYears, 0, 0)
	for at.Before(end) {
		if next := w.Next(at, h); next.After(at) {
			at = next
			continue
		}
		step := finishStep
		if open := openFor(at, step, w, h); open < step {
			step = open
		}
		n := per * step.Hours()
		for _, d := range days {
			n = min(n, d.room(at))
		}
		if n >= left {
			return at.Add(time.Duration(float64(step) * left / n)).In(zone)
		}
		left -= n
		for _, d := range days {
			d.count(at, n)
		}
		at = at.Add(step)
	}
	return time.Time{}
}

// finishRate is how many mails an hour the windows of an hour and less let through.
func finishRate(windows []db.Window) float64 {
	rate := 0.0
	for _, w := range windows {
		if w.Per > time.Hour || w.Per <= 0 {
			continue
		}
		if one := float64(w.N) * float64(time.Hour) / float64(w.Per); rate == 0 || one < rate {
			rate = one
		}
	}
	return cmp.Or(rate, unlimitedRate)
}

// openFor is for how much of a step the window stays open.
func openFor(at time.Time, step time.Duration, w *jobfile.Window, h jobfile.Holidays) time.Duration {
	open := time.Minute // windows begin and end at whole minutes
	open -= time.Duration(at.Second())*time.Second + time.Duration(at.Nanosecond())
	for open < step && w.Open(at.Add(open), h) {
		open += time.Minute
	}
	return min(open, step)
}

// dayWindow counts what went within a long window.
type dayWindow struct {
	db.Window
	gone []gone
	sum  float64
}

type gone struct {
	at time.Time
	n  float64
}

func longWindows(windows []db.Window) (all []*dayWindow) {
	for _, w := range windows {
		if w.Per > time.Hour {
			all = append(all, &dayWindow{Window: w})
		}
	}
	return all
}

// room is how many may go now.
func (d *dayWindow) room(at time.Time) float64 {
	for len(d.gone) > 0 && !d.gone[0].at.After(at.Add(-d.Per-finishStep)) { // a slot counts until its last moment has left
		d.sum -= d.gone[0].n
		d.gone = d.gone[1:]
	}
	return max(0, float64(d.N)-d.sum)
}

func (d *dayWindow) count(at time.Time, n float64) {
	if n > 0 {
		d.gone = append(d.gone, gone{at, n})
		d.sum += n
	}
}
