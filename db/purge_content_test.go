package db_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// rich are rows 1 and 2, long ended, with all that a mail may have; both share a content.
func rich(t *testing.T, d *dbtest.Database) (raw []byte) {
	t.Helper()
	raw = octets(1000, 7)
	d.Exec(t, `INSERT INTO {db}.outbox_content (content, created_at) VALUES ('shared', NOW() - INTERVAL 500 DAY)`)
	for id := 1; id <= 2; id++ {
		d.Exec(t, `INSERT INTO {db}.outbox (id, recipients, state, template, params, language, raw, created_at, updated_at)
			VALUES (?, 'a@b.example', 'sent', 'invoice', '{"sum": 0.10}', 'sk', ?, NOW() - INTERVAL 100 DAY, NOW() - INTERVAL 100 DAY)`, id, raw)
		d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, type, content) VALUES (?, 'own.txt', 'text/plain', 'own')`, id)
		d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, hash) VALUES (?, 'shared.txt', SHA2('shared', 256))`, id)
		d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, file) VALUES (?, 'terms.pdf', 'terms.pdf')`, id)
		d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, query, format) VALUES (?, 'items.csv', 'SELECT 1', 'csv')`, id)
	}
	return raw
}

// outcome of the runs: rows, attachments, attachments with content, shared contents, hashes.
const leftOver = `SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM {db}.outbox), (SELECT COUNT(*) FROM {db}.outbox_attachment),
	(SELECT COUNT(*) FROM {db}.outbox_attachment WHERE content IS NOT NULL OR hash IS NOT NULL), (SELECT COUNT(*) FROM {db}.outbox_content), (SELECT COUNT(*) FROM {db}.outbox_purged))`

func TestPurgeRemovesParamsRawAndAttachments(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	raw := rich(t, d)
	d.Exec(t, `UPDATE {db}.outbox SET updated_at = NOW() WHERE id = 2`)
	// Remembered with nothing that is content, and without any: a template alone.
	d.Exec(t, `INSERT INTO {db}.outbox (id, recipients, state, template, created_at, updated_at) VALUES (3, 'a@b.example', 'sent', 'x', NOW() - INTERVAL 100 DAY, NOW() - INTERVAL 100 DAY)`)
	archive := &memory{}
	run := func(pass db.Pass, days int, left string) {
		t.Helper()
		p := begin(t, d.Store, pass, days)
		p.Archive = archive
		purge(t, d.Store, p)
		if got := d.Read(t, leftOver); got != left {
			t.Errorf("after %s of %d days: %s, want %s", pass, days, got, left)
		}
	}
	run(db.PassBodies, 30, "3 8 2 1 1") // the other row still needs the shared content
	proof := `SELECT CONCAT_WS(' ', params IS NULL, raw IS NULL, params_hash = SHA2('{"sum": 0.10}', 256), raw_hash = SHA2(?, 256), text_hash IS NULL) FROM {db}.outbox JOIN {db}.outbox_purged ON outbox_id = id WHERE id = 1`
	if got := d.Read(t, proof, raw); got != "1 1 1 1 1" {
		t.Errorf("proof: %s", got)
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(COALESCE(purged_hash IN (SHA2('own', 256), SHA2('shared', 256)), '-') ORDER BY id) FROM {db}.outbox_attachment WHERE outbox_id = 1`); got != "1,1,-,-" {
		t.Errorf("proof of attachments: %s", got)
	}
	neverAnEmptyMail(t, d)

	d.Exec(t, `UPDATE {db}.outbox SET updated_at = NOW() - INTERVAL 100 DAY WHERE id = 2`)
	d.Exec(t, `UPDATE {db}.outbox_purge_later SET since = NOW() - INTERVAL 100 DAY`)
	run(db.PassBodies, 30, "3 8 0 0 2")
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, content, created_at) VALUES (99, 'of a deleted row', 'x', NOW() - INTERVAL 100 DAY)`)
	run(db.PassRows, 60, "0 0 0 0 0")
	rows, err := d.Store.Find(ctx, db.Filter{})
	must(t, err)
	if len(rows) != 0 {
		t.Errorf("%+v", rows)
	}
	checkRichArchive(t, archive.lines, raw)
}

// neverAnEmptyMail: whoever queues a purged row again does not get it sent without its content.
func neverAnEmptyMail(t *testing.T, d *dbtest.Database) {
	t.Helper()
	ctx := deadline(t)
	var purged *db.PurgedError
	if err := d.Store.Retry(ctx, 1); !errors.As(err, &purged) {
		t.Errorf("retried: %v", err)
	}
	d.Exec(t, `UPDATE {db}.outbox SET state = 'queued' WHERE id = 1`)
	row := one(t, d.Store)
	if !errors.As(row.Spent, &purged) || row.Template != "invoice" || row.Raw || !row.Attached {
		t.Errorf("taken as %+v", row)
	}
	var content *db.ContentError
	if _, err := d.Store.Content(ctx, row); !errors.As(err, &content) {
		t.Errorf("its attachments: %v", err)
	}
	d.Exec(t, `UPDATE {db}.outbox SET state = 'sent', lease_until = NULL, updated_at = created_at WHERE id = 1`)
}

func checkRichArchive(t *testing.T, lines []string, raw []byte) {
	t.Helper()
	type entry struct {
		Mail        map[string]any
		Attachments []map[string]any
		Hashes      map[string]any
	}
	by := map[string][]entry{}
	for _, line := range lines {
		e := struct {
			Removed string
			entry
		}{}
		must(t, json.Unmarshal([]byte(line), &e))
		by[e.Removed] = append(by[e.Removed], e.entry)
	}
	if len(by["content"]) != 2 || len(by["row"]) != 3 || len(by["remains"]) != 1 {
		t.Fatalf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	content, row, remains := by["content"][0], by["row"][0], by["remains"][0]
	if content.Mail["params"] != `{"sum": 0.10}` || content.Mail["raw"] != base64.StdEncoding.EncodeToString(raw) || len(content.Attachments) != 4 ||
		content.Attachments[0]["name"] != "own.txt" || content.Attachments[0]["size"] != 3.0 || len(content.Attachments[1]["hash"].(string)) != 64 || content.Attachments[2]["file"] != "terms.pdf" {
		t.Errorf("content: %+v", content)
	}
	if row.Mail["template"] != "invoice" || row.Mail["language"] != "sk" || row.Mail["params"] != nil || row.Hashes["raw_hash"] == nil ||
		len(row.Attachments) != 4 || len(row.Attachments[0]["hash"].(string)) != 64 {
		t.Errorf("row: %+v", row)
	}
	if len(remains.Attachments) != 1 || remains.Attachments[0]["name"] != "of a deleted row" {
		t.Errorf("remains: %+v", remains)
	}
}

// A step takes no more octets than it can archive and replicate; what is too heavy goes alone.
func TestPurgeWeighsFinishedMessagesAndAttachments(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, state, created_at, updated_at) SELECT 'a@b.example', 'sent', NOW() - INTERVAL 100 DAY, NOW() - INTERVAL 100 DAY FROM `+dbtest.Numbers(9))
	d.Exec(t, `UPDATE {db}.outbox SET raw = REPEAT('x', 9 << 20), updated_at = updated_at WHERE id <= 5`)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, content) SELECT id, 'x', REPEAT('x', 10 << 20) FROM {db}.outbox WHERE id > 5`)
	p := begin(t, d.Store, db.PassBodies, 30)
	var steps []int
	for {
		step, err := d.Store.Step(ctx, p)
		must(t, err)
		if step.End {
			break
		}
		steps = append(steps, step.Contents)
	}
	if len(steps) != 3 || steps[0] != 3 || steps[1] != 3 || steps[2] != 3 {
		t.Errorf("steps of %v mails", steps)
	}
}

// Whoever shares a content while the purge is about to remove it has it.
func TestSharedContentIsNotRemovedUnderItsUser(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for _, content := range []string{"again", "referred to", "free"} {
		d.Exec(t, `INSERT INTO {db}.outbox_content (content, created_at) VALUES (?, NOW() - INTERVAL 100 DAY)`, content)
	}
	d.Exec(t, `INSERT INTO {db}.outbox_content (content) VALUES ('young')`)
	d.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, hash) VALUES (1, 'x', SHA2('referred to', 256))`)
	sender := session(t, d)
	for _, statement := range []string{"BEGIN", "INSERT IGNORE INTO {db}.outbox_content (content) VALUES ('again')",
		"INSERT INTO {db}.outbox_attachment (outbox_id, name, hash) VALUES (2, 'x', SHA2('again', 256))"} {
		_, err := sender.ExecContext(ctx, strings.ReplaceAll(statement, "{db}", d.Name))
		must(t, err)
	}
	purge(t, d.Store, begin(t, d.Store, db.PassBodies, 30))
	_, err := sender.ExecContext(ctx, "COMMIT")
	must(t, err)
	purge(t, d.Store, begin(t, d.Store, db.PassBodies, 30))
	if got := d.Read(t, `SELECT GROUP_CONCAT(content ORDER BY content) FROM {db}.outbox_content`); got != "again,referred to,young" {
		t.Errorf("left are %s", got)
	}
}
