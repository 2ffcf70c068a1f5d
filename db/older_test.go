package db_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

func TestMailsAreSentOnTheSchemaOneStepOlder(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.OneStepOlder(t)
	must(t, d.Pool.CheckSchema(ctx, d.Name, db.CompanyPart))
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, dedupe_key) VALUES ('a@b.example', 'key')`)
	planned, err := d.Store.Row(ctx, 1, "acme.example", 1<<20)
	must(t, err)
	row := one(t, d.Store)
	if row.Spent != nil || row.MessageID == "" || planned.MessageID != row.MessageID {
		t.Errorf("%+v, planned as %q", row, planned.MessageID)
	}
	must(t, d.Store.Settle(ctx, db.Settlement{Lease: row.Lease, Change: db.Change{State: db.Failed}}))
	if _, err := d.Store.Show(ctx, row.ID); err != nil {
		t.Error(err)
	}
	if found, err := d.Store.Find(ctx, db.Filter{}); err != nil || len(found) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	must(t, d.Store.Retry(ctx, row.ID))
	if again := one(t, d.Store); again.MessageID != row.MessageID || again.First {
		t.Errorf("taken again: %+v", again)
	}

	// The program at work notices the new columns with the first row that has them.
	if n, err := d.Pool.Migrate(ctx, d.Name, db.CompanyPart); err != nil || n != 1 {
		t.Fatalf("%d steps, %v", n, err)
	}
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, run_id) VALUES ('a@b.example', 17)`)
	if row := one(t, d.Store); row.Run != 17 {
		t.Errorf("%+v", row)
	}
}

// The same where the DBA has run the statements of the step and not yet noted that it is applied.
func TestNewColumnsAreSeenBeforeTheStepIsNoted(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, "UPDATE {db}.outbox_meta SET value = '3' WHERE name = 'company'")
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, run_id) VALUES ('a@b.example', 17)`)
	if row := one(t, d.Store); row.Run != 17 {
		t.Errorf("%+v", row)
	}
}

// A restored database may be of an older step: a claim that is refused looks for the columns again.
func TestRestoredToAnOlderStep(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, shortest)
	must(t, d.Store.Settle(ctx, accepted(one(t, d.Store).Lease)))
	d.OneStepOlder(t)
	d.Exec(t, shortest)
	one(t, d.Store)
}

// Steps that were applied in part, as after a crash of the server, are applied again from the start.
func TestStepThatWasAppliedInPart(t *testing.T) {
	d := dbtest.New(t)
	d.OneStepOlder(t)
	d.Exec(t, "ALTER TABLE {db}.outbox_run ADD COLUMN spec LONGTEXT NULL, ADD COLUMN started_by VARCHAR(255) NULL, ADD KEY state (state, id)")
	if n, err := d.Pool.Migrate(deadline(t), d.Name, db.CompanyPart); err != nil || n != 1 {
		t.Fatalf("%d steps, %v", n, err)
	}
	must(t, d.Pool.CheckSchema(deadline(t), d.Name, db.CompanyPart))
}

// The same of the buckets, whose step adds columns alone.
func TestBucketStepThatWasAppliedInPart(t *testing.T) {
	d := dbtest.New(t)
	d.BucketOneStepOlder(t)
	d.Exec(t, "ALTER TABLE {db}.outbox_bucket ADD COLUMN held_at TIMESTAMP(6) NULL")
	if n, err := d.Pool.Migrate(deadline(t), d.Name, db.BucketPart); err != nil || n != 1 {
		t.Fatalf("%d steps, %v", n, err)
	}
	must(t, d.Pool.CheckSchema(deadline(t), d.Name, db.BucketPart))
}

// What is added to the tables of mails, recipients and buckets is added at once, however many rows there are: the server refuses to do
// it in another way.
func TestNewColumnsAreAddedInstantly(t *testing.T) {
	d := dbtest.New(t)
	d.OneStepOlder(t)
	d.BucketOneStepOlder(t)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text) SELECT CONCAT('r', seq, '@kunde.example'), 'Hello', REPEAT('x', 500) FROM `+dbtest.Numbers(1000))
	d.Exec(t, `INSERT INTO {db}.outbox_bucket (name) SELECT CONCAT('account:me@host to ', seq, '.example') FROM `+dbtest.Numbers(1000))
	for file, columns := range map[string]int{"company_0004": 6, "bucket_0002": 13} {
		step, err := os.ReadFile("schema/" + file + ".sql")
		must(t, err)
		added := regexp.MustCompile(`(?m)^ALTER TABLE \{db\}\.outbox(_bucket|_recipient)? (?:ADD|MODIFY) .*;$`).FindAllString(string(step), -1)
		if len(added) != columns {
			t.Fatalf("%s: %d columns", file, len(added))
		}
		for _, statement := range added {
			d.Exec(t, strings.TrimSuffix(statement, ";")+", ALGORITHM=INSTANT")
		}
	}
	must(t, d.Pool.CheckSchema(deadline(t), d.Name, db.BucketPart))
}
