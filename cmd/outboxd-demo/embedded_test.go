package main

import (
	"errors"
	"io"
	"testing"

	"outboxd/db"
)

// embedded starts the engine, with a database acme that has all tables.
func embedded(t *testing.T) *db.Pool {
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
	return pool
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
