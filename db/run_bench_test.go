package db_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// BenchmarkRun lets go, holds, counts and cancels the mails of a run of a million in steps of a thousand, and prints how long the
// steps took at the beginning and at the end: their cost does not grow. OUTBOXD_BENCH_RECIPIENTS says how many.
func BenchmarkRun(b *testing.B) {
	many := dbtest.BenchNumber(b, "OUTBOXD_BENCH_RECIPIENTS", 1_000_000)
	d := dbtest.On(b, dbtest.Own(b, dbtest.Options{Durable: true, Flags: []string{"--innodb-buffer-pool-size=1G", "--innodb-log-file-size=1G"}}).Server)
	ctx := b.Context()
	for b.Loop() {
		d.Exec(b, `DELETE FROM {db}.outbox_run`)
		r := mailing(b, d, 0, db.RunHeld)
		for from := 0; from < many; from += 50_000 {
			fillRun(b, d, r.ID, from, min(50_000, many-from))
		}
		d.Exec(b, `UPDATE {db}.outbox_run SET enqueued = ?, audience = ? WHERE id = ?`, many, many, r.ID)
		d.Exec(b, `ANALYZE TABLE {db}.outbox, {db}.outbox_run_mail`)
		half := int64(many / 2)
		change(b, d.Store, r.ID, db.RunChange{State: db.RunSending, Allowed: &half})
		timed(b, "let go", func() (bool, error) { _, end, err := d.Store.ReleaseRun(ctx, r.ID, 1000); return end, err })
		var after uint64
		look := func() (end bool, err error) {
			after, _, err = d.Store.ReconcileRun(ctx, r.ID, after, 1000)
			return after == 0, err
		}
		timed(b, "look through, none has ended", look)
		d.Exec(b, `UPDATE {db}.outbox SET state = 'sent' WHERE run_id = ? AND held = 0`, r.ID)
		timed(b, "count half of them", look)
		timed(b, "look through the other half", look)
		change(b, d.Store, r.ID, db.RunChange{State: db.RunStopped})
		timed(b, "hold, those are held", func() (bool, error) { _, end, err := d.Store.HoldRun(ctx, r.ID, 1000); return end, err })
		change(b, d.Store, r.ID, db.RunChange{State: db.RunCancelling, EndsAs: db.RunCancelled})
		timed(b, "cancel and count", func() (bool, error) { _, end, err := d.Store.CancelRun(ctx, r.ID, "no", 1000); return end, err })
		change(b, d.Store, r.ID, db.RunChange{State: db.RunCancelled})
		if got := run(b, d.Store, r.ID); got.Sum() != int64(many) {
			b.Errorf("%+v", got.RunCounts)
		}
		timed(b, "open runs, none", func() (bool, error) { _, err := d.Store.OpenRuns(ctx); return true, err })
	}
}

// fillRun inserts mails of a run, with keys.
func fillRun(b *testing.B, d *dbtest.Database, id uint64, from, n int) {
	b.Helper()
	d.Exec(b, fmt.Sprintf(`INSERT INTO {db}.outbox (id, recipients, template, params, account, reference, run_id, held) SELECT seq + %d, CONCAT('r', seq + %[1]d, '@kunde.example'), 'statement', REPEAT('x', 150), 'main',
		CONCAT('customer:', seq + %[1]d), ?, 2 FROM {db}.seq_1_to_%[2]d`, from, n), id)
	d.Exec(b, fmt.Sprintf(`INSERT INTO {db}.outbox_run_mail (run_id, outbox_id, identity, business_key) SELECT ?, seq + %d, UNHEX(MD5(seq + %[1]d)), seq + %[1]d FROM {db}.seq_1_to_%[2]d`, from, n), id)
	d.Exec(b, fmt.Sprintf(`INSERT INTO {db}.outbox_key (kind, value, period, outbox_id, at) SELECT 'statements', seq + %d, '2026-03', seq + %[1]d, NOW() FROM {db}.seq_1_to_%[2]d`, from, n))
}

// timed makes steps until the end and prints how long they took.
func timed(b *testing.B, what string, step func() (end bool, err error)) {
	b.Helper()
	var took []time.Duration
	for end := false; !end; {
		begun := time.Now()
		var err error
		end, err = step()
		must(b, err)
		took = append(took, time.Since(begun))
	}
	p50 := func(some []time.Duration) time.Duration {
		some = slices.Clone(some)
		slices.Sort(some)
		return some[len(some)/2].Round(10 * time.Microsecond)
	}
	tenth := max(1, len(took)/10)
	fmt.Printf("%-32s %5d steps  p50 %8s, of the first tenth %8s, of the last %8s, longest %8s\n", what, len(took), p50(took), p50(took[:tenth]), p50(took[len(took)-tenth:]),
		slices.Max(took).Round(10*time.Microsecond))
}
