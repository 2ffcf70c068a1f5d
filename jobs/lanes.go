package jobs

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/mail"
)

// lanes is what the lanes said at the last poll.
type lanes struct {
	open   []db.Lane         // whose pause is over
	paused map[uint32]uint32 // hash of the recipient domain to lane
	own    []ownLane         // of single accounts
}

// ownLane is a lane of one account's rows: of those that their routes do not tell to be its, or of those that wait for its
// limit of a recipient domain.
type ownLane struct {
	db.Lane
	account string
	domain  string // "" for the first kind
}

// accountLane is the head of the name of an account's lane.
const accountLane = "account:"

// maxLaneName is how long the name of a lane may be.
const maxLaneName = 320

func ownLaneName(account, domain string) string {
	name := accountLane + account
	if domain != "" {
		name += " to " + domain
	}
	return name[:min(len(name), maxLaneName)]
}

// parseOwnLane reads an account's lane from its name; false for another one.
func parseOwnLane(lane db.Lane) (own ownLane, ok bool) {
	name, ok := strings.CutPrefix(lane.Name, accountLane)
	own.Lane = lane
	own.account, own.domain, _ = strings.Cut(name, " to ")
	return own, ok
}

// window returns the lanes with only n of the open ones, and of those for an account's limit n that may go and n that wait, from the
// given one on and round: each gets its turn.
func (l *lanes) window(from, n int, waits func(ownLane) bool) *lanes {
	var whole, due, waiting []ownLane
	for _, o := range l.own {
		switch {
		case o.domain == "":
			whole = append(whole, o)
		case waits(o):
			waiting = append(waiting, o)
		default:
			due = append(due, o)
		}
	}
	return &lanes{open: inTurn(l.open, from, n), paused: l.paused, own: slices.Concat(whole, inTurn(due, from, n), inTurn(waiting, from, n))}
}

// inTurn returns n of all, from the given one on and round.
func inTurn[T any](all []T, from, n int) []T {
	if len(all) <= n {
		return all
	}
	some := make([]T, n)
	for i := range some {
		some[i] = all[(from+i)%len(all)]
	}
	return some
}

// refreshLanes reads the lanes anew.
func (c *company) refreshLanes(ctx context.Context) (*lanes, error) {
	all, err := c.place.Store.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	l, quiet, ids := &lanes{paused: map[uint32]uint32{}}, map[string]bool{}, map[string]uint32{}
	for _, lane := range all {
		own, ok := parseOwnLane(lane)
		switch domain, ofDomain := strings.CutPrefix(lane.Name, domainLane); {
		case ok && c.knows(own.account):
			l.own = append(l.own, own)
			ids[lane.Name] = lane.ID
		case ok, lane.Open:
			l.open = append(l.open, lane)
		case ofDomain:
			l.paused[domainHash(domain)] = lane.ID
			quiet[domain] = true
		}
	}
	c.mu.Lock()
	c.lanes, c.quiet, c.ownLanes = l, quiet, ids
	c.mu.Unlock()
	return l, nil
}

// quietDomains lists the domains that throttle, by their hashes.
func (c *company) quietDomains() map[uint32]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[uint32]string{}
	for domain := range c.quiet {
		all[domainHash(domain)] = domain
	}
	return all
}

// ownLane returns the lane of an account's rows, of those to a domain where one is named. It is made when there is none; then its
// rows are seen to wait so long for the reason.
func (c *company) ownLane(account, domain string, wait time.Duration, reason string) (uint32, error) {
	name := ownLaneName(account, domain)
	c.mu.Lock()
	id, known := c.ownLanes[name]
	c.mu.Unlock()
	if known {
		return id, nil
	}
	lane, err := c.place.Store.WaitLane(context.WithoutCancel(c.stop), name, wait, reason)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ownLanes[name] = lane.ID // the next poll reads all of them
	return lane.ID, nil
}

// dropLane removes a lane in which no row waits any more.
func (c *company) dropLane(ctx context.Context, id uint32) error {
	c.mu.Lock()
	maps.DeleteFunc(c.ownLanes, func(_ string, lane uint32) bool { return lane == id })
	c.mu.Unlock()
	return c.place.Store.DropLane(ctx, id)
}

// knows tells whether the company has an account of the name, at work or not.
func (c *company) knows(account string) bool {
	return c.resolver.byName(account) != nil
}

// pausedLanes are the lanes of the domains that throttle, by their hashes. Others read the map too.
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
		domain := domainOf(to)
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
	paused[domainHash(domain)] = lane.ID
	c.lanes = &lanes{open: c.lanes.open, paused: paused, own: c.lanes.own}
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
