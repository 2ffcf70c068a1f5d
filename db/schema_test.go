package db_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

func TestEveryColumnSaysWhoWritesItAndWhen(t *testing.T) {
	d := dbtest.New(t)
	silent := d.Read(t, `SELECT COALESCE(GROUP_CONCAT(c.TABLE_NAME, '.', c.COLUMN_NAME), '') FROM information_schema.COLUMNS c
		JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
		WHERE c.TABLE_SCHEMA = '{db}' AND t.TABLE_TYPE = 'BASE TABLE' AND c.COLUMN_COMMENT NOT RLIKE '^((Sender|A person), on INSERT|A person, or a program of yours|outboxd|Set by the table|Computed)'`)
	if silent != "" {
		t.Errorf("no comment, or none of who and when: %s", silent)
	}
	if n := d.Read(t, `SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{db}' AND TABLE_TYPE = 'BASE TABLE' AND TABLE_COMMENT = ''`); n != "0" {
		t.Errorf("%s tables have no comment", n)
	}
}

func TestP1_CommittedRowIsAMailAndARolledBackOneIsNone(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	sender := session(t, d)
	text := strings.ReplaceAll(shortest, "{db}", d.Name)
	for _, end := range []string{"ROLLBACK", "COMMIT"} {
		for _, statement := range []string{"BEGIN", text} {
			_, err := sender.ExecContext(ctx, statement)
			must(t, err)
		}
		if rows := claimAll(t, d.Store, 10); len(rows) != 0 {
			t.Fatalf("an uncommitted row was taken: %+v", rows)
		}
		_, err := sender.ExecContext(ctx, end)
		must(t, err)
	}
	r := one(t, d.Store)
	if r.Recipients != "Eva <eva@kunde.example>" || r.Subject != "Hello" || r.Text != "Text" || r.Priority != 3 {
		t.Errorf("the row is %+v", r)
	}
}

func TestDedupeKeyIsKeptByTheTable(t *testing.T) {
	d := dbtest.New(t)
	const with = `INSERT INTO {db}.outbox (recipients, dedupe_key) VALUES ('a@b.example', ?)`
	d.Exec(t, with, "invoice-4711")
	d.Exec(t, with, "INVOICE-4711") // another key: octets count
	d.Exec(t, with, nil)
	d.Exec(t, with, nil) // no key, no limit
	err := d.Pool.Exec(deadline(t), strings.ReplaceAll(with, "{db}", d.Name), "invoice-4711")
	if db.Kind(err) != db.KindData {
		t.Errorf("a second row with the same key: %v", err)
	}
	if n := d.Read(t, "SELECT COUNT(*) FROM {db}.outbox"); n != "4" {
		t.Errorf("%s rows", n)
	}
}

func TestAnHourFromNowIsAnHourInEveryZone(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for _, zone := range []string{"+00:00", "+02:00", "+01:00", "-05:00", "+05:45", "+13:00", "-11:30"} {
		t.Run(zone, func(t *testing.T) {
			sender := session(t, d)
			for _, statement := range []string{"SET time_zone = '" + zone + "'",
				"INSERT INTO " + d.Name + ".outbox (recipients, send_after, expires_at) VALUES ('a@b.example', NOW() + INTERVAL 1 HOUR, NOW() + INTERVAL 2 HOUR)",
				"INSERT INTO " + d.Name + ".outbox (recipients, send_after) VALUES ('a@b.example', NULL)"} {
				_, err := sender.ExecContext(ctx, statement)
				must(t, err)
			}
			// Read in UTC, as outboxd does.
			got := d.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', ROUND(TIMESTAMPDIFF(SECOND, created_at, available_at) / 60),
				ROUND(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), created_at) / 60), ROUND(TIMESTAMPDIFF(SECOND, created_at, expires_at) / 60)) ORDER BY id)
				FROM {db}.outbox`)
			if got != "60 0 120,0 0" {
				t.Errorf("minutes until available, since created, until expired: %q", got)
			}
			if rows := claimAll(t, d.Store, 10); len(rows) != 1 {
				t.Errorf("%d rows are due instead of the one without send_after", len(rows))
			}
			d.Exec(t, "DELETE FROM {db}.outbox")
		})
	}
}

func TestWhatTheTableRefuses(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	d.Exec(t, shortest)
	taken := one(t, d.Store)
	for name, statement := range map[string]string{
		"no recipients":             `INSERT INTO {db}.outbox (subject) VALUES ('x')`,
		"priority 0":                `INSERT INTO {db}.outbox (recipients, priority) VALUES ('a@b.example', 0)`,
		"priority 6":                `INSERT INTO {db}.outbox (recipients, priority) VALUES ('a@b.example', 6)`,
		"broken headers":            `INSERT INTO {db}.outbox (recipients, headers) VALUES ('a@b.example', '{"X-A": ')`,
		"empty headers":             `INSERT INTO {db}.outbox (recipients, headers) VALUES ('a@b.example', '')`,
		"unknown state":             `INSERT INTO {db}.outbox (recipients, state) VALUES ('a@b.example', 'done')`,
		"sending without a lease":   `INSERT INTO {db}.outbox (recipients, state) VALUES ('a@b.example', 'sending')`,
		"lease without sending":     `INSERT INTO {db}.outbox (recipients, lease_until) VALUES ('a@b.example', NOW())`,
		"queued while being sent":   fmt.Sprintf(`UPDATE {db}.outbox SET state = 'queued' WHERE id = %d`, taken.ID),
		"cancel while being sent":   fmt.Sprintf(`UPDATE {db}.outbox SET state = 'cancelled' WHERE id = %d`, taken.ID),
		"lease taken away":          fmt.Sprintf(`UPDATE {db}.outbox SET lease_until = NULL WHERE id = %d`, taken.ID),
		"a computed column":         `INSERT INTO {db}.outbox (recipients, route) VALUES ('a@b.example', 1)`,
		"a time after the year":     `INSERT INTO {db}.outbox (recipients, send_after) VALUES ('a@b.example', '2206-02-08 00:00:00')`,
		"a key that is too long":    `INSERT INTO {db}.outbox (recipients, dedupe_key) VALUES ('a@b.example', REPEAT('x', 256))`,
		"an account that is a text": `INSERT INTO {db}.outbox (recipients, account) VALUES ('a@b.example', REPEAT('x', 64))`,
	} {
		if err := d.Pool.Exec(ctx, strings.ReplaceAll(statement, "{db}", d.Name)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := columns(t, d, "id, state"); got != fmt.Sprintf("%d sending", taken.ID) {
		t.Errorf("rows are %q", got)
	}
}

// The sender's session may be as lax as it likes: the CHECKs hold all the same.
func TestLaxSessionCannotBreakARow(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	sender := session(t, d)
	exec := func(statement string) error {
		_, err := sender.ExecContext(ctx, strings.ReplaceAll(statement, "{db}", d.Name))
		return err
	}
	must(t, exec("SET sql_mode = ''"))
	must(t, exec(`INSERT INTO {db}.outbox (recipients, subject, reference) VALUES ('a@b.example', REPEAT('x', 70000), REPEAT('y', 300))`))
	must(t, exec(`INSERT INTO {db}.outbox (subject) VALUES ('nobody')`)) // recipients is empty: the mail fails when it is built
	for _, statement := range []string{
		`INSERT INTO {db}.outbox (recipients, priority) VALUES ('a@b.example', 300)`,
		`INSERT INTO {db}.outbox (recipients, priority) VALUES ('a@b.example', 'high')`,
		`INSERT INTO {db}.outbox (recipients, headers) VALUES ('a@b.example', 'X-A: b')`,
	} {
		if err := exec(statement); err == nil {
			t.Errorf("accepted: %s", statement)
		}
	}
	must(t, exec(`INSERT INTO {db}.outbox (recipients, send_after, expires_at) VALUES ('a@b.example', 'tomorrow', '2026-02-30')`))
	rows := claimAll(t, d.Store, 10)
	if len(rows) != 3 || !rows[0].Expired {
		t.Fatalf("claimed %+v", ids(rows))
	}
	if _, err := d.Store.Show(ctx, rows[0].ID); err != nil {
		t.Error(err)
	}
	must(t, d.Store.Settle(ctx, db.Settlement{Lease: rows[0].Lease, Change: db.Change{State: db.Queued, Wait: time.Hour}}))
	rows = rows[1:]
	if len(rows[0].Subject) != 65535 || len(rows[0].Reference) != 255 || rows[1].Recipients != "" {
		t.Errorf("claimed %d rows", len(rows))
	}
}

func TestViewTellsWhatBecameOfARow(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	const next = `SELECT CONCAT_WS(' ', state, held, next_try_at = (SELECT available_at FROM {db}.outbox), next_try_at > UTC_TIMESTAMP() + INTERVAL 50 MINUTE) FROM {db}.outbox_status`
	d.Exec(t, shortest)
	if got := d.Read(t, next); got != "queued 0 1 0" {
		t.Errorf("a fresh row: %q", got)
	}
	lane, err := d.Store.PauseLane(ctx, "domain:kunde.example", 3600e9, "slow down")
	must(t, err)
	d.Exec(t, "UPDATE {db}.outbox SET lane = ?", lane.ID)
	if got := d.Read(t, next); got != "queued 0 0 1" {
		t.Errorf("a row in a lane: %q", got)
	}
	d.Exec(t, "UPDATE {db}.outbox SET lane = 0, held = 1")
	if got := d.Read(t, next); got != "queued 1" {
		t.Errorf("a held row: %q", got)
	}
	d.Exec(t, "UPDATE {db}.outbox SET held = 0")
	r := one(t, d.Store)
	must(t, d.Store.Settle(ctx, accepted(r.Lease)))
	got := d.Read(t, `SELECT CONCAT_WS(' ', state, attempts, sent_via, smtp_code, sent_at IS NOT NULL, message_id) FROM {db}.outbox_status`)
	if got != "sent 1 main 250 1 "+r.MessageID {
		t.Errorf("a sent row: %q", got)
	}
	d.Exec(t, `UPDATE {db}.outbox SET bounced_at = NOW(6), bounce = '5.1.1 no'`)
	if got := d.Read(t, `SELECT CONCAT_WS(' ', state, bounced_at IS NOT NULL, bounce) FROM {db}.outbox_status`); got != "sent 1 5.1.1 no" {
		t.Errorf("a row that came back: %q", got)
	}
}

func TestCancelInSQL(t *testing.T) {
	d := dbtest.New(t)
	insert(t, d, 2, "kunde.example")
	r := claimAll(t, d.Store, 1)[0]
	for id := range 3 {
		d.Exec(t, "UPDATE {db}.outbox SET state = 'cancelled' WHERE id = ? AND state = 'queued'", id)
	}
	if got := columns(t, d, "state"); got != "sending,cancelled" {
		t.Errorf("rows are %q", got)
	}
	if rows := claimAll(t, d.Store, 10); len(rows) != 0 {
		t.Errorf("a cancelled row was taken: %+v", rows)
	}
	must(t, d.Store.Settle(deadline(t), accepted(r.Lease)))
}

func TestFirstRecipientIsComputedFromManyForms(t *testing.T) {
	d := dbtest.New(t)
	for i, c := range []struct{ recipients, first string }{
		{"eva@kunde.example", "eva@kunde.example"},
		{"Eva@Kunde.Example", "eva@kunde.example"},
		{"  eva@kunde.example  ", "eva@kunde.example"},
		{"<eva@kunde.example>", "eva@kunde.example"},
		{"Eva <eva@kunde.example>", "eva@kunde.example"},
		{"Eva<eva@kunde.example>", "eva@kunde.example"},
		{`"Novak, Eva" <eva@kunde.example>`, "eva@kunde.example"},
		{"Éva Nováková <eva@kunde.example>, Jan <jan@other.example>", "eva@kunde.example"},
		{"eva@kunde.example,jan@other.example", "eva@kunde.example"},
		{"eva@kunde.example;jan@other.example", "eva@kunde.example"},
		{"eva@kunde.example\njan@other.example", "eva@kunde.example"},
		{"eva@kunde.example\r\njan@other.example", "eva@kunde.example"},
		{"eva@kunde.example\r\n", "eva@kunde.example"},
		{"\n eva@kunde.example", "eva@kunde.example"},
		{",eva@kunde.example", "eva@kunde.example"},
		{"Eva\n<eva@kunde.example>", "eva@kunde.example"},
		{"eva@kunde.example (her office)", "eva@kunde.example"},
		{"eva+invoices@mail.kunde.example", "eva+invoices@mail.kunde.example"},
		{"ÉVA@KÜNDE.example", "éva@künde.example"},
	} {
		d.Exec(t, "INSERT INTO {db}.outbox (id, recipients) VALUES (?, ?)", i+1, c.recipients)
		_, domain, _ := strings.Cut(c.first, "@")
		got := d.Read(t, "SELECT CONCAT_WS(' ', rcpt, rdom = CRC32(?)) FROM {db}.outbox WHERE id = ?", domain, i+1)
		if got != c.first+" 1" {
			t.Errorf("%q: first recipient is %q", c.recipients, got)
		}
	}
	// What is no address is no reason to refuse the row: it fails when the mail is built.
	for _, nonsense := range []string{"", " ", "nobody", "@", "@@", "<>", "a@", "@b", strings.Repeat("x", 5000) + "@b.example"} {
		d.Exec(t, "INSERT INTO {db}.outbox (recipients) VALUES (?)", nonsense)
	}
}

func TestRouteIsTheAccountElseTheSendersDomain(t *testing.T) {
	d := dbtest.New(t)
	for i, c := range []struct {
		account, from any
		route         string
	}{
		{nil, nil, ""}, {"", "", ""}, {"Main", nil, "main"}, {"main", "Eva <eva@acme.example>", "main"}, {"", "eva@Acme.example", "acme.example"},
		{nil, "Eva <eva@acme.example>", "acme.example"}, {nil, " eva@acme.example ", "acme.example"}, {nil, `"a@b" <eva@acme.example>`, "acme.example"},
	} {
		d.Exec(t, "INSERT INTO {db}.outbox (id, recipients, account, from_address) VALUES (?, 'a@b.example', ?, ?)", i+1, c.account, c.from)
		if got := d.Read(t, "SELECT route = CRC32(?) FROM {db}.outbox WHERE id = ?", c.route, i+1); got != "1" {
			t.Errorf("account %v, from %v: not the route of %q", c.account, c.from, c.route)
		}
	}
}

func TestSizeCountsOctetsOfBodiesAndHeaders(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text, body_html, headers) VALUES ('a@b.example', 'not counted', 'žltý', '<p>', '{"A":"b"}')`)
	d.Exec(t, `INSERT INTO {db}.outbox (recipients) VALUES ('a@b.example')`)
	if got := columns(t, d, "size"); got != strconv.Itoa(len("žltý")+len("<p>")+len(`{"A":"b"}`))+",0" {
		t.Errorf("sizes are %q", got)
	}
}
