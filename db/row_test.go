package db_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// at is when the rows of these tests were inserted.
const at = "2026-11-22 08:09:10.001234"

func TestMessageIDIsMadeFromTheRow(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	long := strings.Repeat("x", 300)
	for i, c := range []struct{ from, domain string }{
		{"", "fallback.example"}, {"eva@acme.example", "acme.example"}, {"Eva <Eva@ACME.Example>", "acme.example"}, {" eva@acme.example ", "acme.example"},
		{`"a@b" <eva@mail.acme.example>`, "mail.acme.example"}, {"Éva Nováková <e@acme.example>", "acme.example"}, {"eva@intranet", "intranet"},
		{"eva@münchen.example", "fallback.example"}, {"eva@\u212Aunde.example", "kunde.example"}, {"eva@\u017Fun.example", "fallback.example"},
		{"eva@xn--mnchen-3ya.example", "xn--mnchen-3ya.example"}, {"eva@[192.0.2.1]", "fallback.example"}, {"eva@", "fallback.example"}, {"@", "fallback.example"},
		{"eva@a..example", "fallback.example"}, {"eva@a.example.", "fallback.example"}, {"eva@a b", "fallback.example"}, {"eva@a'b", "fallback.example"},
		{"eva@a\r\nBcc: x", "fallback.example"}, {"eva@a\x00b", "fallback.example"}, {"eva@a?b", "fallback.example"}, {"eva@b.example (at work)", "fallback.example"},
		{"eva@" + long, long[:190]}, {"eva@" + strings.Repeat("a.", 200) + "example", "fallback.example"},
	} {
		d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, from_address, created_at) VALUES (?, 'a@b.example', ?, ?)", i+1, c.from, at)
		planned, err := d.Store.Row(ctx, uint64(i+1), "fallback.example", 1<<20)
		must(t, err)
		want := fmt.Sprintf("<20261122080910.001234.%d.%s@%s>", i+1, d.Read(t, "SELECT LEFT(SHA2('{db}', 256), 8)"), c.domain)
		if planned.MessageID != want {
			t.Errorf("%q: planned %q, want %q", c.from, planned.MessageID, want)
		}
		taken := one(t, d.Store, func(c *db.Claim) { c.Domain = "fallback.example" })
		if taken.MessageID != want || !taken.First {
			t.Errorf("%q: taken as %q, want %q", c.from, taken.MessageID, want)
		}
		planned.Lease, planned.Claims, planned.First = taken.Lease, 1, true
		if got, want := fmt.Sprintf("%+v", planned), fmt.Sprintf("%+v", taken); got != want {
			t.Errorf("planned %s\ntaken   %s", got, want)
		}
		must(t, d.Store.Settle(ctx, accepted(taken.Lease)))
	}
	d.Exec(t, "INSERT INTO {db}.outbox (id, recipients) VALUES (100, 'a@b.example')")
	if r := one(t, d.Store, func(c *db.Claim) { c.Domain = long + ".example" }); !strings.HasSuffix(r.MessageID, "@"+long[:190]+">") {
		t.Errorf("Message-ID %q", r.MessageID)
	}
}

// The sender's session, its time zone and the daemon that takes the row play no part.
func TestMessageIDIsTheSameForEachDaemon(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	zone := session(t, d)
	for _, statement := range []string{"SET time_zone = '+05:45'", "INSERT INTO " + d.Name + ".outbox (recipients) VALUES ('a@b.example')"} {
		_, err := zone.ExecContext(ctx, statement)
		must(t, err)
	}
	for _, i := range []db.Instance{me, other} {
		r := one(t, d.Store, func(c *db.Claim) { c.Instance = i })
		want := "<" + r.CreatedAt.Format("20060102150405.000000") + ".1."
		if !strings.HasPrefix(r.MessageID, want) {
			t.Errorf("Message-ID %q, want %q", r.MessageID, want)
		}
		if r.First != (i == me) {
			t.Errorf("taken by %s for the first time: %v", i.ID, r.First)
		}
		d.Exec(t, "UPDATE {db}.outbox SET state = 'queued', lease_until = NULL")
	}
}

func TestFinishedMessageNamesItself(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, raw) VALUES ('a@b.example', 'Message-ID: <own@b.example>')`)
	r := one(t, d.Store)
	if r.MessageID != "" || !r.Raw || !r.First {
		t.Fatalf("taken as %+v", r)
	}
	stranger := db.Lease{ID: r.ID, Token: other.ID + "-1"}
	var lost *db.LeaseLostError
	if err := d.Store.NameMessage(ctx, stranger, "<theirs@b.example>"); !errors.As(err, &lost) {
		t.Errorf("named under another lease: %v", err)
	}
	var content *db.ContentError
	if err := d.Store.NameMessage(ctx, r.Lease, "<"+strings.Repeat("x", 300)+"@b.example>"); !errors.As(err, &content) || content.Place != "raw" {
		t.Errorf("a long name: %v", err)
	}
	for range 2 {
		must(t, d.Store.NameMessage(ctx, r.Lease, "<own@b.example>"))
	}
	must(t, d.Store.NameMessage(ctx, r.Lease, "<another@b.example>")) // never changed once it is set
	must(t, d.Store.Settle(ctx, db.Settlement{Lease: r.Lease, Change: db.Change{State: db.Queued, Verdict: true}}))
	if again := one(t, d.Store); again.MessageID != "<own@b.example>" || again.First {
		t.Errorf("taken again as %q", again.MessageID)
	}
}

func TestReadyIsTheLaterOfInsertionAndSendAfter(t *testing.T) {
	d := dbtest.New(t)
	for i, c := range []struct{ after, ready any }{{nil, at}, {"2026-11-22 08:00:00", at}, {"2026-11-22 09:00:00", "2026-11-22 09:00:00.000000"}} {
		d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, created_at, send_after) VALUES (?, 'a@b.example', ?, ?)", i+1, at, c.after)
		r, err := d.Store.Row(deadline(t), uint64(i+1), "b.example", 1)
		must(t, err)
		if got := r.Ready.Format("2006-01-02 15:04:05.000000"); got != c.ready || r.Ready.Location() != time.UTC {
			t.Errorf("send_after %v: ready at %s %s", c.after, got, r.Ready.Location())
		}
	}
	var none *db.NoRowError
	if _, err := d.Store.Row(deadline(t), 99, "b.example", 1); !errors.As(err, &none) {
		t.Errorf("a row that is not there: %v", err)
	}
}

// Whatever stands in from_address, the Message-ID is one, and the same before and after the claim.
func TestMessageIDOfStrangeSenders(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{"@", "@", "@", ">", "<", ".", ".", "-", " ", "a", "B", "7", "acme.example", "É", "\u212A", "\u0130", "日本", "\x00", "'", `"`, "\\", "?", "%", "\n", "_", ",", "(x)", strings.Repeat("long", 60)}
	const n = 300
	var values []any
	for range n {
		from := ""
		for range random.IntN(12) {
			from += parts[random.IntN(len(parts))]
		}
		values = append(values, from)
	}
	d.Exec(t, "INSERT INTO {db}.outbox (recipients, account, from_address) VALUES "+strings.TrimSuffix(strings.Repeat("('a@b.example', 'main', LEFT(?, 998)), ", n), ", "), values...)
	planned := map[uint64]string{}
	for id := range uint64(n) {
		r, err := d.Store.Row(ctx, id+1, "fallback.example", 1)
		must(t, err)
		planned[r.ID] = r.MessageID
	}
	form := regexp.MustCompile(`^<[0-9]{14}\.[0-9]{6}\.[0-9]+\.[0-9a-f]{8}@[a-z0-9-]+(\.[a-z0-9-]+)*>$`)
	own := 0
	for _, r := range claimAll(t, d.Store, n, func(c *db.Claim) { c.Domain = "fallback.example" }) {
		if !form.MatchString(r.MessageID) || len(r.MessageID) > 255 || r.MessageID != planned[r.ID] {
			t.Errorf("%q: planned %q, taken as %q", r.From, planned[r.ID], r.MessageID)
		}
		if !strings.HasSuffix(r.MessageID, "@fallback.example>") {
			own++
		}
		delete(planned, r.ID)
	}
	if len(planned) > 0 || own < n/20 || own > n/2 {
		t.Errorf("%d were not taken, %d have their sender's domain", len(planned), own)
	}
}

// What a mail may have beside its own columns costs a plain one no statement: candidates, free, claim, claimed.
func TestPlainClaimRunsFourStatements(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, shortest)
	c := wholeClaim(t, d.Store, 1)
	d.Exec(t, shortest)
	pool, err := db.Open(d.Server)
	must(t, err)
	defer pool.Close()
	pool.OneConnection()
	store, err := pool.Store(d.Name)
	must(t, err)
	questions := func() int {
		n, err := pool.Questions(deadline(t))
		must(t, err)
		return n
	}
	for i := range 2 {
		before := questions()
		got, err := store.Claim(deadline(t), c)
		must(t, err)
		for _, r := range got.Rows {
			_, err := store.Content(deadline(t), r)
			must(t, err)
		}
		// The first also looks for the newest columns; asking how many there were is one.
		if n := questions() - before - 1; len(got.Rows) != 1 || n != 5-i {
			t.Errorf("claim %d of %d rows ran %d statements", i+1, len(got.Rows), n)
		}
	}
}
