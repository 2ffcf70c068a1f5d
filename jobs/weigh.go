package jobs

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
)

// weigher divides the memory that heavy messages take. A message below heavyFrom is never weighed and never waits. The others
// have what room there is for all together. Beyond it each account may always have one, so that no server's slowness is
// another account's matter, and each company one in the making, which takes the most. Nothing of a message is read before it
// has its share.
type weigher struct {
	room int64 // octets

	mu     sync.Mutex
	used   int64
	by     map[string]*scale // by account
	making map[string]int    // messages with a share that are not made yet, by company
}

// scale is one account at the weigher.
type scale struct {
	shares  int      // messages that have some of the room
	waiting []*share // in the order of asking
}

const (
	heavyFrom = 1 << 20   // octets
	heavyRoom = 112 << 20 // octets, for all accounts together
)

func newWeigher(room int64) *weigher {
	return &weigher{room: room, by: map[string]*scale{}, making: map[string]int{}}
}

// share is the room that one message has. A nil share has no bounds. One goroutine at a time uses it.
type share struct {
	w       *weigher
	company string
	account string
	octets  int64
	made    bool          // it keeps the message alone
	wanted  int64         // while it waits
	granted chan struct{} // closed when it need not wait any more
	waits   func()        // called before it waits; nil for nothing
}

func (w *weigher) share(company, account string) *share {
	return &share{w: w, company: company, account: account}
}

// want asks for so many octets in all, and waits until there is room. What has some already does not wait for more, for those
// that it waits for might wait for it: a *waitError says that its row has to come again.
func (s *share) want(ctx context.Context, octets int64) error {
	if s == nil || octets < heavyFrom || octets <= s.octets {
		return nil
	}
	s.w.mu.Lock()
	a := s.w.by[s.account]
	if a == nil {
		a = &scale{}
		s.w.by[s.account] = a
	}
	switch {
	case len(a.waiting) == 0 && s.w.fits(a, s, octets):
		s.w.take(a, s, octets)
		s.w.mu.Unlock()
		return nil
	case s.octets > 0:
		s.w.mu.Unlock()
		return &waitError{fmt.Sprintf("waits for memory: account %s has other large messages under way", s.account), crowdWait()}
	}
	s.wanted, s.granted = octets, make(chan struct{})
	a.waiting = append(a.waiting, s)
	s.w.mu.Unlock()
	if s.waits != nil {
		s.waits()
	}
	select {
	case <-s.granted:
		return nil
	case <-ctx.Done():
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		if i := slices.Index(a.waiting, s); i >= 0 {
			a.waiting = slices.Delete(a.waiting, i, i+1)
			s.w.grant()
		}
		return context.Cause(ctx)
	}
}

// fits tells whether there is room. The caller holds the lock.
func (w *weigher) fits(a *scale, s *share, octets int64) bool {
	others, making := a.shares, w.making[s.company]
	if s.octets > 0 {
		others, making = others-1, making-1
	}
	return others == 0 && making == 0 || w.used+octets-s.octets <= w.room
}

// take gives a share its room. The caller holds the lock.
func (w *weigher) take(a *scale, s *share, octets int64) {
	if s.octets == 0 {
		a.shares++
		w.making[s.company]++
	}
	w.used += octets - s.octets
	s.octets = octets
}

// grant gives room to those who wait, each account's in their order. The caller holds the lock.
func (w *weigher) grant() {
	for _, a := range w.by {
		for len(a.waiting) > 0 && w.fits(a, a.waiting[0], a.waiting[0].wanted) {
			s := a.waiting[0]
			a.waiting = slices.Delete(a.waiting, 0, 1)
			w.take(a, s, s.wanted)
			close(s.granted)
		}
	}
}

// collect frees what this message and those before it have left behind. By itself the collector would let as much gather as there is in use.
func (s *share) collect() {
	if s != nil && s.octets > 0 {
		debug.FreeOSMemory()
	}
}

// keep gives back all but so many octets: the message is made, and what it was made from is not needed any more.
func (s *share) keep(octets int64) {
	if s == nil || s.octets == 0 {
		return
	}
	s.collect()
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.used += octets - s.octets
	s.octets = octets
	s.done()
	s.w.grant()
}

// done notes that the message is not in the making any more. The caller holds the lock.
func (s *share) done() {
	if s.made {
		return
	}
	s.made = true
	if s.w.making[s.company]--; s.w.making[s.company] == 0 {
		delete(s.w.making, s.company)
	}
}

// end gives back the rest.
func (s *share) end() {
	if s == nil || s.octets == 0 {
		return
	}
	s.collect()
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.used -= s.octets
	s.octets = 0
	s.w.by[s.account].shares--
	s.done()
	s.w.grant()
}
