package db_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// octets are n different ones, the same for the same seed.
func octets(n int, seed byte) []byte {
	all := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(all)
	return all
}

func TestContentOfARow(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	small, large, finished := octets(1000, 1), octets(9<<20, 2), octets(5<<20, 3)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, template, params, language, raw) VALUES ('a@b.example', 'invoice', '{"id": 1234567890123456789, "sum": 0.10}', 'sk-SK', ?)`, finished)
	d.Exec(t, `INSERT INTO {db}.outbox_content (content) VALUES (?)`, large)
	d.Exec(t, `INSERT IGNORE INTO {db}.outbox_content (content) VALUES (?)`, large)
	hash := d.Read(t, `SELECT hash FROM {db}.outbox_content`)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, content, type) VALUES (1, 'small.bin', ?, 'application/x-small')`, small)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, hash) VALUES (1, 'large.bin', ?), (1, 'again.bin', UPPER(?))`, hash, hash)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, file) VALUES (1, 'terms.pdf', 'terms/2026.pdf')`)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, query, format, options) VALUES (1, 'items.csv', 'SELECT 1', 'csv', '{"separator": ";"}')`)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, content, content_id) VALUES (1, 'logo.png', '', 'logo')`)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, content) VALUES (2, 'of another', 'x')`)
	row := one(t, d.Store)
	if !row.Raw || !row.Attached || row.Template != "invoice" || row.Language != "sk-SK" || row.Size != 0 {
		t.Errorf("taken as %+v", row)
	}
	c, err := d.Store.Content(ctx, row)
	must(t, err)
	if c.Params != `{"id": 1234567890123456789, "sum": 0.10}` || c.RawSize != int64(len(finished)) {
		t.Errorf("params %s, raw of %d", c.Params, c.RawSize)
	}
	got := fmt.Sprintf("%+v", c.Attachments)
	want := fmt.Sprintf("[{ID:1 Name:small.bin Type:application/x-small Hash: File: Query: Format: Options: ContentID: Stored:true Size:1000}"+
		" {ID:2 Name:large.bin Type: Hash:%s File: Query: Format: Options: ContentID: Stored:false Size:9437184}"+
		" {ID:3 Name:again.bin Type: Hash:%s File: Query: Format: Options: ContentID: Stored:false Size:9437184}"+
		" {ID:4 Name:terms.pdf Type: Hash: File:terms/2026.pdf Query: Format: Options: ContentID: Stored:false Size:-1}"+
		` {ID:5 Name:items.csv Type: Hash: File: Query:SELECT 1 Format:csv Options:{"separator": ";"} ContentID: Stored:false Size:-1}`+
		" {ID:6 Name:logo.png Type: Hash: File: Query: Format: Options: ContentID:logo Stored:true Size:0}]", hash, strings.ToUpper(hash))
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for i, want := range [][]byte{small, large, large, nil, nil, {}} {
		if want == nil {
			continue
		}
		if got, err := d.Store.AttachmentContent(ctx, c.Attachments[i]); err != nil || !bytes.Equal(got, want) {
			t.Errorf("attachment %d: %d octets, %v", i, len(got), err)
		}
	}
	if got, err := d.Store.Raw(ctx, row.ID); err != nil || !bytes.Equal(got, finished) {
		t.Errorf("raw: %d octets, %v", len(got), err)
	}
}

func TestPlainRowHasNoContent(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, shortest)
	row := one(t, d.Store)
	pool, err := db.Open(db.Server{Host: "127.0.0.1", Port: 1})
	must(t, err)
	away, err := pool.Store(d.Name)
	must(t, err)
	if c, err := away.Content(deadline(t), row); err != nil || c.Params != "" || c.RawSize != 0 || c.Attachments != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

// What is wrong with one row's content is told as that, and is no trouble for other rows.
func TestHostileContentFailsItsRowAlone(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	packet := d.Read(t, "SELECT @@GLOBAL.max_allowed_packet")
	d.Exec(t, "SET GLOBAL max_allowed_packet = 67108864")
	t.Cleanup(func() { d.Exec(t, "SET GLOBAL max_allowed_packet = "+packet) })
	large := session(t, d)
	_, err := large.ExecContext(ctx, "INSERT INTO "+d.Name+".outbox (id, recipients, template, params) VALUES (1, 'a@b.example', 'x', CONCAT('\"', REPEAT('x', 4 << 20), '\"'))")
	must(t, err)
	exec := func(statement string) { d.Exec(t, statement) }
	exec("ALTER TABLE {db}.outbox_attachment DROP CONSTRAINT outbox_attachment_one") // as in a session that has switched the rules off
	exec(`INSERT INTO {db}.outbox (recipients, template, params) SELECT 'a@b.example', 'x', '{}' FROM ` + dbtest.Numbers(7))
	exec(`INSERT INTO {db}.outbox_attachment (outbox_id, name, content, file) VALUES (2, 'two', 'x', 'y')`)
	exec(`INSERT INTO {db}.outbox_attachment (outbox_id, name) VALUES (3, 'none')`)
	exec(`INSERT INTO {db}.outbox_attachment (outbox_id, name, content) SELECT 4, seq, 'x' FROM ` + dbtest.Numbers(10000))
	exec(`INSERT INTO {db}.outbox_attachment (outbox_id, name, hash) VALUES (5, 'gone', SHA2('gone', 256))`)
	exec(`INSERT INTO {db}.outbox_attachment (outbox_id, name, purged_hash) VALUES (6, 'purged', SHA2('gone', 256))`)
	exec(`INSERT INTO {db}.outbox_attachment (outbox_id, name, hash) VALUES (7, 'strange', '''; DROP TABLE outbox')`)
	exec(`UPDATE {db}.outbox SET params = '{wrong' WHERE id = 8`) // it is JSON's reader who says so
	want := map[uint64]string{
		1: "params: 4194306 octets, at most 4194304 are read: give the template less",
		2: `attachment "two": 2 of content, hash, file and query are given: give exactly one of them`,
		3: `attachment "none": 0 of content, hash, file and query are given: give exactly one of them`,
		4: "attachments: the row has more than 250: send fewer in one mail",
		5: `attachment "gone": its content is not there: there is no row in outbox_content with the hash "`,
		6: `attachment "purged": its content was purged: insert the mail again with its attachments`,
		7: `attachment "strange": its content is not there: there is no row in outbox_content with the hash "'; DROP TABLE outbox"`,
	}
	rows := claimAll(t, d.Store, 10)
	if len(rows) != 8 {
		t.Fatalf("claimed %d rows", len(rows))
	}
	for _, r := range rows {
		c, err := d.Store.Content(ctx, r)
		for i := 0; err == nil && i < len(c.Attachments); i++ {
			_, err = d.Store.AttachmentContent(ctx, c.Attachments[i])
		}
		if want[r.ID] == "" && err == nil {
			continue
		}
		var wrong *db.ContentError
		if !errors.As(err, &wrong) || want[r.ID] == "" || !strings.HasPrefix(err.Error(), want[r.ID]) || db.Kind(err) != db.KindOther {
			t.Errorf("row %d: %v", r.ID, err)
		}
	}
	if _, err := d.Store.Raw(ctx, 1); err == nil || err.Error() != "raw: it is gone: insert the mail again" {
		t.Errorf("no raw: %v", err)
	}
}

func TestTableRefusesAnAttachmentOfTwoSources(t *testing.T) {
	d := dbtest.New(t)
	for _, values := range []string{"NULL, NULL, NULL, NULL", "'x', 'h', NULL, NULL", "NULL, NULL, 'f', 'SELECT 1'", "'x', 'h', 'f', 'SELECT 1'"} {
		if err := d.Pool.Exec(deadline(t), "INSERT INTO "+d.Name+".outbox_attachment (outbox_id, name, content, hash, file, query) VALUES (1, 'x', "+values+")"); err == nil {
			t.Errorf("%s: accepted", values)
		}
	}
	if err := d.Pool.Exec(deadline(t), "INSERT INTO "+d.Name+".outbox_content (content, hash) VALUES ('x', SHA2('y', 256))"); err == nil {
		t.Error("a wrong hash was accepted")
	}
	latin := session(t, d)
	for _, statement := range []string{"SET NAMES latin1", "INSERT INTO " + d.Name + ".outbox_content (content) VALUES ('x')"} {
		_, err := latin.ExecContext(deadline(t), statement)
		must(t, err)
	}
}

func TestTemplatesWithTheirParts(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for _, values := range []string{"'invoice', '', 'Invoice', 'T', NULL", "'invoice', 'sk', 'Faktúra', NULL, '<p>'", "'Invoice', '', 'another', NULL, NULL",
		"'_footer', '', NULL, NULL, '<hr>'", "'_', '', NULL, NULL, 'x'", "'`x', '', NULL, NULL, 'x'", "'^x', '', NULL, NULL, 'x'", "'invoice_', '', NULL, NULL, 'x'"} {
		d.Exec(t, "INSERT INTO {db}.outbox_template (name, language, subject, text, html) VALUES ("+values+")")
	}
	d.Exec(t, `UPDATE {db}.outbox_template SET queries = '{"items": "SELECT 1"}' WHERE name = 'invoice' AND language = 'sk'`)
	rows, err := d.Store.Templates(ctx, "invoice")
	must(t, err)
	if got, want := fmt.Sprintf("%q", rows), `[{"_" "" "" "" "x" ""} {"_footer" "" "" "" "<hr>" ""} {"invoice" "" "Invoice" "T" "" ""} {"invoice" "sk" "Faktúra" "" "<p>" "{\"items\": \"SELECT 1\"}"}]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	rows, err = d.Store.Templates(ctx, "' OR 1 = 1")
	must(t, err)
	if len(rows) != 2 {
		t.Errorf("%q", rows)
	}
	d.Exec(t, "INSERT INTO {db}.outbox_template (name) SELECT CONCAT('_', seq) FROM "+dbtest.Numbers(1000))
	var wrong *db.ContentError
	if _, err := d.Store.Templates(ctx, "invoice"); !errors.As(err, &wrong) {
		t.Errorf("a thousand parts: %v", err)
	}
	d.Exec(t, "DROP TABLE {db}.outbox_template") // or there is no right to it
	if rows, err := d.Store.Templates(ctx, "invoice"); err != nil || len(rows) != 0 {
		t.Errorf("%q, %v", rows, err)
	}
}

func TestPeopleSeeTemplateAndAttachmentsButNoContents(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, template, language, params, raw) VALUES ('a@b.example', 'invoice', 'sk', '{"secret": 1}', 'Subject: secret')`)
	d.Exec(t, `INSERT INTO {db}.outbox_content (content) VALUES ('secret')`)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, type, content) VALUES (1, 'a', 'text/plain', 'secret')`)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, hash) VALUES (1, 'b', SHA2('secret', 256)), (1, 'c', SHA2('gone', 256))`)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, file) VALUES (1, 'd', 'secret.pdf')`)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, query) VALUES (1, 'e', 'SELECT secret')`)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, purged_hash) VALUES (1, 'f', SHA2('secret', 256))`)
	shown, err := d.Store.Show(ctx, 1)
	must(t, err)
	got := fmt.Sprintf("%s %s %d %+v", shown.Template, shown.Language, shown.Raw, shown.Attachments)
	want := "invoice sk 15 [{Name:a Type:text/plain Source:content Size:6} {Name:b Type: Source:shared Size:6} {Name:c Type: Source:shared Size:-1}" +
		" {Name:d Type: Source:file Size:-1} {Name:e Type: Source:query Size:-1} {Name:f Type: Source:purged Size:-1}]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if text := fmt.Sprintf("%+v", shown); strings.Contains(text, "secret") {
		t.Errorf("shown: %s", text)
	}
	found, err := d.Store.Find(ctx, db.Filter{})
	must(t, err)
	if len(found) != 1 || found[0].Template != "invoice" {
		t.Errorf("%+v", found)
	}
}
