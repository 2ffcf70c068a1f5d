package compose

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"outboxd/mail"
)

func plainMessage() Message { return goldenMessages()["text"] }

var fieldErrorCases = []struct {
	name   string
	change func(m *Message)
	field  string
	reason string // part of it
}{
	{"no sender", func(m *Message) { m.From = mail.Address{} }, "from_address", "no address"},
	{"sender name", func(m *Message) { m.From.Name = "a\r\nBcc: x@y" }, "from_address", "control character"},
	{"sender name with NUL", func(m *Message) { m.From.Name = "a\x00" }, "from_address", "control character"},
	{"sender UTF-8", func(m *Message) { m.From.Name = "a\xff" }, "from_address", "not valid UTF-8"},
	{"blank in local part", func(m *Message) { m.From.Local = "a b" }, "from_address", "before the @"},
	{"quote in local part", func(m *Message) { m.From.Local = `a"b` }, "from_address", "before the @"},
	{"bracket in local part", func(m *Message) { m.From.Local = "a>b" }, "from_address", "before the @"},
	{"line feed in local part", func(m *Message) { m.From.Local = "a\nb" }, "from_address", "before the @"},
	{"line separator in local part", func(m *Message) { m.From.Local = "a\u2028b" }, "from_address", "before the @"},
	{"dot first", func(m *Message) { m.From.Local = ".a" }, "from_address", "dot"},
	{"dot last", func(m *Message) { m.From.Local = "a." }, "from_address", "dot"},
	{"two dots", func(m *Message) { m.From.Local = "a..b" }, "from_address", "dot"},
	{"local part UTF-8", func(m *Message) { m.From.Local = "a\xff" }, "from_address", "not valid UTF-8"},
	{"long local part", func(m *Message) { m.From.Local = strings.Repeat("a", 65) }, "from_address", "1 to 64"},
	{"no host", func(m *Message) { m.From.Host = "" }, "from_address", "1 to 253"},
	{"long host", func(m *Message) { m.From.Host = strings.Repeat("a", 254) }, "from_address", "1 to 253"},
	{"host not ASCII", func(m *Message) { m.From.Host = "müller.example" }, "from_address", "ASCII form"},
	{"host with line feed", func(m *Message) { m.From.Host = "a\nb" }, "from_address", "ASCII form"},
	{"host with empty label", func(m *Message) { m.From.Host = "a..b" }, "from_address", "ASCII form"},
	{"reply to", func(m *Message) {
		m.ReplyTo = []mail.Address{{Name: "", Local: "a", Host: "b"}, {Name: "", Local: "", Host: "b"}}
	}, "reply_to", "address 2"},
	{"recipient", func(m *Message) { m.To = []mail.Address{{Name: "\n", Local: "a", Host: "b"}} }, "recipients", "address 1"},
	{"cc", func(m *Message) { m.Cc = []mail.Address{{Name: "", Local: "a,b", Host: "c"}} }, "cc", `"a,b@c"`},
	{"subject with CR", func(m *Message) { m.Subject = "a\rb" }, "subject", "line break at byte 2"},
	{"subject with LF", func(m *Message) { m.Subject = "ab\nBcc: x@y" }, "subject", "line break at byte 3"},
	{"subject with NUL", func(m *Message) { m.Subject = "\x00" }, "subject", "U+0000 at byte 1"},
	{"subject with escape", func(m *Message) { m.Subject = "é\x1b" }, "subject", "U+001B at byte 3"},
	{"subject UTF-8", func(m *Message) { m.Subject = "é\xc3" }, "subject", "not valid UTF-8 at byte 3"},
	{"huge subject", func(m *Message) { m.Subject = strings.Repeat("é", 999) }, "subject", "has 999 characters; at most 998"},
	{"text with NUL", func(m *Message) { m.Text = "a\x00" }, "body_text", "NUL character at byte 2"},
	{"text UTF-8", func(m *Message) { m.Text = "a\xff" }, "body_text", "not valid UTF-8 at byte 2"},
	{"HTML with NUL", func(m *Message) { m.HTML = "\x00" }, "body_html", "NUL character at byte 1"},
	{"HTML UTF-8", func(m *Message) { m.HTML = "\xff" }, "body_html", "not valid UTF-8 at byte 1"},
	{"header", func(m *Message) { m.Headers = []Header{{"Bcc", "x@y"}} }, "headers", `"Bcc": outboxd writes`},
	{"no message id", func(m *Message) { m.MessageID = "" }, "message_id", "<unique@domain>"},
	{"message id without brackets", func(m *Message) { m.MessageID = "a@b" }, "message_id", "<unique@domain>"},
	{"message id with line feed", func(m *Message) { m.MessageID = "<a\r\nBcc: x@b>" }, "message_id", "<unique@domain>"},
	{"message id without domain", func(m *Message) { m.MessageID = "<a>" }, "message_id", "<unique@domain>"},
	{"message id of two", func(m *Message) { m.MessageID = "<a@b> <c@d>" }, "message_id", "<unique@domain>"},
	{"message id not ASCII", func(m *Message) { m.MessageID = "<é@b>" }, "message_id", "<unique@domain>"},
	{"long message id", func(m *Message) { m.MessageID = "<" + strings.Repeat("a", 1000) + "@b>" }, "message_id", "<unique@domain>"},
	{"no date", func(m *Message) { m.Date = time.Time{} }, "created_at", "the year 1 "},
	{"late date", func(m *Message) { m.Date = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC) }, "created_at", "12000"},
}

func TestBuildFieldErrors(t *testing.T) {
	for _, c := range fieldErrorCases {
		t.Run(c.name, func(t *testing.T) {
			m := plainMessage()
			c.change(&m)
			raw, err := Build(m)
			if raw != nil {
				t.Error("a refused row gave a message")
			}
			checkFieldError(t, err, c.field, c.reason)
		})
	}
}

func checkFieldError(t *testing.T, err error, field, reason string) {
	t.Helper()
	var fe *FieldError
	switch {
	case !errors.As(err, &fe):
		t.Fatalf("error %v, want a *FieldError", err)
	case fe.Field != field || !strings.Contains(fe.Reason, reason):
		t.Errorf("error %q, want %s: ...%s...", err, field, reason)
	case strings.ContainsAny(fe.Reason, "\r\n\x00\x1b"):
		t.Errorf("unprintable reason %q", fe.Reason)
	}
}

func TestBuildLimitsThatHold(t *testing.T) {
	m := plainMessage()
	m.Subject = strings.Repeat("€", maxSubject)
	m.From = mail.Address{Local: strings.Repeat("a", maxLocal), Host: strings.Repeat("h", maxHost)}
	for i := range maxHeaders {
		m.Headers = append(m.Headers, Header{fmt.Sprintf("X-%d", i), strings.Repeat("x", maxHeaderValue)})
	}
	raw, err := Build(m)
	if err != nil {
		t.Fatal(err)
	}
	checkWire(t, raw)
	checkReadBack(t, m, raw)
}

func TestBuildKeepsQuietAboutMachines(t *testing.T) {
	m := plainMessage()
	m.Headers = []Header{{"auto-submitted", "no"}}
	raw, err := Build(m)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.ToLower(string(raw)); strings.Count(got, "auto-submitted:") != 1 || !strings.Contains(got, "auto-submitted: no\r\n") {
		t.Errorf("the row's Auto-Submitted does not stand alone:\n%s", raw)
	}
}

// Raw UTF-8 stands in a header exactly where the message says that it needs SMTPUTF8.
func TestNeedsUTF8(t *testing.T) {
	who := mail.Address{Name: "Jürgen", Local: "jürgen", Host: "example.org"}
	for name, change := range map[string]func(m *Message){
		"none": func(m *Message) { m.From.Name, m.Subject, m.Text = who.Name, "Grüße", "Grüße" },
		"from": func(m *Message) { m.From = who },
		"to":   func(m *Message) { m.To = append(m.To, who) },
		"cc":   func(m *Message) { m.Cc = append(m.Cc, who) },
		"back": func(m *Message) { m.ReplyTo = append(m.ReplyTo, who) },
	} {
		m := plainMessage()
		change(&m)
		raw, err := Build(m)
		if err != nil {
			t.Fatal(err)
		}
		if want := name != "none"; m.NeedsUTF8() != want || strings.Contains(string(raw), who.Addr()) != want ||
			!want && strings.ContainsFunc(string(raw), func(r rune) bool { return r >= utf8.RuneSelf }) {
			t.Errorf("%s: needs UTF-8 %v:\n%s", name, m.NeedsUTF8(), raw)
		}
		checkReadBack(t, m, raw)
	}
}

// A body cannot end its own part, even when it knows the boundary.
func TestBuildBoundaryInBody(t *testing.T) {
	m := plainMessage()
	line := "--" + boundary(m.MessageID)
	m.Text = "before\n" + line + "--\n" + line + "\nContent-Type: text/html\n\nafter\n"
	m.HTML = m.Text
	raw, err := Build(m)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), line); n != 3 {
		t.Errorf("%d delimiters, want 3", n)
	}
	checkReadBack(t, m, raw)
}

func TestBoundaryDependsOnMessageIDOnly(t *testing.T) {
	if a, b := boundary("<a@b>"), boundary("<a@c>"); a == b || a != boundary("<a@b>") || !strings.HasPrefix(a, "=_") || len(a) != 34 {
		t.Errorf("boundaries %s and %s", a, b)
	}
}
