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

// inserter inserts one mail after the other, each a transaction of its own, at most one in two milliseconds, and notes how long each took.
func inserter(b *testing.B, d *dbtest.Database, stop context.Context) []time.Duration {
	var took []time.Duration
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for n := 0; stop.Err() == nil; n++ {
		begun := time.Now()
		d.Exec(b, `INSERT INTO {db}.outbox (recipients, subject, body_text, dedupe_key, reference) VALUES ('new@kunde.example', 'Invoice', 'Text', ?, 'invoice:1')`,
			fmt.Sprintf("new-%d-%d", begun.UnixNano(), n))
		took = append(took, time.Since(begun))
		<-tick.C
	}
	return took
}

// latency prints how long inserts took.
func latency(what string, took []time.Duration) {
	slices.Sort(took)
	at := func(part float64) time.Duration {
		return took[int(float64(len(took)-1)*part)].Round(10 * time.Microsecond)
	}
	fmt.Printf("%-40s %7d inserts  p50 %8s  p99 %8s  p99.9 %8s  max %8s\n", what, len(took), at(0.5), at(0.99), at(0.999), at(1))
}

// BenchmarkPurge removes rows while mails are inserted, and prints how long the inserts took beside those without a purge.
// OUTBOXD_BENCH_ROWS says how many rows; five million when unset, which takes the better part of an hour.
func BenchmarkPurge(b *testing.B) {
	many := dbtest.BenchNumber(b, claimBench, 5_000_000)
	d := dbtest.On(b, dbtest.Own(b, dbtest.Options{Durable: true}).Server)
	begun := time.Now()
	const part = 100_000 // a transaction
	for n := 0; n < many; n += part {
		size := min(part, many-n)
		d.Exec(b, fmt.Sprintf(`INSERT INTO {db}.outbox (id, recipients, subject, body_text, dedupe_key, state, sent_at, sent_via, message_id, lease_token, created_at, updated_at)
			SELECT seq + %d, CONCAT('r', seq, '@kunde.example'), 'Invoice', REPEAT('x', 200), IF(seq %% 10 = 0, CONCAT('k', seq + %[1]d), NULL), 'sent', NOW() - INTERVAL 500 DAY, 'main', CONCAT('<', seq, '@acme.example>'), 'token',
			NOW() - INTERVAL 500 DAY, NOW() - INTERVAL 500 DAY FROM {db}.seq_1_to_%d`, n, size))
		d.Exec(b, fmt.Sprintf(`INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, marked_at, finished_at, account, daemon, verdict, reply)
			SELECT seq + %d, 'token', NOW() - INTERVAL 500 DAY, NOW() - INTERVAL 500 DAY, 'main', 'here', 'accepted', '250 ok queued as 4711' FROM {db}.seq_1_to_%d`, n, size))
	}
	fmt.Printf("%d rows with their tries, filled in %s\n", many, time.Since(begun).Round(time.Second))
	for b.Loop() {
		quiet, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		latency("no purge", inserter(b, d, quiet))
		cancel()
		benchPass(b, d, db.PassBodies, 20*time.Second)
		benchPass(b, d, db.PassRows, 24*time.Hour)
	}
}

// benchPass purges for a time at most, with as long a pause after each step as it took, as the job does.
func benchPass(b *testing.B, d *dbtest.Database, pass db.Pass, most time.Duration) {
	b.Helper()
	p := begin(b, d.Store, pass, 400)
	stop, cancel := context.WithTimeout(context.Background(), most)
	inserted := make(chan []time.Duration)
	go func() { inserted <- inserter(b, d, stop) }()
	removed, longest, begun := 0, time.Duration(0), time.Now()
	for stop.Err() == nil {
		from := time.Now()
		step, err := d.Store.Step(context.Background(), p)
		must(b, err)
		if step.End {
			break
		}
		took := time.Since(from)
		removed, longest = removed+step.Removed+step.Contents, max(longest, took)
		select {
		case <-time.After(took):
		case <-stop.Done():
		}
	}
	took := time.Since(begun)
	cancel()
	latency(fmt.Sprintf("while %d %s are purged", removed, pass), <-inserted)
	fmt.Printf("%40s %.0f a second, the longest step %s\n", "", float64(removed)/took.Seconds(), longest.Round(time.Millisecond))
}
