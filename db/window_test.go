package db

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// mailAt is one mail whose DATA came at a time, in µs, with so many recipients.
type mailAt struct {
	at     int64
	weight int
}

// fullest returns the largest sum of weights in any sliding window of the length.
func fullest(mails []mailAt, per time.Duration) int {
	slices.SortFunc(mails, func(a, b mailAt) int { return int(a.at - b.at) })
	most, sum, first := 0, 0, 0
	for _, m := range mails {
		sum += m.weight
		for mails[first].at <= m.at-per.Microseconds() {
			sum -= mails[first].weight
			first++
		}
		most = max(most, sum)
	}
	return most
}

// simulate takes as the engine does: asks when the bucket says so or later, and comes to DATA up to Hold after a take.
func simulate(random *rand.Rand, k Bucket, takes int, recipients func() int, pause func() time.Duration) []mailAt {
	var t tats
	now := int64(1e15)
	hold := k.Hold().Microseconds()
	mails := make([]mailAt, 0, takes)
	for len(mails) < takes {
		if wait := k.wait(t, now); wait > 0 {
			now += wait.Microseconds()
		}
		now += pause().Microseconds()
		n := recipients()
		k.advance(&t, now, n)
		mails = append(mails, mailAt{now + random.Int64N(hold+1), n})
	}
	return mails
}

func TestP3_NoSlidingWindowHoldsMore(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 3))
		var k Bucket
		k.MaxRecipients = 1 + random.IntN(20)
		for _, per := range []time.Duration{time.Minute, time.Hour} {
			if random.IntN(3) > 0 {
				k.Windows = append(k.Windows, Window{N: 1 + random.IntN(3000), Per: per})
			}
			if per == time.Minute && random.IntN(3) == 0 { // longer windows of recipients are counted
				k.Windows = append(k.Windows, Window{N: k.MaxRecipients + random.IntN(3000), Per: per, Recipients: true})
			}
		}
		if len(k.Windows) == 0 {
			continue
		}
		pause := func() time.Duration { // mostly at once, sometimes idle
			if random.IntN(50) == 0 {
				return time.Duration(random.Int64N(int64(2 * time.Hour)))
			}
			return time.Duration(random.Int64N(int64(20 * time.Millisecond)))
		}
		mails := simulate(random, k, 8000, func() int { return 1 + random.IntN(k.MaxRecipients) }, pause)
		for _, w := range k.Windows {
			counted := slices.Clone(mails)
			if !w.Recipients {
				for i := range counted {
					counted[i].weight = 1
				}
			}
			if most := fullest(counted, w.Per); most > w.N {
				t.Errorf("seed %d: a window of %s holds %d of %d (recipients %v, at most %d a mail)", seed, w.Per, most, w.N, w.Recipients, k.MaxRecipients)
			}
		}
	}
}

func TestP3_SaturatedWindowIsUsed(t *testing.T) {
	for _, per := range []time.Duration{time.Minute, time.Hour} {
		for _, n := range []int{1, 2, 30, 100, 299, 1200, 3000, 100_000} {
			random := rand.New(rand.NewPCG(uint64(n), 5))
			k := Bucket{Windows: []Window{{N: n, Per: per}}, MaxRecipients: 1}
			tau, _ := tolerance(per)
			late := min(tau, per/time.Duration(n)) / 2 // a busy asker is a little late each time
			mails := simulate(random, k, 10*n+100, func() int { return 1 }, func() time.Duration { return time.Duration(random.Int64N(int64(late))) })
			span := time.Duration(mails[len(mails)-1].at-mails[0].at) * time.Microsecond
			used := float64(len(mails)-1) / (float64(n) * float64(span) / float64(per))
			if used < 0.99 {
				t.Errorf("%d per %s: %.2f%% used", n, per, 100*used)
			}
			if most := fullest(mails, per); most > n {
				t.Errorf("%d per %s: a window holds %d", n, per, most)
			}
		}
	}
}

func TestP3_DowntimeIsNoAllowance(t *testing.T) {
	k := Bucket{Windows: []Window{{N: 100, Per: time.Hour}}, MaxRecipients: 1}
	var tat tats
	k.advance(&tat, 1e15, 1)
	later := int64(1e15) + (10 * time.Hour).Microseconds()
	burst := 0
	for k.wait(tat, later) == 0 {
		k.advance(&tat, later, 1)
		burst++
	}
	if burst != 1 {
		t.Errorf("%d mails at once after ten hours", burst)
	}
}

func TestIntervalAndHold(t *testing.T) {
	for _, c := range []struct {
		window     Window
		recipients int
		want       time.Duration
	}{
		{Window{N: 100, Per: time.Hour}, 1, 36_180 * time.Millisecond},
		{Window{N: 100, Per: time.Hour}, 50, 36_180 * time.Millisecond}, // mails: how many recipients does not count
		{Window{N: 100, Per: time.Hour, Recipients: true}, 51, 72_360 * time.Millisecond},
		{Window{N: 100, Per: time.Hour, Recipients: true}, 500, 3618 * time.Second},
		{Window{N: 30, Per: time.Minute}, 0, 2020 * time.Millisecond},
		{Window{N: 7, Per: time.Minute}, 1, 8657143 * time.Microsecond}, // rounded up
	} {
		if got := c.window.interval(c.recipients); got != c.want {
			t.Errorf("%+v, %d recipients: %s, want %s", c.window, c.recipients, got, c.want)
		}
	}
	for want, windows := range map[time.Duration][]Window{
		4 * time.Second:        {{N: 1, Per: time.Hour}, {N: 1, Per: day}},
		300 * time.Millisecond: {{N: 1, Per: time.Hour}, {N: 1, Per: time.Minute}},
		time.Hour:              nil,
	} {
		if got := (Bucket{Windows: windows}).Hold(); got != want {
			t.Errorf("%v: hold %s, want %s", windows, got, want)
		}
	}
}

func TestMoreRecipientsThanSaidAreAllPaidFor(t *testing.T) {
	k := Bucket{Windows: []Window{{N: 100, Per: time.Minute, Recipients: true}}, MaxRecipients: 10}
	var tat tats
	k.advance(&tat, 1e15, 40)
	if got, want := k.wait(tat, 1e15).Round(time.Second), (40*k.Windows[0].interval(10) - 300*time.Millisecond).Round(time.Second); got != want {
		t.Errorf("after 40 recipients the next waits %s, want %s", got, want)
	}
	if got := fmt.Sprint(tat.HourMails, tat.MinuteMails); got != "0 0" {
		t.Errorf("windows that are not limited moved: %s", got)
	}
}
