package db_test

import (
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// send has so many mails go one after the other, as soon as they may.
func send(t *testing.T, c *clock, b *db.Buckets, k []db.Bucket, mails int) {
	t.Helper()
	for mails > 0 {
		got := take(t, b, k, 1)
		if got.OK {
			mails--
		}
		c.pass(got.Wait[account])
	}
}

// during is how many mails go in so long.
func during(t *testing.T, c *clock, b *db.Buckets, k []db.Bucket, d time.Duration) (mails int) {
	t.Helper()
	for end := c.passed + d; c.passed < end; {
		got := take(t, b, k, 1)
		if got.OK {
			mails++
		}
		c.pass(max(got.Wait[k[0].Name], time.Microsecond))
	}
	return mails
}

func slow(t *testing.T, b *db.Buckets, k []db.Bucket, want db.Pace) {
	t.Helper()
	if got, err := b.Slow(deadline(t), k[0], 0); err != nil || got != want {
		t.Errorf("slowed to %+v, want %+v, %v", got, want, err)
	}
}

func TestSlowGoesDownFromWhatReallyWent(t *testing.T) {
	c := &clock{d: dbtest.New(t)}
	first, second := c.daemon(t), c.daemon(t)
	k := of(db.Window{N: 900, Per: time.Hour}, db.Window{N: 10_000, Per: day})
	send(t, c, first, k, 600)
	slow(t, first, k, db.Pace{PerHour: 419, Full: 900})
	slow(t, second, k, db.Pace{PerHour: 419, Full: 900}) // a mail that was on its way too
	c.pass(2 * time.Minute)
	take(t, first, k, 1)
	slow(t, second, k, db.Pace{PerHour: 419, Full: 900}) // it has not let go: nothing new
	h, err := first.Health(deadline(t), k[0])
	if err != nil || h.Pace.Full != 900 || h.Pace.PerHour == 0 {
		t.Errorf("%+v, %v", h, err)
	}
	c.pass(time.Minute)
	if n := during(t, c, second, k, 2*time.Minute); n < 14 || n > 16 { // those that go at most 14 s early among them
		t.Errorf("%d mails in two minutes at 420 an hour", n)
	}
	slow(t, first, k, db.Pace{PerHour: 419, Full: 900}) // 616 went in the last hour: it was slower before
	c.pass(time.Hour)
	send(t, c, first, k, 50)
	slow(t, first, k, db.Pace{PerHour: 198, Full: 900}) // 50 went, and no more wanted to: down from half of what might
	c.pass(20 * time.Hour)
	if n := during(t, c, first, k, 2*time.Minute); n < 32 {
		t.Errorf("%d mails in two minutes, as fast as ever", n)
	}
}

// An account without limits is paced when it is throttled, and counted from then on.
func TestSlowOfAnAccountWithoutLimits(t *testing.T) {
	d := dbtest.New(t)
	c := &clock{d: d}
	b := c.daemon(t)
	k := of()
	slow(t, b, k, db.Pace{PerHour: 3600})
	if got := take(t, b, k, 1); !got.OK || got.Wait[account] != 0 {
		t.Errorf("%+v", got)
	}
	send(t, c, b, k, 1500)
	c.pass(time.Minute)
	slow(t, b, k, db.Pace{PerHour: 1441}) // from half of what is allowed after 25 minutes
	c.pass(30 * time.Hour)
	for range 100 {
		if got := take(t, b, k, 1); !got.OK || got.Wait[account] != 0 {
			t.Fatalf("recovered: %+v", got)
		}
	}
}

func TestManyThrottledAtOnceCountAsOne(t *testing.T) {
	d := dbtest.New(t)
	var all sync.WaitGroup
	for range 8 {
		b, err := d.Pool.Buckets(d.Name, nil)
		must(t, err)
		all.Go(func() {
			if pace, err := b.Slow(deadline(t), of(db.Window{N: 1000, Per: time.Hour})[0], 0); err != nil || pace != (db.Pace{PerHour: 350, Full: 1000}) {
				t.Errorf("%+v, %v", pace, err)
			}
		})
	}
	all.Wait()
}

// What its daemon saw go is where an account without limits is slowed from: one relay takes a mail a second, another a thousand.
func TestSlowOfAFastAccountWithoutLimits(t *testing.T) {
	for seen, want := range map[int]int{0: 3600, 60: 3600, 20_000: 14_000, 1 << 40: 2_520_000} {
		b := (&clock{d: dbtest.New(t)}).daemon(t)
		if got, err := b.Slow(deadline(t), of()[0], seen); err != nil || got != (db.Pace{PerHour: want}) {
			t.Errorf("%d an hour were seen: %+v, %v", seen, got, err)
		}
		if got, err := b.Slow(deadline(t), db.Bucket{Name: "account:limited", Windows: []db.Window{{N: 1000, Per: time.Hour}}}, seen); err != nil || got.PerHour != 350 {
			t.Errorf("%d an hour were seen, and what was counted is known: %+v, %v", seen, got, err)
		}
	}
}

// A warm-up begins with the first mail that is counted, not with one that was refused before.
func TestWarmUpBeginsWithTheFirstMail(t *testing.T) {
	c := &clock{d: dbtest.New(t)}
	b := c.daemon(t)
	k := of(db.Window{N: 800, Per: time.Hour})
	k[0].Warmup = &db.Warmup{Start: 100, Days: 3}
	turn, err := b.Take(deadline(t), k, 1)
	must(t, err)
	must(t, b.Refund(deadline(t), turn))
	c.pass(3 * day)
	send(t, c, b, k, 1)
	c.pass(time.Millisecond)
	begun := c.passed
	for _, want := range []int{100, 200, 400, 0} {
		if h, err := b.Health(deadline(t), k[0]); err != nil || h.Warm == 0 { // by the server's own clock, which stands
			t.Errorf("%+v, %v", h, err)
		}
		if u, err := b.Usage(deadline(t), k[0]); err != nil || u.Until != 0 {
			t.Errorf("%+v, %v", u, err)
		}
		got := take(t, b, k, 1)
		if want == 0 {
			want = 800
		}
		if every := time.Hour / time.Duration(want); !got.OK || got.Wait[account] > every*101/100 || got.Wait[account] < every-15*time.Second {
			t.Errorf("after %s: %+v", c.passed-begun, got)
		}
		must(t, b.Tend(deadline(t), k[0]))
		c.pass(day)
	}
}

// P3: a process that has begun after the server's clock was set believes neither that a warm-up has gone on nor that a throttled
// account has recovered, until the others had time to correct the clock.
func TestP3_PaceOfAWrongClock(t *testing.T) {
	c := &clock{d: dbtest.New(t)}
	old := c.daemon(t)
	k := of(db.Window{N: 3600, Per: time.Hour})
	k[0].Warmup = &db.Warmup{Start: 10, Days: 2}
	send(t, c, old, k, 1)
	c.pass(time.Hour)
	c.jump(10 * day)
	late := c.daemon(t)
	for i := range 5 {
		if got := take(t, late, k, 1); got.OK != (i == 0) {
			t.Errorf("take %d of a warm-up's first hour: %+v", i, got)
		}
		c.pass(10 * time.Second)
	}
	slowed := []db.Bucket{{Name: "account:slowed", Windows: []db.Window{{N: 3600, Per: time.Hour}}}}
	if _, err := late.Slow(deadline(t), slowed[0], 0); err != nil { // as of a time that comes in ten days
		t.Fatal(err)
	}
	c.jump(-10 * day)
	c.pass(3 * time.Minute)
	for range 2 { // the clock that was corrected is believed
		must(t, late.Tend(deadline(t), slowed[0]))
		c.pass(3 * time.Minute)
	}
	c.pass(12 * time.Hour)
	burst := 0
	for take(t, late, slowed, 1).OK {
		burst++
	}
	if burst < 14 { // as many as may go in 14 s
		t.Errorf("after twelve hours it is slowed: %d mails at once", burst)
	}
}
