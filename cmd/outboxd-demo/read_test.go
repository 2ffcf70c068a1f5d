package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"outboxd/db"
)

// A query of a row's own runs on the embedded engine too, with exact values.
func TestQueryOnTheEmbeddedEngine(t *testing.T) {
	d, err := startDatabase(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.Open(db.Server{Host: d.address.IP.String(), Port: d.address.Port, Username: "root"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(pool.Close(), d.close()); err != nil {
			t.Error(err)
		}
	})
	for _, statement := range []string{"CREATE DATABASE acme", "CREATE TABLE acme.item (id BIGINT, amount DECIMAL(10,2), due DATE)",
		"INSERT INTO acme.item VALUES (17, 0.10, '2026-11-22'), (18, 5, NULL)"} {
		if err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	text, args, err := db.Bind("SELECT * FROM item WHERE id = :id AND amount >= :min", map[string]any{"id": json.Number("17"), "min": json.Number("0.05")})
	if err != nil {
		t.Fatal(err)
	}
	r, err := pool.ReadOnly(t.Context(), "acme", text, args, db.ReadLimits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.Columns, r.Rows); got != "[{id integer} {amount decimal} {due date}] [[17 0.10 2026-11-22 00:00:00 +0000 UTC]]" {
		t.Error(got)
	}
	var e *db.ReadError
	if _, err := pool.ReadOnly(t.Context(), "acme", "SELECT SLEEP(60)", nil, db.ReadLimits{Time: 100 * time.Millisecond}); !errors.As(err, &e) || e.Reason != db.ReadSlow {
		t.Error(err)
	}
	if _, err := pool.ReadOnly(t.Context(), "acme", "SELECT * FROM nothing", nil, db.ReadLimits{}); !errors.As(err, &e) || e.Reason != db.ReadFailed {
		t.Error(err)
	}
}
