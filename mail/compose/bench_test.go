package compose

import (
	"strings"
	"testing"
)

// benchmarkBuild reports mails a second beside the usual figures.
func benchmarkBuild(b *testing.B, m Message) {
	raw, err := Build(m)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Build(m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}

func withBodies(text, html string) Message {
	m := plainMessage()
	m.Text, m.HTML = text, html
	return m
}

var (
	asciiText  = strings.Repeat("This is one line of a mail that has four kilobytes.\n", 80)[:4096]
	germanText = strings.Repeat("Dies ist eine längere Zeile einer Mail über vier Kilobyte, für die es Umlaute braucht. ", 50)[:4096]
	markup     = strings.Repeat("<p>Dear <b>Ann</b>, see <a href=\"https://a.example/x\">our page</a>.</p>\n", 60)[:4096]
)

func BenchmarkBuildText(b *testing.B)     { benchmarkBuild(b, withBodies(asciiText, "")) }
func BenchmarkBuildUTF8(b *testing.B)     { benchmarkBuild(b, withBodies(germanText, "")) }
func BenchmarkBuildBoth(b *testing.B)     { benchmarkBuild(b, withBodies(asciiText, markup)) }
func BenchmarkBuildHTMLOnly(b *testing.B) { benchmarkBuild(b, withBodies("", markup)) }
