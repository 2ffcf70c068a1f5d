package db_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// A person's pause holds back every take, also after a restart, and no mail that has begun.
func TestHeldByHandUntilResumed(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	c := &clock{d: d}
	k := of(db.Window{N: 3000, Per: time.Hour})
	first := c.daemon(t)
	begun, err := first.Take(ctx, k, 1)
	must(t, err)
	c.pass(time.Minute)
	must(t, first.Hold(ctx, account, 0, "eva (1001)", "the list is wrong"))
	b := c.daemon(t) // started since
	h, err := b.Health(ctx, k[0])
	if must(t, err); !h.Held || h.HeldLeft != 0 || h.HeldBy != "eva (1001)" || h.HeldReason != "the list is wrong" || h.Left != 0 {
		t.Errorf("%+v", h)
	}
	got, err := b.Take(ctx, k, 1)
	if must(t, err); got.OK || !got.Held || got.Wait[account] != time.Minute {
		t.Errorf("held: %+v", got)
	}
	if got, err := first.Count(ctx, k, 1, 0); err != nil || !got.OK || !begun.OK || got.Held {
		t.Errorf("a mail that had begun: %+v, %v", got, err)
	}
	must(t, b.Heal(ctx, account)) // another matter
	must(t, b.Hold(ctx, account, 2*time.Hour, "eva (1001)", ""))
	if h, err = b.Health(ctx, k[0]); err != nil || !h.Held || h.HeldLeft > 2*time.Hour || h.HeldLeft < 119*time.Minute || h.HeldReason != "" {
		t.Errorf("%+v, %v", h, err)
	}
	must(t, b.Hold(ctx, account, 10*time.Second, "eva (1001)", ""))
	if got, err = b.Take(ctx, k, 1); err != nil || got.OK || !got.Held || got.Wait[account] > 10*time.Second {
		t.Errorf("held for ten seconds: %+v, %v", got, err)
	}
	d.Exec(t, "UPDATE {db}.outbox_bucket SET held_until = UTC_TIMESTAMP(6)")
	if got, err = b.Take(ctx, k, 1); err != nil || !got.OK || got.Held {
		t.Errorf("after the pause: %+v, %v", got, err)
	}
	c.pass(time.Minute)
	must(t, b.Hold(ctx, account, 0, "eva (1001)", ""))
	must(t, first.Unhold(ctx, account))
	if got, err = b.Take(ctx, k, 1); err != nil || !got.OK || got.Held {
		t.Errorf("resumed: %+v, %v", got, err)
	}
	if h, err = b.Health(ctx, k[0]); err != nil || h.Held || h.HeldBy != "" {
		t.Errorf("%+v, %v", h, err)
	}
	must(t, b.Unhold(ctx, "account:never@used"))
	must(t, b.Hold(ctx, "account:never@used", 0, "eva", strings.Repeat("ä", 700)))
}

func TestHealthTellsTheLastSuccessAndTheLastError(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	b := (&clock{d: d}).daemon(t)
	k := db.Bucket{Name: account}
	must(t, b.NoteSuccess(ctx, account))
	must(t, b.Pause(ctx, account, time.Hour, db.Trouble{Scope: "account", Class: "auth", Reason: "535 refused. Check the password."}))
	h, err := b.Health(ctx, k)
	must(t, err)
	if h.Class != "auth" || h.ErrorClass != "auth" || h.Error != "535 refused. Check the password." || h.Left < 59*time.Minute || h.LastSuccess.IsZero() || h.LastError.Before(h.LastSuccess) {
		t.Errorf("%+v", h)
	}
	must(t, b.NoteError(ctx, account, "throttled", strings.Repeat("ü", 700)))
	must(t, b.Heal(ctx, account))
	now := d.Read(t, "SELECT ABS(TIMESTAMPDIFF(SECOND, last_success, UTC_TIMESTAMP())) < 60 FROM {db}.outbox_bucket")
	if h, err = b.Health(ctx, k); err != nil || h.Class != "" || h.ErrorClass != "throttled" || len([]rune(h.Error)) != 600 || now != "1" {
		t.Errorf("%+v, %v", h, err)
	}
}

// P5: of several daemons one at a time tries to log in.
func TestP5_LoginTurnIsGivenOnce(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	c := &clock{d: d}
	daemons := []*db.Buckets{c.daemon(t), c.daemon(t), c.daemon(t)}
	turn := func() (given int, waits []time.Duration) {
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				wait, err := daemons[i%3].LoginTurn(ctx, account, time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if wait == 0 {
					given++
				} else {
					waits = append(waits, wait)
				}
			})
		}
		all.Wait()
		return given, waits
	}
	for _, ends := range []func(){
		func() {},
		func() { must(t, daemons[1].Pause(ctx, account, 0, db.Trouble{Scope: "account", Class: "auth"})) },
		func() { must(t, daemons[2].Heal(ctx, account)) }, // ends the trouble
		func() { must(t, daemons[2].Heal(ctx, account)) }, // and a turn without any
		func() { must(t, daemons[0].EndLoginTurn(ctx, account)) },
		func() { d.Exec(t, "UPDATE {db}.outbox_bucket SET login_until = UTC_TIMESTAMP(6)") },
	} {
		ends()
		given, waits := turn()
		if given != 1 || len(waits) != 11 {
			t.Errorf("%d turns were given, %d wait", given, len(waits))
		}
		for _, w := range waits {
			if w > time.Minute || w < 30*time.Second {
				t.Errorf("wait %s", w)
			}
		}
	}
}

// P5: what was written before the server's clock was set back, by a daemon that may be dead, keeps nobody waiting for as long as it was.
func TestP5_PauseAndLoginTurnOfAnotherClock(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	b := (&clock{d: d}).daemon(t)
	must(t, b.Pause(ctx, account, time.Hour, db.Trouble{Scope: "account", Class: "auth"}))
	if wait, err := b.LoginTurn(ctx, account, time.Minute); err != nil || wait != 0 {
		t.Fatalf("%s, %v", wait, err)
	}
	d.Exec(t, "UPDATE {db}.outbox_bucket SET paused_until = paused_until + INTERVAL 1 DAY, login_until = login_until + INTERVAL 1 DAY")
	if h, err := b.Health(ctx, db.Bucket{Name: account}); err != nil || h.Left != 0 {
		t.Errorf("%+v, %v", h, err)
	}
	if wait, err := b.LoginTurn(ctx, account, time.Minute); err != nil || wait != 0 {
		t.Errorf("%s, %v", wait, err)
	}
	if wait, err := b.LoginTurn(ctx, account, time.Minute); err != nil || wait == 0 {
		t.Errorf("the turn was given twice: %s, %v", wait, err)
	}
}

// onOlderBucket is a daemon at an account with limits and a warm-up, on tables of the step before.
func onOlderBucket(t *testing.T) (*clock, *db.Buckets, []db.Bucket) {
	t.Helper()
	c := &clock{d: dbtest.New(t)}
	c.d.BucketOneStepOlder(t)
	must(t, c.d.Pool.CheckSchema(deadline(t), c.d.Name, db.BucketPart))
	return c, c.daemon(t), warming()
}

func warming() []db.Bucket {
	return []db.Bucket{{Name: account, Windows: []db.Window{{N: 3000, Per: time.Hour}}, Warmup: &db.Warmup{Start: 10, Days: 5}}}
}

// mail wants that one may go, and lets a minute pass.
func (c *clock) mail(t *testing.T, b *db.Buckets, k []db.Bucket) {
	t.Helper()
	if got := take(t, b, k, 1); !got.OK {
		t.Errorf("%+v", got)
	}
	c.pass(time.Minute)
}

// Tables of the step before serve mails without what the newest adds.
func TestBucketOneStepOlder(t *testing.T) {
	ctx := deadline(t)
	c, b, k := onOlderBucket(t)
	for range 5 { // no warm-up: it would have to be remembered
		c.mail(t, b, k)
	}
	must(t, b.Tend(ctx, k[0]))
	for range 2 {
		if wait, err := b.LoginTurn(ctx, account, time.Hour); err != nil || wait != 0 {
			t.Errorf("%s, %v", wait, err)
		}
	}
	must(t, b.Pause(ctx, account, time.Hour, db.Trouble{Scope: "account", Class: "auth", Reason: "refused"}))
	must(t, b.NoteSuccess(ctx, account))
	must(t, b.NoteError(ctx, account, "auth", "refused"))
	if pace, err := b.Slow(ctx, k[0], 0); err != nil || pace.PerHour != 0 {
		t.Errorf("%+v, %v", pace, err)
	}
	if h, err := b.Health(ctx, k[0]); err != nil || h.Left < 59*time.Minute || h.Reason != "refused" || h.Class != "" || h.Warm != 0 {
		t.Errorf("%+v, %v", h, err)
	}
	if u, err := b.Usage(ctx, k[0]); err != nil || u.HourMails != 5 {
		t.Errorf("%+v, %v", u, err)
	}
	var older *db.OlderTablesError
	if err := b.Hold(ctx, account, 0, "eva", ""); !errors.As(err, &older) {
		t.Errorf("held: %v", err)
	}
	if err := b.Unhold(ctx, account); !errors.As(err, &older) {
		t.Errorf("resumed: %v", err)
	}
	must(t, b.Heal(ctx, account))
}

// Once they are migrated a daemon at work does what the step adds.
func TestBucketIsMigratedAtWork(t *testing.T) {
	ctx := deadline(t)
	c, b, k := onOlderBucket(t)
	c.mail(t, b, k)
	if n, err := c.d.Pool.Migrate(ctx, c.d.Name, db.BucketPart); err != nil || n != 1 {
		t.Fatalf("%d steps, %v", n, err)
	}
	c.pass(time.Minute) // then it is noticed
	c.mail(t, b, k)
	if h, err := b.Health(ctx, k[0]); err != nil || h.Warm != 10 {
		t.Errorf("%+v, %v", h, err)
	}
	must(t, b.Hold(ctx, account, 0, "eva", ""))
}

// A restored database may be of the older step again: after the first refused statement that is known.
func TestBucketIsRestoredToAnOlderStep(t *testing.T) {
	ctx := deadline(t)
	c := &clock{d: dbtest.New(t)}
	b, k := c.daemon(t), warming()
	c.mail(t, b, k)
	must(t, b.Hold(ctx, account, 0, "eva", "")) // what the older tables do not know holds back nothing
	c.d.BucketOneStepOlder(t)
	if _, err := b.Take(ctx, k, 1); db.Kind(err) != db.KindSetup {
		t.Errorf("the first take: %v", err)
	}
	c.pass(10 * time.Minute)
	c.mail(t, b, k)
}
