package mailing_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
	"outboxd/jobs/mailing"
)

const (
	audienceRate  = 20_000 // rows a second of each step: the least that a mailing needs
	audienceRatio = 3.0    // memory at the most rows beside that at a thousand
)

// BenchmarkAudience prints how fast an audience is read from the database, counted and made into mails, and the most memory that it takes:
// for a thousand rows and for very many.
func BenchmarkAudience(b *testing.B) {
	rows := dbtest.BenchNumber(b, "OUTBOXD_BENCH_ROWS", 1_000_000)
	d := dbtest.New(b)
	for b.Loop() {
		few := int64(0)
		for _, n := range []int{1000, rows} {
			peak := benchAudience(b, d, n)
			if few == 0 {
				few = peak
			}
			fmt.Printf("%9d rows: %d MB at most, %.1f times that of 1000, %s\n", n, peak>>20, float64(peak)/float64(few), dbtest.AtMost(float64(peak)/float64(few), audienceRatio, " times"))
		}
	}
}

func benchAudience(b *testing.B, d *dbtest.Database, n int) (peak int64) {
	runtime.GC()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil { // the most memory is measured from here
		b.Fatal(err)
	}
	s := spec(fmt.Sprintf(`SELECT CONCAT('r', seq, '@kunde.example') AS recipients, 'sk' AS language, seq AS customer_id, CONCAT('Customer ', seq) AS name, seq / 100 AS total,
		CURDATE() AS due, REPEAT('Note. ', 20) AS note FROM seq_1_to_%d`, n), "customer_id")
	step := func(what string, f func() error) {
		begun := time.Now()
		must(b, f())
		if rate := float64(n) / time.Since(begun).Seconds(); n > 1000 {
			fmt.Printf("%9d rows: %-8s %8.0f rows/s, %s\n", n, what, rate, dbtest.AtLeast(rate, audienceRate, " rows/s"))
		}
	}
	var sp *mailing.Spool
	step("read", func() (err error) {
		sp, err = mailing.Read(deadline(b), d.Pool, d.Name, s, at, db.ReadLimits{Time: 5 * time.Minute})
		return err
	})
	step("repeats", func() error { _, err := sp.Duplicates(); return err })
	step("count", func() error {
		f, _, err := mailing.Count(deadline(b), sp, mailing.Counting{Samples: 3})
		if err == nil && f.Sendable != int64(n) {
			err = fmt.Errorf("%d can be mailed", f.Sendable)
		}
		return err
	})
	step("mails", func() error {
		octets := 0
		return sp.Each(deadline(b), 1, func(_ int64, m db.NewMail) error { octets += len(m.Params); return nil })
	})
	must(b, sp.Close())
	return dbtest.ReadProcess(b, os.Getpid()).Peak
}
