package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// grant makes the users of the printed statements, as a DBA would: with passwords filled in.
func grant(t *testing.T, d *dbtest.Database, daemon string, needs db.Needs) {
	t.Helper()
	text, err := db.Grants(d.Name, daemon, needs, db.CompanyPart, db.BucketPart, db.ControlPart)
	must(t, err)
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSpace(line), ";")
		switch {
		case strings.HasPrefix(line, "-- ALTER USER"):
			line = strings.Replace(strings.TrimPrefix(line, "-- "), "'PASSWORD'", "'secret'", 1)
		case strings.HasPrefix(line, "--"), strings.TrimSpace(line) == "":
			continue
		}
		d.Exec(t, line)
	}
	t.Cleanup(func() {
		d.Exec(t, "DROP USER `"+daemon+"`@`%`")
		d.Exec(t, "DROP USER `"+db.SenderUser(d.Name)+"`@`%`")
	})
}

// as is the database seen by another user.
func as(t *testing.T, d *dbtest.Database, user string) *dbtest.Database {
	t.Helper()
	login := d.Server
	login.Username, login.Password = user, "secret"
	pool, err := db.Open(login)
	must(t, err)
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	store, err := pool.Store(d.Name)
	must(t, err)
	return &dbtest.Database{Server: login, Name: d.Name, Pool: pool, Store: store}
}

// attach does what a sender may do with attachments, all in one transaction with the mail.
func attach(t *testing.T, d *dbtest.Database) {
	t.Helper()
	sender := session(t, d)
	for _, statement := range []string{
		"BEGIN",
		"INSERT INTO {db}.outbox (recipients, template, params, language, raw) VALUES ('a@b.example', 'invoice', '{}', 'sk', NULL)",
		"SET @mail = LAST_INSERT_ID()",
		"INSERT INTO {db}.outbox_attachment (outbox_id, name, type, content, content_id) VALUES (@mail, 'a.png', 'image/png', 'x', 'logo')",
		"INSERT INTO {db}.outbox_attachment (outbox_id, name, file) VALUES (@mail, 'terms.pdf', 'terms.pdf')",
		"INSERT IGNORE INTO {db}.outbox_content (content) VALUES ('shared')",
		"INSERT IGNORE INTO {db}.outbox_content (content) VALUES ('shared')",
		"INSERT INTO {db}.outbox_attachment (outbox_id, name, hash) VALUES (@mail, 'b.txt', SHA2('shared', 256))",
		"COMMIT",
	} {
		if _, err := sender.ExecContext(deadline(t), strings.ReplaceAll(statement, "{db}", d.Name)); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func TestInserterSendsAndReadsTheViewAndNoMore(t *testing.T) {
	root := dbtest.New(t)
	grant(t, root, root.Name+"_daemon", db.Needs{})
	d := as(t, root, db.SenderUser(root.Name))
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, cc, bcc, from_address, reply_to, subject, body_text, body_html, headers, priority,
		send_after, expires_at, dedupe_key, reference, account)
		VALUES ('a@b.example', 'c@b.example', 'd@b.example', 'e@b.example', 'f@b.example', 'S', 'T', '<p>T</p>', '{"X-A":"b"}', 1,
		NOW(), NOW() + INTERVAL 1 DAY, 'key', 'invoice:4711', 'main')`)
	if got := d.Read(t, `SELECT CONCAT_WS(' ', reference, state) FROM {db}.outbox_status`); got != "invoice:4711 queued" {
		t.Errorf("the inserter reads %q", got)
	}
	attach(t, d)
	ctx := deadline(t)
	for _, statement := range []string{
		"INSERT INTO {db}.outbox_attachment (outbox_id, name, query) VALUES (1, 'x', 'SELECT 1')",
		"INSERT INTO {db}.outbox_attachment (outbox_id, name, purged_hash) VALUES (1, 'x', 'h')",
		"INSERT INTO {db}.outbox_content (content, hash) VALUES ('x', SHA2('x', 256))",
		"INSERT INTO {db}.outbox_template (name) VALUES ('x')",
		"UPDATE {db}.outbox_attachment SET name = 'x'",
		"UPDATE {db}.outbox_content SET content = 'x'",
		"DELETE FROM {db}.outbox_attachment",
		"SELECT content FROM {db}.outbox_attachment",
		"SELECT content FROM {db}.outbox_content",
		"SELECT id FROM {db}.outbox",
		"INSERT INTO {db}.outbox (recipients, state) VALUES ('a@b.example', 'sent')",
		"INSERT INTO {db}.outbox (recipients, available_at) VALUES ('a@b.example', NOW())",
		"INSERT INTO {db}.outbox (recipients, message_id) VALUES ('a@b.example', '<1@b.example>')",
		"INSERT INTO {db}.outbox (recipients, held) VALUES ('a@b.example', 1)",
		"UPDATE {db}.outbox SET subject = 'x'",
		"UPDATE {db}.outbox_status SET state = 'cancelled'",
		"DELETE FROM {db}.outbox",
		"SELECT * FROM {db}.outbox_attempt",
		"SELECT * FROM {db}.outbox_bucket",
		"SELECT * FROM {db}.outbox_audit",
		"DROP TABLE {db}.outbox",
	} {
		err := d.Pool.Exec(ctx, strings.ReplaceAll(statement, "{db}", d.Name))
		if db.Kind(err) != db.KindSetup {
			t.Errorf("%s: %v, not refused as a missing right", statement, err)
		}
	}
}

// takeAsDaemon does all that is done to buckets.
func takeAsDaemon(t *testing.T, d *dbtest.Database) {
	t.Helper()
	ctx := deadline(t)
	passed := time.Duration(0)
	b, err := d.Pool.Buckets(d.Name, func() time.Duration { return passed })
	must(t, err)
	k := db.Bucket{Name: "account:a@b", Windows: []db.Window{{N: 100, Per: day}}}
	take, err := b.Take(ctx, []db.Bucket{k}, 1)
	must(t, err)
	must(t, b.Refund(ctx, take))
	must(t, b.Pause(ctx, k.Name, 0, db.Trouble{Scope: "account", Reason: "refused"}))
	must(t, b.Heal(ctx, k.Name))
	for _, f := range []func() error{
		func() error { _, err := b.Slow(ctx, k, 0); return err },
		func() error { return b.Hold(ctx, k.Name, 0, "eva", "") },
		func() error { return b.Unhold(ctx, k.Name) },
		func() error { return b.NoteSuccess(ctx, k.Name) },
		func() error { return b.NoteError(ctx, k.Name, "auth", "refused") },
		func() error { _, err := b.LoginTurn(ctx, k.Name, 0); return err },
		func() error { _, err := b.Health(ctx, k); return err },
		func() error { _, err := b.Usage(ctx, k); return err },
	} {
		must(t, f())
	}
	passed = 2 * time.Hour // it drops what is old
	must(t, b.Tend(ctx, k))
}

// readContents reads all that a mail may have.
func readContents(ctx context.Context, root, d *dbtest.Database) error {
	for _, statement := range []string{"INSERT INTO {db}.outbox (id, recipients, raw) VALUES (100, 'a@b.example', 'x')", "INSERT INTO {db}.outbox_content (content) VALUES ('x')",
		"INSERT INTO {db}.outbox_attachment (outbox_id, name, content, hash) VALUES (100, 'a', 'x', NULL), (100, 'b', NULL, SHA2('x', 256))"} {
		if err := root.Pool.Exec(ctx, strings.ReplaceAll(statement, "{db}", d.Name)); err != nil {
			return err
		}
	}
	row, err := d.Store.Row(ctx, 100, "b.example", 1)
	if err != nil {
		return err
	}
	c, err := d.Store.Content(ctx, row)
	for _, a := range c.Attachments {
		_, one := d.Store.AttachmentContent(ctx, a)
		err = errors.Join(err, one)
	}
	_, raw := d.Store.Raw(ctx, 100)
	return errors.Join(err, raw)
}

func TestDaemonUserMayDoAllThatRunDoes(t *testing.T) {
	root := dbtest.New(t)
	grant(t, root, root.Name+"_daemon", db.Needs{})
	d := as(t, root, root.Name+"_daemon")
	ctx := deadline(t)
	must(t, d.Pool.CheckSchema(ctx, d.Name, db.CompanyPart, db.BucketPart, db.ControlPart))
	insert(t, root, 3, "kunde.example")
	root.Exec(t, `INSERT INTO {db}.outbox (recipients, expires_at) VALUES ('x@y.example', NOW() - INTERVAL 1 HOUR)`)
	_, expired, _, err := d.Store.Expire(ctx, db.ExpireCursor{})
	must(t, err)
	if expired != 1 {
		t.Errorf("expired %d rows", expired)
	}
	rows := claimAll(t, d.Store, 3)
	if len(rows) != 3 {
		t.Fatalf("claimed %d rows", len(rows))
	}
	must(t, d.Store.Heartbeat(ctx, []db.Lease{rows[0].Lease}))
	m := markOf(rows[0].Lease)
	m.Recipients = []db.Recipient{{Kind: "to", Address: "a@b.example", State: db.RecipientSending, Token: rows[0].Token}}
	must(t, d.Store.Mark(ctx, m))
	must(t, d.Store.Settle(ctx, accepted(rows[0].Lease)))
	if _, err := d.Store.Rescue(ctx, db.Rescue{Own: me.ID}); err != nil {
		t.Error(err)
	}
	lane, err := d.Store.PauseLane(ctx, "domain:kunde.example", 0, "slow")
	must(t, err)
	must(t, d.Store.SortAside(ctx, db.Queue{Route: routeOf(t, d.Store), Priority: 3}, only(rows[0].Domain, lane.ID, func([]uint64) {})))
	must(t, d.Store.HealLane(ctx, lane.ID))
	must(t, d.Store.DropLane(ctx, lane.ID))
	takeAsDaemon(t, d)
	for _, f := range []func() error{
		func() error { return d.Store.Hold(ctx, rows[1].ID, "wait") },
		func() error { return d.Store.Release(ctx, rows[1].ID) },
		func() error { return d.Store.Cancel(ctx, rows[1].ID, "no") },
		func() error { return d.Store.Retry(ctx, rows[1].ID) },
		func() error {
			return d.Store.Audit(ctx, db.Audited{Actor: "root", Action: "queue retry", Target: "acme/1"})
		},
		func() error { _, err := d.Store.AuditLog(ctx, 0, 10); return err },
		func() error { _, err := d.Store.Counts(ctx, nil); return err },
		func() error { _, err := d.Store.Find(ctx, db.Filter{Recipient: "a@b.example"}); return err },
		func() error { _, err := d.Store.Show(ctx, rows[1].ID); return err },
		func() error { _, err := d.Store.Row(ctx, rows[1].ID, "b.example", 1); return err },
		func() error { return readContents(ctx, root, d) },
		func() error { _, err := d.Store.Templates(ctx, "invoice"); return err },
		func() error { _, err := d.Store.Suppressed(ctx, []string{"a@b.example"}); return err },
	} {
		if err := f(); err != nil {
			t.Error(err)
		}
	}
	for _, statement := range []string{"DELETE FROM {db}.outbox", "INSERT INTO {db}.outbox (recipients) VALUES ('a@b.example')",
		"UPDATE {db}.outbox_audit SET actor = 'nobody'", "DELETE FROM {db}.outbox_attempt", "ALTER TABLE {db}.outbox ADD COLUMN x INT"} {
		if err := d.Pool.Exec(ctx, strings.ReplaceAll(statement, "{db}", d.Name)); db.Kind(err) != db.KindSetup {
			t.Errorf("%s: %v, not refused as a missing right", statement, err)
		}
	}
}

// The right that docs/for-dbas.md gives to whoever cancels and holds in SQL.
func TestClerkCancelsAndHolds(t *testing.T) {
	root := dbtest.New(t)
	insert(t, root, 2, "kunde.example")
	clerk := root.Name + "_clerk"
	root.Exec(t, "CREATE USER `"+clerk+"`@`%` IDENTIFIED BY 'secret'")
	t.Cleanup(func() { root.Exec(t, "DROP USER `"+clerk+"`@`%`") })
	root.Exec(t, "GRANT SELECT, UPDATE (state, held, lane) ON {db}.outbox TO `"+clerk+"`@`%`")
	d := as(t, root, clerk)
	d.Exec(t, "UPDATE {db}.outbox SET state = 'cancelled' WHERE id = 1 AND state = 'queued'")
	d.Exec(t, "UPDATE {db}.outbox SET held = 1 WHERE id = 2 AND state = 'queued'")
	if got := columns(t, root, "state, held"); got != "cancelled 0,queued 1" {
		t.Errorf("rows are %q", got)
	}
	d.Exec(t, "UPDATE {db}.outbox SET held = 0, lane = 0 WHERE id = 2 AND state = 'queued'")
	one(t, root.Store)
	if err := d.Pool.Exec(deadline(t), "UPDATE "+d.Name+".outbox SET recipients = 'me@evil.example'"); db.Kind(err) != db.KindSetup {
		t.Errorf("the clerk changed an address: %v", err)
	}
}

func TestGrantsRefuseStrangeNames(t *testing.T) {
	for _, names := range [][2]string{{"a`b", "outboxd"}, {"acme", "out`boxd"}, {"acme", ""}, {"", "outboxd"}, {"acme", "a b"}} {
		if text, err := db.Grants(names[0], names[1], db.Needs{}, db.CompanyPart); err == nil {
			t.Errorf("%q: %s", names, text)
		}
	}
	control, err := db.Grants("outboxd", "outboxd", db.Needs{}, db.BucketPart, db.ControlPart)
	if err != nil || strings.Contains(control, "outbox_status") || !strings.Contains(control, "GRANT SELECT, INSERT ON `outboxd`.outbox_audit TO `outboxd`@`%`;") {
		t.Errorf("grants of the control database: %v\n%s", err, control)
	}
}
