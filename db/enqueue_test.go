package db_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// running is a run of the job that is at work under a lease. A key is mailed once in its period, if it has one.
func running(t testing.TB, d *dbtest.Database, job string, period ...string) db.Run {
	t.Helper()
	d.Exec(t, `INSERT INTO {db}.outbox_run (job, period, scheduled_at, daemon, kind, lease_token, lease_until)
		SELECT ?, ?, TIMESTAMPADD(DAY, COUNT(*), '2026-11-01 08:00:00'), 'here', 'mailing', CONCAT('aaaaaaaa-', COUNT(*)), TIMESTAMPADD(HOUR, 1, UTC_TIMESTAMP(6)) FROM {db}.outbox_run`, job, strings.Join(period, ""))
	r := db.Run{Job: job, Period: strings.Join(period, "")}
	if _, err := fmt.Sscan(d.Read(t, `SELECT CONCAT_WS(' ', id, lease_token) FROM {db}.outbox_run ORDER BY id DESC LIMIT 1`), &r.ID, &r.Token); err != nil {
		t.Fatal(err)
	}
	return r
}

// mailsOf are n mails to addresses of their own, with keys of their own.
func mailsOf(n int) []db.NewMail {
	mails := make([]db.NewMail, n)
	for i := range mails {
		mails[i] = db.NewMail{Identity: identity(i), Key: fmt.Sprintf("%d / 1", 4000+i), Recipients: fmt.Sprintf("R %d <r%d@kunde.example>", i, i), Template: "statement",
			Params: fmt.Sprintf(`{"customer_id": %d, "total": 10.10}`, i), Language: "sk", Reference: fmt.Sprintf("invoice:%d", i), Account: "invoices", Priority: 4}
	}
	return mails
}

func identity(i int) (id [16]byte) {
	copy(id[:], fmt.Sprintf("%016d", i))
	return id
}

// enqueue enqueues and wants it to succeed.
func enqueue(t testing.TB, d *dbtest.Database, r db.Run, b db.Batch) db.Enqueued {
	t.Helper()
	done, err := d.Store.Enqueue(deadline(t), r, b)
	must(t, err)
	return done
}

// whole tells how many mails of runs there are, how many of them are what their identity says, and how many keys.
func whole(t testing.TB, d *dbtest.Database) string {
	t.Helper()
	return d.Read(t, `SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM {db}.outbox WHERE run_id IS NOT NULL), COUNT(*),
		CAST(SUM(o.run_id = m.run_id AND o.recipients = CONCAT('R ', m.identity + 0, ' <r', m.identity + 0, '@kunde.example>') AND o.reference = CONCAT('invoice:', m.identity + 0)) AS SIGNED),
		(SELECT COUNT(*) FROM {db}.outbox_key k JOIN {db}.outbox_run_mail n ON n.outbox_id = k.outbox_id AND n.business_key = k.value))
		FROM {db}.outbox_run_mail m JOIN {db}.outbox o ON o.id = m.outbox_id`)
}

func TestP7_MailsOfARunAreEnqueuedOnce(t *testing.T) {
	d := dbtest.New(t)
	r := running(t, d, "statements", "2026-11")
	b := db.Batch{Mails: mailsOf(1000)}
	if done := enqueue(t, d, r, b); done != (db.Enqueued{Inserted: 1000}) {
		t.Fatalf("%+v", done)
	}
	if got := whole(t, d); got != "1000 1000 1000 1000" {
		t.Fatal(got)
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', recipients, template, params, language, account, priority, state, held, body_text IS NULL, dedupe_key IS NULL) FROM {db}.outbox ORDER BY id LIMIT 1`); got !=
		`R 0 <r0@kunde.example> statement {"customer_id": 0, "total": 10.10} sk invoices 4 queued 2 1 1` {
		t.Error(got)
	}
	if rows := claimAll(t, d.Store, 10); len(rows) > 0 {
		t.Error("a mail of a run is taken that holds it")
	}
	for _, resumed := range []bool{true, false} {
		b.Mails = mailsOf(1200)
		b.Resumed = resumed
		want := db.Enqueued{Inserted: 200, Known: 1000}
		if !resumed {
			want = db.Enqueued{Known: 1200}
		}
		if done := enqueue(t, d, r, b); done != want {
			t.Errorf("again, resumed %v: %+v", resumed, done)
		}
	}
	if got := whole(t, d) + " " + d.Read(t, `SELECT enqueued FROM {db}.outbox_run`); got != "1200 1200 1200 1200 1200" {
		t.Error(got)
	}
}

func TestP7_KeyIsMailedOnceInItsPeriod(t *testing.T) {
	d := dbtest.New(t)
	enqueue(t, d, running(t, d, "old-statements", "2026-11"), db.Batch{Mails: mailsOf(3)})
	d.Exec(t, `DELETE FROM {db}.outbox WHERE id = 2`) // as a purge does
	renamed := func(period string) db.Run {
		r := running(t, d, "statements", period)
		r.Spec = `{"was": "old-statements"}`
		return r
	}
	second := renamed("2026-11")
	mails := mailsOf(6)
	mails[3].State, mails[3].LastError = db.Skipped, "no address"
	mails[5].Key = mails[4].Key + " " // the table takes them for equal
	b := db.Batch{Mails: mails}
	if done := enqueue(t, d, second, b); done != (db.Enqueued{Inserted: 6, Twice: 4}) {
		t.Errorf("%+v", done)
	}
	at := d.Read(t, `SELECT DATE_FORMAT(at, '%Y-%m-%d %T') FROM {db}.outbox_key WHERE value = '4000 / 1'`)
	want := []string{
		"skipped 0 4000 / 1 was mailed in 2026-11 before, by mail 1 of run 1, inserted at " + at + " UTC: nobody gets it twice in a period; if it has to go again, insert it by itself",
		"skipped 0 4001 / 1 was mailed in 2026-11 before, by mail 2, inserted at " + at + " UTC and gone by now: nobody gets it twice in a period; if it has to go again, insert it by itself",
		"skipped 0 4002 / 1 was mailed in 2026-11 before, by mail 3 of run 1, inserted at " + at + " UTC: nobody gets it twice in a period; if it has to go again, insert it by itself",
		"skipped 0 no address",
		"queued 2",
		"skipped 0 4004 / 1  was mailed in 2026-11 before, by another mail of this run: nobody gets it twice in a period; if it has to go again, insert it by itself",
	}
	for i, w := range want {
		if got := d.Read(t, `SELECT CONCAT_WS(' ', o.state, o.held, o.last_error) FROM {db}.outbox_run_mail m JOIN {db}.outbox o ON o.id = m.outbox_id WHERE m.run_id = ? AND m.identity = ?`,
			second.ID, fmt.Sprintf("%016d", i)); got != w {
			t.Errorf("mail %d: %q", i, got)
		}
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(CONCAT(kind, ':', value) ORDER BY kind, value) FROM {db}.outbox_key`); got !=
		"old-statements:4000 / 1,old-statements:4001 / 1,old-statements:4002 / 1,statements:4004 / 1" {
		t.Error(got)
	}
	if done := enqueue(t, d, renamed("2026-12"), b); done.Twice != 1 {
		t.Errorf("in the next period %+v", done)
	}
	if done := enqueue(t, d, renamed(""), b); done.Twice != 0 {
		t.Errorf("for this run alone %+v", done)
	}
}

func TestP7_LostRunEnqueuesNothing(t *testing.T) {
	d := dbtest.New(t)
	for name, lose := range map[string]string{"another daemon": `lease_token = 'bbbbbbbb-1'`, "ended": `state = 'cancelling'`} {
		r := running(t, d, "statements", "ever")
		d.Exec(t, `UPDATE {db}.outbox_run SET `+lose+` WHERE id = ?`, r.ID)
		var lost *db.RunLostError
		if _, err := d.Store.Enqueue(deadline(t), r, db.Batch{Mails: mailsOf(3)}); !errors.As(err, &lost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := d.Read(t, `SELECT (SELECT COUNT(*) FROM {db}.outbox) + (SELECT COUNT(*) FROM {db}.outbox_run_mail) + (SELECT COUNT(*) FROM {db}.outbox_key)`); got != "0" {
		t.Errorf("%s rows", got)
	}
}

func TestP7_EnqueueWithALostCommitEndsInTheTruth(t *testing.T) {
	d := dbtest.New(t)
	c, far := through(t, d)
	for _, lose := range losses {
		for range 5 {
			r := running(t, d, "statements", "once")
			r.Period = fmt.Sprint(r.ID)
			c.arm(commit, lose)
			done, err := far.Store.Enqueue(deadline(t), r, db.Batch{Mails: mailsOf(20)})
			if err != nil && !db.Waits(err) || !c.spent() {
				t.Fatalf("%s: %v", lose, err)
			}
			if err == nil && done != (db.Enqueued{Inserted: 20}) {
				t.Errorf("%s: %+v", lose, done)
			}
			enqueue(t, d, r, db.Batch{Mails: mailsOf(20), Resumed: true})
			if got := d.Read(t, `SELECT CONCAT_WS(' ', enqueued, (SELECT COUNT(*) FROM {db}.outbox WHERE run_id = r.id), (SELECT COUNT(*) FROM {db}.outbox_run_mail WHERE run_id = r.id)) FROM {db}.outbox_run r WHERE id = ?`, r.ID); got != "20 20 20" {
				t.Errorf("%s: %s", lose, got)
			}
		}
	}
	for _, says := range []answer{{1213, "40001", false}, {1047, "08S01", false}, {1047, "08S01", true}, {1205, "HY000", true}} {
		r := running(t, d, "statements")
		c.answer(says)
		if done, err := far.Store.Enqueue(deadline(t), r, db.Batch{Mails: mailsOf(20)}); err != nil || done != (db.Enqueued{Inserted: 20}) || !c.spent() {
			t.Errorf("%+v: %+v, %v", says, done, err)
		}
	}
}

// What the table does not take ends as failed, with the reason; its neighbours are enqueued as ever.
func TestP4_MailThatTheTableRefusesKeepsNobodyBack(t *testing.T) {
	d := dbtest.New(t)
	r := running(t, d, "statements", "ever")
	mails := mailsOf(40)
	year := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	mails[3].Reference = strings.Repeat("x", 300)
	mails[17].SendAfter = &year
	mails[18].Headers = "no JSON"
	mails[39].Key = strings.Repeat("k", 300)
	mails[20].Subject = "a \xff b"
	if done := enqueue(t, d, r, db.Batch{Mails: mails}); done != (db.Enqueued{Inserted: 40}) {
		t.Errorf("%+v", done)
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', SUM(state = 'queued' AND held = 2), SUM(state = 'failed' AND held = 0 AND last_error LIKE 'the table outbox does not take the mail: error %'), SUM(subject = 'a \uFFFD b')) FROM {db}.outbox`); !strings.HasPrefix(got, "36 4 ") {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT last_error FROM {db}.outbox WHERE recipients LIKE '%r3@%'`); !strings.Contains(got, "'reference'") || !strings.Contains(got, "mend what the audience returns") {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT COUNT(*) FROM {db}.outbox_key`); got != "36" {
		t.Errorf("%s keys: what is not mailed uses up none", got)
	}
}

func TestEnqueuedAttachmentsAreStoredOnce(t *testing.T) {
	d := dbtest.New(t)
	r := running(t, d, "statements")
	mails := mailsOf(30)
	terms := []byte("%PDF-1.7 our terms '\\\"\x00\n\x1a")
	for i := range mails {
		mails[i].Attachments = []db.NewAttachment{{Name: "terms.pdf", Type: "application/pdf", Content: terms}, {Name: "own.txt", ContentID: "own", Content: fmt.Appendf(nil, "own %d", i)}}
	}
	enqueue(t, d, r, db.Batch{Mails: mails})
	mails = mailsOf(31)[30:]
	mails[0].Attachments = []db.NewAttachment{{Name: "terms.pdf", Content: terms}}
	d.Exec(t, `UPDATE {db}.outbox_content SET created_at = '2020-01-01' WHERE content LIKE '\%PDF%'`)
	enqueue(t, d, r, db.Batch{Mails: mails})
	if got := d.Read(t, `SELECT CONCAT_WS(' ', COUNT(*), MIN(created_at) > '2026-01-01', (SELECT COUNT(*) FROM {db}.outbox_attachment a JOIN {db}.outbox_content c ON c.hash = a.hash)) FROM {db}.outbox_content`); got != "31 1 61" {
		t.Errorf("contents, young, attachments: %s", got)
	}
	row := db.Row{Lease: db.Lease{ID: 30}, Attached: true}
	c, err := d.Store.Content(deadline(t), row)
	must(t, err)
	if len(c.Attachments) != 2 || c.Attachments[0].Name != "terms.pdf" || c.Attachments[0].Type != "application/pdf" || c.Attachments[1].ContentID != "own" {
		t.Fatalf("%+v", c.Attachments)
	}
	for i, want := range []string{string(terms), "own 29"} {
		if got, err := d.Store.AttachmentContent(deadline(t), c.Attachments[i]); err != nil || string(got) != want {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// A server with a small max_allowed_packet, whose numbers are three apart as in a cluster.
func TestEnqueueOnASmallServerOfACluster(t *testing.T) {
	server := dbtest.Own(t, dbtest.Options{Flags: []string{"--max-allowed-packet=1M", "--auto-increment-increment=3", "--auto-increment-offset=2"}})
	d := dbtest.On(t, server.Server)
	r := running(t, d, "statements", "ever")
	mails := mailsOf(300)
	for i := range mails {
		mails[i].Text = strings.Repeat("'\\", 10<<10)
	}
	mails[7].HTML = strings.Repeat("\"", 900<<10) // fits only where nothing is escaped
	mails[8].HTML = strings.Repeat("x", 1<<20)
	mails[9].Attachments = []db.NewAttachment{{Name: "a", Content: make([]byte, 1000<<10)}}
	mails[10].Attachments = []db.NewAttachment{{Name: "b.pdf", Content: make([]byte, 1100<<10)}}
	if done := enqueue(t, d, r, db.Batch{Mails: mails}); done != (db.Enqueued{Inserted: 300}) {
		t.Errorf("%+v", done)
	}
	if got := whole(t, d); got != "300 300 300 298" {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT CONCAT_WS(' ', MIN(id), MAX(id) - MIN(id) >= 3 * 299, SUM(LENGTH(body_html) = 900 * 1024), SUM(state = 'failed')) FROM {db}.outbox`); got != "2 1 1 2" {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(last_error ORDER BY id SEPARATOR '|') FROM {db}.outbox WHERE state = 'failed'`); got !=
		"the mail has 1069148 octets, the server takes 1048576 octets in one statement: raise its max_allowed_packet, or send less|"+
			`the attachment "b.pdf" has 1126400 octets, the server takes 1048576 octets in one statement: raise its max_allowed_packet, or send less` {
		t.Error(got)
	}
	if _, err := d.Store.Pin(deadline(t), make([]byte, 1<<20)); err == nil || !strings.Contains(err.Error(), "max_allowed_packet") {
		t.Errorf("pinned: %v", err)
	}
}

// A server that numbers rows in a way of its own is noticed.
func TestNumbersOfRowsAreVerified(t *testing.T) {
	d := dbtest.New(t)
	if err := d.Store.InsertAsIf(deadline(t), 2, mailsOf(10)); err == nil || !strings.Contains(err.Error(), "numbers the rows") {
		t.Fatal(err)
	}
	r := running(t, d, "statements")
	enqueue(t, d, r, db.Batch{Mails: mailsOf(20)}) // one by one
	if got := whole(t, d); !strings.HasPrefix(got, "20 20 20 ") {
		t.Error(got)
	}
}

func TestP7_TwoWorkersOfARun(t *testing.T) {
	d := dbtest.New(t)
	r := running(t, d, "statements", "ever")
	mails := mailsOf(4000)
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			for from := 0; from < len(mails); from += 200 {
				b := db.Batch{Mails: append([]db.NewMail{}, mails[from:from+200]...), Resumed: worker > 1}
				if _, err := d.Store.Enqueue(deadline(t), r, b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if got := whole(t, d) + " " + d.Read(t, `SELECT enqueued FROM {db}.outbox_run`); got != "4000 4000 4000 4000 4000" {
		t.Error(got)
	}
}

// The server dies while mails are enqueued, again and again: each is there once in the end.
func TestP7_KilledServerEnqueuesNobodyTwice(t *testing.T) {
	server := dbtest.Own(t, dbtest.Options{Durable: true})
	d := dbtest.On(t, server.Server)
	r := running(t, d, "statements", "ever")
	mails := mailsOf(6000)
	failed := 0
	for kill := 1; kill <= 4; kill++ {
		var wait sync.WaitGroup
		var mu sync.Mutex
		half := make(chan struct{})
		enqueued := 0
		for worker := range 2 {
			wait.Go(func() {
				for from := worker * 100; from < kill*1500; from += 200 {
					_, err := d.Store.Enqueue(deadline(t), r, db.Batch{Mails: append([]db.NewMail{}, mails[from:from+100]...), Resumed: true})
					mu.Lock()
					if enqueued++; enqueued == kill*7 {
						close(half)
					}
					if err != nil {
						failed++
						if !db.Waits(err) {
							t.Error(err)
						}
					}
					mu.Unlock()
				}
			})
		}
		<-half
		must(t, server.Kill())
		wait.Wait()
		must(t, server.Restart())
	}
	for from := 0; from < len(mails); from += 1000 {
		enqueue(t, d, r, db.Batch{Mails: mails[from : from+1000], Resumed: true})
	}
	if got := whole(t, d) + " " + d.Read(t, `SELECT enqueued FROM {db}.outbox_run`); got != "6000 6000 6000 6000 6000" || failed == 0 {
		t.Errorf("%s, %d failed", got, failed)
	}
}

func TestPinnedContentComesBack(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	content := []byte(strings.Repeat("PK\x03\x04'\\\x00", 800_000)) // more than one piece
	hash, err := d.Store.Pin(ctx, content)
	must(t, err)
	d.Exec(t, `UPDATE {db}.outbox_pin SET created_at = '2020-01-01'`)
	again, err := d.Store.Pin(ctx, content)
	must(t, err)
	got, err := d.Store.Pinned(ctx, hash)
	must(t, err)
	if again != hash || string(got) != string(content) || d.Read(t, `SELECT CONCAT_WS(' ', COUNT(*), created_at > '2026-01-01') FROM {db}.outbox_pin`) != "1 1" {
		t.Errorf("%d octets", len(got))
	}
	var gone *db.ContentError
	if _, err := d.Store.Pinned(ctx, "none"); !errors.As(err, &gone) {
		t.Error(err)
	}
}
