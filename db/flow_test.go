package db_test

import (
	"context"
	"errors"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var me = db.Instance{ID: "aaaaaaaa", Host: "here"}

// claimAll takes up to n due rows of whatever route.
func claimAll(t testing.TB, s *db.Store, n int, edit ...func(*db.Claim)) []db.Row {
	t.Helper()
	ctx := context.Background()
	routes, err := s.Routes(ctx, 0, -1, 100)
	if err != nil {
		t.Fatal(err)
	}
	c := db.Claim{Instance: me, Priorities: db.Priorities, Lanes: []uint32{0}, Limit: n, Octets: 1 << 26, MaxSize: 1 << 24, Domain: "acme.example"}
	for _, r := range routes {
		c.Routes = append(c.Routes, r.Hash)
	}
	for _, e := range edit {
		e(&c)
	}
	got, err := s.Claim(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return got.Rows
}

const shortest = `INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES ('Eva <eva@kunde.example>', 'Hello', 'Text')`

func TestP2_RowIsClaimedMarkedAndSettledOnce(t *testing.T) {
	d := dbtest.New(t)
	ctx := context.Background()
	d.Exec(t, shortest)
	rows := claimAll(t, d.Store, 10)
	if len(rows) != 1 || rows[0].Recipients != "Eva <eva@kunde.example>" || rows[0].Claims != 1 || rows[0].MessageID == "" {
		t.Fatalf("claimed %+v", rows)
	}
	if again := claimAll(t, d.Store, 10); len(again) != 0 {
		t.Fatalf("claimed twice: %+v", again)
	}
	r := rows[0]
	if err := d.Store.Mark(ctx, db.Mark{Lease: r.Lease, Account: "main", Daemon: "here"}); err != nil {
		t.Fatal(err)
	}
	done := db.Settlement{Lease: r.Lease, Change: db.Change{State: db.Sent, Verdict: true, Sent: true, Account: "main", Code: 250},
		Attempt: &db.Attempt{Account: "main", Daemon: "here", Step: "dot", Verdict: "accepted", Code: 250, Reply: "250 ok queued"}}
	for range 2 { // a settlement may be repeated
		if err := d.Store.Settle(ctx, done); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', state, attempts, claims, sent_via, smtp_code, sent_at IS NOT NULL, lease_until IS NULL) FROM {db}.outbox`); got != "sent 1 1 main 250 1 1" {
		t.Errorf("row is %q", got)
	}
	var lost *db.LeaseLostError
	done.Token = "bbbbbbbb-0000000000000000"
	if err := d.Store.Settle(ctx, done); !errors.As(err, &lost) {
		t.Errorf("a foreign lease settled: %v", err)
	}
}

func TestP2_RescueByMark(t *testing.T) {
	d := dbtest.New(t)
	ctx := context.Background()
	for range 3 {
		d.Exec(t, shortest)
	}
	rows := claimAll(t, d.Store, 3)
	if err := d.Store.Mark(ctx, db.Mark{Lease: rows[1].Lease, Account: "main", Daemon: "here"}); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Store.Rescue(ctx, db.Rescue{}); err != nil || got.Any() {
		t.Fatalf("rescued a running lease: %+v, %v", got, err)
	}
	got, err := d.Store.Rescue(ctx, db.Rescue{Own: me.ID})
	if err != nil || len(got.Queued) != 2 || len(got.Uncertain) != 1 || got.Uncertain[0] != rows[1].ID {
		t.Fatalf("rescued %+v, %v", got, err)
	}
	// The fence: whoever was paused meanwhile finds its lease gone.
	var lost *db.LeaseLostError
	if err := d.Store.Mark(ctx, db.Mark{Lease: rows[0].Lease, Account: "main", Daemon: "here"}); !errors.As(err, &lost) {
		t.Errorf("marked without a lease: %v", err)
	}
	// The truth that comes late lifts uncertain to sent.
	if err := d.Store.Settle(ctx, db.Settlement{Lease: rows[1].Lease, Change: db.Change{State: db.Sent, Verdict: true, Sent: true}}); err != nil {
		t.Error(err)
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', state, attempts) ORDER BY id) FROM {db}.outbox`); got != "queued 0,sent 1,queued 0" {
		t.Errorf("rows are %q", got)
	}
}

func TestP3_BucketPaces(t *testing.T) {
	d := dbtest.New(t)
	ctx := context.Background()
	b, err := d.Pool.Buckets(d.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	k := []db.Bucket{{Name: "account:a@b", Windows: []db.Window{{N: 100, Per: 3600e9}, {N: 10, Per: 24 * 3600e9}}, MaxRecipients: 1}}
	first, err := b.Take(ctx, k, 1)
	if err != nil || !first.OK {
		t.Fatalf("first take: %+v, %v", first, err)
	}
	second, err := b.Take(ctx, k, 1)
	if err != nil || second.OK || second.Wait < 20e9 || second.Wait > 23e9 {
		t.Fatalf("second take: %+v, %v", second, err)
	}
	if err := b.Refund(ctx, first); err != nil {
		t.Fatal(err)
	}
	if third, err := b.Take(ctx, k, 1); err != nil || !third.OK {
		t.Fatalf("take after refund: %+v, %v", third, err)
	}
	u, err := b.Usage(ctx, k[0])
	if err != nil || u.HourMails != 1 || u.DayMails != 1 || u.Next < 20e9 {
		t.Errorf("usage %+v, %v", u, err)
	}
}

func TestPeople(t *testing.T) {
	d := dbtest.New(t)
	ctx := context.Background()
	d.Exec(t, shortest)
	found, err := d.Store.Find(ctx, db.Filter{Recipient: "eva@kunde.example"})
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	id := found[0].ID
	for _, f := range []func() error{
		func() error { return d.Store.Hold(ctx, id, "wait") },
		func() error { return d.Store.Release(ctx, id) },
		func() error { return d.Store.Cancel(ctx, id, "no") },
		func() error { return d.Store.Retry(ctx, id) },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	var state *db.StateError
	if err := d.Store.Release(ctx, id); !errors.As(err, &state) {
		t.Errorf("released a row that is not held: %v", err)
	}
	show, err := d.Store.Show(ctx, id)
	if err != nil || show.State != db.Queued {
		t.Errorf("shown %+v, %v", show, err)
	}
	if _, err := d.Store.Ahead(ctx, show, 10); err != nil {
		t.Error(err)
	}
	routes, err := d.Store.Routes(ctx, 0, -1, 10)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Store.Counts(ctx, routes)
	if err != nil || c.Queued != 1 || c.Due != 1 {
		t.Errorf("counts %+v, %v", c, err)
	}
	if err := d.Store.Audit(ctx, db.Audited{Actor: "root", Action: "queue cancel", Target: "acme/1"}); err != nil {
		t.Error(err)
	}
	if log, err := d.Store.AuditLog(ctx, 0, 10); err != nil || len(log) != 1 {
		t.Errorf("audit %+v, %v", log, err)
	}
}
