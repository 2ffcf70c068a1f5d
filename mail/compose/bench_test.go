package compose

import (
	"runtime"
	"strings"
	"testing"
)

// benchmarkBuild reports mails a second on one core, garbage collection included, beside the usual figures.
func benchmarkBuild(b *testing.B, m Message) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
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

func BenchmarkBuildInvoice(b *testing.B) { // both bodies, a logo and a PDF of 100 KB
	m := withBodies(asciiText, markup+"<img src='cid:logo'>")
	m.Inline = []Attachment{{Name: "logo.png", Content: []byte(pixel), ContentID: "logo"}}
	m.Attachments = []Attachment{{Name: "Rechnung März.pdf", Content: make([]byte, 100<<10)}}
	benchmarkBuild(b, m)
}

func BenchmarkBuild20MB(b *testing.B) {
	m := withBodies(asciiText, "")
	m.Attachments = []Attachment{{Name: "a.pdf", Content: make([]byte, 20<<20)}}
	benchmarkBuild(b, m)
}

func BenchmarkRaw(b *testing.B) { // read and built, 4 KB
	message, err := Build(withBodies(asciiText, ""))
	if err != nil {
		b.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b.ReportAllocs()
	for b.Loop() {
		r, err := ParseRaw(message)
		if err == nil {
			_, err = r.Build(rawID, rawDate)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
