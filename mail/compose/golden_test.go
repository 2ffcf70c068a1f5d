package compose

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/mail"
)

var update = flag.Bool("update", false, "write the messages in testdata anew")

// goldenMessages are the messages whose octets stand in testdata.
func goldenMessages() map[string]Message {
	shop := mail.Address{Name: "Acme Shop", Local: "shop", Host: "acme.example"}
	ann := mail.Address{Local: "ann", Host: "example.org"}
	base := func(name string) Message {
		return Message{
			From: shop, To: []mail.Address{ann}, Subject: "Your invoice 4711", Text: "Dear Ann,\n\nthank you.\n",
			MessageID: "<" + name + "@acme.example>",
			Date:      time.Date(2026, 11, 5, 8, 30, 0, 0, time.FixedZone("", 3600)),
		}
	}
	all := map[string]Message{}
	add := func(name string, change func(m *Message)) {
		m := base(name)
		change(&m)
		all[name] = m
	}
	goldenBodies(add)
	goldenHeaders(add, ann)
	goldenFiles(add)
	return all
}

func goldenBodies(add func(name string, change func(m *Message))) {
	add("text", func(*Message) {})
	add("empty", func(m *Message) { m.Subject, m.Text = "", "" })
	add("text-long-lines", func(m *Message) {
		m.Text = strings.Repeat("A paragraph on one line, as people write it today. ", 8) + "\r\rend = 100% \r\n"
	})
	add("html", func(m *Message) {
		m.Text = ""
		m.HTML = "<html><head><title>T</title></head><body><h1>Invoice</h1><p>Dear Ann, <a href=\"https://acme.example/4711\">your invoice</a> " +
			"is here.</p><table><tr><th>Item</th><th>Price</th></tr><tr><td>Nails</td><td>&euro;&nbsp;5</td></tr></table></body></html>"
	})
	add("both", func(m *Message) { m.HTML = "<p>Dear Ann,</p>\n<p>thank <b>you</b>.</p>" })
	add("utf8", func(m *Message) {
		m.From.Name = "Jürgen Groß"
		m.To = []mail.Address{{Name: "Łukasz Żółć, Kraków", Local: "l", Host: "xn--krakw-3ta.example"}}
		m.Subject = "Ihre Rechnung über 20 €, fällig am 1. März"
		m.Text = "Sehr geehrte Frau Größe,\n\nanbei die Rechnung über 20 €.\n"
		m.HTML = "<p>Здравствуйте, Анна Петровна. Благодарим вас.</p>"
	})
	add("cyrillic-text", func(m *Message) {
		m.Subject = "Счёт"
		m.Text = strings.Repeat("Здравствуйте, Анна Петровна.\n", 6)
	})
	add("controls", func(m *Message) {
		m.Text = "a form feed:\f\na bell: \a, an escape: \x1b[1m\n.\nFrom here\ntrailing blank \n"
	})
}

func goldenHeaders(add func(name string, change func(m *Message)), ann mail.Address) {
	add("utf8-local-part", func(m *Message) {
		m.To = []mail.Address{{Name: "用户", Local: "用户", Host: "xn--fsqu00a.example"}, ann}
	})
	add("long-subject", func(m *Message) {
		m.Subject = strings.Repeat("Eine Mahnung mit sehr vielen Wörtern und noch mehr Grüßen, ", 5) + "Ende"
	})
	add("long-subject-ascii", func(m *Message) {
		m.Subject = strings.Repeat("word and other words ", 12) + "end"
	})
	add("subject-blanks", func(m *Message) { m.Subject = "  two  blanks\tand a tab " })
	add("subject-looks-encoded", func(m *Message) { m.Subject = "=?utf-8?q?not?= encoded" })
	add("many-recipients", func(m *Message) {
		m.To, m.Cc = nil, nil
		for i := range 40 {
			m.To = append(m.To, mail.Address{Name: fmt.Sprintf("Recipient Number %d", i), Local: fmt.Sprintf("r%d", i), Host: "list.example"})
			m.Cc = append(m.Cc, mail.Address{Local: fmt.Sprintf("copy.%d", i), Host: "list.example"})
		}
	})
	add("names", func(m *Message) {
		m.From.Name = "🎉 Party 👩‍👩‍👧‍👦 Family"
		m.ReplyTo = []mail.Address{{Name: `Quote "Q" Back\slash, Inc.`, Local: "reply", Host: "acme.example"}}
		m.To = []mail.Address{
			{Name: strings.Repeat("🎈", 40), Local: "b", Host: "example.org"},
			{Name: strings.Repeat("Very Long Company Name, ", 5) + "Ltd.", Local: "c", Host: "example.org"},
			{Name: "=?utf-8?q?x?=", Local: "d", Host: "example.org"},
			{Name: "O'Neil & Sons", Local: "o'neil+x", Host: "example.org"},
		}
	})
	add("no-visible-recipients", func(m *Message) { m.To = nil })
	add("cc-only", func(m *Message) { m.To, m.Cc = nil, m.To })
	add("headers", func(m *Message) {
		m.Headers = []Header{
			{"X-Invoice", "4711"}, {"X-Tag", "a"}, {"X-Tag", "b"}, {"X-Ort", "Köln am Rhein"}, {"X-Empty", ""},
			{"List-Unsubscribe", "<https://acme.example/unsubscribe?token=" + strings.Repeat("0123456789", 12) + ">, <mailto:leave@acme.example>"},
			{"References", "<1@acme.example> <2@acme.example> <3@acme.example> <4@acme.example> <5@acme.example>"},
			{"Auto-Submitted", "no"}, {"Organization", "=?looks?= encoded"}, {"X-Long", strings.Repeat("0123456789", 120)},
		}
	})
}

// golden compares a message with the one in testdata, and checks that it can travel.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".eml")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s; after a wanted change run the test with -update\n%s", file, got)
	}
	checkWire(t, got)
}

func TestGolden(t *testing.T) {
	for name, m := range goldenMessages() {
		t.Run(name, func(t *testing.T) {
			got, err := Build(m)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, got)
			checkReadBack(t, m, got)
			again, _ := Build(m)
			if !bytes.Equal(got, again) {
				t.Error("built twice, two results")
			}
		})
	}
}
