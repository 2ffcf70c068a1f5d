package jobs

import (
	"context"
	"hash/crc32"
	"maps"
	"strings"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/mail"
)

// lanes is what the lanes said at the last poll.
type lanes struct {
	open   []db.Lane         // whose pause is over
	paused map[uint32]uint32 // hash of the recipient domain to lane
}

// window returns the lanes with only n of the open ones, from the given one on and round: each gets its turn.
func (l *lanes) window(from, n int) *lanes {
	if len(l.open) <= n {
		return l
	}
	some := make([]db.Lane, n)
	for i := range some {
		some[i] = l.open[(from+i)%len(l.open)]
	}
	return &lanes{open: some, paused: l.paused}
}

// refreshLanes reads the lanes anew.
func (c *company) refreshLanes(ctx context.Context) (*lanes, error) {
	all, err := c.place.Store.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	l, quiet := &lanes{paused: map[uint32]uint32{}}, map[string]bool{}
	for _, lane := range all {
		if lane.Open {
			l.open = append(l.open, lane)
		} else if domain, ok := strings.CutPrefix(lane.Name, domainLane); ok {
			l.paused[crc32.ChecksumIEEE([]byte(domain))] = lane.ID
			quiet[domain] = true
		}
	}
	c.mu.Lock()
	c.lanes, c.quiet = l, quiet
	c.mu.Unlock()
	return l, nil
}

func (c *company) pausedLanes() map[uint32]uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lanes.paused
}

// learn notes what a transaction tells about the recipients' domains: several throttled recipients in a row pause the
// domain, so that its rows step aside together; in a lane that has just reopened one is enough. One that goes through
// ends the trouble.
func (c *company) learn(p *parcel, outcomes []mail.Outcome) {
	for i, o := range outcomes {
		to := p.envelope.To[i]
		domain := to[strings.LastIndexByte(to, '@')+1:]
		lane := c.openLane(domain)
		if o.Verdict == mail.Throttled && o.Scope == mail.ScopeRecipient {
			if c.strike(domain, lane.Failures > 0) {
				c.pauseDomain(domain, lane.Failures, o)
			}
			continue
		}
		c.mu.Lock()
		delete(c.strikes, domain)
		c.mu.Unlock()
		if o.Verdict == mail.Accepted && lane.Failures > 0 {
			c.report(c.place.Store.HealLane(context.WithoutCancel(c.stop), lane.ID))
		}
	}
}

// strike counts a throttled recipient and tells whether the domain has to pause. What was still in flight when it began
// to pause does not count again.
func (c *company) strike(domain string, reopened bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.quiet[domain] {
		return false
	}
	c.strikes[domain]++
	if c.strikes[domain] < strikesToPause && !reopened {
		return false
	}
	delete(c.strikes, domain)
	c.quiet[domain] = true
	return true
}

func (c *company) pauseDomain(domain string, failures int, o mail.Outcome) {
	wait := pauseFor(o, failures)
	lane, err := c.place.Store.PauseLane(context.WithoutCancel(c.stop), domainLane+domain, wait, explain(o))
	if err != nil {
		c.report(err)
		return
	}
	// The feeders shall know before the next poll.
	c.mu.Lock()
	paused := maps.Clone(c.lanes.paused) // never changed in place: others read it
	paused[crc32.ChecksumIEEE([]byte(domain))] = lane.ID
	c.lanes = &lanes{open: c.lanes.open, paused: paused}
	c.mu.Unlock()
	c.log.Warn(eventDomainPaused, zap.String("domain", domain), zap.Duration("pause", wait), zap.Stringer("reply", o.Reply))
}

// openLane returns the domain's lane as it was at the last poll; the zero Lane when it has none or still waits.
func (c *company) openLane(domain string) db.Lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.quiet[domain] {
		for _, lane := range c.lanes.open {
			if lane.Name == domainLane+domain {
				return lane
			}
		}
	}
	return db.Lane{}
}
