//go:build unix

package jobs_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/mail/smtptest"
)

const (
	latencyCompanies = 20
	latencyTime      = time.Minute
	latencyAllowed   = 50 * time.Millisecond // beside the poll
)

// BenchmarkLatency prints how long after its INSERT a mail is accepted by the server, with mails that come one by one to
// companies that are idle otherwise.
func BenchmarkLatency(b *testing.B) {
	server := dbtest.Own(b, dbtest.Options{Durable: true})
	for b.Loop() {
		for _, poll := range []time.Duration{2 * time.Second, 100 * time.Millisecond} {
			times := latencies(b, server, poll)
			slices.Sort(times)
			p50, p99 := times[len(times)/2], times[len(times)*99/100]
			fmt.Printf("from INSERT to the server's acceptance, poll %s, %d mails: p50 %s, p99 %s, %s\n", poll, len(times), p50.Round(time.Millisecond),
				p99.Round(time.Millisecond), dbtest.AtMost(float64(p99.Milliseconds()), float64((poll+latencyAllowed).Milliseconds()), " ms"))
		}
	}
}

// latencies inserts mails at random moments for a while and returns how long each was on its way.
func latencies(b *testing.B, server *dbtest.Server, poll time.Duration) (times []time.Duration) {
	b.Helper()
	var mu sync.Mutex
	arrived := map[string]time.Time{}
	sink, err := smtptest.NewServer("127.0.0.1:0", smtptest.NullSink(), smtptest.OnMessage(func(m smtptest.Message) {
		mu.Lock()
		defer mu.Unlock()
		arrived[m.To[0]] = m.Time
	}))
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	var companies []*dbtest.Database
	for range latencyCompanies {
		companies = append(companies, dbtest.On(b, server.Server))
	}
	stop := runEngine(b, benchFile(b, companies, 1, sink, "poll: "+poll.String()))
	inserted := map[string]time.Time{}
	for start := time.Now(); time.Since(start) < latencyTime; {
		<-time.After(rand.N(100 * time.Millisecond))
		n := len(inserted)
		to := fmt.Sprintf("r%d@kunde.example", n)
		companies[rand.IntN(len(companies))].Exec(b, `INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES (?, 'Invoice', ?)`, to, benchBody)
		inserted[to] = time.Now()
	}
	for _, d := range companies {
		awaitEmpty(b, d)
	}
	stop()
	for to, at := range inserted {
		times = append(times, arrived[to].Sub(at))
	}
	return times
}
