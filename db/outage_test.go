package db_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// cutter stands between a pool and its server, and cuts a connection at a statement.
type cutter struct {
	t        testing.TB
	server   string
	listener net.Listener

	mu    sync.Mutex
	at    []byte // cut when this is seen; nil when not armed
	lose  loss
	says  *answer // in place of the server's reply; nil to cut
	conns []net.Conn
}

// answer is an error that the server is made to give at the cut, and whether it does what was asked for.
type answer struct {
	number uint16
	state  string
	done   bool
}

// packet is the answer as the protocol has it.
func (a answer) packet() []byte {
	body := append([]byte{0xff, byte(a.number), byte(a.number >> 8), '#'}, a.state+"made up"...)
	return append([]byte{byte(len(body)), 0, 0, 1}, body...)
}

// loss is what gets lost at the cut.
type loss int

const (
	statementLost loss = iota // the server never sees it
	replyLost                 // the server has done it
	bothUnknown               // the server gets it while the connection breaks
)

func (l loss) String() string {
	return [...]string{"statement lost", "reply lost", "cut in between"}[l]
}

// through returns the database behind a fresh cutter.
func through(t testing.TB, d *dbtest.Database) (*cutter, *dbtest.Database) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cutter{t: t, server: net.JoinHostPort(d.Server.Host, strconv.Itoa(d.Server.Port)), listener: listener}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			running.Go(func() { c.serve(conn) })
		}
	})
	login := d.Server
	login.Host, login.Port = "127.0.0.1", listener.Addr().(*net.TCPAddr).Port
	pool, err := db.Open(login)
	must(t, err)
	t.Cleanup(func() {
		err := errors.Join(pool.Close(), listener.Close())
		c.mu.Lock()
		for _, conn := range c.conns {
			conn.Close()
		}
		c.mu.Unlock()
		running.Wait()
		must(t, err)
	})
	store, err := pool.Store(d.Name)
	must(t, err)
	return c, &dbtest.Database{Server: login, Name: d.Name, Pool: pool, Store: store}
}

// arm cuts the next connection that sends the text.
func (c *cutter) arm(text string, lose loss) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.lose, c.says = []byte(text), lose, nil
}

// answer gives the next COMMIT an error, and where nothing is to be done rolls back in its place.
func (c *cutter) answer(a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.says = []byte(commit), &a
}

// spent tells whether the cut was made.
func (c *cutter) spent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at == nil
}

func (c *cutter) serve(client net.Conn) {
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		client.Close()
		return
	}
	c.mu.Lock()
	c.conns = append(c.conns, client, server)
	c.mu.Unlock()
	defer client.Close()
	defer server.Close()
	replies := make(chan []byte)
	go func() {
		defer close(replies)
		for {
			b := make([]byte, 64<<10)
			n, err := server.Read(b)
			if err != nil {
				return
			}
			replies <- b[:n]
		}
	}()
	requests := make(chan []byte)
	go func() {
		defer close(requests)
		for {
			b := make([]byte, 64<<10)
			n, err := client.Read(b)
			if err != nil {
				return
			}
			requests <- b[:n]
		}
	}()
	defer func() { // let the readers end
		client.Close()
		server.Close()
		for range replies {
		}
		for range requests {
		}
	}()
	for {
		select {
		case b, ok := <-replies:
			if _, err := client.Write(b); err != nil || !ok {
				return
			}
		case b, ok := <-requests:
			if !ok {
				return
			}
			if says := c.answers(b); says != nil {
				if !says.done {
					b = []byte("\x09\x00\x00\x00\x03ROLLBACK")
				}
				if _, err := server.Write(b); err != nil {
					return
				}
				<-replies
				if _, err := client.Write(says.packet()); err != nil {
					return
				}
				continue
			}
			if c.cuts(b, server, replies) {
				return
			}
			if _, err := server.Write(b); err != nil {
				return
			}
		}
	}
}

// answers returns what the request is to be answered with, nil when nothing was made up for it.
func (c *cutter) answers(request []byte) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.says == nil || !bytes.Contains(request, c.at) {
		return nil
	}
	says := c.says
	c.at, c.says = nil, nil
	return says
}

// cuts makes the cut when the request is the one that was waited for.
func (c *cutter) cuts(request []byte, server io.Writer, replies <-chan []byte) bool {
	c.mu.Lock()
	hit := c.at != nil && bytes.Contains(request, c.at)
	lose := c.lose
	if hit {
		c.at = nil
	}
	c.mu.Unlock()
	if hit && lose != statementLost {
		if _, err := server.Write(request); err != nil {
			c.t.Error(err)
		}
		if lose == replyLost {
			<-replies
		}
	}
	return hit
}

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
