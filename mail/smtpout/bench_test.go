package smtpout

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"outboxd/mail"
	"outboxd/mail/smtptest"
)

// BenchmarkTransactions sends 4 KB mails to the null sink over several sessions at once: what bare SMTP takes, with no
// database, but with a Mark that costs nothing.
func BenchmarkTransactions(b *testing.B) {
	for _, encryption := range []Encryption{None, StartTLS} {
		for _, sessions := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%s/sessions=%d", encryption, sessions), func(b *testing.B) {
				benchmarkTransactions(b, encryption, sessions)
			})
		}
	}
}

func benchmarkTransactions(b *testing.B, encryption Encryption, sessions int) {
	server := smtptest.New(b, smtptest.NullSink())
	c := Config{Host: server.Host(), Port: server.Port(), Encryption: encryption, RootCAs: server.CA(), Hello: "bench.example"}
	all := make([]*Session, sessions)
	for i := range all {
		all[i] = open(b, c)
	}
	d := Delivery{From: "a@example.org", To: []string{"b@example.net"}, Message: bigMessage(4 << 10)}
	d.Mark = func(context.Context, []bool) error { return nil }
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() {
			for range (b.N + sessions - 1 - i) / sessions {
				if r := s.Send(b.Context(), d); r.Message.Verdict != mail.Accepted {
					b.Errorf("%+v", r)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
