package db_test

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

const commit = "\x03COMMIT"

var losses = []loss{statementLost, replyLost, bothUnknown}

// TestPoolClosesWhatIsCut: a daemon that stops in order does not fail because a resting connection had been lost.
func TestPoolClosesWhatIsCut(t *testing.T) {
	c, d := through(t, dbtest.New(t))
	d.Read(t, `SELECT 1`)
	c.mu.Lock()
	for _, conn := range c.conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close() // the other end may have been first
	}
	c.mu.Unlock()
	if err := d.Pool.Close(); err != nil {
		t.Error(err)
	}
}

func TestP2_MarkWithALostReplyEndsInTheTruth(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	ctx := deadline(t)
	for _, lose := range losses {
		for try := range 20 {
			d.Exec(t, shortest)
			r := one(t, far.Store)
			m := markOf(r.Lease)
			at := "marked_at, account" // a statement by itself
			if try%2 == 0 {
				m.Recipients, at = recipients(db.RecipientSending, r.Token, "a@b.example", "c@b.example"), commit
			}
			c.arm(at, lose)
			err := far.Store.Mark(ctx, m)
			if !c.spent() {
				t.Fatal("the connection was not cut")
			}
			there := d.Read(t, "SELECT COUNT(*) FROM {db}.outbox_attempt WHERE outbox_id = ? AND marked_at IS NOT NULL", r.ID) == "1"
			if lose == replyLost && err != nil || lose == statementLost && (err == nil || there) || err == nil && !there {
				t.Errorf("%s: marked %v, told %v", lose, there, err)
			}
			d.Exec(t, "UPDATE {db}.outbox SET state = 'cancelled', lease_until = NULL")
		}
	}
}

func TestP1_SettlementWithALostCommitEndsInTheTruth(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	ctx := deadline(t)
	for _, lose := range losses {
		for range 10 {
			d.Exec(t, "DELETE FROM {db}.outbox")
			d.Exec(t, shortest)
			r := one(t, far.Store)
			c.arm(commit, lose)
			if err := far.Store.Settle(ctx, accepted(r.Lease)); err != nil || !c.spent() {
				t.Errorf("%s: %v", lose, err)
			}
			if got := columns(t, d, "state, attempts"); got != "sent 1" {
				t.Errorf("%s: row is %q", lose, got)
			}
		}
	}
}

// A row that was given back is free at its COMMIT, whatever becomes of the reply: who gave it back is not told that its lease was
// lost because somebody has taken it since. The outcome of a try, which must not get lost, is: the row is another's.
func TestP1_RowGivenBackWithALostReplyMayBeTakenAtOnce(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	ctx := deadline(t)
	for _, tried := range []bool{false, true} {
		d.Exec(t, "DELETE FROM {db}.outbox")
		d.Exec(t, shortest)
		r := one(t, far.Store)
		back, want := db.Settlement{Lease: r.Lease, Change: db.Change{State: db.Queued, GivenBack: true}}, "sent 1 1"
		if tried {
			back.Change, want = db.Change{State: db.Queued, Verdict: true}, "sent 2 2"
			back.Attempt = &db.Attempt{Account: "main", Daemon: "here", Step: "rcpt", Verdict: "temporary", Code: 451}
		}
		next := make(chan db.Row, 1)
		c.armThen(commit, func() { next <- one(t, d.Store) })
		err := far.Store.Settle(ctx, back)
		if !c.spent() {
			t.Fatal("the connection was not cut")
		}
		if lost := (*db.LeaseLostError)(nil); errors.As(err, &lost) != tried || !tried && err != nil {
			t.Errorf("tried %v: %v", tried, err)
		}
		must(t, d.Store.Settle(ctx, accepted((<-next).Lease)))
		if got := columns(t, d, "state, attempts, claims"); got != want {
			t.Errorf("tried %v: row is %q", tried, got)
		}
		// Without a COMMIT of its own, a lease that is not held is lost.
		if lost := (*db.LeaseLostError)(nil); !errors.As(far.Store.Settle(ctx, back), &lost) {
			t.Errorf("tried %v: given back what another one has sent", tried)
		}
	}
}

// A cluster may refuse a COMMIT. A failed certification proves that nothing was committed; after any other error it may have
// been, or not: the truth is read back.
func TestP1_CommitThatIsAnsweredByAnError(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	ctx := deadline(t)
	for _, says := range []answer{
		{1213, "40001", false}, {3101, "40000", false}, // certification failed
		{1047, "08S01", false}, {1047, "08S01", true}, // the node has left its cluster
		{1180, "HY000", false}, {1180, "HY000", true}, {1205, "HY000", false}, {1205, "HY000", true}, {3100, "HY000", false}, {3100, "HY000", true},
	} {
		d.Exec(t, "DELETE FROM {db}.outbox")
		d.Exec(t, shortest)
		r := one(t, far.Store)
		m := markOf(r.Lease)
		m.Recipients = recipients(db.RecipientSending, r.Token, "a@b.example", "c@b.example")
		c.answer(says)
		err := far.Store.Mark(ctx, m)
		marked := d.Read(t, "SELECT COUNT(*) FROM {db}.outbox_attempt WHERE outbox_id = ? AND marked_at IS NOT NULL", r.ID) == "1"
		if again := says.number == 1213 || says.number == 3101; (err == nil) != marked || marked != (says.done || again) || !c.spent() {
			t.Errorf("%+v: marked %v, told %v", says, marked, err)
		}
		c.answer(says)
		if err := far.Store.Settle(ctx, accepted(r.Lease)); err != nil || !c.spent() {
			t.Errorf("%+v: %v", says, err)
		}
		if got := columns(t, d, "state, attempts"); got != "sent 1" {
			t.Errorf("%+v: row is %q", says, got)
		}
	}
}

func TestP1_ClaimWithALostReplyKnowsItsRows(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	d.Exec(t, shortest)
	claim := wholeClaim(t, far.Store, 10)
	for _, lose := range []loss{statementLost, replyLost} {
		c.arm("SET state = 'sending'", lose)
		got, err := far.Store.Claim(deadline(t), claim)
		must(t, err)
		if state := columns(t, d, "state"); (len(got.Rows) == 1) != (state == "sending") || !c.spent() {
			t.Errorf("%s: %d rows, the row is %s", lose, len(got.Rows), state)
		}
	}
}

// A rescue whose COMMIT was lost has either happened or is done by the next.
func TestP1_RescueWithALostCommit(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	for _, lose := range losses {
		d.Exec(t, "DELETE FROM {db}.outbox")
		d.Exec(t, shortest)
		one(t, far.Store)
		c.arm(commit, lose)
		rescue(t, far, db.Rescue{Own: me.ID})
		rescue(t, far, db.Rescue{Own: me.ID})
		if got := columns(t, d, "state"); got != "queued" || !c.spent() {
			t.Errorf("%s: row is %s", lose, got)
		}
	}
}

// P3: a take of which nobody knows whether it counts is not a take.
func TestP3_TakeWithALostCommitIsNone(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	b, err := far.Pool.Buckets(d.Name, nil)
	must(t, err)
	for _, lose := range losses {
		k := []db.Bucket{{Name: fmt.Sprintf("account:%d", lose), Windows: []db.Window{{N: 100, Per: time.Hour}}}}
		must(t, b.Refund(deadline(t), take(t, b, k, 1))) // the bucket is made
		c.arm(commit, lose)
		got, err := b.Take(deadline(t), k, 1)
		if err == nil || got.OK || !db.Waits(err) || !c.spent() {
			t.Errorf("%s: %+v, %v", lose, got, err)
		}
		again, err := b.Take(deadline(t), k, 1)
		must(t, err)
		if lose == replyLost && again.OK || lose == statementLost && !again.OK {
			t.Errorf("%s: then %+v", lose, again)
		}
	}
}

// settleAll settles the rows by sixteen senders. quarter is closed when a quarter is done.
func settleAll(t *testing.T, d *dbtest.Database, rows []db.Row) (quarter chan struct{}, wait *sync.WaitGroup, counted func() (settled, failed int)) {
	t.Helper()
	ctx := deadline(t)
	work := make(chan db.Row, len(rows))
	for _, r := range rows {
		work <- r
	}
	close(work)
	var mu sync.Mutex
	settled, failed := 0, 0
	quarter, wait = make(chan struct{}), &sync.WaitGroup{}
	for range 16 {
		wait.Go(func() {
			for r := range work {
				err := d.Store.Settle(ctx, accepted(r.Lease))
				mu.Lock()
				if err == nil {
					settled++
				} else if failed++; !db.Waits(err) {
					t.Errorf("not an error to wait for: %v", err)
				}
				if settled == len(rows)/4 && err == nil {
					close(quarter)
				}
				mu.Unlock()
			}
		})
	}
	return quarter, wait, func() (int, int) { return settled, failed }
}

// The server dies while sixteen senders settle, and comes back: every settlement is repeated, every row settled once.
func TestP1_KilledServerLosesNoOutcome(t *testing.T) {
	server := dbtest.Own(t, dbtest.Options{Durable: true})
	d := dbtest.On(t, server.Server)
	ctx := deadline(t)
	const many = 1000
	insert(t, d, many, "kunde.example")
	rows := claimAll(t, d.Store, many)
	for _, r := range rows[:10] {
		must(t, d.Store.Mark(ctx, markOf(r.Lease)))
	}
	quarter, wait, counted := settleAll(t, d, rows)
	<-quarter
	must(t, server.Kill())
	wait.Wait()
	settled, failed := counted()
	if failed == 0 {
		t.Error("the server died too late")
	}
	if _, err := d.Store.Claim(ctx, db.Claim{Instance: me, Routes: []uint32{1}, Priorities: db.Priorities, Lanes: []uint32{0}, Limit: 1}); !db.Waits(err) {
		t.Errorf("claim without a server: %v", err)
	}
	if err := d.Store.Mark(ctx, markOf(rows[0].Lease)); !db.Waits(err) {
		t.Errorf("mark without a server: %v", err)
	}
	b, err := d.Pool.Buckets(d.Name, nil)
	must(t, err)
	if got, err := b.Take(ctx, of(db.Window{N: 100, Per: time.Hour}), 1); got.OK || !db.Waits(err) {
		t.Errorf("take without a server: %+v, %v", got, err)
	}
	must(t, server.Restart())
	for _, r := range rows {
		must(t, d.Store.Settle(ctx, accepted(r.Lease)))
	}
	if got := d.Read(t, "SELECT CONCAT_WS(' ', SUM(state = 'sent'), SUM(attempts), (SELECT COUNT(*) FROM {db}.outbox_attempt WHERE finished_at IS NOT NULL)) FROM {db}.outbox"); got != "1000 1000 1000" {
		t.Errorf("sent, attempts, attempt rows: %q", got)
	}
	t.Logf("%d settled before the server died, %d had to wait", settled, failed)
}
