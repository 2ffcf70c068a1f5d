package jobs

import (
	"testing"
	"time"
)

func TestFlow(t *testing.T) {
	start := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	var f flow
	for _, step := range []struct {
		at   time.Duration
		add  int
		want int
	}{
		{0, 0, 0}, {0, 10, 600}, {59 * time.Second, 5, 900}, {61 * time.Second, 2, 900}, {119 * time.Second, 20, 1320},
		{2*time.Minute + time.Second, 0, 1320}, {3*time.Minute + time.Second, 0, 0}, {time.Hour, 3, 180}, {2 * time.Hour, 0, 0},
	} {
		for range step.add {
			f.add(start.Add(step.at))
		}
		if got := f.perHour(start.Add(step.at)); got != step.want {
			t.Errorf("after %s: %d an hour, want %d", step.at, got, step.want)
		}
	}
}
