//go:build galera

package db_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// beside is the database as another node has it.
func beside(t testing.TB, d *dbtest.Database, n *dbtest.Node) *dbtest.Database {
	t.Helper()
	pool, err := db.Open(n.Server)
	must(t, err)
	t.Cleanup(func() { must(t, pool.Close()) })
	store, err := pool.Store(d.Name)
	must(t, err)
	return &dbtest.Database{Server: n.Server, Name: d.Name, Pool: pool, Store: store}
}

// What two nodes of a cluster do to the same rows at the same time.
func TestGalera(t *testing.T) {
	c := dbtest.Galera(t)
	d := dbtest.On(t, c.Nodes[0].Server)
	e := beside(t, d, c.Nodes[1])
	if got := d.Read(t, "SELECT CONCAT_WS(' ', @@wsrep_sync_wait, @@wsrep_on)"); got != "7 ON" {
		t.Fatalf("sync wait and on: %s", got)
	}
	t.Run("rescue and mark", func(t *testing.T) { rescueAndMarkOnTwoNodes(t, d, e) })
	t.Run("claims", func(t *testing.T) { claimsOnTwoNodes(t, d, e) })
	t.Run("settle after a move", func(t *testing.T) { settleOnTheOtherNode(t, d, e) })
	t.Run("bucket", func(t *testing.T) { takesOnTwoNodes(t, d, e) })
	t.Run("login turns", func(t *testing.T) { loginTurnsOnTwoNodes(t, d, e) })
	t.Run("throttled", func(t *testing.T) { throttledOnTwoNodes(t, d, e) })
	t.Run("run", func(t *testing.T) { runOnTwoNodes(t, d, e) })
	t.Run("enqueue", func(t *testing.T) { enqueueOnTwoNodes(t, d, e) })
	t.Run("write back", func(t *testing.T) { writeBackOnTwoNodes(t, d, e) })
	t.Run("migrations", func(t *testing.T) { migrationsOnTwoNodes(t, d, e) })
	t.Run("states", func(t *testing.T) { statesOfNodes(t, c) })
}

// P2: a lock does not reach the other node, and still exactly one of them wins.
func rescueAndMarkOnTwoNodes(t *testing.T, d, e *dbtest.Database) {
	const races = 300
	insert(t, d, races, "kunde.example")
	rescueAndMark(t, d, e, races)
}

// askAtOnce has eight daemons on two nodes ask at the same time, and returns how many were told yes.
func askAtOnce(t *testing.T, d, e *dbtest.Database, ask func(b *db.Buckets) (bool, error)) int {
	t.Helper()
	var yes atomic.Int64
	var wait sync.WaitGroup
	for i := range 8 {
		b, err := []*dbtest.Database{d, e}[i%2].Pool.Buckets(d.Name, nil)
		must(t, err)
		wait.Go(func() {
			told, err := ask(b)
			if err != nil && !db.Waits(err) {
				t.Error(err)
			}
			if err == nil && told {
				yes.Add(1)
			}
		})
	}
	wait.Wait()
	return int(yes.Load())
}

// P5: one daemon at a time logs in, on whatever node it asks.
func loginTurnsOnTwoNodes(t *testing.T, d, e *dbtest.Database) {
	for round := range 30 {
		name := fmt.Sprintf("account:login%d", round)
		if n := askAtOnce(t, d, e, func(b *db.Buckets) (bool, error) {
			wait, err := b.LoginTurn(deadline(t), name, time.Hour)
			return wait == 0, err
		}); n != 1 {
			t.Errorf("round %d: %d turns", round, n)
		}
	}
}

// What several nodes hear of one throttling at the same time slows the account once.
func throttledOnTwoNodes(t *testing.T, d, e *dbtest.Database) {
	for round := range 15 {
		k := db.Bucket{Name: fmt.Sprintf("account:slow%d", round), Windows: []db.Window{{N: 1000, Per: time.Hour}}}
		if n := askAtOnce(t, d, e, func(b *db.Buckets) (bool, error) {
			pace, err := b.Slow(deadline(t), k, 0)
			return pace.PerHour == 350, err
		}); n == 0 {
			t.Errorf("round %d: nobody slowed it", round)
		}
		if got := d.Read(t, "SELECT slow_refused FROM {db}.outbox_bucket WHERE name = ?", k.Name); got != "500" {
			t.Errorf("round %d: refused at %s", round, got)
		}
	}
}

// P2: each row goes to one of two claimers, and what they claim is settled on the node where it was claimed.
func claimsOnTwoNodes(t *testing.T, d, e *dbtest.Database) {
	ctx := deadline(t)
	const many = 3000
	insert(t, d, many, "kunde.example")
	claim := wholeClaim(t, e.Store, 32)
	var mu sync.Mutex
	taken := map[uint64]int{}
	var wait sync.WaitGroup
	begun := time.Now()
	for i, side := range []*dbtest.Database{d, e} {
		claim := claim
		claim.Instance = []db.Instance{me, other}[i]
		wait.Go(func() {
			for {
				got, err := side.Store.Claim(ctx, claim)
				if err != nil {
					t.Error(err)
					return
				}
				if len(got.Rows) == 0 && !got.Missed {
					return
				}
				for _, r := range got.Rows {
					mu.Lock()
					taken[r.ID]++
					mu.Unlock()
					if err := side.Store.Settle(ctx, accepted(r.Lease)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wait.Wait()
	for id, n := range taken {
		if n != 1 {
			t.Errorf("row %d was taken %d times", id, n)
		}
	}
	if got := d.Read(t, "SELECT CONCAT_WS(' ', SUM(state = 'sent'), SUM(attempts)) FROM {db}.outbox WHERE state <> 'cancelled'"); got != fmt.Sprintf("%d %[1]d", many) || len(taken) != many {
		t.Errorf("sent and attempts: %s; taken: %d", got, len(taken))
	}
	t.Logf("%d rows by two claimers on two nodes in %s", many, time.Since(begun).Round(time.Millisecond))
}

// A settlement that goes to another node than its claim and mark sees both.
func settleOnTheOtherNode(t *testing.T, d, e *dbtest.Database) {
	ctx := deadline(t)
	for range 200 {
		d.Exec(t, shortest)
		r := one(t, d.Store)
		must(t, e.Store.Mark(ctx, markOf(r.Lease)))
		must(t, d.Store.Settle(ctx, accepted(r.Lease)))
	}
}

// P3: a bucket gives out no more through two nodes than through one.
func takesOnTwoNodes(t *testing.T, d, e *dbtest.Database) {
	ctx := deadline(t)
	windowsOf := [][]db.Window{{{N: 60, Per: time.Minute}}, {{N: 50, Per: day}}, {{N: 40, Per: day, Recipients: true}}}
	for round := range 15 {
		windows := windowsOf[round%len(windowsOf)]
		k := []db.Bucket{{Name: fmt.Sprintf("account:%d", round), Windows: windows}}
		var mu sync.Mutex
		taken := 0
		var wait sync.WaitGroup
		for i := range 8 {
			b, err := []*dbtest.Database{d, e}[i%2].Pool.Buckets(d.Name, nil)
			must(t, err)
			wait.Go(func() {
				for range 30 {
					got, err := b.Count(ctx, k, 1, 0)
					if err != nil && !db.Waits(err) {
						t.Error(err)
					}
					if err == nil && got.OK {
						mu.Lock()
						taken++
						mu.Unlock()
					}
				}
			})
		}
		wait.Wait()
		w := windows[0]
		if taken != w.N {
			t.Errorf("%+v: %d taken", w, taken)
		}
	}
}

// withoutRuns leaves nothing of the runs before, nor of their mails.
func withoutRuns(t *testing.T, d *dbtest.Database) {
	t.Helper()
	for _, table := range []string{"outbox", "outbox_run", "outbox_run_mail", "outbox_key"} {
		d.Exec(t, "DELETE FROM {db}."+table)
	}
}

// P7: two nodes enqueue the same mails of a run at the same time: each mail is there once, with its own number.
func enqueueOnTwoNodes(t *testing.T, d, e *dbtest.Database) {
	withoutRuns(t, d)
	r := running(t, d, "statements", "ever")
	const many = 2000
	var wait sync.WaitGroup
	for i, side := range []*dbtest.Database{d, e, d, e} {
		wait.Go(func() {
			for from := 0; from < many; from += 100 {
				if _, err := side.Store.Enqueue(deadline(t), r, db.Batch{Mails: mailsOf(many)[from : from+100], Resumed: i > 1}); err != nil && !db.Waits(err) {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	for from := 0; from < many; from += 1000 {
		enqueue(t, d, r, db.Batch{Mails: mailsOf(many)[from : from+1000], Resumed: true})
	}
	if got := whole(t, d) + " " + d.Read(t, "SELECT enqueued FROM {db}.outbox_run WHERE id = ?", r.ID); got != "2000 2000 2000 2000 2000" {
		t.Error(got)
	}
}

// What is left to be written back is retried on two nodes at once, and happens once.
func writeBackOnTwoNodes(t *testing.T, d, e *dbtest.Database) {
	withoutRuns(t, d)
	d.Exec(t, "DELETE FROM {db}.outbox_run_mail")
	const many = 60
	r, rows := ledger(t, d, many)
	for _, row := range rows {
		must(t, d.Store.Settle(deadline(t), told(r, row, "UPDATE missing SET a = 1")))
	}
	d.Exec(t, "INSERT INTO {db}.invoice (id) SELECT id FROM {db}.outbox ON DUPLICATE KEY UPDATE times = 0")
	soon(t, d)
	for try := 0; d.Read(t, "SELECT COUNT(*) FROM {db}.outbox_writeback") != "0"; try++ {
		var wait sync.WaitGroup
		for _, side := range []*dbtest.Database{d, e} {
			wait.Go(func() { retryDue(t, side, mailed) })
		}
		wait.Wait()
		soon(t, d)
		if try > 100 {
			t.Fatal("they are never done")
		}
	}
	if got := d.Read(t, "SELECT CONCAT_WS(' ', COUNT(*), SUM(times)) FROM {db}.invoice i JOIN {db}.outbox o ON o.id = i.id"); got != "60 60" {
		t.Error(got)
	}
}

// Two migrations at once on two nodes are harmless.
func migrationsOnTwoNodes(t *testing.T, d, e *dbtest.Database) {
	ctx := deadline(t)
	for range 5 {
		d.Exec(t, "CREATE DATABASE fresh")
		e.Read(t, "SELECT 1")
		var wait sync.WaitGroup
		for _, side := range []*dbtest.Database{d, e} {
			wait.Go(func() {
				if _, err := side.Pool.Migrate(ctx, "fresh", db.CompanyPart, db.BucketPart, db.ControlPart); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		must(t, e.Pool.CheckSchema(ctx, "fresh", db.CompanyPart, db.BucketPart, db.ControlPart))
		d.Exec(t, "DROP DATABASE fresh")
	}
}

// A desynced node is passed over, and so is one that has lost its quorum; its reason is told.
func statesOfNodes(t *testing.T, c *dbtest.Cluster) {
	ctx := deadline(t)
	pool, pass := clusterOf(t, c.Nodes[0].Server, c.Hosts(0)...)
	at := func(node int) {
		t.Helper()
		until(t, pool, c.Nodes[node].Port)
	}
	at(0)
	first, err := db.Open(c.Nodes[0].Server)
	must(t, err)
	defer func() { must(t, first.Close()) }()
	must(t, first.Exec(ctx, "SET GLOBAL wsrep_desync = 1"))
	pass(11 * time.Second)
	at(1)
	if got := pool.Nodes(ctx)[0]; got.Err == nil || got.Err.Error() != "wsrep_local_state is 2 (Donor/Desynced)" {
		t.Errorf("a desynced node: %+v", got)
	}
	must(t, first.Exec(ctx, "SET GLOBAL wsrep_desync = 0"))
	must(t, c.Nodes[0].AwaitSynced()) // or it would be found joined, and rest
	pass(11 * time.Second)
	at(0)
	if got := pool.Nodes(ctx)[0]; got.Err != nil || got.State != "Synced, Primary, 3 nodes" {
		t.Errorf("a synced node: %+v", got)
	}
	// Without a quorum it refuses everything, on connections that work: the pool turns away.
	must(t, first.Exec(ctx, "SET GLOBAL wsrep_reject_queries = 'ALL'"))
	if err := pool.Exec(ctx, "DO 1"); !db.Waits(err) {
		t.Errorf("a node that refuses queries: %v", err)
	}
	at(1)
	must(t, first.Exec(ctx, "SET GLOBAL wsrep_reject_queries = 'NONE'"))
}

// P7: keepers, senders and people on two nodes at one run: every mail ends, and is counted once.
func runOnTwoNodes(t *testing.T, d, e *dbtest.Database) {
	for range 5 {
		withoutRuns(t, d)
		manyAtOneRun(t, d, []*db.Store{e.Store, d.Store, e.Store}, func(int, *rand.Rand) {})
	}
}
