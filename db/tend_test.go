package db_test

import (
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// TestP3_UsageIsDroppedByTheBucketsClock: neither a clock that was set nor a process that has just begun drops what counts.
func TestP3_UsageIsDroppedByTheBucketsClock(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	c := &clock{d: d}
	b := c.daemon(t)
	k := of(db.Window{N: 100, Per: time.Minute}, db.Window{N: 100, Per: day})
	take(t, b, k, 1)
	tend := func(b *db.Buckets, want string) {
		t.Helper()
		must(t, b.Tend(ctx, k[0]))
		if got := d.Read(t, "SELECT GROUP_CONCAT(name ORDER BY name) FROM {db}.outbox_usage WHERE slot > 0"); got != want {
			t.Errorf("counted: %s, want %s", got, want)
		}
	}
	c.jump(3 * day)
	late := c.daemon(t)
	tend(late, account+","+account+" 100ms") // it has taken nothing: it has no business here
	c.pass(2 * time.Hour)
	tend(b, account)
	if u, err := b.Usage(ctx, k[0]); err != nil || u.DayMails != 1 {
		t.Errorf("usage %+v, %v", u, err)
	}
	c.pass(2 * day)
	tend(b, "NULL")
	if u, err := b.Usage(ctx, db.Bucket{Name: "account:unknown"}); err != nil || u != (db.Usage{}) {
		t.Errorf("a bucket never used: %+v, %v", u, err)
	}
}

// What buckets for recipient domains counted is dropped in the end also when nobody looks after them any more, and never what
// counts.
func TestAbandonedUsageIsDropped(t *testing.T) {
	c := &clock{d: dbtest.New(t)}
	first := c.daemon(t)
	windows := []db.Window{{N: 100, Per: time.Minute}, {N: 100, Per: time.Hour}, {N: 100, Per: day}}
	for _, name := range []string{account, account + " to kunde.example", account + "2 to kunde.example"} {
		take(t, first, []db.Bucket{{Name: name, Windows: windows}}, 1)
	}
	counted := func(want string) {
		t.Helper()
		if got := c.d.Read(t, "SELECT GROUP_CONCAT(name ORDER BY name, slot) FROM {db}.outbox_usage WHERE name LIKE '% to %' AND slot > 0"); got != want {
			t.Errorf("after %s: %s, want %s", c.passed, got, want)
		}
	}
	later := account + "2 to kunde.example," + account + "2 to kunde.example 100ms," + account + "2 to kunde.example 5s"
	both := account + " to kunde.example," + account + " to kunde.example 100ms," + account + " to kunde.example 5s," + later
	for _, pass := range []time.Duration{29 * day, 2 * day} {
		c.pass(pass)
		b := c.daemon(t) // began since, and has never seen the domain's bucket
		must(t, b.Tend(deadline(t), of(windows...)[0]))
		counted(both)
		c.pass(2 * time.Hour)
		must(t, b.Tend(deadline(t), of(windows...)[0]))
		if c.passed > 30*day {
			both = later
		}
		counted(both)
	}
}
