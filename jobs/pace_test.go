package jobs

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceIsFairAndPunctual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		start := time.Now()
		p.next(start.Add(time.Minute))
		type entry struct {
			who int
			at  time.Duration
		}
		entries := make(chan entry, 10)
		for who := range 3 {
			go func() {
				for range 2 {
					if p.enter(t.Context()) != nil {
						return
					}
					entries <- entry{who, time.Since(start)}
					p.next(time.Now().Add(time.Second))
					p.leave()
				}
			}()
			synctest.Wait() // so that they arrive in order
		}
		var who []int
		for i := range 6 {
			e := <-entries
			who = append(who, e.who)
			if want := time.Minute + time.Duration(i)*time.Second; e.at != want {
				t.Errorf("entry %d after %s, want %s", i, e.at, want)
			}
		}
		if !slices.Equal(who, []int{0, 1, 2, 0, 1, 2}) {
			t.Errorf("in the order %v", who)
		}
	})
}

func TestPaceMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		start := time.Now()
		p.next(start.Add(time.Hour))
		entered := make(chan error, 1)
		go func() { entered <- p.enter(t.Context()) }()
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
		ended := make(chan error, 2)
		for range 2 { // one waits for the time, one for its turn
			go func() { ended <- p.enter(ctx) }()
		}
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-ended; err == nil {
				t.Error("entered although the wait was stopped")
			}
		}
		p.next(time.Now())
		if err := p.enter(t.Context()); err != nil {
			t.Errorf("the turn is lost: %v", err)
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
