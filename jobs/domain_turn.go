package jobs

import (
	"strings"
	"time"
)

// domainTurn is when and whose turn it is to send to a recipient domain that is limited.
type domainTurn struct {
	hash   uint32               // of the domain
	due    time.Time            // when the next mail may go
	last   string               // the company whose mail went last
	wanted map[string]time.Time // when companies were last seen to have rows that wait for it
}

const (
	// yieldTime is how long after its time a domain is left to the other companies that want it, by the one that had it last.
	yieldTime = 3 * time.Second
	// wantTime is how long a company that was seen to want a domain counts as wanting it: some polls.
	wantTime = 10 * time.Second
)

// left tells how long the company still has to wait.
func (t *domainTurn) left(company string, now time.Time) time.Duration {
	left := t.due.Sub(now)
	for other, at := range t.wanted {
		if t.last == company && other != company && now.Sub(at) < wantTime {
			return max(0, left+yieldTime)
		}
	}
	return max(0, left)
}

// heard notes what the buckets said, by their names.
func (d *domains) heard(waits map[string]time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for name, wait := range waits {
		domain, own := strings.CutPrefix(name, d.head)
		if !own {
			continue
		}
		d.used[domain] = now
		t := d.turns[domain]
		if t == nil {
			t = &domainTurn{hash: domainHash(domain), wanted: map[string]time.Time{}}
			d.turns[domain] = t
		}
		t.due = now.Add(wait)
	}
}

// served notes whose mail has got its place in the buckets.
func (d *domains) served(waits map[string]time.Duration, company string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range waits {
		if t := d.turns[strings.TrimPrefix(name, d.head)]; t != nil {
			t.last = company
		}
	}
}

// want notes that rows of the company wait for the domain.
func (d *domains) want(domain, company string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.turns[domain]; t != nil {
		t.wanted[company] = time.Now()
	}
}

// left tells how long a company's mail to the domain still has to wait.
func (d *domains) left(domain, company string) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.turns[domain]; t != nil {
		return t.left(company, time.Now())
	}
	return 0
}

// waiting lists the domains to which the company's mail has to wait, by their hashes.
func (d *domains) waiting(company string) map[uint32]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all, now := map[uint32]string{}, time.Now()
	for domain, t := range d.turns {
		if t.left(company, now) > 0 {
			all[t.hash] = domain
		} else if now.Sub(t.due) > yieldTime {
			delete(d.turns, domain)
		}
	}
	return all
}
