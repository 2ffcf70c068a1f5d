package main

import (
	"io"
	"testing"

	"outboxd/db"
)

// TestTablesFit: what the embedded engine tells of its tables is enough to compare them.
func TestTablesFit(t *testing.T) {
	base, err := startDatabase(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer base.close()
	pool, err := db.Open(db.Server{Host: "127.0.0.1", Port: base.address.Port, Username: "root"})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.Exec(t.Context(), "CREATE DATABASE acme"); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Migrate(t.Context(), "acme", db.CompanyPart, db.BucketPart, db.ControlPart); err != nil {
		t.Fatal(err)
	}
	faults, err := pool.Examine(t.Context(), "acme", db.CompanyPart, db.BucketPart, db.ControlPart)
	if err != nil || len(faults) > 0 {
		t.Errorf("%v, %+v", err, faults)
	}
	if err := pool.Exec(t.Context(), "ALTER TABLE acme.outbox_lane DROP COLUMN failures"); err != nil {
		t.Fatal(err)
	}
	if _, err = pool.Examine(t.Context(), "acme", db.CompanyPart); err == nil {
		t.Error("a missing column is not told")
	}
}
