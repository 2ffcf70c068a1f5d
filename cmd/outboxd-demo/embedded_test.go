package main

import (
	"errors"
	"io"
	"testing"
	"time"

	"outboxd/db"
)

// embedded starts the engine, with a database acme that has all tables.
func embedded(t *testing.T) *db.Pool {
	t.Helper()
	_, pool := embeddedAt(t)
	return pool
}

// embeddedAt is embedded, with the way to the engine for other clients.
func embeddedAt(t *testing.T) (*database, *db.Pool) {
	t.Helper()
	d, err := startDatabase(io.Discard)
	must(t, err)
	pool, err := db.Open(db.Server{Host: d.address.IP.String(), Port: d.address.Port, Username: "root"})
	must(t, err)
	t.Cleanup(func() {
		if err := errors.Join(pool.Close(), d.close()); err != nil {
			t.Error(err)
		}
	})
	must(t, pool.Exec(t.Context(), "CREATE DATABASE acme"))
	_, err = pool.Migrate(t.Context(), "acme", db.CompanyPart, db.BucketPart, db.ControlPart)
	must(t, err)
	return d, pool
}

// must ends the test at an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTablesFit: what the embedded engine tells of its tables is enough to compare them.
func TestTablesFit(t *testing.T) {
	pool := embedded(t)
	faults, err := pool.Examine(t.Context(), "acme", db.CompanyPart, db.BucketPart, db.ControlPart)
	if err != nil || len(faults) > 0 {
		t.Errorf("%v, %+v", err, faults)
	}
	must(t, pool.Exec(t.Context(), "ALTER TABLE acme.outbox_lane DROP COLUMN failures"))
	if _, err = pool.Examine(t.Context(), "acme", db.CompanyPart); err == nil {
		t.Error("a missing column is not told")
	}
}

// TestBuckets: all that is done to an account's bucket is done by the embedded engine too.
func TestBuckets(t *testing.T) {
	pool, ctx := embedded(t), t.Context()
	passed := time.Duration(0)
	b, err := pool.Buckets("acme", func() time.Duration { return passed })
	must(t, err)
	k := db.Bucket{Name: "account:a@b", Windows: []db.Window{{N: 100, Per: time.Hour}}, Warmup: &db.Warmup{Start: 10, Days: 5}}
	turn, err := b.Take(ctx, []db.Bucket{k}, 1)
	must(t, err)
	count, err := b.Count(ctx, []db.Bucket{k}, 1, 0)
	if must(t, err); !turn.OK || !count.OK {
		t.Errorf("%+v, %+v", turn, count)
	}
	if pace, err := b.Slow(ctx, k, 0); err != nil || pace != (db.Pace{PerHour: 7, Full: 100}) { // 70 % of the ten of the warm-up
		t.Errorf("%+v, %v", pace, err)
	}
	must(t, b.Pause(ctx, k.Name, time.Hour, db.Trouble{Scope: "account", Class: "auth", Reason: "refused"}))
	must(t, b.Hold(ctx, k.Name, 2*time.Hour, "eva", "why"))
	must(t, b.NoteSuccess(ctx, k.Name))
	must(t, b.NoteError(ctx, k.Name, "throttled", "slower"))
	h, err := b.Health(ctx, k)
	must(t, err)
	if h.Left < 59*time.Minute || h.Class != "auth" || h.Warm != 10 || h.Pace.PerHour != 7 || !h.Held || h.HeldLeft < 119*time.Minute || h.HeldBy != "eva" ||
		h.ErrorClass != "throttled" || h.LastSuccess.IsZero() || h.LastError.IsZero() {
		t.Errorf("%+v", h)
	}
	if got, err := b.Take(ctx, []db.Bucket{k}, 1); err != nil || got.OK || !got.Held || got.Wait[k.Name] < time.Minute {
		t.Errorf("%+v, %v", got, err)
	}
	must(t, b.Hold(ctx, k.Name, 0, "eva", "")) // without an end
	if h, err = b.Health(ctx, k); err != nil || !h.Held || h.HeldLeft != 0 {
		t.Errorf("%+v, %v", h, err)
	}
	must(t, b.Unhold(ctx, k.Name))
	for i := range 2 {
		if wait, err := b.LoginTurn(ctx, k.Name, time.Minute); err != nil || (wait == 0) != (i == 0) {
			t.Errorf("turn %d: %s, %v", i, wait, err)
		}
	}
	must(t, b.Heal(ctx, k.Name))
	if h, err = b.Health(ctx, k); err != nil || h.Left != 0 || h.Held || h.Failures != 0 {
		t.Errorf("%+v, %v", h, err)
	}
	passed = 2 * time.Hour // it drops what is old
	must(t, b.Tend(ctx, k))
}
