package db_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// backlog is one state of a queue in which a claim is timed.
type backlog struct {
	name   string
	insert string // rows, with {n} for how many
	paused string // a recipient domain whose rows wait in a lane
	store  *db.Store
	route  uint32
	times  []time.Duration
}

const (
	few        = 1000
	dueRows    = `INSERT INTO {db}.outbox (recipients, body_text, account) SELECT CONCAT('r', seq, '@kunde.example'), 'x', 'main' FROM {db}.seq_1_to_%d`
	claimRuns  = 300
	claimBench = "OUTBOXD_BENCH_ROWS" // rows of a large backlog; a million when unset
)

// BenchmarkClaim times claims of one row and of 32 with 1,000 and with a million rows waiting, in interleaved runs, and
// prints each p50 beside that of 1,000 rows. It takes minutes to fill the tables.
func BenchmarkClaim(b *testing.B) {
	many := 1_000_000
	if text := os.Getenv(claimBench); text != "" {
		var err error
		if many, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	server := dbtest.Own(b, dbtest.Options{Durable: true})
	cases := []*backlog{
		{name: "1,000 waiting"},
		{name: "many waiting", insert: dueRows},
		{name: "many dated into next year", insert: `INSERT INTO {db}.outbox (recipients, body_text, account, send_after)
			SELECT CONCAT('r', seq, '@kunde.example'), 'x', 'main', NOW() + INTERVAL 1 YEAR FROM {db}.seq_1_to_%d`},
		{name: "many of an account out of budget", insert: `INSERT INTO {db}.outbox (recipients, body_text, account, priority)
			SELECT CONCAT('r', seq, '@kunde.example'), 'x', 'slow', 1 FROM {db}.seq_1_to_%d`},
		{name: "many of a paused domain", paused: "paused.example", insert: `INSERT INTO {db}.outbox (recipients, body_text, account)
			SELECT CONCAT('r', seq, '@paused.example'), 'x', 'main' FROM {db}.seq_1_to_%d`},
	}
	fmt.Printf("many is %d rows\n", many)
	for _, c := range cases {
		c.fill(b, server.Server, many)
	}
	for b.Loop() {
		for _, limit := range []int{1, 32} {
			for range claimRuns {
				for _, c := range cases {
					c.times = append(c.times, c.claim(b, limit))
				}
			}
			for _, c := range cases {
				slices.Sort(c.times)
			}
			base := cases[0].times[len(cases[0].times)/2]
			for _, c := range cases {
				p50, p99 := c.times[len(c.times)/2], c.times[len(c.times)*99/100]
				fmt.Printf("claim %2d, %-34s p50 %8s  p99 %8s  %.2f of 1,000\n", limit, c.name, p50.Round(time.Microsecond), p99.Round(time.Microsecond), float64(p50)/float64(base))
				c.times = nil
			}
		}
	}
}

// fill inserts the backlog, and behind it the rows that can go.
func (c *backlog) fill(b *testing.B, server db.Server, many int) {
	b.Helper()
	d := dbtest.On(b, server)
	c.store = d.Store
	start := time.Now()
	if c.insert != "" {
		d.Exec(b, fmt.Sprintf(c.insert, many))
	}
	d.Exec(b, fmt.Sprintf(dueRows, few))
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
	err = c.store.SortAside(ctx, db.Queue{Route: c.route, Priority: 3}, map[uint32]uint32{domain: lane.ID}, func([]uint64) {
		if first == 0 {
			first = time.Since(start)
		}
	})
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
