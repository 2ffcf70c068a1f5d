package jobs

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		start := time.Now()
		p.next(start.Add(time.Hour))
		entered := make(chan error, 1)
		go func() { entered <- p.wait(t.Context()) }()
		synctest.Wait()
		p.next(start.Add(2 * time.Hour))
		synctest.Wait()
		p.next(start.Add(time.Minute))
		if err := <-entered; err != nil || time.Since(start) != time.Minute {
			t.Errorf("entered after %s: %v", time.Since(start), err)
		}
		if due := p.due(); !due.Equal(start.Add(time.Minute)) {
			t.Errorf("due %s", due)
		}
	})
}

func TestPaceStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		p.next(time.Now().Add(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.wait(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-ended; err == nil {
			t.Error("it was due although the wait was stopped")
		}
	})
}

func TestPulses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newPulses()
		a, b := all.add("a"), all.add("b")
		time.Sleep(time.Minute) // of the bubble's own clock
		b.beat()
		if got := all.stuck(30 * time.Second); !slices.Equal(got, []string{"a"}) {
			t.Errorf("stuck: %v", got)
		}
		a.end()
		a.end()
		if got := all.stuck(30 * time.Second); len(got) != 0 {
			t.Errorf("stuck: %v", got)
		}
		a.beat() // begins again
		time.Sleep(time.Minute)
		if got := all.stuck(30 * time.Second); len(got) != 2 {
			t.Errorf("stuck: %v", got)
		}
	})
}
