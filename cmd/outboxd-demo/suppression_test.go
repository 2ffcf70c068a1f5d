package main

import "testing"

// TestSuppressedAddresses: the embedded engine keeps and reads the list like a server.
func TestSuppressedAddresses(t *testing.T) {
	pool, ctx := embedded(t), t.Context()
	store, err := pool.Store("acme")
	must(t, err)
	must(t, pool.Exec(ctx, "INSERT INTO acme.outbox_suppression (address, reason) VALUES ('Eva@Kunde.example', 'asked by phone'), ('@rival.example', NULL), ('josé@kunde.example', 'x')"))
	for _, address := range []string{"EVA@kunde.example", "Eva <a@b.example>", "a b@c.example", "eva"} {
		if pool.Exec(ctx, "INSERT INTO acme.outbox_suppression (address) VALUES (?)", address) == nil {
			t.Errorf("%q is taken", address)
		}
	}
	found, err := store.Suppressed(ctx, []string{"eva@kunde.example", "JOSÉ@kunde.example", "jose@kunde.example", "x@rival.example", "y@kunde.example"})
	must(t, err)
	if len(found) != 3 || found["eva@kunde.example"].Reason != "asked by phone" || found["JOSÉ@kunde.example"].Reason != "x" || found["x@rival.example"].Entry != "@rival.example" {
		t.Errorf("%+v", found)
	}
}
