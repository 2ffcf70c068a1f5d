package dkim

import (
	"fmt"
	"testing"
)

// BenchmarkSign signs mails of 4 KB, and one of 27 MB, on one core.
func BenchmarkSign(b *testing.B) {
	for _, kind := range []string{RSA, Ed25519} {
		for _, octets := range []int{4 << 10, 27 << 20} {
			b.Run(fmt.Sprintf("%s/octets=%d", kind, octets), func(b *testing.B) {
				s, message := newSigner(b, kind), largeMessage(octets)
				b.ReportAllocs()
				for b.Loop() {
					sign(b, s, message)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
			})
		}
	}
}
