package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"outboxd/db"
)

// A query of a row's own runs on the embedded engine too, with exact values.
func TestQueryOnTheEmbeddedEngine(t *testing.T) {
	pool := embedded(t)
	must(t, pool.Exec(t.Context(), "CREATE TABLE acme.item (id BIGINT, amount DECIMAL(10,2), due DATE)"))
	must(t, pool.Exec(t.Context(), "INSERT INTO acme.item VALUES (17, 0.10, '2026-11-22'), (18, 5, NULL)"))
	text, args, err := db.Bind("SELECT * FROM item WHERE id = :id AND amount >= :min", map[string]any{"id": json.Number("17"), "min": json.Number("0.05")})
	must(t, err)
	r, err := pool.ReadOnly(t.Context(), "acme", text, args, db.ReadLimits{})
	must(t, err)
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
