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

const mailed = `UPDATE invoice SET mailed_at = :sent_at, times = times + 1 WHERE id = :invoice_id`

// ledger makes the company's own table, with n invoices, and as many mails of a run that are being sent.
func ledger(t testing.TB, d *dbtest.Database, n int) (db.Run, []db.Row) {
	t.Helper()
	d.Exec(t, `CREATE TABLE {db}.invoice (id INT PRIMARY KEY, mailed_at DATETIME(6), failed TEXT, times INT NOT NULL DEFAULT 0) ENGINE=InnoDB`)
	d.Exec(t, `INSERT INTO {db}.invoice (id) SELECT seq FROM `+dbtest.Numbers(n))
	r := running(t, d, "statements")
	enqueue(t, d, r, db.Batch{Mails: mailsOf(n)})
	d.Exec(t, `UPDATE {db}.outbox SET held = 0`)
	return r, claimAll(t, d.Store, n)
}

// told is the settlement of a mail that was sent, with a write-back of its invoice, which has the row's number.
func told(r db.Run, row db.Row, statement string) db.Settlement {
	s := accepted(row.Lease)
	s.WriteBack = &db.WriteBack{Run: r.ID, Event: db.WroteSent, Statement: statement, Args: map[string]any{
		"sent_at": time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC), "invoice_id": row.ID}}
	return s
}

// books tells of a row whether it is settled, how often its invoice was written, whether that is noted, and what is pending.
func books(t testing.TB, d *dbtest.Database, id uint64) string {
	t.Helper()
	return d.Read(t, `SELECT CONCAT_WS(' ', o.state, i.times, m.written, (SELECT COUNT(*) FROM {db}.outbox_writeback w WHERE w.outbox_id = o.id))
		FROM {db}.outbox o JOIN {db}.invoice i ON i.id = o.id JOIN {db}.outbox_run_mail m ON m.outbox_id = o.id WHERE o.id = ?`, id)
}

// holding has another session hold what a statement locks, until the returned function is called.
func holding(t testing.TB, d *dbtest.Database, statement string) (release func()) {
	t.Helper()
	conn := session(t, d)
	for _, s := range []string{"USE " + d.Name, "BEGIN", statement} {
		if _, err := conn.ExecContext(deadline(t), s); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if _, err := conn.ExecContext(deadline(t), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		if _, err := conn.ExecContext(deadline(t), "UNLOCK TABLES"); err != nil {
			t.Error(err)
		}
	}
}

// retryDue retries what is due, as often as anything is, with what the settlements had.
func retryDue(t testing.TB, d *dbtest.Database, statement string) (done int, failed []*db.WriteBackError) {
	t.Helper()
	for _, p := range dueNow(t, d) {
		w := *told(db.Run{ID: p.Run}, db.Row{Lease: db.Lease{ID: p.ID}}, statement).WriteBack
		var again *db.WriteBackError
		switch err := d.Store.RetryWriteBack(deadline(t), p, w); {
		case errors.As(err, &again):
			failed = append(failed, again)
		case err != nil:
			t.Error(err)
		default:
			done++
		}
	}
	return done, failed
}

func dueNow(t testing.TB, d *dbtest.Database) []db.PendingWriteBack {
	t.Helper()
	due, err := d.Store.DueWriteBacks(deadline(t), 1000)
	must(t, err)
	return due
}

// soon makes what is pending due.
func soon(t testing.TB, d *dbtest.Database) {
	t.Helper()
	d.Exec(t, `UPDATE {db}.outbox_writeback SET next_at = UTC_TIMESTAMP(6)`)
}

func TestWriteBackIsOneTransactionWithTheOutcome(t *testing.T) {
	d := dbtest.New(t)
	r, rows := ledger(t, d, 30)
	var wait sync.WaitGroup
	for _, row := range rows {
		wait.Go(func() {
			s := told(r, row, mailed)
			for range 2 { // a settlement may be repeated
				if err := d.Store.Settle(deadline(t), s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	for _, row := range rows {
		if got := books(t, d, row.ID); got != "sent 1 1 0" {
			t.Errorf("%d: %s", row.ID, got)
		}
	}
	if got := d.Read(t, `SELECT DISTINCT DATE_FORMAT(mailed_at, '%Y-%m-%d %T') FROM {db}.invoice`); got != "2026-11-01 08:00:00" {
		t.Error(got)
	}
	var lost *db.LeaseLostError
	foreign := told(r, rows[0], mailed)
	foreign.Token = "bbbbbbbb-0"
	if err := d.Store.Settle(deadline(t), foreign); !errors.As(err, &lost) {
		t.Errorf("a foreign lease settled: %v", err)
	}
	if got := books(t, d, rows[0].ID); got != "sent 1 1 0" {
		t.Error(got)
	}
}

// settling are settlements at the same time.
type settling struct {
	t     testing.TB
	d     *dbtest.Database
	begun time.Time
	wait  sync.WaitGroup
}

func settleAtOnce(t testing.TB, d *dbtest.Database) *settling { return &settling{t: t, d: d} }

func (s *settling) begin(one db.Settlement) {
	if s.begun.IsZero() {
		s.begun = time.Now()
	}
	s.wait.Go(func() {
		if err := s.d.Store.Settle(deadline(s.t), one); err != nil {
			s.t.Error(err)
		}
	})
}

// end waits for all, and wants them within a time: the lock is held for much longer.
func (s *settling) end(who string, most time.Duration) {
	s.wait.Wait()
	took := time.Since(s.begun)
	s.t.Logf("%s were settled after %s", who, took.Round(time.Millisecond))
	if took > most {
		s.t.Errorf("%s were settled after %s", who, took)
	}
}

// The ERP locks an invoice, or the whole table, for as long as it likes: outcomes come within little more than a second, those of
// others at once, and the first lock makes no other mail wait.
func TestLockOfTheCompanyHoldsUpNoMail(t *testing.T) {
	for name, lock := range map[string]string{"a row": `UPDATE invoice SET failed = 'open in the ERP'`, "a table": `LOCK TABLES invoice WRITE`} {
		t.Run(name, func(t *testing.T) {
			d := dbtest.New(t)
			r, rows := ledger(t, d, 40)
			clock := time.Now()
			var mu sync.Mutex
			d.Store.SetWriteBackClock(func() time.Time { mu.Lock(); defer mu.Unlock(); return clock })
			release := holding(t, d, lock)
			tried, others, untried := settleAtOnce(t, d), settleAtOnce(t, d), settleAtOnce(t, d)
			for _, row := range rows[:10] {
				tried.begin(told(r, row, mailed))
			}
			for _, row := range rows[10:20] {
				others.begin(accepted(row.Lease))
			}
			others.end("others", 800*time.Millisecond)
			tried.end("those that wait for the lock", 4*time.Second)
			for _, row := range rows[20:30] {
				untried.begin(told(r, row, mailed))
			}
			untried.end("those after them", 800*time.Millisecond)
			for _, row := range append(rows[:10:10], rows[20:30]...) {
				if got := d.Read(t, `SELECT CONCAT_WS(' ', o.state, m.written, w.event, w.tries, w.run_id) FROM {db}.outbox o JOIN {db}.outbox_run_mail m ON m.outbox_id = o.id JOIN {db}.outbox_writeback w ON w.outbox_id = o.id WHERE o.id = ?`, row.ID); got != fmt.Sprintf("sent 1 sent 0 %d", r.ID) {
					t.Errorf("%d: %s", row.ID, got)
				}
			}
			if got := d.Read(t, `SELECT last_error FROM {db}.outbox_writeback ORDER BY last_error LIMIT 1`); !strings.Contains(got, "another one waited for a lock") {
				t.Error(got)
			}
			if got := d.Read(t, `SELECT last_error FROM {db}.outbox_writeback ORDER BY last_error DESC LIMIT 1`); !strings.Contains(got, "INNODB_TRX") && !strings.Contains(got, "SHOW PROCESSLIST") {
				t.Error(got)
			}
			if done, _ := retryDue(t, d, mailed); done > 0 {
				t.Errorf("%d were due at once", done)
			}
			d.Exec(t, `UPDATE {db}.outbox_writeback SET next_at = UTC_TIMESTAMP(6) WHERE outbox_id = ?`, rows[0].ID)
			if done, failed := retryDue(t, d, mailed); done != 0 || len(failed) != 1 || !failed[0].HeldUp {
				t.Errorf("under the lock %d were done, %+v", done, failed)
			}
			release()
			soon(t, d)
			if done, failed := retryDue(t, d, mailed); done != 20 || len(failed) != 0 {
				t.Errorf("%d were done, %+v", done, failed)
			}
			mu.Lock()
			clock = clock.Add(31 * time.Second)
			mu.Unlock()
			must(t, d.Store.Settle(deadline(t), told(r, rows[30], mailed))) // tried again
			for _, row := range append(rows[:10:10], rows[20:31]...) {
				if got := books(t, d, row.ID); got != "sent 1 1 0" {
					t.Errorf("%d: %s", row.ID, got)
				}
			}
		})
	}
}

// A statement that runs for long is ended, and nothing of it stays locked.
func TestSlowWriteBackIsEnded(t *testing.T) {
	d := dbtest.New(t)
	r, rows := ledger(t, d, 2)
	slow := `UPDATE invoice SET times = times + 1 + SLEEP(60) WHERE id = :invoice_id`
	begun := time.Now()
	must(t, d.Store.Settle(deadline(t), told(r, rows[0], slow)))
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("settled after %s", took)
	}
	if got := books(t, d, rows[0].ID); got != "sent 0 1 1" {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%times + 1 + SLEEP%' AND INFO NOT LIKE '%PROCESSLIST%'`); got != "0" {
		t.Error("it still runs")
	}
	if got := d.Read(t, `SELECT last_error FROM {db}.outbox_writeback`); !strings.Contains(got, "has no index") {
		t.Error(got)
	}
}

func TestWriteBackIsOneStatementThatWrites(t *testing.T) {
	for statement, says := range map[string]string{
		mailed:                           "",
		"update t set a = ';' ;  -- end": "",
		"INSERT INTO log (id, at) VALUES (:id, :sent_at) ON DUPLICATE KEY UPDATE at = :sent_at": "",
		"/* why */ DELETE FROM t WHERE id = :id":                                                "",
		"REPLACE INTO t VALUES (:id)":                                                           "",
		"":                                                                                      "there is no statement",
		" -- nothing":                                                                           "there is no statement",
		";":                                                                                     "it begins with ;",
		"SELECT 1":                                                                              "it begins with SELECT: a write-back is one UPDATE, INSERT, DELETE or REPLACE",
		"CALL p()":                                                                              "it begins with CALL",
		"(UPDATE t SET a = 1)":                                                                  "it begins with (",
		"`UPDATE` t SET a = 1":                                                                  "it begins with `UPDATE`",
		"TRUNCATE t":                                                                            "it begins with TRUNCATE",
		"WITH a AS (SELECT 1) UPDATE t SET a = 1": "it begins with WITH",
		"UPDATE t SET a = 1; DELETE FROM t":       "a second statement",
		"UPDATE t SET a = 1;;":                    "a second statement",
		"UPDATE t /*! , b */ SET a = 1":           "a comment that is executed",
		"UPDATE t SET a = 'x":                     "has no end",
	} {
		err := db.CheckWriteBack(statement)
		var own *db.ReadError
		if (err == nil) != (says == "") || err != nil && (!errors.As(err, &own) || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// P6: a write-back stands in its own company, whatever stood there before on the same connections.
func TestP6_WriteBacksOfTwoCompaniesStayApart(t *testing.T) {
	a, b := dbtest.New(t), dbtest.New(t)
	ra, rowsA := ledger(t, a, 5)
	_, rowsB := ledger(t, b, 5)
	storeB, err := a.Pool.Store(b.Name)
	must(t, err)
	for i := range rowsA {
		must(t, a.Store.Settle(deadline(t), told(ra, rowsA[i], mailed)))
		must(t, storeB.Settle(deadline(t), told(ra, rowsB[i], mailed)))
	}
	for _, d := range []*dbtest.Database{a, b} {
		if got := d.Read(t, `SELECT SUM(times = 1) FROM {db}.invoice`); got != "5" {
			t.Errorf("%s written", got)
		}
	}
}

// In a cluster a write-back goes to the node that the pool uses, and is ended there.
func TestWriteBackInACluster(t *testing.T) {
	d := dbtest.New(t)
	r, rows := ledger(t, d, 2)
	c := byWay(t, d, func(s *db.Server) {
		s.Hosts = []db.Host{{Name: "127.0.0.1", Port: closedPort(t)}, {Name: s.Host, Port: s.Port}}
	})
	store, err := c.Pool.Store(d.Name)
	must(t, err)
	must(t, store.Settle(deadline(t), told(r, rows[0], mailed)))
	must(t, store.Settle(deadline(t), told(r, rows[1], `UPDATE invoice SET times = times + 1 + SLEEP(60) WHERE id = :invoice_id`)))
	if got := books(t, d, rows[0].ID) + "," + books(t, d, rows[1].ID); got != "sent 1 1 0,sent 0 1 1" {
		t.Error(got)
	}
}

// NOW() is what the company's clocks show, a TIMESTAMP gets the moment, and outboxd's own times stay what they are.
func TestWriteBackIsInTheCompanysZone(t *testing.T) {
	d := dbtest.New(t)
	r, rows := ledger(t, d, 3)
	d.Exec(t, `ALTER TABLE {db}.invoice ADD COLUMN at TIMESTAMP NULL, ADD COLUMN clock DATETIME NULL`)
	kathmandu, err := time.LoadLocation("Asia/Kathmandu")
	must(t, err)
	for i, row := range rows {
		s := told(r, row, `UPDATE invoice SET mailed_at = :sent_at, at = :sent_at, clock = NOW() WHERE id = :invoice_id`)
		s.WriteBack.Zone = kathmandu
		if i == 1 {
			s.WriteBack.Statement = `UPDATE missing SET a = 1` // the session is not used in that zone again
		}
		must(t, d.Store.Settle(deadline(t), s))
	}
	if got := d.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', DATE_FORMAT(mailed_at, '%T'), DATE_FORMAT(at, '%T'), TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), clock) BETWEEN 343 AND 345) ORDER BY id) FROM {db}.invoice`); got != "13:45:00 08:00:00 1,,13:45:00 08:00:00 1" {
		t.Error(got)
	}
	if got := d.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE ABS(TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), sent_at)) < 2`); got != "3" {
		t.Errorf("%s outcomes in UTC", got)
	}
}
