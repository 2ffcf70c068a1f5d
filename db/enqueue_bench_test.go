package db_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// BenchmarkEnqueue enqueues a million recipients by two workers, as a run does, and prints rows a second and memory: where a key is
// mailed once a run, and once a month. OUTBOXD_BENCH_RECIPIENTS says how many.
func BenchmarkEnqueue(b *testing.B) {
	many := dbtest.BenchNumber(b, "OUTBOXD_BENCH_RECIPIENTS", 1_000_000)
	server := dbtest.Own(b, dbtest.Options{Durable: true, Flags: []string{"--innodb-buffer-pool-size=1G", "--innodb-log-file-size=1G"}})
	d := dbtest.On(b, server.Server)
	for b.Loop() {
		for _, period := range []string{"", "2026-11"} {
			once := "run"
			if period != "" {
				once = "month"
			}
			begun, own, its := time.Now(), dbtest.ReadProcess(b, os.Getpid()).CPU, dbtest.ReadProcess(b, server.PID()).CPU
			longest := enqueueMany(b, d, period, many)
			took, p := time.Since(begun), dbtest.ReadProcess(b, os.Getpid())
			rate, most := float64(many)/took.Seconds(), float64(p.Peak)/(1<<20)
			fmt.Printf("%d recipients, once_per: %-5s  %7.0f rows/s, %s; the longest batch of 1,000 took %s\n", many, once, rate, dbtest.AtLeast(rate, 20_000, " rows/s"), longest.Round(time.Millisecond))
			own, its = (p.CPU-own)/time.Duration(many), (dbtest.ReadProcess(b, server.PID()).CPU-its)/time.Duration(many)
			fmt.Printf("%40s %s of CPU a row, MariaDB %s; %.0f MB of memory at most, the test's own with it, %s\n", "", own, its, most, dbtest.AtMost(most, 128, " MB"))
		}
	}
}

// enqueueMany makes mails as they are asked for, and returns how long the slowest batch took.
func enqueueMany(b *testing.B, d *dbtest.Database, period string, many int) time.Duration {
	b.Helper()
	r := running(b, d, "statements", period)
	ctx := b.Context()
	batches := make(chan int)
	var wait sync.WaitGroup
	took := make([]time.Duration, 2)
	for w := range took {
		wait.Go(func() {
			for from := range batches {
				begun := time.Now()
				done, err := d.Store.Enqueue(ctx, r, db.Batch{Mails: statementsFrom(from, min(1000, many-from))})
				if err != nil || done.Twice+done.Known > 0 {
					b.Errorf("%+v, %v", done, err)
				}
				took[w] = max(took[w], time.Since(begun))
			}
		})
	}
	for from := 0; from < many; from += 1000 {
		batches <- from
	}
	close(batches)
	wait.Wait()
	if got := d.Read(b, `SELECT CONCAT_WS(' ', enqueued, (SELECT COUNT(*) FROM {db}.outbox_run_mail WHERE run_id = r.id)) FROM {db}.outbox_run r WHERE id = ?`, r.ID); got != fmt.Sprintf("%d %[1]d", many) {
		b.Errorf("enqueued and there: %s", got)
	}
	return slices.Max(took)
}

// statementsFrom are mails as an audience of customers makes them.
func statementsFrom(from, n int) []db.NewMail {
	mails := make([]db.NewMail, n)
	for i := range mails {
		k := from + i
		mails[i] = db.NewMail{Key: fmt.Sprintf("%d / 1", k), Recipients: fmt.Sprintf("Customer %d <customer%d@kunde%d.example>", k, k, k%1000), Template: "statement", Language: "sk",
			Params: fmt.Sprintf(`{"customer_id": %d, "name": "Customer %d", "total": %d.10, "pdf": "statements/2026-11/%d.pdf"}`, k, k, k%977, k), Account: "invoices", Priority: 4}
		binary.BigEndian.PutUint64(mails[i].Identity[:], uint64(k)*0x9E3779B97F4A7C15) // in no order, as a hash
		binary.BigEndian.PutUint64(mails[i].Identity[8:], uint64(k))
	}
	return mails
}
