package db_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/db/dbtest"
)

// BenchmarkSuppressed asks the list about one address, about those of a claim and about those of a mailing's batch: with no entry, and with
// a million. OUTBOXD_BENCH_ROWS says how many.
func BenchmarkSuppressed(b *testing.B) {
	many := dbtest.BenchNumber(b, "OUTBOXD_BENCH_ROWS", 1_000_000)
	server := dbtest.Own(b, dbtest.Options{Flags: []string{"--innodb-buffer-pool-size=1G"}})
	d := dbtest.On(b, server.Server)
	for b.Loop() {
		for _, entries := range []int{0, many} {
			listed(b, d, entries)
			for _, asked := range []int{1, 64, 1000} {
				p50, p99, own, its := askList(b, d, server, entries, asked)
				fmt.Printf("%7d entries, %4d addresses asked about: p50 %8s  p99 %8s; %s of CPU, MariaDB %s\n", entries, asked, p50, p99, own, its)
			}
		}
	}
}

// listed fills the list with c0@kunde.example and so on.
func listed(b *testing.B, d *dbtest.Database, entries int) {
	b.Helper()
	d.Exec(b, `TRUNCATE TABLE {db}.outbox_suppression`)
	for from := 0; from < entries; from += 10_000 {
		var values []string
		for i := from; i < min(entries, from+10_000); i++ {
			values = append(values, fmt.Sprintf("('C%d@kunde.example', 'x')", i))
		}
		d.Exec(b, `INSERT INTO {db}.outbox_suppression (address, reason) VALUES `+strings.Join(values, ", "))
	}
}

func askList(b *testing.B, d *dbtest.Database, server *dbtest.Server, entries, asked int) (p50, p99, own, its time.Duration) {
	b.Helper()
	const times = 1000
	var took []time.Duration
	own, its = dbtest.ReadProcess(b, os.Getpid()).CPU, dbtest.ReadProcess(b, server.PID()).CPU
	for n := range times {
		addresses := make([]string, asked)
		for i := range addresses { // from all parts of the list; one of fifty is on it
			addresses[i] = fmt.Sprintf("c%d@kunde.example", (n*asked+i)*7919%max(1, entries)+min(1, i%50)*entries)
		}
		begun := time.Now()
		found, err := d.Store.Suppressed(b.Context(), addresses)
		took = append(took, time.Since(begun))
		if must(b, err); asked > 1 && (entries > 0) != (len(found) > 0) {
			b.Fatalf("%d of %d found", len(found), asked)
		}
	}
	own, its = (dbtest.ReadProcess(b, os.Getpid()).CPU-own)/times, (dbtest.ReadProcess(b, server.PID()).CPU-its)/times
	slices.Sort(took)
	return took[times/2].Round(time.Microsecond), took[times*99/100].Round(time.Microsecond), own, its
}
