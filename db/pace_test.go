package db

import (
	"testing"
	"time"
)

func TestSlowedGrowsWithTime(t *testing.T) {
	const since = int64(1e15)
	p := pacing{SlowRefused: 1000, SlowSince: since}
	for _, c := range []struct {
		after time.Duration
		full  int
		want  int // 0: as many as full
	}{
		{-time.Hour, 3000, 700}, // the clock was wrong
		{0, 3000, 700},
		{30 * time.Minute, 3000, 825},
		{time.Hour, 3000, 950},
		{5 * time.Hour, 3000, 950},
		{6 * time.Hour, 3000, 1129},
		{7 * time.Hour, 3000, 1900},
		{7*time.Hour + 40*time.Minute, 3000, 0},
		{9 * time.Hour, 30_000, 15_200},
		{1000 * time.Hour, unlimited, 0},
		{0, 700, 0},
		{0, 701, 700},
	} {
		if got := p.slowed(c.full, since+c.after.Microseconds()); got != c.want {
			t.Errorf("%s after it was refused at 1000 of %d: %d, want %d", c.after, c.full, got, c.want)
		}
	}
	if got := (pacing{}).slowed(1, since); got != 0 {
		t.Errorf("never throttled: %d", got)
	}
	if got := (pacing{SlowRefused: 1}).slowed(10, 0); got != 1 {
		t.Errorf("the least: %d", got)
	}
	last := 0
	for at := time.Duration(0); at < 20*time.Hour; at += time.Second {
		got := p.slowed(unlimited, since+at.Microseconds())
		if got == 0 {
			break
		}
		if got < last {
			t.Fatalf("%s: %d after %d", at, got, last)
		}
		last = got
	}
}

func TestWarmGrowsADay(t *testing.T) {
	w := &Warmup{Start: 100, Days: 4}
	p := pacing{WarmSince: 1e15}
	for _, c := range []struct{ hours, want int }{{-1, 100}, {0, 100}, {23, 100}, {24, 200}, {48, 400}, {95, 800}, {96, 0}, {1e6, 0}} {
		if got := p.warm(w, 1600, 1e15+(time.Duration(c.hours)*time.Hour).Microseconds()); got != c.want {
			t.Errorf("after %d hours: %d, want %d", c.hours, got, c.want)
		}
	}
	if got := (pacing{}).warm(w, 1600, 1e15); got != 100 {
		t.Errorf("before the first mail: %d", got)
	}
	for _, none := range []*Warmup{nil, {Start: 1600, Days: 9}, {Start: 0, Days: 9}, {Start: 10, Days: 0}} {
		if got := p.warm(none, 1600, 1e15); got != 0 {
			t.Errorf("%+v: %d", none, got)
		}
	}
}

func TestFullIsTheLeastOfHourAndMinute(t *testing.T) {
	for want, windows := range map[int][]Window{
		unlimited: {{N: 10, Per: day}, {N: 5, Per: time.Hour, Recipients: true}},
		300:       {{N: 300, Per: time.Hour}, {N: 30, Per: time.Minute}},
		1800:      {{N: 3000, Per: time.Hour}, {N: 30, Per: time.Minute}},
	} {
		if got := (Bucket{Windows: windows}).full(); got != want {
			t.Errorf("%v: %d, want %d", windows, got, want)
		}
	}
}

// The caller's windows are never changed.
func TestWindowsOfABucketStay(t *testing.T) {
	k := Bucket{Windows: []Window{{N: 300, Per: time.Hour}}, Warmup: &Warmup{Start: 10, Days: 10}}
	if got := k.at(pacing{SlowRefused: 100, SlowSince: 1}, 2).Windows[0]; got != (Window{N: 10, Per: time.Hour}) {
		t.Errorf("%+v", got) // 70 of being throttled are more than the warm-up's ten
	}
	if k.Windows[0] != (Window{N: 300, Per: time.Hour}) {
		t.Errorf("%+v", k.Windows)
	}
}
