package main

import (
	"fmt"
	"testing"
	"time"

	"outboxd/db"
)

// The statements of enqueueing, writing back and a job of kind sql are such that the embedded engine runs them too.
func TestMailsOfARunOnTheEmbeddedEngine(t *testing.T) {
	pool := embedded(t)
	ctx := t.Context()
	must(t, pool.Exec(ctx, `CREATE TABLE acme.customer_told (id BIGINT PRIMARY KEY, at DATETIME(6))`))
	must(t, pool.Exec(ctx, `INSERT INTO acme.outbox_run (id, job, scheduled_at, daemon, kind, lease_token, lease_until) VALUES
		(1, 'statements', '2026-11-01 08:00:00', 'here', 'mailing', 'aaaaaaaa-1', '2037-01-01'), (2, 'statements', '2026-12-01 08:00:00', 'here', 'mailing', 'aaaaaaaa-2', '2037-01-01'),
		(3, 'remind', '2026-12-01 08:00:00', 'here', 'sql', 'aaaaaaaa-3', '2037-01-01')`))
	store, err := pool.Store("acme")
	must(t, err)
	enqueueTwelve(t, store, 1, db.Enqueued{Inserted: 12})
	enqueueTwelve(t, store, 1, db.Enqueued{Known: 12})
	enqueueTwelve(t, store, 2, db.Enqueued{Inserted: 12, Twice: 12})
	pinned, err := store.Pin(ctx, []byte("templates"))
	must(t, err)
	if content, err := store.Pinned(ctx, pinned); err != nil || string(content) != "templates" {
		t.Errorf("%q, %v", content, err)
	}

	must(t, pool.Exec(ctx, `UPDATE acme.outbox SET held = 0 WHERE run_id = 1`))
	routes, err := store.Routes(ctx, 0, -1, 10)
	must(t, err)
	got, err := store.Claim(ctx, db.Claim{Instance: db.Instance{ID: "aaaaaaaa", Host: "here"}, Routes: []uint32{routes[0].Hash}, Priorities: db.Priorities, Lanes: []uint32{0},
		Limit: 12, Octets: 1 << 20, MaxSize: 1 << 20, Domain: "acme.example"})
	must(t, err)
	back := db.WriteBack{Run: 1, Event: db.WroteSent, Statement: "INSERT INTO customer_told (id, at) VALUES (:id, :at)", Args: map[string]any{"at": time.Now()}}
	for i, row := range got.Rows {
		w := back
		w.Args = map[string]any{"id": row.ID, "at": time.Now()}
		if i == 0 {
			w.Statement = "UPDATE nowhere SET at = :at"
		}
		must(t, store.Settle(ctx, db.Settlement{Lease: row.Lease, Change: db.Change{State: db.Sent, Sent: true, Account: "main"}, WriteBack: &w}))
	}
	must(t, pool.Exec(ctx, `UPDATE acme.outbox_writeback SET next_at = '2026-01-01'`))
	due, err := store.DueWriteBacks(ctx, 10)
	must(t, err)
	if len(due) != 1 {
		t.Fatalf("due %+v", due)
	}
	back.Args["id"] = due[0].ID
	must(t, store.RetryWriteBack(ctx, due[0], back))
	must(t, store.ExecRun(ctx, db.Run{ID: 3, Job: "remind", Token: "aaaaaaaa-3"}, "INSERT INTO customer_told (id) VALUES (0)", time.Minute))
	text, err := pool.ReadText(ctx, `SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM acme.customer_told), (SELECT COUNT(*) FROM acme.outbox_writeback),
		(SELECT COUNT(*) FROM acme.outbox_run_mail WHERE written = 1), (SELECT COUNT(*) FROM acme.outbox_content), (SELECT state FROM acme.outbox_run WHERE id = 3),
		(SELECT enqueued FROM acme.outbox_run WHERE id = 2))`)
	must(t, err)
	if text != "13 0 12 1 done 12" {
		t.Error(text)
	}
}

// enqueueTwelve enqueues the same twelve mails for a run.
func enqueueTwelve(t *testing.T, store *db.Store, run uint64, want db.Enqueued) {
	t.Helper()
	mails := make([]db.NewMail, 12)
	for i := range mails {
		mails[i] = db.NewMail{Identity: [16]byte{byte(i)}, Key: fmt.Sprint(i), Recipients: fmt.Sprintf("c%d@customer.example", i), Text: "Text",
			Attachments: []db.NewAttachment{{Name: "terms.txt", Content: []byte("terms")}}}
	}
	done, err := store.Enqueue(t.Context(), db.Run{ID: run, Job: "statements", Period: "2026-Q4", Token: fmt.Sprintf("aaaaaaaa-%d", run)}, db.Batch{Resumed: true, Mails: mails})
	must(t, err)
	if done != want {
		t.Errorf("run %d: %+v", run, done)
	}
}
