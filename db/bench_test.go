package db_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// backlog is one state of a queue in which a claim is timed.
type backlog struct {
	name   string
	insert string // rows, with %d for the first and the last number
	paused string // a recipient domain whose rows wait in a lane
	store  *db.Store
	route  uint32
	times  []time.Duration
	p50    time.Duration
}

const (
	few        = 1000
	fillStep   = 250_000 // rows a statement
	dueRows    = `INSERT INTO {db}.outbox (recipients, body_text, account) SELECT CONCAT('r', seq, '@kunde.example'), 'x', 'main' FROM {db}.seq_%d_to_%d`
	claimRuns  = 300
	warmRuns   = 20
	claimBench = "OUTBOXD_BENCH_ROWS" // rows of a large backlog; five million when unset
)

// backlogs are what may stand beside the thousand rows that can go.
func backlogs() []*backlog {
	other := func(columns, values string) string {
		return `INSERT INTO {db}.outbox (recipients, body_text, ` + columns + `) SELECT CONCAT('r', seq, '@kunde.example'), 'x', ` + values + ` FROM {db}.seq_%d_to_%d`
	}
	return []*backlog{
		{name: "1,000 waiting"},
		{name: "many waiting", insert: dueRows},
		{name: "many dated into next year", insert: other("account, send_after", "'main', NOW() + INTERVAL 1 YEAR")},
		{name: "many of an account out of budget", insert: other("account, priority", "'slow', 1")},
		{name: "many of a server that is down", insert: other("account, send_after", "'down', NOW() - INTERVAL 1 HOUR")},
		{name: "many of a paused domain", paused: "paused.example", insert: `INSERT INTO {db}.outbox (recipients, body_text, account)
			SELECT CONCAT('r', seq, '@paused.example'), 'x', 'main' FROM {db}.seq_%d_to_%d`},
	}
}

// BenchmarkClaim times claims of one row and of 32 with 1,000 and with five million rows waiting, in interleaved warm runs,
// and prints each p50 beside that of 1,000 rows. Filling the tables takes minutes and some 15 GB of disk.
func BenchmarkClaim(b *testing.B) {
	many := dbtest.BenchNumber(b, claimBench, 5_000_000)
	server := dbtest.Own(b, dbtest.Options{Durable: true, Flags: []string{"--innodb-buffer-pool-size=1G", "--innodb-log-file-size=1G"}})
	cases := backlogs()
	fmt.Printf("many is %d rows\n", many)
	for _, c := range cases {
		c.fill(b, server.Server, many)
	}
	for b.Loop() {
		for _, limit := range []int{1, 32} {
			for range warmRuns {
				for _, c := range cases {
					c.claim(b, limit)
				}
			}
			for range claimRuns {
				for _, c := range cases {
					c.times = append(c.times, c.claim(b, limit))
				}
			}
			printClaims(cases, limit)
		}
	}
}

func printClaims(cases []*backlog, limit int) {
	for _, c := range cases {
		slices.Sort(c.times)
		p50, p99 := c.times[len(c.times)/2], c.times[len(c.times)*99/100]
		base := cases[0].p50
		if c == cases[0] {
			base = p50
		}
		c.p50, c.times = p50, nil
		ratio := float64(p50) / float64(base)
		fmt.Printf("claim of %2d, %-34s p50 %8s  p99 %8s  %.2f of 1,000, %s\n", limit, c.name, p50.Round(time.Microsecond), p99.Round(time.Microsecond), ratio, dbtest.AtMost(ratio, 1.5, ""))
	}
}

// fill inserts the backlog, and behind it the rows that can go.
func (c *backlog) fill(b *testing.B, server db.Server, many int) {
	b.Helper()
	d := dbtest.On(b, server)
	c.store = d.Store
	start := time.Now()
	for from := 1; c.insert != "" && from <= many; from += fillStep {
		d.Exec(b, fmt.Sprintf(c.insert, from, min(many, from+fillStep-1)))
	}
	d.Exec(b, fmt.Sprintf(dueRows, 1, few))
	if _, err := fmt.Sscan(d.Read(b, `SELECT route FROM {db}.outbox WHERE account = 'main' LIMIT 1`), &c.route); err != nil {
		b.Fatal(err)
	}
	fmt.Printf("%s: filled in %s\n", c.name, time.Since(start).Round(time.Second))
	if c.paused != "" {
		c.sortAside(b, d)
	}
}

func (c *backlog) sortAside(b *testing.B, d *dbtest.Database) {
	b.Helper()
	ctx := context.Background()
	lane, err := c.store.PauseLane(ctx, "domain:"+c.paused, time.Hour, "bench")
	if err != nil {
		b.Fatal(err)
	}
	var domain uint32
	if _, err := fmt.Sscan(d.Read(b, `SELECT CRC32(?)`, c.paused), &domain); err != nil {
		b.Fatal(err)
	}
	start, first := time.Now(), time.Duration(0)
	err = c.store.SortAside(ctx, db.Queue{Route: c.route, Priority: 3}, only(domain, lane.ID, func([]uint64) {
		if first == 0 {
			first = time.Since(start)
		}
	}))
	if err != nil {
		b.Fatal(err)
	}
	fmt.Printf("%s: a row behind them was seen after %s, all were put aside in %s\n", c.name, first.Round(time.Millisecond), time.Since(start).Round(time.Second))
}

// claim times one claim and gives the rows back.
func (c *backlog) claim(b *testing.B, limit int) time.Duration {
	b.Helper()
	ctx := context.Background()
	start := time.Now()
	got, err := c.store.Claim(ctx, db.Claim{Instance: me, Routes: []uint32{c.route}, Priorities: db.Priorities, Lanes: []uint32{0},
		Limit: limit, Octets: 1 << 26, MaxSize: 1 << 24, Domain: "acme.example"})
	took := time.Since(start)
	if err != nil || len(got.Rows) != limit {
		b.Fatalf("claimed %d rows of %d: %v", len(got.Rows), limit, err)
	}
	var all sync.WaitGroup
	for _, r := range got.Rows {
		all.Go(func() {
			if err := c.store.Settle(ctx, db.Settlement{Lease: r.Lease, Change: db.Change{State: db.Queued, GivenBack: true}}); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	return took
}
