package main

import (
	"testing"
	"time"

	"outboxd/db"
)

// The statements of a purge are such that the embedded engine runs them too.
func TestPurgeOnTheEmbeddedEngine(t *testing.T) {
	pool := embedded(t)
	ctx := t.Context()
	must(t, pool.Exec(ctx, `INSERT INTO acme.outbox (recipients, body_text, dedupe_key, state, created_at, updated_at) VALUES
		('a@b.example', 'Text', 'k1', 'sent', '2024-01-01', '2024-01-01'), ('a@b.example', 'Text', 'k2', 'queued', '2024-01-01', '2024-01-01'),
		('a@b.example', 'Text', 'k3', 'sent', '2026-01-01', '2026-01-01')`))
	store, err := pool.Store("acme")
	must(t, err)
	run, err := store.BeginRun(ctx, db.NewRun{Job: "purge", Kind: "purge", Scheduled: time.Date(2026, 3, 29, 3, 30, 0, 0, time.UTC), State: db.RunRunning}, db.Instance{ID: "aaaaaaaa", Host: "here"})
	must(t, err)
	now := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	for _, pass := range []struct {
		db.Pass
		days  int
		count string
	}{{db.PassRows, 400, "2 1 0"}, {db.PassBodies, 30, "2 1 1"}} {
		p := &db.Purge{Run: *run, Pass: pass.Pass, Now: now, Age: time.Duration(pass.days) * 24 * time.Hour}
		for end := false; !end; {
			step, err := store.Step(ctx, p)
			must(t, err)
			end = step.End
		}
		got, err := pool.ReadText(ctx, "SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM acme.outbox), (SELECT COUNT(*) FROM acme.outbox_key), (SELECT COUNT(*) FROM acme.outbox_purged))")
		must(t, err)
		if got != pass.count {
			t.Errorf("after %s: %s, want %s", pass.Pass, got, pass.count)
		}
	}
	must(t, store.EndRun(ctx, *run, db.RunDone, ""))
}

// So are those that look for rows whose time has passed, also from before the first time that there is.
func TestExpiryOnTheEmbeddedEngine(t *testing.T) {
	pool := embedded(t)
	must(t, pool.Exec(t.Context(), "INSERT INTO acme.outbox (recipients, expires_at) VALUES ('a@b.example', NULL), ('a@b.example', '2020-01-01'), ('a@b.example', '2037-01-01')"))
	store, err := pool.Store("acme")
	must(t, err)
	for i, at := range []time.Time{{}, time.Unix(1, 0).Add(-time.Hour), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Hour)} {
		next, expired, end, err := store.Expire(t.Context(), db.ExpireCursor{At: at})
		must(t, err)
		if first := i == 0; !end || (expired == 1) != first || next.At.Before(at) {
			t.Errorf("from %s: %d expired, on to %+v", at, expired, next)
		}
	}
}
