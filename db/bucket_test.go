package db_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// clock lets time pass for the server of a database and for the daemons that watch it.
type clock struct {
	d      *dbtest.Database
	passed time.Duration // for all
	set    time.Duration // the server's clock was
}

// pass moves both clocks on.
func (c *clock) pass(d time.Duration) { c.passed += d }

// jump sets the server's clock alone, as an administrator would.
func (c *clock) jump(d time.Duration) { c.set += d }

func (c *clock) server() int64 { return simEpoch + (c.passed + c.set).Microseconds() }

func (c *clock) daemon(t testing.TB) *db.Buckets {
	t.Helper()
	b, err := c.d.Pool.Buckets(c.d.Name, func() time.Duration { return c.passed })
	must(t, err)
	b.Inject(c.server, func() db.Mishap { return db.NoMishap })
	return b
}

const account = "account:a@b.example"

func of(windows ...db.Window) []db.Bucket {
	return []db.Bucket{{Name: account, Windows: windows}}
}

// take has a mail begin and come to DATA at once. When it is not counted its turn is given back.
func take(t testing.TB, b *db.Buckets, k []db.Bucket, recipients int) db.Take {
	t.Helper()
	got, err := b.Take(deadline(t), k, recipients)
	must(t, err)
	if !got.OK {
		return got
	}
	counted, err := b.Count(deadline(t), k, recipients, 0)
	must(t, err)
	if counted.OK {
		return got
	}
	must(t, b.Refund(deadline(t), got))
	return counted
}

// about tells whether a wait is the wanted one, less the time that a test takes.
func about(got, want time.Duration) bool { return got <= want && got > want-10*time.Second }

// Two daemons, together as eager as they can, for three simulated hours.
func TestP3_TwoDaemonsStayUnderTheLimitTogether(t *testing.T) {
	d := dbtest.New(t)
	c := &clock{d: d}
	daemons := []*db.Buckets{c.daemon(t), c.daemon(t)}
	k := of(db.Window{N: 100, Per: time.Hour}, db.Window{N: 10_000, Per: day})
	random := rand.New(rand.NewPCG(1, 2))
	var sent []time.Duration // in the order of time
	for c.passed < 3*time.Hour {
		got := take(t, daemons[random.IntN(2)], k, 1)
		if got.OK {
			sent = append(sent, c.passed)
		}
		c.pass(max(got.Wait[account], time.Millisecond))
	}
	for i, from := range sent {
		end, _ := slices.BinarySearch(sent, from+time.Hour)
		if end-i > 100 {
			t.Fatalf("%d mails in the hour from %s", end-i, from)
		}
	}
	if len(sent) < 297 {
		t.Errorf("%d mails in three hours", len(sent))
	}
	u, err := daemons[0].Usage(deadline(t), k[0])
	if err != nil || u.DayMails != len(sent) || u.HourMails < 90 || u.HourMails > 110 {
		t.Errorf("usage %+v of %d mails, %v", u, len(sent), err)
	}
}

func TestP3_RestartDoesNotRefill(t *testing.T) {
	d := dbtest.New(t)
	k := of(db.Window{N: 100, Per: time.Hour})
	for i := range 3 { // each a process of its own
		b, err := d.Pool.Buckets(d.Name, nil)
		must(t, err)
		if got := take(t, b, k, 1); got.OK != (i == 0) || !about(got.Wait[account], 22098*time.Millisecond) {
			t.Errorf("process %d: %+v", i, got)
		}
	}
}

func TestP3_DayIsCountedAndNotPaced(t *testing.T) {
	d := dbtest.New(t)
	c := &clock{d: d}
	b := c.daemon(t)
	k := of(db.Window{N: 20, Per: day})
	for i := range 20 {
		if got := take(t, b, k, 1); !got.OK {
			t.Fatalf("take %d: %+v", i, got)
		}
		if i == 9 {
			c.pass(6 * time.Hour)
		}
	}
	got := take(t, b, k, 1)
	if wait := got.Wait[account]; got.OK || wait < 18*time.Hour || wait > 18*time.Hour+6*time.Minute {
		t.Fatalf("a full day: %+v", got)
	}
	u, err := b.Usage(deadline(t), k[0])
	if err != nil || u.DayMails != 20 || u.Next < 18*time.Hour || u.Until != got.Wait[account] {
		t.Errorf("usage %+v, %v", u, err)
	}
	c.pass(got.Wait[account])
	if u, err = b.Usage(deadline(t), k[0]); err != nil || u.Until != 0 {
		t.Errorf("usage %+v, %v", u, err)
	}
	for i := range 11 { // ten have left the window, the other ten not
		if got := take(t, b, k, 1); got.OK != (i < 10) {
			t.Fatalf("take %d of the second day: %+v", i, got)
		}
	}
}

func TestP3_RecipientsAreCountedWhereTheLimitSaysSo(t *testing.T) {
	d := dbtest.New(t)
	c := &clock{d: d}
	b := c.daemon(t)
	k := of(db.Window{N: 100, Per: time.Minute, Recipients: true})
	if got := take(t, b, k, 10); !got.OK || !about(got.Wait[account], 4037*time.Millisecond) {
		t.Errorf("ten recipients: %+v", got)
	}
	hour := []db.Bucket{{Name: "account:hour", Windows: []db.Window{{N: 100, Per: time.Hour, Recipients: true}}}}
	for i, recipients := range []int{60, 41, 40, 1} {
		if got := take(t, b, hour, recipients); got.OK != (i%2 == 0) {
			t.Errorf("take %d of %d recipients of an hour: %+v", i, recipients, got)
		}
	}
	dayOnly := []db.Bucket{{Name: "account:day", Windows: []db.Window{{N: 100, Per: day, Recipients: true}}}}
	for i, recipients := range []int{50, 40, 11, 10, 1} {
		if got := take(t, b, dayOnly, recipients); got.OK != (i != 2 && i != 4) {
			t.Errorf("take %d of %d recipients: %+v", i, recipients, got)
		}
	}
	if got := take(t, b, []db.Bucket{{Name: "account:small", Windows: []db.Window{{N: 5, Per: day, Recipients: true}}}}, 9); !got.OK {
		t.Errorf("a mail larger than the limit goes when the day is empty, or it would never go: %+v", got)
	}
}

func TestP3_AllBucketsOrNone(t *testing.T) {
	d := dbtest.New(t)
	c := &clock{d: d}
	b := c.daemon(t)
	k := append(of(db.Window{N: 1200, Per: time.Hour}), db.Bucket{Name: "job:acme/send", Windows: []db.Window{{N: 100, Per: time.Hour}}})
	if got := take(t, b, k, 1); !got.OK {
		t.Fatalf("first take: %+v", got)
	}
	got := take(t, b, k, 1)
	if got.OK || got.Wait[account] != 0 || !about(got.Wait["job:acme/send"], 22*time.Second+98*time.Millisecond) {
		t.Errorf("the job's own rate: %+v", got)
	}
	const used = "SELECT GROUP_CONCAT(mails ORDER BY name) FROM {db}.outbox_usage"
	if got := d.Read(t, used); got != "1,1,1,1,1,1" { // of each: in slots of five minutes, of five seconds, and in total
		t.Errorf("a refused take has used %q", got)
	}
	if got := take(t, b, k[:1], 1); !got.OK {
		t.Errorf("the account alone: %+v", got)
	}
}

func TestP3_RefundGivesBackAlsoWhenSomebodyTookSince(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	c := &clock{d: d}
	b, other := c.daemon(t), c.daemon(t)
	k := of(db.Window{N: 3, Per: time.Minute}, db.Window{N: 3, Per: day})
	counted := func(b *db.Buckets) db.Take {
		t.Helper()
		got, err := b.Count(ctx, k, 1, 0)
		must(t, err)
		return got
	}
	first, turn := counted(b), take(t, b, k, 1)
	c.pass(turn.Wait[account])
	second := take(t, other, k, 1)
	if got := counted(b); got.OK || !first.OK || !turn.OK || !second.OK {
		t.Fatalf("three of three are counted, then %+v", got)
	}
	must(t, b.Refund(ctx, first))
	must(t, b.Refund(ctx, db.Take{}))
	if got := d.Read(t, "SELECT SUM(mails) FROM {db}.outbox_usage WHERE name = ?", account); got != "2" {
		t.Errorf("%s mails in the day", got)
	}
	must(t, b.Refund(ctx, turn))
	if got, err := b.Take(ctx, k, 1); err != nil || !got.OK {
		t.Errorf("a turn was given back: %+v, %v", got, err)
	}
	if third, fourth := counted(b), counted(b); !third.OK || fourth.OK {
		t.Errorf("a place was given back: %+v, then %+v", third, fourth)
	}
}

func TestP3_RefundAfterTheClockWasSetIsLost(t *testing.T) {
	d := dbtest.New(t)
	c := &clock{d: d}
	k := of(db.Window{N: 100, Per: day})
	old := c.daemon(t)
	take(t, old, k, 1)
	c.jump(time.Hour)
	late := c.daemon(t)
	counted, err := late.Count(deadline(t), k, 1, 0) // in a slot of the wrong time
	must(t, err)
	take(t, old, k, 1) // corrects it
	must(t, late.Refund(deadline(t), counted))
	if got := d.Read(t, "SELECT SUM(mails) FROM {db}.outbox_usage WHERE name = ?", account); got != "3" || !counted.OK {
		t.Errorf("%s mails are counted: another slot may mean other mails", got)
	}
}

// P3: whoever sets the server's clock gains nothing and loses nothing.
func TestP3_JumpOfTheServersClock(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 48 * time.Hour, 5 * time.Second, -5 * time.Second, 100 * time.Millisecond} {
		d := dbtest.New(t)
		c := &clock{d: d}
		first, second := c.daemon(t), c.daemon(t)
		k := of(db.Window{N: 100, Per: time.Hour})
		if got := take(t, first, k, 1); !got.OK {
			t.Fatal("the first mail waits")
		}
		take(t, second, k, 1) // it has seen the clock too
		c.jump(jump)
		for _, b := range []*db.Buckets{first, second} {
			if got := take(t, b, k, 1); got.OK || !about(got.Wait[account], 22098*time.Millisecond) {
				t.Errorf("after a jump of %s: %+v", jump, got)
			}
		}
		if got := d.Read(t, "SELECT ABS(clock_offset - ?) < 10000 FROM {db}.outbox_bucket", jump.Microseconds()); got != "1" {
			t.Errorf("after a jump of %s the offset is not corrected", jump)
		}
		c.pass(23 * time.Second)
		if got := take(t, second, k, 1); !got.OK {
			t.Errorf("after a jump of %s and the wait: %+v", jump, got)
		}
	}
}

func TestP3_DeletedBucketIsNotTakenFor(t *testing.T) {
	d := dbtest.New(t)
	b := (&clock{d: d}).daemon(t)
	k := of(db.Window{N: 100, Per: time.Hour})
	take(t, b, k, 1)
	d.Exec(t, "DELETE FROM {db}.outbox_bucket")
	if got, err := b.Take(deadline(t), k, 1); err == nil {
		t.Errorf("took out of a bucket that is gone: %+v", got)
	}
	if got := take(t, b, k, 1); !got.OK {
		t.Errorf("made anew: %+v", got)
	}
}

func TestP3_ManyTakersAtOnce(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	k := of(db.Window{N: 7, Per: day})
	var mu sync.Mutex
	taken := 0
	var wait sync.WaitGroup
	for range 8 {
		b, err := d.Pool.Buckets(d.Name, nil)
		must(t, err)
		wait.Go(func() {
			for range 5 {
				got, err := b.Count(ctx, k, 1, 0)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if got.OK {
					taken++
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if taken != 7 {
		t.Errorf("%d takes out of 7", taken)
	}
}

func TestP5_HealthIsSharedByAllDaemons(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	c := &clock{d: d}
	first, second := c.daemon(t), c.daemon(t)
	if h, err := first.Health(ctx, db.Bucket{Name: account}); err != nil || h != (db.Health{}) {
		t.Errorf("a bucket never used: %+v, %v", h, err)
	}
	must(t, first.Pause(ctx, account, time.Hour, db.Trouble{Scope: "account", Reason: strings.Repeat("x", 700)}))
	must(t, second.Pause(ctx, account, time.Hour, db.Trouble{Scope: "server", Reason: "535 login refused"})) // the same trouble, seen by another
	h, err := second.Health(ctx, db.Bucket{Name: account})
	if err != nil || h.Left < 59*time.Minute || h.Scope != "server" || h.Reason != "535 login refused" || h.Failures != 1 {
		t.Errorf("paused: %+v, %v", h, err)
	}
	d.Exec(t, "UPDATE {db}.outbox_bucket SET paused_until = UTC_TIMESTAMP() - INTERVAL 1 SECOND")
	must(t, first.Pause(ctx, account, 0, db.Trouble{Scope: "server", Class: "connection", Reason: "again"}))
	if h, err := second.Health(ctx, db.Bucket{Name: account}); err != nil || h.Left != 0 || h.Failures != 2 {
		t.Errorf("after a second trouble: %+v, %v", h, err)
	}
	must(t, second.Heal(ctx, account))
	if h, err := first.Health(ctx, db.Bucket{Name: account}); err != nil || h.Left != 0 || h.Failures != 0 || h.Reason != "" || h.Class != "" || h.Error != "again" || h.ErrorClass != "connection" || h.LastError.IsZero() {
		t.Errorf("healed: %+v, %v", h, err)
	}
}
