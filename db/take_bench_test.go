package db_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// BenchmarkTake times a mail's turn and its count on a limited account, on a server that writes every commit to disk.
func BenchmarkTake(b *testing.B) {
	server := dbtest.Own(b, dbtest.Options{Durable: true})
	d := dbtest.On(b, server.Server)
	buckets, err := d.Pool.Buckets(d.Name, nil)
	must(b, err)
	k := of(db.Window{N: 36_000_000, Per: time.Hour}, db.Window{N: 100_000_000, Per: day}) // it never has to wait
	const runs = 2000
	for b.Loop() {
		times := map[string][]time.Duration{}
		timed := func(name string, f func(context.Context) (db.Take, error)) {
			begun := time.Now()
			got, err := f(context.Background())
			times[name] = append(times[name], time.Since(begun))
			if err != nil || !got.OK {
				b.Fatalf("%s: %+v, %v", name, got, err)
			}
		}
		for range runs {
			timed("turn", func(ctx context.Context) (db.Take, error) { return buckets.Take(ctx, k, 1) })
			timed("count", func(ctx context.Context) (db.Take, error) { return buckets.Count(ctx, k, 1, 0) })
		}
		for _, name := range []string{"turn", "count"} {
			all := times[name][runs/10:] // warm
			slices.Sort(all)
			fmt.Printf("%-5s p50 %8s  p99 %8s\n", name, all[len(all)/2].Round(time.Microsecond), all[len(all)*99/100].Round(time.Microsecond))
		}
	}
}
