package db_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

var allParts = []db.Part{db.CompanyPart, db.BucketPart, db.ControlPart}

// examine returns the faults of a database: those that stop the work, and the others.
func examine(t *testing.T, p *db.Pool, database string) (stops, goesOn []db.Fault) {
	t.Helper()
	goesOn, err := p.Examine(deadline(t), database, allParts...)
	var altered *db.ShapeError
	if err != nil && !errors.As(err, &altered) {
		t.Fatal(err)
	}
	if altered != nil {
		stops = altered.Faults
	}
	return stops, goesOn
}

// alteration is what somebody did to a table by hand.
type alteration struct {
	alter, names string
	stops        bool
}

func TestColumnsAlteredByHandAreNamed(t *testing.T) {
	namedAndMended(t, []alteration{
		{"ALTER TABLE {db}.outbox DROP COLUMN reference", "column reference of table outbox is missing", true},
		{"ALTER TABLE {db}.outbox DROP COLUMN claims", "column claims of table outbox is missing", true},
		{"ALTER TABLE {db}.outbox DROP COLUMN template", "column template of table outbox is missing", true},
		{"ALTER TABLE {db}.outbox MODIFY raw BLOB NULL", "column raw of table outbox is blob instead of longblob", true},
		{"ALTER TABLE {db}.outbox_purged DROP COLUMN raw_hash", "column raw_hash of table outbox_purged is missing", false},
		{"ALTER TABLE {db}.outbox_attachment DROP COLUMN size", "column size of table outbox_attachment is missing", true},
		{"ALTER TABLE {db}.outbox DROP COLUMN size", "column size of table outbox is missing", true},
		{"ALTER TABLE {db}.outbox CHANGE smtp_code code SMALLINT UNSIGNED NULL", "column smtp_code of table outbox is missing", true},
		{"ALTER TABLE {db}.outbox MODIFY last_error VARCHAR(100) NULL", "column last_error of table outbox is varchar(100) instead of text", true},
		{"ALTER TABLE {db}.outbox MODIFY lease_until DATETIME(6) NULL", "column lease_until of table outbox is datetime(6) instead of timestamp(6)", true},
		{"ALTER TABLE {db}.outbox MODIFY attempts TINYINT UNSIGNED NOT NULL DEFAULT 0", "column attempts of table outbox is tinyint unsigned instead of int unsigned", true},
		{"ALTER TABLE {db}.outbox_recipient MODIFY state ENUM('open','sending','accepted','failed') NOT NULL", "column state of table outbox_recipient is enum(", true},
		{"ALTER TABLE {db}.outbox MODIFY qlane INT UNSIGNED NULL", "column qlane of table outbox is not computed any more", true},
		{"ALTER TABLE {db}.outbox_recipient MODIFY state ENUM('open','sending','accepted','failed','uncertain') NOT NULL", "column state of table outbox_recipient is enum(", true},
		{"ALTER TABLE {db}.outbox_suppression MODIFY address_key VARCHAR(320) NULL", "column address_key of table outbox_suppression is not computed any more", false},
		{"ALTER TABLE {db}.outbox_attempt ADD COLUMN ours INT NOT NULL", "added column ours of table outbox_attempt has no default", true},
		{"ALTER TABLE {db}.outbox_bucket DROP COLUMN held_until", "column held_until of table outbox_bucket is missing", true},
		{"ALTER TABLE {db}.outbox_bucket MODIFY last_error VARCHAR(100) NULL", "column last_error of table outbox_bucket is varchar(100) instead of varchar(600)", true},
		{"ALTER TABLE {db}.outbox_bucket ALTER COLUMN slow_refused DROP DEFAULT", "column slow_refused of table outbox_bucket has lost its default", true},
		{"ALTER TABLE {db}.outbox_lane ALTER COLUMN failures DROP DEFAULT", "column failures of table outbox_lane has lost its default", true},
		{"ALTER TABLE {db}.outbox ALTER COLUMN available_at DROP DEFAULT", "column available_at of table outbox has lost its default", false},
	})
}

func TestKeysRulesAndEnginesAlteredByHandAreNamed(t *testing.T) {
	namedAndMended(t, []alteration{
		{"ALTER TABLE {db}.outbox_content DROP CONSTRAINT outbox_content_hash", "rule outbox_content_hash of table outbox_content is missing", false},
		{"ALTER TABLE {db}.outbox DROP KEY claim", "index claim (qlane, route, priority, available_at, id, rdom, size) of table outbox is missing", true},
		{"ALTER TABLE {db}.outbox DROP KEY dedupe_key", "index dedupe_key (dedupe_key) of table outbox is missing", true},
		{"ALTER TABLE {db}.outbox DROP KEY dedupe_key, ADD KEY dedupe_key (dedupe_key)", "index dedupe_key of table outbox is other than UNIQUE KEY (dedupe_key)", true},
		{"ALTER TABLE {db}.outbox_attempt DROP PRIMARY KEY", "primary key of table outbox_attempt is missing", true},
		{"ALTER TABLE {db}.outbox_attempt ENGINE=MyISAM", "table outbox_attempt is of engine MyISAM", true},
		{"ALTER TABLE {db}.outbox DROP KEY expires", "index expires (expires_at, id) of table outbox is missing", false},
		{"ALTER TABLE {db}.outbox DROP KEY sent, ADD KEY sent (sent_via)", "index sent of table outbox is other than KEY (sent_at, sent_via)", false},
		{"ALTER TABLE {db}.outbox_suppression DROP CONSTRAINT outbox_suppression_address", "rule outbox_suppression_address of table outbox_suppression is missing", false},
		{"ALTER TABLE {db}.outbox DROP CONSTRAINT outbox_lease", "rule outbox_lease of table outbox is missing", false},
	})
}

// namedAndMended wants that each alteration is named, and that the remedy that is told mends it.
func namedAndMended(t *testing.T, alterations []alteration) {
	t.Helper()
	d := dbtest.New(t)
	if stops, goesOn := examine(t, d.Pool, d.Name); len(stops)+len(goesOn) > 0 {
		t.Fatalf("a fresh database: %+v, %+v", stops, goesOn)
	}
	for _, c := range alterations {
		t.Run(c.alter, func(t *testing.T) {
			d.Exec(t, c.alter)
			stops, goesOn := examine(t, d.Pool, d.Name)
			all := slices.Concat(stops, goesOn)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("stops: %+v, goes on: %+v", stops, goesOn)
				}
			})
			if !slices.ContainsFunc(all, func(f db.Fault) bool { return strings.Contains(f.Text, c.names) && f.Stops == c.stops }) || (len(stops) > 0) != c.stops {
				t.Errorf("%s, stops %v: not told", c.names, c.stops)
			}
			for _, f := range all { // as it is printed
				d.Exec(t, strings.Replace(f.Remedy, "DEFAULT …", "DEFAULT 0", 1))
			}
			if stops, goesOn := examine(t, d.Pool, d.Name); len(stops)+len(goesOn) > 0 {
				t.Fatalf("mended as told: %+v, %+v", stops, goesOn)
			}
		})
	}
	d.Exec(t, shortest)
	if r := one(t, d.Store); r.Recipients == "" {
		t.Error("no mail can be taken from the mended tables")
	}
}

// A table or view that is gone is made again by its own statement.
func TestMissingTableAndView(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, "DROP TABLE {db}.outbox_lane")
	if stops, _ := examine(t, d.Pool, d.Name); len(stops) != 1 || !strings.HasPrefix(stops[0].Text, "the table outbox_lane is missing") {
		t.Errorf("stops: %+v", stops)
	}
	d.Exec(t, "DROP VIEW {db}.outbox_status")
	if _, goesOn := examine(t, d.Pool, d.Name); len(goesOn) != 1 || !strings.Contains(goesOn[0].Text, "the view outbox_status is missing") {
		t.Errorf("goes on: %+v", goesOn)
	}
	text, err := db.Schema(d.Name, allParts...)
	must(t, err)
	for statement := range strings.SplitSeq(text, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		// A column that is there already is told, as the comment above the statement says.
		if err := d.Pool.Exec(deadline(t), statement); err != nil && !strings.Contains(err.Error(), "Error 1060") && !strings.Contains(err.Error(), "Error 1061") {
			t.Fatal(err)
		}
	}
	if stops, goesOn := examine(t, d.Pool, d.Name); len(stops)+len(goesOn) > 0 {
		t.Errorf("made again: %+v, %+v", stops, goesOn)
	}
}

// Without the state every mail that ever was would be queued again: what is told as the remedy must not do that.
func TestP2_LostStateSendsNothingAgain(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, shortest)
	must(t, d.Store.Settle(deadline(t), accepted(one(t, d.Store).Lease)))
	d.Exec(t, "ALTER TABLE {db}.outbox DROP CONSTRAINT outbox_lease, DROP COLUMN qlane, DROP COLUMN trouble, DROP COLUMN state")
	stops, _ := examine(t, d.Pool, d.Name)
	i := slices.IndexFunc(stops, func(f db.Fault) bool { return strings.Contains(f.Text, "column state") })
	if i < 0 {
		t.Fatalf("stops: %+v", stops)
	}
	first, rest, _ := strings.Cut(stops[i].Remedy, ", then ")
	second, _, _ := strings.Cut(rest, ";")
	d.Exec(t, first)
	d.Exec(t, "ALTER TABLE {db}.outbox "+second)
	for range 2 { // the first names qlane and its index, and with these the rest shows
		stops, goesOn := examine(t, d.Pool, d.Name)
		for _, f := range slices.Concat(stops, goesOn) {
			d.Exec(t, f.Remedy)
		}
	}
	if stops, goesOn := examine(t, d.Pool, d.Name); len(stops)+len(goesOn) > 0 {
		t.Fatalf("mended as told: %+v, %+v", stops, goesOn)
	}
	if rows := claimAll(t, d.Store, 10); len(rows) != 0 {
		t.Errorf("taken again: %+v", rows)
	}
	d.Exec(t, shortest)
	one(t, d.Store)
}

// What a DBA adds, renames or makes larger is no fault.
func TestWhatADBAMayAdd(t *testing.T) {
	d := dbtest.New(t)
	for _, statement := range []string{
		"ALTER TABLE {db}.outbox ADD COLUMN tenant INT NOT NULL, ADD COLUMN note TEXT NULL, ADD KEY tenant (tenant), ADD KEY subject (subject(20))",
		"ALTER TABLE {db}.outbox_attempt ADD COLUMN ours INT NOT NULL DEFAULT 0",
		"ALTER TABLE {db}.outbox MODIFY reference VARCHAR(500) NULL, MODIFY subject MEDIUMTEXT NULL, MODIFY attempts BIGINT UNSIGNED NOT NULL DEFAULT 0",
		"ALTER TABLE {db}.outbox DROP KEY dedupe_key, ADD UNIQUE KEY ours (dedupe_key)",
		"ALTER TABLE {db}.outbox MODIFY state ENUM('draft','queued','sending','sent','partial','failed','skipped','suppressed','cancelled','expired','uncertain') NOT NULL DEFAULT 'queued'",
		"ALTER TABLE {db}.outbox_attempt COMMENT = 'ours too'",
		"CREATE TABLE {db}.outbox_ours (id INT) ENGINE=MyISAM",
		"CREATE VIEW {db}.outbox_open AS SELECT id FROM {db}.outbox",
	} {
		d.Exec(t, statement)
		if stops, goesOn := examine(t, d.Pool, d.Name); len(stops)+len(goesOn) > 0 {
			t.Fatalf("%s: %+v, %+v", statement, stops, goesOn)
		}
	}
	d.Exec(t, strings.Replace(strings.Replace(shortest, "(recipients", "(tenant, recipients", 1), "VALUES (", "VALUES (1, ", 1))
	must(t, d.Store.Settle(deadline(t), accepted(one(t, d.Store).Lease)))
}

// The daemon's own user sees enough to judge.
func TestExamineWithTheDaemonsRights(t *testing.T) {
	d := dbtest.New(t)
	grant(t, d, d.Name+"_daemon", db.Needs{})
	p := as(t, d, d.Name+"_daemon").Pool
	if stops, goesOn := examine(t, p, d.Name); len(stops)+len(goesOn) > 0 {
		t.Fatalf("a fresh database: %+v, %+v", stops, goesOn)
	}
	d.Exec(t, "ALTER TABLE {db}.outbox DROP KEY claim, DROP CONSTRAINT outbox_lease, DROP COLUMN reference")
	if stops, goesOn := examine(t, p, d.Name); len(stops) != 2 || len(goesOn) != 2 { // the index reference went with its column
		t.Errorf("%+v, %+v", stops, goesOn)
	}
}

func BenchmarkExamine(b *testing.B) {
	d := dbtest.New(b)
	for b.Loop() {
		if _, err := d.Pool.Examine(deadline(b), d.Name, db.CompanyPart, db.BucketPart); err != nil {
			b.Fatal(fmt.Errorf("examine: %w", err))
		}
	}
}
