package main

import (
	"strings"
	"testing"
	"time"

	"outboxd/db"
)

// The statements about templates, attachments and finished messages are such that the embedded engine runs them too.
func TestContentOnTheEmbeddedEngine(t *testing.T) {
	pool := embedded(t)
	ctx := t.Context()
	for _, statement := range []string{
		`INSERT INTO acme.outbox (recipients, from_address, body_text) VALUES ('a@b.example', 'Éva <Eva@Acme.example>', 'x')`,
		`INSERT INTO acme.outbox (recipients, from_address, template, params, language) VALUES ('a@b.example', 'eva@münchen.example', 'invoice', '{"n": 1}', 'sk')`,
		`INSERT INTO acme.outbox (recipients, raw) VALUES ('a@b.example', 'Subject: x')`,
		`INSERT INTO acme.outbox_content (content) VALUES ('shared')`,
		`INSERT INTO acme.outbox_attachment (outbox_id, name, content) VALUES (2, 'a.txt', 'own')`,
		`INSERT INTO acme.outbox_attachment (outbox_id, name, hash) VALUES (2, 'b.txt', SHA2('shared', 256))`,
		`INSERT INTO acme.outbox_attachment (outbox_id, name, query, format) VALUES (2, 'c.csv', 'SELECT 1', 'csv')`,
		`INSERT INTO acme.outbox_template (name, subject, text) VALUES ('invoice', 'Invoice', 'T'), ('_part', NULL, 'P'), ('other', NULL, 'O')`,
	} {
		must(t, pool.Exec(ctx, statement))
	}
	store, err := pool.Store("acme")
	must(t, err)
	rich, finished := claimContents(t, store)
	content, err := store.Content(ctx, rich)
	must(t, err)
	if content.Params != `{"n": 1}` || len(content.Attachments) != 3 || content.Attachments[0].Size != 3 || content.Attachments[1].Size != 6 || content.Attachments[2].Size != -1 {
		t.Errorf("%+v", content)
	}
	for i, want := range []string{"own", "shared"} {
		if octets, err := store.AttachmentContent(ctx, content.Attachments[i]); err != nil || string(octets) != want {
			t.Errorf("%q, %v", octets, err)
		}
	}
	if octets, err := store.Raw(ctx, finished.ID); err != nil || string(octets) != "Subject: x" || finished.MessageID != "" || !finished.Raw {
		t.Errorf("%q, %v, %+v", octets, err, finished)
	}
	must(t, store.NameMessage(ctx, finished.Lease, "<own@acme.example>"))
	rows, err := store.Templates(ctx, "invoice")
	must(t, err)
	if len(rows) != 2 || rows[0].Name != "_part" || rows[1].Subject != "Invoice" {
		t.Errorf("%+v", rows)
	}
	purgeContents(t, pool, store)
}

// claimContents takes the three rows, and returns that with a template and the finished message.
func claimContents(t *testing.T, store *db.Store) (rich, finished db.Row) {
	t.Helper()
	ctx := t.Context()
	routes, err := store.Routes(ctx, 0, -1, 10)
	must(t, err)
	c := db.Claim{Instance: db.Instance{ID: "aaaaaaaa"}, Priorities: db.Priorities, Lanes: []uint32{0}, Limit: 10, Octets: 1 << 20, MaxSize: 1 << 20, Domain: "fallback.example"}
	for _, r := range routes {
		c.Routes = append(c.Routes, r.Hash)
	}
	planned, err := store.Row(ctx, 1, "fallback.example", 1<<20)
	must(t, err)
	got, err := store.Claim(ctx, c)
	must(t, err)
	if len(got.Rows) != 3 {
		t.Fatalf("claimed %+v", got.Rows)
	}
	plain, rich, finished := got.Rows[0], got.Rows[1], got.Rows[2]
	if plain.MessageID != planned.MessageID || !strings.HasSuffix(plain.MessageID, "@acme.example>") || !strings.Contains(plain.MessageID, "<"+plain.CreatedAt.Format("20060102150405.000000")+".1.") ||
		plain.Template != "" || plain.Raw || plain.Attached || !plain.First {
		t.Errorf("planned as %s, taken as %+v", planned.MessageID, plain)
	}
	if !strings.HasSuffix(rich.MessageID, "@fallback.example>") || rich.Template != "invoice" || rich.Language != "sk" || !rich.Attached {
		t.Errorf("%+v", rich)
	}
	return rich, finished
}

// purgeContents removes all of it again.
func purgeContents(t *testing.T, pool *db.Pool, store *db.Store) {
	t.Helper()
	ctx := t.Context()
	must(t, pool.Exec(ctx, "UPDATE acme.outbox SET state = 'sent', lease_until = NULL, created_at = '2024-01-01', updated_at = '2024-01-01'"))
	must(t, pool.Exec(ctx, "UPDATE acme.outbox_content SET created_at = '2024-01-01'"))
	run, err := store.BeginRun(ctx, db.NewRun{Job: "purge", Kind: "purge", Scheduled: time.Date(2026, 3, 29, 3, 30, 0, 0, time.UTC), State: db.RunRunning}, db.Instance{ID: "aaaaaaaa", Host: "here"})
	must(t, err)
	p := &db.Purge{Run: *run, Pass: db.PassBodies, Now: time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC), Age: 24 * time.Hour}
	for end := false; !end; {
		step, err := store.Step(ctx, p)
		must(t, err)
		end = step.End
	}
	got, err := pool.ReadText(ctx, `SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM acme.outbox WHERE params IS NOT NULL OR raw IS NOT NULL), (SELECT COUNT(*) FROM acme.outbox_content),
		(SELECT COUNT(*) FROM acme.outbox_attachment WHERE content IS NOT NULL OR hash IS NOT NULL), (SELECT COUNT(*) FROM acme.outbox_attachment WHERE purged_hash IS NOT NULL),
		(SELECT COUNT(*) FROM acme.outbox_purged))`)
	must(t, err)
	if got != "0 0 0 2 3" {
		t.Errorf("left: %s", got)
	}
}

// A content that is no text is shared by its hash too, and read in pieces, octet by octet.
func TestOctetsOnTheEmbeddedEngine(t *testing.T) {
	pool := embedded(t)
	content := "PK\x03\x04\xff\xfe\x00'"
	must(t, pool.Exec(t.Context(), "INSERT INTO acme.outbox_content (content) VALUES (?), ('text')", []byte(content)))
	for query, want := range map[string]string{
		"SELECT LENGTH(content) FROM acme.outbox_content WHERE hash LIKE '7e8701d2%'":                            "8",
		"SELECT LENGTH(content) FROM acme.outbox_content WHERE hash LIKE '982d9e3e%'":                            "4",
		"SELECT COALESCE(SHA2(NULL, 256), 'nothing')":                                                            "nothing",
		"SELECT SUBSTRING(content, 1, 100) FROM acme.outbox_content WHERE hash LIKE '7e8701d2%'":                 content,
		"SELECT SUBSTRING(content, 5, 2) FROM acme.outbox_content WHERE hash LIKE '7e8701d2%'":                   "\xff\xfe",
		"SELECT SUBSTRING(content, 8, 2) FROM acme.outbox_content WHERE hash LIKE '7e8701d2%'":                   "'",
		"SELECT CONCAT('<', SUBSTRING(content, 9, 2), '>') FROM acme.outbox_content WHERE hash LIKE '7e8701d2%'": "<>",
		"SELECT SUBSTRING('žofia', 1, 2)":                                                                        "žo",
		"SELECT SUBSTRING('žofia', 3)":                                                                           "fia",
		"SELECT COALESCE(SUBSTRING(NULL, 1, 2), 'nothing')":                                                      "nothing",
	} {
		if got, err := pool.ReadText(t.Context(), query); err != nil || got != want {
			t.Errorf("%s: %q, want %q, %v", query, got, want, err)
		}
	}
}
