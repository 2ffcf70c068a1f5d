package db_test

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// domainHash is outbox.rdom of the rows to a domain.
func domainHash(t testing.TB, d *dbtest.Database, domain string) uint32 {
	t.Helper()
	var hash uint32
	for _, c := range []byte(d.Read(t, "SELECT CRC32(?)", domain)) {
		hash = hash*10 + uint32(c-'0')
	}
	return hash
}

func lanes(t testing.TB, d *dbtest.Database) []db.Lane {
	t.Helper()
	all, err := d.Store.Lanes(deadline(t))
	must(t, err)
	return all
}

// only sorts the rows to one domain into a lane.
func only(domain, lane uint32, free func([]uint64)) db.Sorting {
	return db.Sorting{Waits: func(of uint32) bool { return of == domain }, Lane: func(uint32) (uint32, error) { return lane, nil }, Free: free}
}

// P4: rows to very many domains that wait are all put aside by one look along the queue, each domain's into a lane that is made right
// before; and what may go is seen meanwhile.
func TestP4_RowsToManyDomainsAreSortedAtOnce(t *testing.T) {
	const domains = 300
	d := dbtest.New(t)
	ctx := deadline(t)
	waits := map[uint32]string{}
	for range 2 {
		for i := range domains {
			domain := fmt.Sprintf("d%d.example", i)
			d.Exec(t, "INSERT INTO {db}.outbox (recipients) VALUES (?)", "r@"+domain)
			waits[crc32.ChecksumIEEE([]byte(domain))] = domain
		}
	}
	d.Exec(t, shortest)
	n, seen := 0, []int{}
	err := d.Store.SortAside(ctx, db.Queue{Route: routeOf(t, d.Store), Priority: 3}, db.Sorting{
		Waits: func(hash uint32) bool { return waits[hash] != "" },
		Lane: func(hash uint32) (uint32, error) {
			lane, err := d.Store.WaitLane(ctx, "account:main to "+waits[hash], time.Hour, "")
			// A lane that is made long before its rows come may be dropped as one that nobody needs.
			if empty := d.Read(t, "SELECT COUNT(*) FROM {db}.outbox_lane l WHERE NOT EXISTS (SELECT 1 FROM {db}.outbox o WHERE o.lane = l.id)"); empty != "1" {
				t.Errorf("%s lanes stand empty", empty)
			}
			if n++; n == 100 { // one that comes meanwhile is seen before all are sorted
				d.Exec(t, shortest)
			}
			return lane.ID, err
		},
		Free: func(ids []uint64) { seen = append(seen, n) },
	})
	must(t, err)
	if len(seen) < 3 || seen[0] != 0 || seen[2] > 200 {
		t.Errorf("rows that may go were seen after so many domains: %v", seen)
	}
	if got := d.Read(t, "SELECT COUNT(*) FROM {db}.outbox o JOIN {db}.outbox_lane l ON l.id = o.lane WHERE l.name = CONCAT('account:main to ', SUBSTRING(o.recipients, 3))"); got != fmt.Sprint(2*domains) {
		t.Errorf("%s rows are in their lanes", got)
	}
	if n := len(lanes(t, d)); n != domains {
		t.Errorf("%d lanes", n)
	}
}

// P4: a row that may go is found behind 30,000 rows of a paused domain, before they are sorted aside, and goes.
func TestP4_RowBehindAPausedDomainGoes(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 30_000, "slow.example")
	d.Exec(t, "UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) - INTERVAL 1 MINUTE")
	d.Exec(t, shortest)
	free := d.Read(t, "SELECT MAX(id) FROM {db}.outbox")
	lane, err := d.Store.PauseLane(ctx, "domain:slow.example", time.Hour, "451 slow down")
	must(t, err)
	slow := domainHash(t, d, "slow.example")
	c := wholeClaim(t, d.Store, 10)
	c.Paused = []uint32{slow}
	got, err := d.Store.Claim(ctx, c)
	must(t, err)
	if len(got.Rows) != 0 || len(got.Paused) == 0 {
		t.Fatalf("claimed %v, paused rows seen: %v", ids(got.Rows), got.Paused)
	}
	var asideAtFind string
	err = d.Store.SortAside(ctx, db.Queue{Route: c.Routes[0], Priority: 3}, only(slow, lane.ID, func(found []uint64) {
		// The row goes at once, while most of the others still stand before it.
		asideAtFind = d.Read(t, "SELECT COUNT(*) < 10000 FROM {db}.outbox WHERE lane = ?", lane.ID)
		hinted := c
		hinted.Hints = found
		got, err := d.Store.Claim(ctx, hinted)
		if err != nil || len(got.Rows) != 1 || d.Read(t, "SELECT state FROM {db}.outbox WHERE id = ?", free) != "sending" {
			t.Errorf("claimed %v by the hints %v, %v", ids(got.Rows), found, err)
		}
	}))
	must(t, err)
	if asideAtFind != "1" {
		t.Errorf("the free row was found only after the others were sorted: %q", asideAtFind)
	}
	if got := d.Read(t, "SELECT COUNT(*) FROM {db}.outbox WHERE qlane = ?", lane.ID); got != "30000" {
		t.Errorf("%s rows are aside", got)
	}
	// Sorted once: nothing stands in the way any more.
	d.Exec(t, shortest)
	got, err = d.Store.Claim(ctx, c)
	must(t, err)
	if len(got.Rows) != 1 || len(got.Paused) > 0 {
		t.Errorf("claimed %v, paused rows seen: %v", ids(got.Rows), got.Paused)
	}
}

// P4: rows at the end of a queue are seen at the first look, also those that come while the others are put aside; one in the
// midst is seen when the look comes by.
func TestP4_NewRowsAreSeenAtOnce(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 25_000, "slow.example")
	d.Exec(t, shortest)
	insert(t, d, 25_000, "slow.example")
	d.Exec(t, shortest)
	lane, err := d.Store.PauseLane(ctx, "domain:slow.example", time.Hour, "451 slow down")
	must(t, err)
	var seen []string // how many were aside by then
	err = d.Store.SortAside(ctx, db.Queue{Route: routeOf(t, d.Store), Priority: 3}, only(domainHash(t, d, "slow.example"), lane.ID, func([]uint64) {
		seen = append(seen, d.Read(t, "SELECT COUNT(*) FROM {db}.outbox WHERE lane = ?", lane.ID))
		if len(seen) == 1 {
			d.Exec(t, shortest)
		}
	}))
	must(t, err)
	// The last row; the one that came then, with the one in the midst; the last one again when the look comes by, with the new one.
	if len(seen) < 3 || !slices.Equal(seen[:3], []string{"0", "1000", "1000"}) {
		t.Errorf("seen with so many aside: %v", seen)
	}
}

func TestP4_HintsAreTakenOnlyWhereAsked(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, account) VALUES (1, 'a@b.example', 'main'), (2, 'a@b.example', 'main')")
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, account) VALUES (3, 'a@b.example', 'paused')")
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, account, priority) VALUES (4, 'a@b.example', 'main', 5)")
	var route uint32
	for _, r := range mustRoutes(t, d.Store) {
		if r.Account == "main" {
			route = r.Hash
		}
	}
	got := claimAll(t, d.Store, 10, func(c *db.Claim) {
		c.Routes, c.Priorities, c.Hints = []uint32{route}, []int{1, 2, 3}, []uint64{1, 2, 3, 4, 99}
	})
	if !slices.Equal(ids(got), []uint64{1, 2}) {
		t.Errorf("claimed %v", ids(got))
	}
}

func TestLaneReopens(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	insert(t, d, 3, "slow.example")
	lane, err := d.Store.PauseLane(ctx, "domain:slow.example", time.Hour, "451 slow down")
	must(t, err)
	must(t, d.Store.SortAside(ctx, db.Queue{Route: routeOf(t, d.Store), Priority: 3},
		only(domainHash(t, d, "slow.example"), lane.ID, func([]uint64) {})))
	if lane.Open || lane.Failures != 1 || lane.Reason != "451 slow down" || lane.WaitUntil == nil || time.Until(*lane.WaitUntil) < 50*time.Minute {
		t.Errorf("paused lane %+v", lane)
	}
	must(t, d.Store.DropLane(ctx, lane.ID))
	if len(lanes(t, d)) != 1 {
		t.Error("a lane with rows was dropped")
	}
	again, err := d.Store.PauseLane(ctx, lane.Name, -time.Second, strings.Repeat("x", 700)) // over at once
	must(t, err)
	if again.ID != lane.ID || !again.Open || again.Failures != 2 || len([]rune(again.Reason)) != 600 {
		t.Errorf("lane %+v", again)
	}
	routes, err := d.Store.Routes(ctx, lane.ID, -1, 10)
	must(t, err)
	got, err := d.Store.Claim(ctx, db.Claim{Instance: me, Routes: []uint32{routes[0].Hash}, Priorities: db.Priorities, Lanes: []uint32{0, lane.ID},
		Limit: 10, Octets: 1 << 20, MaxSize: 1 << 20, Domain: "acme.example"})
	must(t, err)
	if len(got.Rows) != 3 || got.Rows[0].Lane != lane.ID {
		t.Errorf("claimed %v out of the open lane", ids(got.Rows))
	}
	must(t, d.Store.HealLane(ctx, lane.ID))
	if l := lanes(t, d)[0]; l.Failures != 0 || !l.Open || l.Reason != "" {
		t.Errorf("healed lane %+v", l)
	}
	must(t, d.Store.DropLane(ctx, lane.ID))
	if l := lanes(t, d); len(l) != 0 {
		t.Errorf("dropped lane %+v", l)
	}
}

// P1: a row may find its way into a lane that was just dropped; it is not forgotten there.
func TestP1_RowInALostLaneIsFound(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	var made []uint32
	for _, name := range []string{"domain:a.example", "domain:b.example", "domain:münchen.example"} {
		l, err := d.Store.PauseLane(ctx, name, time.Hour, "slow")
		must(t, err)
		made = append(made, l.ID)
	}
	insert(t, d, 5, "kunde.example")
	d.Exec(t, "UPDATE {db}.outbox SET lane = ? WHERE id = 1", made[0])
	d.Exec(t, "UPDATE {db}.outbox SET lane = ? WHERE id = 2", made[1])
	d.Exec(t, "UPDATE {db}.outbox SET lane = 77 WHERE id = 3")
	d.Exec(t, "DELETE FROM {db}.outbox_lane WHERE id = ?", made[1])
	var open []uint32
	for _, l := range lanes(t, d) {
		if l.Open {
			open = append(open, l.ID)
		}
	}
	if !slices.Equal(open, []uint32{made[1], 77}) {
		t.Errorf("open lanes %v of %+v", open, lanes(t, d))
	}
	must(t, d.Store.HealLane(ctx, 77)) // and may be treated as any other
	must(t, d.Store.DropLane(ctx, 77))
}

func TestHeldRowLeavesItsLane(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, shortest)
	id := one(t, d.Store).ID
	rescue(t, d, db.Rescue{Own: me.ID})
	lane, err := d.Store.PauseLane(ctx, "domain:kunde.example", 0, "slow")
	must(t, err)
	d.Exec(t, "UPDATE {db}.outbox SET lane = ?", lane.ID)
	must(t, d.Store.Hold(ctx, id, "wait"))
	must(t, d.Store.HealLane(ctx, lane.ID))
	must(t, d.Store.DropLane(ctx, lane.ID))
	must(t, d.Store.Release(ctx, id))
	one(t, d.Store)
}
