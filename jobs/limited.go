package jobs

import (
	"fmt"
	"maps"
	"time"

	"outboxd/db"
)

// domainFullError says that a limit by recipient domain keeps a mail back.
type domainFullError struct {
	domain string
	wait   time.Duration
}

func (e *domainFullError) Error() string {
	return fmt.Sprintf("the limit of mails to %s is used up for %s", e.domain, e.wait)
}

// divertDomain is where all mail of a company goes that diverts it; "" for others.
func (c *company) divertDomain() string { return domainOf(c.place.Company.Divert) }

// heedDomains leaves out of a claim what waits for its recipient's domain. The caller holds the lock.
func (f *feeder) heedDomains(c *db.Claim) {
	quiet := f.r.c.pausedLanes()
	for domain := range quiet {
		c.Paused = append(c.Paused, domain)
	}
	waiting := f.a.domains.waiting(f.r.c.name)
	if f.r.c.divertDomain() == "" { // else no row goes to whom it names
		for domain := range waiting {
			c.Paused = append(c.Paused, domain)
		}
		c.Single = f.a.domains.single
	}
	c.Aside = map[uint32][]uint32{}
	for _, lane := range f.lanes.own {
		hash := domainHash(lane.domain)
		_, isQuiet := quiet[hash]
		if _, waits := waiting[hash]; len(f.offered.aside[lane.ID]) > 0 && !waits && !isQuiet {
			c.Aside[lane.ID] = f.offered.aside[lane.ID]
		}
	}
}

// wholeLanes are the lanes of the account in which its rows wait for nothing but it.
func (f *feeder) wholeLanes() (ids []uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, lane := range f.lanes.own {
		if lane.domain == "" && len(f.offered.aside[lane.ID]) > 0 {
			ids = append(ids, lane.ID)
		}
	}
	return ids
}

// sorting puts rows to recipient domains aside: into shared lanes of those that are paused, and into the account's own of those that
// have used up its limit or are quiet. All are told by their hashes.
func (f *feeder) sorting(paused map[uint32]uint32, quiet map[uint32]string, free func([]uint64)) db.Sorting {
	apart := f.a.domains.waiting(f.r.c.name)
	maps.Copy(apart, quiet)
	return db.Sorting{Free: free,
		Waits: func(hash uint32) bool { return paused[hash] != 0 || apart[hash] != "" },
		Lane: func(hash uint32) (uint32, error) {
			if lane := paused[hash]; lane != 0 {
				return lane, nil
			}
			return f.domainLane(apart[hash], f.a.domains.left(apart[hash], f.r.c.name))
		}}
}

// domainLane is the lane of the account's rows that wait for their recipient's domain.
func (f *feeder) domainLane(domain string, wait time.Duration) (uint32, error) {
	reason := ""
	if text := f.a.domains.limitText(domain); text != "" {
		reason = fmt.Sprintf("account %s sends %s to it", f.a.conf.Name, text)
	}
	return f.r.c.ownLane(f.origin.Name, domain, wait, reason)
}

// stepAside lets a row wait with others for its recipient's domain. Where all mail of the company goes to one domain the
// feeder itself waits.
func (f *feeder) stepAside(row db.Row, full *domainFullError) db.Settlement {
	if f.r.c.divertDomain() != "" {
		return givenBack(row, "", 0)
	}
	lane, err := f.domainLane(full.domain, full.wait)
	if err != nil {
		f.r.c.report(err)
		return givenBack(row, "", full.wait)
	}
	row.Lane = lane
	return givenBack(row, "", 0)
}
