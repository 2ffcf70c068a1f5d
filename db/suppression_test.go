package db_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/unicode/norm"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// suppress puts an address on the list, as a DBA does.
func suppress(t testing.TB, d *dbtest.Database, address, reason string) {
	t.Helper()
	d.Exec(t, "INSERT INTO {db}.outbox_suppression (address, reason) VALUES (?, ?)", address, reason)
}

func TestWhichAddressesAnEntrySuppresses(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	const accents = "josé@kunde.example"
	cases := []struct {
		entry   string
		hit     []string
		missing []string
	}{
		{"Eva@Example.com", []string{"eva@example.com", "EVA@example.com"}, []string{"eva@example.org", "eva@sub.example.com", "neva@example.com", "eva@example.com.evil"}},
		{"  jan@example.com ", []string{"jan@example.com"}, nil},
		{accents, []string{accents, "JOSÉ@kunde.example", norm.NFD.String(accents)}, []string{"jose@kunde.example", "josè@kunde.example"}},
		{norm.NFD.String("zoë@kunde.example"), []string{"zoë@kunde.example"}, []string{"zoe@kunde.example"}},
		{"a@Müller.example", []string{"a@xn--mller-kva.example"}, []string{"a@muller.example", "a@xn--mller-kva.example.org"}},
		{"b@xn--mller-kva.example", []string{"b@xn--mller-kva.example"}, nil},
		{"c@STRAẞE.example", nil, []string{"c@strasse.example"}},
		{"@Rival.example", []string{"x@rival.example", "y@rival.example"}, []string{"x@sub.rival.example", "x@arival.example"}},
		{"@Bücher.example", []string{"x@xn--bcher-kva.example"}, nil},
		{`o'hara\"@example.com`, nil, nil}, // the table refuses the quote
		{"o'hara`$%_@example.com", []string{"O'Hara`$%_@example.com"}, []string{"o'hara`$%x@example.com", "o'hara`$xy_@example.com"}},
		{"Ꭰ@example.com", []string{"Ꭰ@example.com"}, []string{"a@example.com"}},
		{strings.Repeat("x", 64) + "@" + strings.Repeat("y", 180) + ".example", []string{strings.Repeat("X", 64) + "@" + strings.Repeat("y", 180) + ".example"}, nil},
	}
	for _, c := range cases {
		if strings.Contains(c.entry, `"`) {
			continue
		}
		suppress(t, d, c.entry, "of "+c.entry)
	}
	for _, c := range cases {
		found, err := d.Store.Suppressed(ctx, append(append([]string{}, c.hit...), c.missing...))
		must(t, err)
		for _, address := range c.hit {
			if got, is := found[address]; !is || got.Reason != "of "+c.entry || got.At.IsZero() {
				t.Errorf("%q does not suppress %q: %+v", c.entry, address, got)
			}
		}
		for _, address := range c.missing {
			if got, is := found[address]; is {
				t.Errorf("%q suppresses %q, by %+v", c.entry, address, got)
			}
		}
	}
	if found, err := d.Store.Suppressed(ctx, nil); len(found) > 0 || err != nil {
		t.Errorf("nobody: %v, %v", found, err)
	}
	// Its own entry says why, before that of its domain; a reason may be missing.
	suppress(t, d, "@example.com", "the whole domain")
	d.Exec(t, "INSERT INTO {db}.outbox_suppression (address) VALUES ('@quiet.example')")
	found, err := d.Store.Suppressed(ctx, []string{"eva@example.com", "new@example.com", "x@quiet.example"})
	must(t, err)
	if found["eva@example.com"].Reason != "of Eva@Example.com" || found["new@example.com"].Reason != "the whole domain" || found["x@quiet.example"].Entry != "@quiet.example" {
		t.Errorf("%+v", found)
	}
}

// What could never match an address is refused when it is written, not passed over when a mail goes.
func TestWhatTheSuppressionListRefuses(t *testing.T) {
	d := dbtest.New(t)
	for _, address := range []string{"", " ", "@", "eva", "eva@", "a@b@c.example", "Eva <eva@example.com>", "a@b.example, c@d.example", "a@b.example;c@d.example", "a b@c.example",
		"a@b.example\r", "a@b.example\n", "\ta@b.example", `"a"@b.example`, "a@b.example\x00", strings.Repeat("x", 321) + "@b.example"} {
		err := d.Pool.Exec(deadline(t), "INSERT INTO "+d.Name+".outbox_suppression (address, reason) VALUES (?, 'x')", address)
		if db.Kind(err) != db.KindData {
			t.Errorf("%q: %v, not refused", address, err)
		}
	}
	suppress(t, d, "eva@example.com", "x")
	err := d.Pool.Exec(deadline(t), "INSERT INTO "+d.Name+".outbox_suppression (address) VALUES ('EVA@Example.com')")
	if db.Kind(err) != db.KindData {
		t.Errorf("the same address twice: %v", err)
	}
	suppress(t, d, "evá@example.com", "another one")
	// A lax session may write less, but nothing else.
	sender := session(t, d)
	for _, statement := range []string{"SET sql_mode = ''", "INSERT INTO " + d.Name + ".outbox_suppression (address, reason) VALUES ('b@c.example', REPEAT('x', 700))"} {
		_, err := sender.ExecContext(deadline(t), statement)
		must(t, err)
	}
	if found, err := d.Store.Suppressed(deadline(t), []string{"b@c.example"}); err != nil || len(found["b@c.example"].Reason) != 600 {
		t.Errorf("%v, %v", found, err)
	}
}

// Those who ask at the same time are answered together, each about its own addresses; many addresses are asked for in parts.
func TestManyAddressesAreAskedForTogether(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, "INSERT INTO {db}.outbox_suppression (address, reason) SELECT CONCAT('r', seq, '@kunde.example'), seq FROM "+dbtest.Numbers(3000)+" WHERE seq % 3 = 0")
	var wait sync.WaitGroup
	for caller := range 20 {
		wait.Go(func() {
			var addresses []string
			for i := 100 * caller; i < 100*caller+1100; i++ {
				addresses = append(addresses, fmt.Sprintf("R%d@kunde.example", i))
			}
			found, err := d.Store.Suppressed(deadline(t), addresses)
			if err != nil {
				t.Error(err)
			}
			for i := 100 * caller; i < 100*caller+1100; i++ {
				got, is := found[fmt.Sprintf("R%d@kunde.example", i)]
				if is != (i > 0 && i%3 == 0) || is && got.Reason != fmt.Sprint(i) {
					t.Errorf("number %d: %v, %+v", i, is, got)
				}
			}
		})
	}
	wait.Wait()
}

// A list that cannot be read is not an empty one.
func TestSuppressionListThatCannotBeRead(t *testing.T) {
	root := dbtest.New(t)
	ctx := deadline(t)
	grant(t, root, root.Name+"_daemon", db.Needs{})
	root.Exec(t, "REVOKE SELECT ON {db}.outbox_suppression FROM `"+root.Name+"_daemon`@`%`")
	d := as(t, root, root.Name+"_daemon")
	if found, err := d.Store.Suppressed(ctx, []string{"eva@example.com"}); !db.Denied(err) || !strings.Contains(err.Error(), "suppressed addresses of "+d.Name) {
		t.Errorf("without the right to read it: %v, %v", found, err)
	}
	root.Exec(t, "DROP TABLE {db}.outbox_suppression")
	if found, err := root.Store.Suppressed(ctx, []string{"eva@example.com"}); !db.NoTable(err) {
		t.Errorf("without the table: %v, %v", found, err)
	}
}

func TestNoSuppressionListOnTheSchemaOneStepOlder(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	suppress(t, d, "eva@example.com", "x")
	ask := func(want int) {
		t.Helper()
		if found, err := d.Store.Suppressed(ctx, []string{"eva@example.com"}); err != nil || len(found) != want {
			t.Errorf("%v, %v", found, err)
		}
	}
	ask(1)
	d.OneStepOlder(t) // as by a backup that is read back
	ask(0)
	if n, err := d.Pool.Migrate(ctx, d.Name, db.CompanyPart); err != nil || n != 1 {
		t.Fatalf("%d steps, %v", n, err)
	}
	suppress(t, d, "eva@example.com", "x")
	ask(1)
}

func TestSuppressedRowIsRetriedByAPerson(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients) VALUES ('a@b.example, c@d.example')`)
	row := one(t, d.Store)
	each := []db.Recipient{{Position: 0, Kind: "to", Address: "a@b.example", State: db.RecipientSuppressed, LastError: "why"},
		{Position: 1, Kind: "to", Address: "c@d.example", State: db.RecipientSuppressed, LastError: "why"}}
	must(t, d.Store.Settle(ctx, db.Settlement{Lease: row.Lease, Change: db.Change{State: db.Suppressed, LastError: "both"}, Recipients: each}))
	const states = `SELECT CONCAT(GROUP_CONCAT(DISTINCT o.state, ' ', o.attempts), ': ', GROUP_CONCAT(CONCAT_WS(' ', r.state, r.last_error) ORDER BY r.position)) FROM {db}.outbox o JOIN {db}.outbox_recipient r ON r.outbox_id = o.id`
	if got := d.Read(t, states); got != "suppressed 0: suppressed why,suppressed why" {
		t.Error(got)
	}
	must(t, d.Store.Retry(ctx, row.ID))
	if got := d.Read(t, states); got != "queued 0: open,open" {
		t.Error(got)
	}
	var held *db.StateError
	if err := d.Store.SettleByHand(ctx, row.ID, db.Sent, "x"); !errors.As(err, &held) {
		t.Error(err)
	}
}
