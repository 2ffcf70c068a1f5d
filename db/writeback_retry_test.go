package db_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

func TestFailedWriteBackIsRetriedForEver(t *testing.T) {
	d := dbtest.New(t)
	r, rows := ledger(t, d, 6)
	for i, c := range []struct{ statement, says string }{
		{`UPDATE invoice SET mailed = 1 WHERE id = :invoice_id`, "SHOW COLUMNS"},
		{`UPDATE invoices SET times = 1`, "SHOW TABLES"},
		{`UPDATE invoice SET times = :total`, "there is no parameter total: known are invoice_id, sent_at; mend the statement"},
		{`COMMIT`, "it begins with COMMIT"},
		{`UPDATE invoice SET times = 1 WHERE`, "deleting its row of outbox_writeback"},
	} {
		must(t, d.Store.Settle(deadline(t), told(r, rows[i], c.statement)))
		if got := books(t, d, rows[i].ID); got != "sent 0 1 1" {
			t.Errorf("%s: %s", c.statement, got)
		}
		if got := d.Read(t, `SELECT last_error FROM {db}.outbox_writeback WHERE outbox_id = ?`, rows[i].ID); !strings.Contains(got, c.says) {
			t.Errorf("%s: %s", c.statement, got)
		}
	}
	d.Exec(t, `DELETE FROM {db}.outbox_writeback WHERE outbox_id <> ?`, rows[0].ID)
	for _, seconds := range []int{10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600} {
		soon(t, d)
		if done, failed := retryDue(t, d, `UPDATE invoice SET mailed = 1 WHERE id = :invoice_id`); done != 0 || len(failed) != 1 || failed[0].HeldUp || !strings.Contains(failed[0].Error(), "SHOW COLUMNS") {
			t.Fatalf("%d done, %v", done, failed)
		}
		if got := d.Read(t, `SELECT ABS(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(6), next_at) - ?) <= 5 FROM {db}.outbox_writeback`, seconds); got != "1" {
			t.Errorf("the next try is not in %d s, but at %s", seconds, d.Read(t, `SELECT next_at FROM {db}.outbox_writeback`))
		}
	}
	counts, err := d.Store.WriteBackCounts(deadline(t))
	must(t, err)
	if c := counts[r.ID]; len(counts) != 1 || c.Waiting != 1 || c.Failing != 1 || c.Since.IsZero() || !strings.Contains(c.LastError, "SHOW COLUMNS") {
		t.Errorf("%+v", counts)
	}
	d.Exec(t, `UPDATE {db}.outbox_writeback SET tries = 100000`)
	soon(t, d)
	retryDue(t, d, mailed+" AND nothing = 1")
	if got := d.Read(t, `SELECT CONCAT_WS(' ', tries, TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(6), next_at)) FROM {db}.outbox_writeback`); got != "100001 59" {
		t.Error(got)
	}
	soon(t, d)
	if done, _ := retryDue(t, d, mailed); done != 1 {
		t.Errorf("%d done", done)
	}
	if got := books(t, d, rows[0].ID); got != "sent 1 1 0" {
		t.Error(got)
	}
}

// A write-back that is left for later belongs to its outcome: both are committed, or none. A person's retry may end otherwise.
func TestLaterOutcomeTakesThePlaceOfAPendingWriteBack(t *testing.T) {
	d := dbtest.New(t)
	r, rows := ledger(t, d, 1)
	s := told(r, rows[0], `UPDATE missing SET x = 1`)
	s.Change, s.WriteBack.Event = db.Change{State: db.Failed, Verdict: true, Account: "main", Code: 550}, db.WroteFailed
	must(t, d.Store.Settle(deadline(t), s))
	d.Exec(t, `UPDATE {db}.outbox_writeback SET tries = 7, next_at = UTC_TIMESTAMP(6)`)
	before := dueNow(t, d)[0]
	must(t, d.Store.Retry(deadline(t), rows[0].ID))
	d.Exec(t, `UPDATE {db}.outbox SET held = 0`)
	must(t, d.Store.Settle(deadline(t), told(r, one(t, d.Store), `UPDATE missing SET x = 1`)))
	must(t, d.Store.DropWriteBack(deadline(t), before)) // by whoever has looked at the mail while it waited again
	if got := d.Read(t, `SELECT CONCAT_WS(' ', event, tries) FROM {db}.outbox_writeback`); got != "sent 0" {
		t.Error(got)
	}
	soon(t, d)
	must(t, d.Store.DropWriteBack(deadline(t), dueNow(t, d)[0]))
	if got := d.Read(t, `SELECT COUNT(*) FROM {db}.outbox_writeback`); got != "0" {
		t.Errorf("%s left", got)
	}
}

func TestP1_WriteBackWithALostCommitIsDoneOnce(t *testing.T) {
	d := dbtest.New(t)
	r, rows := ledger(t, d, 60)
	c, far := through(t, d)
	next := func() db.Row {
		row := rows[0]
		rows = rows[1:]
		return row
	}
	for _, lose := range losses {
		for range 6 {
			row := next()
			c.arm(commit, lose)
			must(t, far.Store.Settle(deadline(t), told(r, row, mailed)))
			soon(t, d)
			if !c.spent() {
				t.Fatal("the connection was not cut")
			}
			if got := books(t, d, row.ID); got != "sent 1 1 0" && got != "sent 0 1 1" || lose == replyLost && got != "sent 1 1 0" {
				t.Errorf("%s: %s", lose, got)
			}
			retryDue(t, d, mailed)
			if got := books(t, d, row.ID); got != "sent 1 1 0" {
				t.Errorf("%s: %s", lose, got)
			}
			// And a retry.
			row = next()
			must(t, d.Store.Settle(deadline(t), told(r, row, `UPDATE missing SET x = 1`)))
			soon(t, d)
			due, err := d.Store.DueWriteBacks(deadline(t), 2)
			must(t, err)
			c.arm(commit, lose)
			if err := far.Store.RetryWriteBack(deadline(t), due[0], *told(r, row, mailed).WriteBack); err != nil && !db.Waits(err) || !c.spent() {
				t.Errorf("%s: %v", lose, err)
			}
			for len(dueNow(t, d)) > 0 { // the server may still hold the one that was cut off
				retryDue(t, d, mailed)
			}
			if got := books(t, d, row.ID); got != "sent 1 1 0" {
				t.Errorf("retry, %s: %s", lose, got)
			}
		}
	}
	for _, says := range []answer{{1213, "40001", false}, {1047, "08S01", false}, {1047, "08S01", true}} {
		row := next()
		c.answer(says)
		must(t, far.Store.Settle(deadline(t), told(r, row, mailed)))
		soon(t, d)
		retryDue(t, d, mailed)
		if got := books(t, d, row.ID); got != "sent 1 1 0" || !c.spent() {
			t.Errorf("%+v: %s", says, got)
		}
	}
}

func TestPendingWriteBackIsDoneOnceByMany(t *testing.T) {
	d := dbtest.New(t)
	r, rows := ledger(t, d, 25)
	release := holding(t, d, `UPDATE invoice SET failed = 'open in the ERP'`)
	var wait sync.WaitGroup
	for _, row := range rows {
		wait.Go(func() {
			if err := d.Store.Settle(deadline(t), told(r, row, mailed)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	release()
	soon(t, d)
	for range 8 {
		pool, err := db.Open(d.Server)
		must(t, err)
		store, err := pool.Store(d.Name)
		must(t, err)
		wait.Go(func() {
			retryDue(t, &dbtest.Database{Server: d.Server, Name: d.Name, Pool: pool, Store: store}, mailed)
			if err := pool.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, row := range rows {
		if got := books(t, d, row.ID); got != "sent 1 1 0" {
			t.Errorf("%d: %s", row.ID, got)
		}
	}
}

// The server dies while mails with write-backs are settled, again and again: each invoice is written once.
func TestP1_KilledServerWritesBackOnce(t *testing.T) {
	server := dbtest.Own(t, dbtest.Options{Durable: true})
	d := dbtest.On(t, server.Server)
	const many = 600
	r, rows := ledger(t, d, many)
	d.Store.SetWriteBackClock(func() time.Time { return time.Unix(0, 0).Add(time.Duration(time.Now().UnixNano()) * 1000) }) // pauses are short
	failed := 0
	for part := 1; part <= 3; part++ {
		var wait sync.WaitGroup
		var mu sync.Mutex
		settled, half := 0, make(chan struct{})
		work := make(chan db.Row, many)
		for _, row := range rows[:part*many/3] {
			work <- row
		}
		close(work)
		for range 8 {
			wait.Go(func() {
				for row := range work {
					err := d.Store.Settle(deadline(t), told(r, row, mailed))
					mu.Lock()
					if settled++; settled == (2*part-1)*many/6 {
						close(half)
					}
					if err != nil {
						failed++
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
	for _, row := range rows {
		must(t, d.Store.Settle(deadline(t), told(r, row, mailed)))
	}
	soon(t, d)
	later, again := retryDue(t, d, mailed)
	if got := d.Read(t, `SELECT CONCAT_WS(' ', SUM(o.state = 'sent'), SUM(i.times = 1), SUM(m.written), (SELECT COUNT(*) FROM {db}.outbox_writeback))
		FROM {db}.outbox o JOIN {db}.invoice i ON i.id = o.id JOIN {db}.outbox_run_mail m ON m.outbox_id = o.id`); got != "600 600 600 0" || failed == 0 || len(again) > 0 {
		t.Errorf("%s, %d failed, %d later, %d again", got, failed, later, len(again))
	}
}
