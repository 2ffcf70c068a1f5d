package jobs

import (
	"sync"
	"time"
)

// pulses tells which loops make progress. A loop that waits for a database goes on beating: each of its statements has a
// deadline. A loop that has stopped beating hangs.
type pulses struct {
	mu   sync.Mutex
	last map[*pulse]time.Time
}

type pulse struct {
	all  *pulses
	name string
}

func newPulses() *pulses { return &pulses{last: map[*pulse]time.Time{}} }

func (p *pulses) add(name string) *pulse {
	one := &pulse{p, name}
	one.beat()
	return one
}

func (p *pulse) beat() {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.all.last[p] = time.Now()
}

func (p *pulse) end() {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	delete(p.all.last, p)
}

// stuck lists the loops that have not beaten for so long.
func (p *pulses) stuck(most time.Duration) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for one, last := range p.last {
		if time.Since(last) > most {
			names = append(names, one.name)
		}
	}
	return names
}
