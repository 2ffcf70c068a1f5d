package compose

import (
	"strings"

	"outboxd/mail"
)

// pixel is a whole PNG of one pixel.
const pixel = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff" +
	"\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"

// goldenFiles are messages with attachments and images.
func goldenFiles(add func(name string, change func(m *Message))) {
	invoice := Attachment{Name: "invoice-4711.pdf", Content: []byte("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n%%EOF\n")}
	logo := Attachment{Name: "logo.png", Content: []byte(pixel), ContentID: "logo"}
	add("attachment", func(m *Message) { m.Attachments = []Attachment{invoice} })
	add("attachment-html", func(m *Message) {
		m.HTML = "<p>Dear Ann,</p>\n<p>thank <b>you</b>.</p>"
		m.Attachments = []Attachment{invoice, {Name: "terms.txt", Content: []byte("one\ntwo\r\n"), Type: "text/plain"}}
	})
	add("attachment-only", func(m *Message) {
		m.Subject, m.Text = "", ""
		m.Attachments = []Attachment{{Name: "empty.bin"}}
	})
	add("inline", func(m *Message) {
		m.HTML = `<p><img src="cid:logo" alt="Acme"> Dear Ann, <img src='cid:unknown'></p>`
		m.Inline = []Attachment{logo}
	})
	add("inline-and-attachments", func(m *Message) {
		m.HTML = `<style>p { background: url(cid:back) }</style><p><img src=CID:logo>cid:logo stays</p><!--[if mso]><v:fill src="cid:logo"/><![endif]-->`
		m.Inline = []Attachment{logo, {Name: "back.png", Type: "image/png", Content: []byte(pixel), ContentID: "back"},
			{Name: "unused.png", Content: []byte(pixel), ContentID: "unused"}}
		m.Attachments = []Attachment{invoice}
	})
	add("inline-without-html", func(m *Message) { m.Inline = []Attachment{logo} })
	add("names-of-files", func(m *Message) {
		m.Text = ""
		m.HTML = `<img src="cid:my logo (1) &amp; more.png">`
		m.Inline = []Attachment{{Name: "my logo (1) & more.png", Content: []byte(pixel), ContentID: "my logo (1) & more.png"}}
		for _, name := range []string{"Rechnung März 2026.pdf", "請求書.pdf", "a; b=\"c\" (d), 100%.pdf", "it's.pdf", "🎉 👩‍👩‍👧‍👦.pdf",
			strings.Repeat("long name ", 24) + "end.pdf", strings.Repeat("x", 251) + ".pdf", strings.Repeat("ü", 251) + ".pdf", strings.Repeat("🎈", 251) + ".pdf",
			"חשבונית\u200f 17.pdf"} {
			m.Attachments = append(m.Attachments, Attachment{Name: name, Type: "application/pdf", Content: []byte(name)})
		}
	})
	add("text-attachment", func(m *Message) {
		m.Attachments = []Attachment{
			{Name: "umsätze.csv", Content: []byte("\xef\xbb\xbfKunde;Umsatz\r\nMüller;1.234,50\n")},
			{Name: "old.csv", Type: "text/csv; charset=windows-1252", Content: []byte("M\xfcller;5\n")},
			{Name: "unknown.txt", Content: []byte("M\xfcller\r")},
			{Name: "date.ics", Type: "TEXT/calendar; method=REQUEST; charset=utf-8", Content: []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")},
			{Name: "forwarded.eml", Content: []byte("Subject: x\n\nHello\n.\n")},
		}
	})
	add("enclosed", func(m *Message) {
		sample := *m
		sample.MessageID, sample.Subject, sample.HTML, sample.Attachments = "<sample@acme.example>", "Rechnung März", "<p>Grüße</p>", []Attachment{invoice}
		inner, _ := Build(sample)
		m.Attachments = []Attachment{{Name: "sample-1.eml", Type: "message/rfc822", Content: inner}, invoice}
	})
	add("utf8-8bit", func(m *Message) {
		m.To = []mail.Address{{Local: "jürgen", Host: "example.org"}}
		m.Text = "Grüße,\n" + strings.Repeat("eine lange Zeile über Köln, ", 30) + "\n"
		m.HTML = "<p>Grüße</p>" + strings.Repeat("ü", 600)
		m.Attachments = []Attachment{invoice}
	})
}
