package db_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// scheduled is some time on the clocks of a company.
var scheduled = time.Date(2026, 3, 29, 3, 30, 0, 0, time.UTC)

// aged inserts n rows in a state whose mails were inserted and ended so many days ago.
func aged(t testing.TB, d *dbtest.Database, n int, state string, born, ended int) {
	t.Helper()
	d.Exec(t, `INSERT INTO {db}.outbox (id, recipients, subject, body_text, headers, state, lease_until, created_at, updated_at)
		SELECT seq + (SELECT COALESCE(MAX(id), 0) FROM {db}.outbox), CONCAT('r', seq, '@kunde.example'), 'Invoice', 'Text', '{"X-A":"b"}', ?, IF(? = 'sending', NOW(), NULL), NOW() - INTERVAL ? DAY, NOW() - INTERVAL ? DAY
		FROM `+dbtest.Numbers(n), state, state, born, ended)
}

// purgeAt is a run of a purge at its time.
func purgeAt(scheduled time.Time) db.NewRun {
	return db.NewRun{Job: "purge", Kind: "purge", Scheduled: scheduled, State: db.RunRunning}
}

// begin begins a run of a purge.
func begin(t testing.TB, s *db.Store, pass db.Pass, days int) *db.Purge {
	t.Helper()
	ctx := deadline(t)
	run, err := s.BeginRun(ctx, purgeAt(scheduled), me)
	must(t, err)
	if run == nil {
		run, err = s.LastRun(ctx, "purge")
		must(t, err)
	}
	now, err := s.Clock(ctx)
	must(t, err)
	return &db.Purge{Run: *run, Pass: pass, Now: now, Age: time.Duration(days) * day}
}

// purge runs to the end and returns what went.
func purge(t testing.TB, s *db.Store, p *db.Purge) (contents, removed int) {
	t.Helper()
	ctx := deadline(t)
	for {
		step, err := s.Step(ctx, p)
		must(t, err)
		if step.End {
			return contents, removed
		}
		contents, removed = contents+step.Contents, removed+step.Removed
	}
}

func TestPurgeRemovesTheContentOfWhatEndedLongAgo(t *testing.T) {
	d := dbtest.New(t)
	for _, state := range []string{"sent", "partial", "failed", "skipped", "suppressed", "cancelled", "expired", "queued", "sending", "uncertain"} {
		aged(t, d, 2, state, 100, 95)
	}
	d.Exec(t, `UPDATE {db}.outbox SET body_html = '<p>', updated_at = updated_at WHERE id = 1`)
	d.Exec(t, `UPDATE {db}.outbox SET body_text = NULL, headers = NULL, updated_at = updated_at WHERE id = 2`) // nothing to remove
	aged(t, d, 2, "sent", 100, 85)
	aged(t, d, 2, "sent", 80, 80)
	before := d.Read(t, `SELECT GROUP_CONCAT(updated_at ORDER BY id) FROM {db}.outbox`)

	p := begin(t, d.Store, db.PassBodies, 90)
	if contents, removed := purge(t, d.Store, p); contents != 13 || removed != 0 {
		t.Errorf("%d contents, %d rows", contents, removed)
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(id ORDER BY id) FROM {db}.outbox WHERE size > 0`); got != "15,16,17,18,19,20,21,22,23,24" {
		t.Errorf("content is left in %s", got)
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', COUNT(*), COUNT(DISTINCT subject), SUM(recipients <> '')) FROM {db}.outbox`); got != "24 1 24" {
		t.Errorf("evidence: %s", got)
	}
	if after := d.Read(t, `SELECT GROUP_CONCAT(updated_at ORDER BY id) FROM {db}.outbox`); after != before {
		t.Error("the rows look as if they had been changed: their age begins anew")
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', text_hash = SHA2('Text', 256), html_hash = SHA2('<p>', 256), headers_hash = SHA2('{"X-A":"b"}', 256)) FROM {db}.outbox_purged WHERE outbox_id = 1`); got != "1 1 1" {
		t.Errorf("hashes of row 1: %s", got)
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', COUNT(*), SUM(html_hash IS NULL)) FROM {db}.outbox_purged`); got != "13 12" {
		t.Errorf("hashes: %s", got)
	}
	if contents, _ := purge(t, d.Store, begin(t, d.Store, db.PassBodies, 90)); contents != 0 {
		t.Errorf("%d contents went again", contents)
	}
}

// What was passed by, because it had not ended or had not been long ended, goes when its own time has come; and a run does
// not begin from the start of the table.
func TestPurgeComesBackToWhatItPassedBy(t *testing.T) {
	d := dbtest.New(t)
	aged(t, d, 3, "sent", 100, 95)      // 1 2 3
	aged(t, d, 2, "queued", 100, 100)   // 4 5
	aged(t, d, 1, "uncertain", 100, 99) // 6
	aged(t, d, 2, "sent", 100, 88)      // 7 8
	aged(t, d, 3, "sent", 100, 95)      // 9 10 11
	aged(t, d, 3, "sent", 60, 60)       // 12 13 14
	left := func(want string) {
		t.Helper()
		if got := d.Read(t, `SELECT COALESCE(GROUP_CONCAT(id ORDER BY id), '') FROM {db}.outbox WHERE size > 0`); got != want {
			t.Errorf("content is left in %s, want %s", got, want)
		}
	}
	purge(t, d.Store, begin(t, d.Store, db.PassBodies, 90))
	left("4,5,6,7,8,12,13,14")
	if got := d.Read(t, `SELECT CONCAT_WS(' ', passed, (SELECT COUNT(*) FROM {db}.outbox_purge_later)) FROM {db}.outbox_purge`); got != "11 5" {
		t.Errorf("passed and remembered: %s", got)
	}
	// Five days later rows 7 and 8 are old enough. What is below 12 is not looked at from the start: a row that comes in
	// there would be found.
	at := func(days int, pass db.Pass, age int) *db.Purge {
		p := begin(t, d.Store, pass, age)
		p.Now = p.Now.Add(time.Duration(days) * day)
		return p
	}
	d.Exec(t, `UPDATE {db}.outbox SET id = 1000 WHERE id = 1`)
	d.Exec(t, `INSERT INTO {db}.outbox (id, recipients, body_text, state, created_at, updated_at) VALUES (1, 'a@b.example', 'x', 'sent', NOW() - INTERVAL 200 DAY, NOW() - INTERVAL 200 DAY)`)
	purge(t, d.Store, at(5, db.PassBodies, 90))
	left("1,4,5,6,12,13,14")
	// The others end, and are old enough 90 days afterwards. A shorter age holds for what was remembered too.
	d.Exec(t, `DELETE FROM {db}.outbox WHERE id = 1`)
	d.Exec(t, `UPDATE {db}.outbox SET state = 'sent', updated_at = NOW() + INTERVAL 10 DAY WHERE id IN (4, 5, 6)`)
	purge(t, d.Store, at(95, db.PassBodies, 90))
	left("4,5,6")
	purge(t, d.Store, at(99, db.PassBodies, 90))
	left("4,5,6")
	purge(t, d.Store, at(99, db.PassBodies, 60))
	left("")
	if got := d.Read(t, `SELECT COUNT(*) FROM {db}.outbox_purge_later`); got != "0" {
		t.Errorf("%s rows are remembered", got)
	}
}

// withChildren gives every row two recipients and a try.
func withChildren(t testing.TB, d *dbtest.Database) {
	t.Helper()
	d.Exec(t, `INSERT INTO {db}.outbox_recipient (outbox_id, position, kind, address, state, updated_at)
		SELECT id, seq, 'to', CONCAT('r', seq, '@kunde.example'), 'accepted', updated_at FROM {db}.outbox JOIN (SELECT 0 AS seq UNION ALL SELECT 1) n`)
	d.Exec(t, `INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, marked_at, finished_at, account, daemon, reply)
		SELECT id, CONCAT('t', id), updated_at, updated_at, 'main', 'here', '250 ok' FROM {db}.outbox`)
}

const counts = `SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM {db}.outbox), (SELECT COUNT(*) FROM {db}.outbox_recipient), (SELECT COUNT(*) FROM {db}.outbox_attempt),
	(SELECT COUNT(*) FROM {db}.outbox_purged), (SELECT COUNT(*) FROM {db}.outbox_key))`

func TestPurgeRemovesRowsWithAllThatBelongsToThem(t *testing.T) {
	d := dbtest.New(t)
	aged(t, d, 1200, "sent", 500, 450)
	aged(t, d, 2, "queued", 500, 500)
	aged(t, d, 3, "failed", 300, 300)
	withChildren(t, d)
	d.Exec(t, `UPDATE {db}.outbox SET dedupe_key = CONCAT('invoice-', id), updated_at = updated_at WHERE id % 100 = 0`)
	purge(t, d.Store, begin(t, d.Store, db.PassBodies, 400))
	// Rows that were deleted by hand leave tries and recipients: in the middle, and of a time that is not over.
	d.Exec(t, `DELETE FROM {db}.outbox WHERE id BETWEEN 300 AND 899 AND dedupe_key IS NULL`)
	d.Exec(t, `DELETE FROM {db}.outbox_attempt WHERE outbox_id = 301`)
	d.Exec(t, `UPDATE {db}.outbox_attempt SET finished_at = NOW() - INTERVAL 10 DAY WHERE outbox_id = 302`)
	if contents, removed := purge(t, d.Store, begin(t, d.Store, db.PassRows, 400)); contents != 0 || removed != 1200-594 {
		t.Errorf("%d contents, %d rows", contents, removed)
	}
	if got := d.Read(t, counts); got != "5 12 6 1 12" {
		t.Errorf("left are %s", got)
	}
	p := begin(t, d.Store, db.PassRows, 400)
	p.Now = p.Now.Add(391 * day)
	purge(t, d.Store, p)
	if got := d.Read(t, counts); got != "2 4 2 0 12" {
		t.Errorf("left in the end are %s", got)
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', kind, value, outbox_id, DATEDIFF(NOW(), at)) FROM {db}.outbox_key ORDER BY outbox_id LIMIT 1`); got != "dedupe invoice-100 100 500" {
		t.Errorf("key: %s", got)
	}
	if got := d.Read(t, `SELECT COALESCE(MAX(outbox_id), 0) FROM {db}.outbox_purge_later WHERE outbox_id NOT IN (1201, 1202)`); got != "0" {
		t.Errorf("row %s is remembered and gone", got)
	}
}

// P7: the key of a purged row is used up, and the row that came first stays named.
func TestP7_APurgedKeyIsNotSentAgain(t *testing.T) {
	d := dbtest.New(t)
	again := func() db.Row {
		d.Exec(t, `INSERT INTO {db}.outbox (recipients, body_text, dedupe_key) VALUES ('a@b.example', 'Text', 'invoice-1')`)
		return one(t, d.Store)
	}
	first := again()
	if first.Spent != nil {
		t.Fatal(first.Spent)
	}
	must(t, d.Store.Settle(deadline(t), accepted(first.Lease)))
	d.Exec(t, `UPDATE {db}.outbox SET created_at = NOW() - INTERVAL 500 DAY, updated_at = NOW() - INTERVAL 500 DAY`)
	purge(t, d.Store, begin(t, d.Store, db.PassRows, 400))
	for range 2 {
		row := again()
		var used *db.KeyUsedError
		if !errors.As(row.Spent, &used) || used.First != first.ID {
			t.Fatalf("%v", row.Spent)
		}
		must(t, d.Store.Settle(deadline(t), db.Settlement{Lease: row.Lease, Change: db.Change{State: db.Skipped}}))
		d.Exec(t, `UPDATE {db}.outbox SET created_at = NOW() - INTERVAL 500 DAY, updated_at = NOW() - INTERVAL 500 DAY`)
		purge(t, d.Store, begin(t, d.Store, db.PassRows, 400))
	}
}

// A row that somebody has in hand is not waited for.
func TestPurgeWaitsForNobody(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	aged(t, d, 5, "sent", 100, 95)
	dba := session(t, d)
	for _, statement := range []string{"BEGIN", "UPDATE " + d.Name + ".outbox SET reference = 'x', updated_at = updated_at WHERE id = 3"} {
		_, err := dba.ExecContext(ctx, statement)
		must(t, err)
	}
	if contents, _ := purge(t, d.Store, begin(t, d.Store, db.PassBodies, 90)); contents != 4 {
		t.Errorf("%d contents", contents)
	}
	_, err := dba.ExecContext(ctx, "ROLLBACK")
	must(t, err)
	if contents, _ := purge(t, d.Store, begin(t, d.Store, db.PassBodies, 90)); contents != 1 {
		t.Errorf("then %d contents", contents)
	}
}

// A step that is in the middle of its transaction holds up no INSERT, not even one next to what it removes.
func TestPurgeHoldsUpNoInsert(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	aged(t, d, 300, "sent", 500, 450)
	d.Exec(t, `UPDATE {db}.outbox SET dedupe_key = CONCAT('invoice-', id), reference = 'r', updated_at = updated_at`)
	p := begin(t, d.Store, db.PassRows, 400)
	sender := session(t, d)
	inserted := 0
	insert := func() {
		_, err := sender.ExecContext(ctx, "SET innodb_lock_wait_timeout = 1")
		must(t, err)
		_, err = sender.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s.outbox (recipients, dedupe_key, reference) VALUES ('a@b.example', 'invoice-%da', 'r')", d.Name, inserted))
		must(t, err)
		inserted++
	}
	// Once while the rows are locked and not yet removed, once while they are removed and not yet committed.
	p.Archive = &memory{before: func() error { insert(); return nil }}
	d.Exec(t, `INSERT INTO {db}.outbox_purge (pass, passed) VALUES ('rows', 0)`)
	dba := session(t, d)
	_, err := dba.ExecContext(ctx, "BEGIN")
	must(t, err)
	_, err = dba.ExecContext(ctx, "SELECT * FROM "+d.Name+".outbox_purge FOR UPDATE")
	must(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := d.Store.Step(ctx, p)
		ended <- err
	}()
	for d.Read(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND INFO LIKE 'INSERT INTO `{db}`.outbox_purge (%'") == "0" {
		select {
		case err := <-ended:
			t.Fatal("the step did not wait for the lock: ", err)
		default:
			must(t, ctx.Err())
		}
	}
	insert()
	_, err = dba.ExecContext(ctx, "ROLLBACK")
	must(t, err)
	must(t, <-ended)
	if inserted != 2 {
		t.Errorf("%d inserts", inserted)
	}
}

func TestTheDaemonsUserMayPurge(t *testing.T) {
	root := dbtest.New(t)
	grant(t, root, root.Name+"_daemon", db.Needs{Purges: true})
	d := as(t, root, root.Name+"_daemon")
	aged(t, root, 3, "sent", 500, 450)
	withChildren(t, root)
	root.Exec(t, `UPDATE {db}.outbox SET dedupe_key = 'x', updated_at = updated_at WHERE id = 2`)
	aged(t, root, 1, "queued", 500, 450)
	p := begin(t, d.Store, db.PassBodies, 90)
	p.Archive = &memory{}
	purge(t, d.Store, p)
	p = begin(t, d.Store, db.PassRows, 400)
	p.Archive = &memory{lines: make([]string, 3)}
	purge(t, d.Store, p)
	must(t, d.Store.LayDownRun(deadline(t), p.Run))
	last, err := d.Store.LastRun(deadline(t), "purge")
	must(t, err)
	taken, err := d.Store.TakeRun(deadline(t), *last, me)
	must(t, err)
	must(t, d.Store.EndRun(deadline(t), *taken, db.RunFailed, "why"))
	if got := root.Read(t, counts); got != "1 0 0 0 1" {
		t.Errorf("left are %s", got)
	}
}

// The trigger of the DBAs' page makes the INSERT itself fail, for an inserter who may read nothing.
func TestTheDocumentedTriggerRefusesAUsedKey(t *testing.T) {
	page, err := os.ReadFile("../docs/for-dbas.md")
	must(t, err)
	_, text, _ := strings.Cut(string(page), "CREATE TRIGGER outbox_used_keys ")
	text, _, found := strings.Cut(text, ";\n```")
	root := dbtest.New(t)
	grant(t, root, root.Name+"_daemon", db.Needs{})
	if !found {
		t.Fatal("the page has no such trigger")
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "ON outbox ", "ON {db}.outbox "), "FROM outbox_key", "FROM {db}.outbox_key")
	root.Exec(t, "CREATE TRIGGER {db}.outbox_used_keys "+text)
	root.Exec(t, `INSERT INTO {db}.outbox_key (kind, value, outbox_id, at) VALUES ('dedupe', 'invoice-1', 7, '2024-01-31 08:00:00')`)
	sender := as(t, root, db.SenderUser(root.Name))
	sender.Exec(t, `INSERT INTO {db}.outbox (recipients) VALUES ('a@b.example')`)
	sender.Exec(t, `INSERT INTO {db}.outbox (recipients, dedupe_key) VALUES ('a@b.example', 'invoice-2')`)
	for _, key := range []string{"invoice-1", "invoice-2"} {
		err := sender.Pool.Exec(deadline(t), "INSERT INTO "+root.Name+".outbox (recipients, dedupe_key) VALUES ('a@b.example', ?)", key)
		var my *mysql.MySQLError
		if !errors.As(err, &my) || my.Number != 1062 {
			t.Errorf("%s: %v", key, err)
		}
	}
}
