package db_test

import (
	"errors"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// usedUp makes a row whose key a row of before, which is gone, has used.
func usedUp(t *testing.T, d *dbtest.Database, key string) {
	t.Helper()
	d.Exec(t, `INSERT INTO {db}.outbox_key (kind, value, outbox_id, at) VALUES ('dedupe', ?, 7, '2024-01-31 08:00:00')`, key)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, body_text, dedupe_key) VALUES ('a@b.example', 'Text', ?)`, key)
}

// P7: a key outlives its row.
func TestP7_AClaimTellsThatAKeyIsUsedUp(t *testing.T) {
	d := dbtest.New(t)
	usedUp(t, d, "invoice-1")
	for _, key := range []string{"Invoice-1", "invoice-2"} {
		d.Exec(t, `INSERT INTO {db}.outbox (recipients, body_text, dedupe_key) VALUES ('a@b.example', 'Text', ?)`, key)
	}
	insert(t, d, 1, "kunde.example")
	rows := claimAll(t, d.Store, 10)
	if len(rows) != 4 {
		t.Fatalf("claimed %d rows", len(rows))
	}
	for i, r := range rows {
		var used *db.KeyUsedError
		if errors.As(r.Spent, &used) != (i == 0) {
			t.Errorf("row %d: %v", r.ID, r.Spent)
		}
	}
	if got := rows[0].Spent.Error(); got != "its dedupe_key was used by row 7 of 2024-01-31 08:00:00 UTC, which is gone by now" {
		t.Error(got)
	}
}

// purgedRow is a failed row whose content was removed.
func purgedRow(t *testing.T, d *dbtest.Database) {
	t.Helper()
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, state) VALUES ('a@b.example', 'Invoice', 'failed')`)
	d.Exec(t, `INSERT INTO {db}.outbox_purged (outbox_id, text_hash, purged_at) SELECT id, SHA2('Text', 256), '2024-05-01 03:30:00' FROM {db}.outbox`)
}

func TestARowWithoutItsContentIsNotSentAgain(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	purgedRow(t, d)
	shown, err := d.Store.Show(ctx, 1)
	must(t, err)
	if p := shown.Purged; p == nil || p.Text != d.Read(t, `SELECT SHA2('Text', 256)`) || p.HTML != "" || p.At.Year() != 2024 {
		t.Errorf("shown %+v", p)
	}
	var purged *db.PurgedError
	if err := d.Store.Retry(ctx, 1); !errors.As(err, &purged) || !strings.Contains(err.Error(), "the content of row 1 was purged at 2024-05-01 03:30:00 UTC") {
		t.Errorf("retried: %v", err)
	}
	if got := columns(t, d, "state"); got != "failed" {
		t.Errorf("the row is %s", got)
	}
	// By hand the state can be written. An empty mail must not go out all the same.
	d.Exec(t, `UPDATE {db}.outbox SET state = 'queued'`)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, subject) VALUES ('a@b.example', 'A subject is enough')`)
	rows := claimAll(t, d.Store, 10)
	if len(rows) != 2 || !errors.As(rows[0].Spent, &purged) || rows[1].Spent != nil {
		t.Errorf("claimed %+v", rows)
	}
}
