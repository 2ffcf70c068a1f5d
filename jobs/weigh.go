package jobs

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"
)

// weigher divides the memory that heavy messages take. A message below heavyFrom is never weighed and never waits. Of the others
// each account may always have one, so that no server's slowness is another account's matter; more of them as far as there is
// room for all accounts together. What finds no room is not read yet: its row goes back and comes again, without a sender.
type weigher struct {
	room int64 // octets

	mu   sync.Mutex
	used int64
	by   map[string]*scale
}

// scale is one account at the weigher.
type scale struct {
	shares int           // messages that have some of the room
	took   time.Duration // how long one keeps its share, about
	next   time.Time     // when the last row that was sent back comes again
}

const (
	heavyFrom = 1 << 20  // octets
	heavyRoom = 96 << 20 // octets, for all accounts together

	leastHeavyWait = 100 * time.Millisecond
	mostHeavyWait  = 30 * time.Second // a row comes again at the latest, for what was expected may be wrong
)

func newWeigher(room int64) *weigher { return &weigher{room: room, by: map[string]*scale{}} }

// share is the room that one message has. A nil share has no bounds.
type share struct {
	w       *weigher
	account string
	octets  int64
	since   time.Time
}

func (w *weigher) share(account string) *share { return &share{w: w, account: account} }

// want asks for so many octets in all. A *waitError says that the row has to come again.
func (s *share) want(octets int64) error {
	if s == nil || octets < heavyFrom || octets <= s.octets {
		return nil
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	a := s.w.by[s.account]
	if a == nil {
		a = &scale{}
		s.w.by[s.account] = a
	}
	others := a.shares
	if s.octets > 0 {
		others--
	}
	if others > 0 && s.w.used+octets-s.octets > s.w.room {
		return &waitError{fmt.Sprintf("waits for other large messages of account %s: there is memory for a few at a time", s.account), a.later()}
	}
	if s.octets == 0 {
		a.shares++
		s.since = time.Now()
	}
	s.w.used += octets - s.octets
	s.octets = octets
	return nil
}

// later spreads what comes again over the time that those before it will take. The caller holds the lock.
func (a *scale) later() time.Duration {
	now := time.Now()
	if a.next.Before(now) {
		a.next = now
	}
	a.next = a.next.Add(max(a.took/time.Duration(max(a.shares, 1)), leastHeavyWait))
	wait := a.next.Sub(now)
	if wait > mostHeavyWait {
		wait = time.Duration(float64(mostHeavyWait) * (0.5 + rand.Float64()/2))
		a.next = now.Add(mostHeavyWait)
	}
	return wait
}

// keep gives back all but so many octets: the message is made, and what it was made from is not needed any more.
func (s *share) keep(octets int64) {
	if s == nil || s.octets <= octets {
		return
	}
	s.w.mu.Lock()
	s.w.used -= s.octets - octets
	s.octets = octets
	s.w.mu.Unlock()
	// The collector would let as much again gather before it looks.
	debug.FreeOSMemory()
}

// end gives back the rest.
func (s *share) end() {
	if s == nil || s.octets == 0 {
		return
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.used -= s.octets
	s.octets = 0
	a := s.w.by[s.account]
	took := time.Since(s.since)
	if a.took == 0 {
		a.took = took
	}
	a.took += (took - a.took) / 4
	a.shares--
}
