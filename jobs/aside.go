package jobs

import (
	"context"
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

// heedWait sees to it that a lane's rows are seen to wait for their recipient's domain.
func (r *runner) heedWait(ctx context.Context, lane ownLane) error {
	if left := r.waits(lane); left > 0 {
		return r.tellWait(ctx, lane, left)
	}
	return nil
}

// waits tells how long the rows of a lane have to wait for their recipient's domain.
func (r *runner) waits(lane ownLane) time.Duration {
	if a := r.c.accounts[lane.account]; a != nil {
		return a.domains.left(lane.domain, r.c.name)
	}
	return 0
}

// wantDomains notes which recipient domains rows wait for, and when the next poll has to come for the first of them.
func (r *runner) wantDomains(own []ownLane) {
	r.soon = 0
	for _, lane := range own {
		a := r.c.accounts[lane.account]
		if a == nil || lane.domain == "" || !r.wants(lane.account) {
			continue
		}
		a.domains.want(lane.domain, r.c.name)
		if left := r.waits(lane); left > 0 && (r.soon == 0 || left < r.soon) {
			r.soon = left
		}
	}
}

// sooner tells when a recipient domain may be sent to before the next poll is due.
func (r *runner) sooner() <-chan time.Time {
	if r.soon == 0 {
		return nil
	}
	return time.After(max(r.soon, soonest, 4*r.took))
}

// soonest is the least time between two polls that recipient domains have made early: with very many lanes, which each poll reads, it is
// more.
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
func (r *runner) sortAside(f *feeder, claim db.Claim) {
	r.alone(&r.sorting, func() {
		err := r.sortLanes(f, claim)
		r.c.report(err)
	})
}

// sortLanes goes through all lanes that the claim saw such rows in: into one that was dropped while a row found its way into it too.
func (r *runner) sortLanes(f *feeder, claim db.Claim) error {
	for _, lane := range claim.Lanes {
		free := r.hint
		if lane != 0 {
			free = func([]uint64) {} // hints are for rows in no lane
		}
		if err := r.sortQueues(lane, claim.Routes, f.sorting(r.c.pausedLanes(), nil, free)); err != nil {
			return err
		}
	}
	for _, lane := range f.wholeLanes() {
		if err := r.sortQueues(lane, claim.Aside[lane], f.sorting(nil, r.c.quietDomains(), func([]uint64) {})); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) sortQueues(lane uint32, routes []uint32, by db.Sorting) error {
	for _, route := range routes {
		for _, priority := range r.priorities() {
			if err := r.c.place.Store.SortAside(r.stop, db.Queue{Lane: lane, Route: route, Priority: priority}, by); err != nil {
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
