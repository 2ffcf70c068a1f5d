package db_test

import (
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// TestP3_ClockSetBeforeADaemonBegan: one that knows the time from before corrects it; until then the newcomer gives out
// nothing that the wrong clock makes free, and afterwards it follows.
func TestP3_ClockSetBeforeADaemonBegan(t *testing.T) {
	for _, jump := range []time.Duration{2 * day, -2 * day} {
		c := &clock{d: dbtest.New(t)}
		k := of(db.Window{N: 2, Per: day})
		old := c.daemon(t)
		take(t, old, k, 1)
		c.pass(time.Hour)
		take(t, old, k, 1)
		c.jump(jump)
		late := c.daemon(t)
		if got := take(t, late, k, 1); got.OK || got.Wait[account] > 3*time.Minute {
			t.Errorf("after a jump of %s: %+v", jump, got)
		}
		must(t, old.Tend(deadline(t), k[0]))
		for range 2 { // each has looked again
			for _, b := range []*db.Buckets{late, old} {
				if got := take(t, b, k, 1); got.OK {
					t.Errorf("after the correction of %s: %+v", jump, got)
				}
			}
			c.pass(5 * time.Minute)
		}
		if got := take(t, late, k, 1); got.OK || got.Wait[account] > 23*time.Hour || got.Wait[account] < 22*time.Hour {
			t.Errorf("the newcomer's time after a jump of %s: %+v", jump, got)
		}
		c.pass(23 * time.Hour)
		if got := take(t, late, k, 1); !got.OK {
			t.Errorf("a day after the first mail, and a jump of %s: %+v", jump, got)
		}
	}
}

// TestP3_ClockSetWhileNobodyRan: what was counted by a clock that was ahead counts as of now, for no longer than its
// window.
func TestP3_ClockSetWhileNobodyRan(t *testing.T) {
	c := &clock{d: dbtest.New(t)}
	k := of(db.Window{N: 100, Per: time.Hour}, db.Window{N: 2, Per: day})
	c.jump(300 * day)
	before := c.daemon(t)
	c.pass(take(t, before, k, 1).Wait[account])
	take(t, before, k, 1)
	c.jump(-300 * day)
	after := c.daemon(t)
	if got := take(t, after, k, 1); got.OK || got.Wait[account] > 3*time.Minute {
		t.Errorf("right after the start: %+v", got)
	}
	c.pass(3 * time.Minute)
	got := take(t, after, k, 1)
	if got.OK || got.Wait[account] > 24*time.Hour+6*time.Minute {
		t.Errorf("once it can believe the clock: %+v", got)
	}
	c.pass(got.Wait[account])
	if got := take(t, after, k, 1); !got.OK {
		t.Errorf("a day later: %+v", got)
	}
}

// TestP3_DriftingClock: a server's clock that gains or loses is followed as little as one that is set.
func TestP3_DriftingClock(t *testing.T) {
	for _, gain := range []float64{0.08, -0.08} {
		c := &clock{d: dbtest.New(t)}
		daemons := []*db.Buckets{c.daemon(t), c.daemon(t)}
		k := of(db.Window{N: 60, Per: time.Hour})
		sent := 0
		for i := 0; c.passed < 3*time.Hour; i++ {
			got := take(t, daemons[i%2], k, 1)
			if got.OK {
				sent++
			}
			wait := max(got.Wait[account], time.Millisecond)
			c.pass(wait)
			c.jump(time.Duration(gain * float64(wait)))
		}
		if sent < 179 || sent > 181 {
			t.Errorf("%d mails in three hours by a clock that gains %.2f", sent, gain)
		}
	}
}

// A server that tells its time late, because it or this process stood still, is no clock that was set.
func TestP4_LateClockIsNoJump(t *testing.T) {
	d := dbtest.New(t)
	c := &clock{d: d}
	asks := 0
	b, err := d.Pool.Buckets(d.Name, func() time.Duration {
		if asks++; asks == 4 { // the answer of the second take
			c.pass(5 * time.Second)
		}
		return c.passed
	})
	must(t, err)
	b.Inject(c.server, func() db.Mishap { return db.NoMishap })
	k := of(db.Window{N: 540, Per: time.Minute})
	take(t, b, k, 1)
	take(t, b, k, 1)
	take(t, b, k, 1)
	if offset := d.Read(t, `SELECT clock_offset FROM {db}.outbox_bucket`); offset != "0" {
		t.Errorf("the clock was moved by %s µs", offset)
	}
}

// A correction whose transaction failed is made at the next look.
func TestP3_LostCorrectionIsMadeAgain(t *testing.T) {
	d := dbtest.New(t)
	c := &clock{d: d}
	b := c.daemon(t)
	meets := db.NoMishap
	b.Inject(c.server, func() db.Mishap { return meets })
	k := of(db.Window{N: 100, Per: time.Hour})
	take(t, b, k, 1)
	c.jump(time.Hour)
	for _, meets = range []db.Mishap{db.Unreached, db.ReplyLost} {
		if _, err := b.Take(deadline(t), k, 1); err == nil {
			t.Error("the database was away")
		}
	}
	meets = db.NoMishap
	if got := take(t, b, k, 1); got.OK || !about(got.Wait[account], 22098*time.Millisecond) {
		t.Errorf("after the jump: %+v", got)
	}
}

// TestP3_SlowDatabase: a mail whose DATA can only follow late counts until late, and is no sign of a wrong clock.
func TestP3_SlowDatabase(t *testing.T) {
	c := &clock{d: dbtest.New(t)}
	b := c.daemon(t)
	k := of(db.Window{N: 1, Per: time.Minute})
	must(t, b.Tend(deadline(t), k[0]))
	c.pass(5 * time.Minute) // the clock can be believed
	if got, err := b.Count(deadline(t), k, 1, 8*time.Second); err != nil || !got.OK {
		t.Fatal(got, err)
	}
	c.pass(time.Minute + time.Second)
	for _, ok := range []bool{false, true} {
		got, err := b.Count(deadline(t), k, 1, 0)
		if must(t, err); got.OK != ok {
			t.Errorf("after %s: %+v", c.passed-5*time.Minute, got)
		}
		c.pass(got.Wait[account])
	}
	if c.passed < 5*time.Minute+68*time.Second {
		t.Errorf("the window had room after %s", c.passed-5*time.Minute)
	}
}
