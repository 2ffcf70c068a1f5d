package jobs

import (
	"context"
	"maps"
	"time"

	"outboxd/db"
	"outboxd/mail"
)

// asideOverlap is how much of what was looked through is looked at again, for rows that were committed late. A row that comes later
// still is put aside by the feeder that finds it.
const asideOverlap = 10 * time.Second

// misplaced puts a row that does not go by the account for which it was taken into the lane of its own.
func (c *company) misplaced(row db.Row, w way) db.Settlement {
	lane, err := c.ownLane(w.account.Name, "", 0, "")
	if err != nil {
		c.report(err)
		return givenBack(row, "", time.Second)
	}
	row.Lane = lane
	return givenBack(row, "", 0)
}

// lookAside adds what waits in the accounts' own lanes to the offers.
func (r *runner) lookAside(ctx context.Context, own []ownLane, all offers) error {
	r.soon = 0
	for _, lane := range own {
		origin := r.c.resolver.byName(lane.account)
		if !r.wants(origin.Name) {
			continue
		}
		if err := r.heedWait(ctx, lane); err != nil {
			return err
		}
		routes, err := r.routesIn(ctx, lane.ID)
		if err != nil {
			return err
		}
		for _, route := range routes {
			r.offer(all, origin, lane.ID, route)
		}
	}
	return nil
}

// heedWait sees to it that a lane's rows are seen to wait for their recipient's domain, and that the next poll comes when they may go.
func (r *runner) heedWait(ctx context.Context, lane ownLane) error {
	a := r.c.accounts[lane.account]
	if a == nil {
		return nil
	}
	a.domains.want(lane.domain, r.c.name)
	left := a.domains.left(lane.domain, r.c.name)
	if left == 0 {
		return nil
	}
	if r.soon == 0 || left < r.soon {
		r.soon = left
	}
	return r.tellWait(ctx, lane, left)
}

// sooner tells when a recipient domain may be sent to before the next poll is due.
func (r *runner) sooner() <-chan time.Time {
	if r.soon == 0 {
		return nil
	}
	return time.After(max(r.soon, soonest))
}

// soonest is the least time between two polls that recipient domains have made early.
const soonest = 100 * time.Millisecond

// tellWait writes down how long the rows of a lane wait, for people, when that is news.
func (r *runner) tellWait(ctx context.Context, lane ownLane, left time.Duration) error {
	due := time.Now().Add(left)
	if due.Sub(r.told[lane.ID]).Abs() < time.Second {
		return nil
	}
	r.told[lane.ID] = due
	_, err := r.c.place.Store.WaitLane(ctx, lane.Name, left, lane.Reason)
	return err
}

// sortAside puts rows of paused domains that stand in a feeder's way into their lanes, in the background and one queue after the
// other.
func (r *runner) sortAside(f *feeder, claim db.Claim, met []uint32) {
	r.alone(&r.sorting, func() {
		err := r.sortLanes(f, claim, met)
		r.c.report(err)
	})
}

func (r *runner) sortLanes(f *feeder, claim db.Claim, met []uint32) error {
	limited, err := f.limitedLanes(met, f.a.domains.waiting(r.c.name))
	if err != nil {
		return err
	}
	shared := maps.Clone(r.c.pausedLanes())
	maps.Copy(shared, limited)
	if err := r.sortQueues(0, claim.Routes, shared, r.hint); err != nil {
		return err
	}
	for _, lane := range f.wholeLanes() {
		apart, err := f.limitedLanes(met, r.c.quietDomains())
		if err != nil {
			return err
		}
		maps.Copy(apart, limited)
		if err := r.sortQueues(lane, claim.Aside[lane], apart, func([]uint64) {}); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) sortQueues(lane uint32, routes []uint32, paused map[uint32]uint32, found func([]uint64)) error {
	for _, route := range routes {
		for _, priority := range r.priorities() {
			if err := r.c.place.Store.SortAside(r.stop, db.Queue{Lane: lane, Route: route, Priority: priority}, paused, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// partSenders puts rows of people who have an account of their own into its lane, in the background: they wait for no other
// account's turn.
func (r *runner) partSenders(found []db.Route) {
	var queues []db.Queue
	for _, route := range found {
		if route.Account == "" && r.c.resolver.personal[route.Hash] {
			for _, priority := range r.priorities() {
				queues = append(queues, db.Queue{Route: route.Hash, Priority: priority})
			}
		}
	}
	if len(queues) == 0 {
		return
	}
	r.alone(&r.parting, func() {
		for _, q := range queues {
			last, err := r.c.place.Store.SortSenders(r.stop, q, r.parted[q], r.c.laneOfSender)
			if err != nil {
				r.c.report(err)
				return
			}
			if again := last.Add(-asideOverlap); again.After(r.parted[q]) {
				r.parted[q] = again
			}
		}
	})
}

// laneOfSender is the lane of a sender's own account; 0 for one who has none.
func (c *company) laneOfSender(from string) (uint32, error) {
	sender, err := mail.ParseAddress(from)
	if err != nil {
		return 0, nil // the row fails where it is
	}
	if a := c.resolver.personOf(sender); a != nil {
		return c.ownLane(a.Name, "", 0, "")
	}
	return 0, nil
}
