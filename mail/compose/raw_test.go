package compose

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/mail"
)

const rawID = "<new@acme.example>"

var rawDate = time.Date(2026, 11, 5, 8, 30, 0, 0, time.FixedZone("", 3600))

// rawMessages are finished messages and whom they are to; what becomes of them stands in testdata as raw-NAME.eml.
var rawMessages = map[string]struct {
	text string
	to   []string // To, Cc and Bcc
}{
	"whole": {"x-ODD:  two  blanks \r\nDate: Wed, 4 Nov 2026 12:00:00 GMT\r\nmessage-id:\r\n <own.1@[192.0.2.1]>\r\nFROM:Ann Bee <ann@acme.example> (office)\r\n" +
		"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\tand\r\n more\r\nTo: Team: a@kunde.example,\r\n \"B, C\" <b@kunde.example>;, c@kunde.example\r\n" +
		"Mime-Version: 1.0 (x)\r\nContent-Type: text/plain\r\n\r\nBody\r\n.\r\n", []string{"a@kunde.example", "b@kunde.example", "c@kunde.example"}},
	"line-feeds": {"From: ann@acme.example\nTo: a@kunde.example\nSubject: hello\n\nHello\n\r\nmixed\r\nend", []string{"a@kunde.example"}},
	"hidden": {"Return-Path: <x@y.example>\r\nBcc: secret@kunde.example,\r\n other@kunde.example\r\nFrom: ann@acme.example\r\nbcc: third@kunde.example\r\n" +
		"Bcc:\r\nTo: undisclosed-recipients:;\r\nSubject: hello\r\n\r\nHello\r\n", []string{"secret@kunde.example", "other@kunde.example", "third@kunde.example"}},
	"mime": {"From: ann@acme.example\r\nCc: a@kunde.example\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n" +
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=FC=\r\n\r\n--b--\r\n", []string{"a@kunde.example"}},
	"resent": {"Resent-Date: Wed, 4 Nov 2026 12:00:00 GMT\r\nResent-From: eva@acme.example\r\nResent-To: e@kunde.example\r\nResent-Bcc: f@kunde.example\r\n" +
		"Date: Tue, 3 Nov 2026 12:00:00 GMT\r\nMessage-ID: <1@acme.example>\r\nFrom: ann@acme.example\r\nTo: a@kunde.example\r\nSubject: x\r\n\r\nHello\r\n", nil},
	"several-senders": {"From: Ann <ann@acme.example>, eva@acme.example\r\nSender: office@acme.example\r\nTo: a@kunde.example\r\nSubject: x\r\n\r\nHello\r\n",
		[]string{"a@kunde.example"}},
	"8bit": {"From: ann@acme.example\r\nTo: =?iso-8859-1?q?M=FCller?= <a@kunde.example>\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n", []string{"a@kunde.example"}},
	"utf8-header": {"From: ann@acme.example\r\nTo: jürgen@müller.example\r\nSubject: Grüße\r\n\r\nHello\r\n", []string{"jürgen@xn--mller-kva.example"}},
	"no-body":     {"From: ann@acme.example\r\nTo: a@kunde.example\r\nSubject: the end", []string{"a@kunde.example"}},
}

func buildRaw(t *testing.T, text string) (*Raw, []byte) {
	t.Helper()
	given := []byte(text)
	r, err := ParseRaw(given)
	if err != nil {
		t.Fatal(err)
	}
	message, err := r.Build(rawID, rawDate)
	if err != nil {
		t.Fatal(err)
	}
	if string(given) != text {
		t.Error("what was given has changed")
	}
	return r, message
}

func addressesOf(lists ...[]mail.Address) (out []string) {
	for _, a := range slices.Concat(lists...) {
		out = append(out, a.Addr())
	}
	return out
}

func TestRawGolden(t *testing.T) {
	for name, c := range rawMessages {
		t.Run(name, func(t *testing.T) {
			r, got := buildRaw(t, c.text)
			golden(t, "raw-"+name, got)
			if to := addressesOf(r.To, r.Cc, r.Bcc); !slices.Equal(to, c.to) {
				t.Errorf("to %v, want %v", to, c.to)
			}
			checkRawAgain(t, r, got)
		})
	}
}

// checkRawAgain: a message that is built needs nothing more.
func checkRawAgain(t *testing.T, r *Raw, built []byte) {
	t.Helper()
	again, err := ParseRaw(built)
	if err != nil {
		t.Fatalf("%v\n%s", err, built)
	}
	if rebuilt, err := again.Build("", time.Time{}); err != nil || !bytes.Equal(rebuilt, built) {
		t.Errorf("built again: %v\n%s", err, rebuilt)
	}
	sameTo := slices.Equal(again.To, r.To) && slices.Equal(again.Cc, r.Cc) || r.field("resent-bcc") != nil // alone, it said that this is sent on
	if again.From != r.From || again.Sender != r.Sender || again.Subject != r.Subject || !sameTo ||
		again.Bcc != nil || again.NeedsUTF8() != r.NeedsUTF8() {
		t.Errorf("read\n%+v\nfirst, and then\n%+v", r, again)
	}
}

func TestRawKeepsWhatItHas(t *testing.T) {
	whole := rawMessages["whole"].text
	r, got := buildRaw(t, whole)
	if string(got) != whole {
		t.Errorf("%q", got)
	}
	if r.MessageID != "<own.1@[192.0.2.1]>" || r.Subject != "Grüße and more" || r.From.String() != "Ann Bee <ann@acme.example>" || r.To[1].Name != "B, C" {
		t.Errorf("%+v", r)
	}
	if r, _ := buildRaw(t, "From: =?windows-1250?q?=8Ailov=E1?= <a@acme.example>\nTo: =?x-none?q?=FC?= <b@acme.example>\nSubject: =?x-none?q?=FC?=\n\n"); r.From.Name != "Šilová" ||
		r.To[0].Name != "\ufffd" || r.Subject != "\ufffd" {
		t.Errorf("decoded %q, %q and %q", r.From.Name, r.To[0].Name, r.Subject)
	}
	if r, _ := buildRaw(t, rawMessages["several-senders"].text); r.From.Local != "ann" || r.Sender.Local != "office" {
		t.Errorf("from %v, sender %v", r.From, r.Sender)
	}
}

func TestRawSaysWhatTheServerMustOffer(t *testing.T) {
	for name, want := range map[string]bool{"whole": false, "8bit": false, "utf8-header": true} {
		if r, _ := buildRaw(t, rawMessages[name].text); r.NeedsUTF8() != want {
			t.Errorf("%s: UTF-8 %v", name, r.NeedsUTF8())
		}
	}
	if r, _ := buildRaw(t, "From: a@acme.example\nBcc: jürgen@kunde.example\n\n"); r.NeedsUTF8() {
		t.Error("the Bcc does not go out")
	}
}

func TestRawOwnFields(t *testing.T) {
	r, err := ParseRaw([]byte("From: a@acme.example\r\n\r\nx\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	r.Own = []Header{{"X-Outboxd-To", "Jürgen <j@kunde.example>"}}
	got, err := r.Build(rawID, rawDate)
	if want := "\r\nMessage-ID: <new@acme.example>\r\nX-Outboxd-To: =?utf-8?b?SsO8cmdlbiA8akBrdW5kZS5leGFtcGxlPg==?=\r\n\r\nx\r\n"; err != nil || !strings.HasSuffix(string(got), want) {
		t.Errorf("%v\n%s", err, got)
	}
	_, err = r.Build("none", rawDate)
	checkFieldError(t, err, "message_id", "<unique@domain>")
	_, err = r.Build(rawID, time.Time{})
	checkFieldError(t, err, "created_at", "the year 1 ")
}

func TestRawIsRefused(t *testing.T) {
	const head = "From: a@acme.example\r\n"
	for _, c := range []struct{ text, reason string }{
		{"", "no From field"},
		{"\r\nHello\r\n", "no From field"},
		{"To: a@kunde.example\r\n\r\n", "no From field"},
		{"From nobody Thu Nov  5\nFrom: a@acme.example\n\n", "line 1: begins with From and a blank"},
		{" x\r\n" + head, "line 1: begins with a blank"},
		{head + "X: 1\r\n \t\r\n y\r\n", "line 3: the header holds a line of blanks only"},
		{head + "Hello Ann,\r\n", `line 2: "Hello Ann," is no header field`},
		{head + "X-Odd : 1\r\n", `line 2: "X-Odd : 1" is no header field`},
		{head + ": 1\r\n", "is no header field"},
		{head + "X-Ä: 1\r\n", "is no header field"},
		{"\ufeff" + head, "line 1: "},
		{head + "Subject: gr\xfc\xdfe\r\n", "line 2: the header holds octets that are not UTF-8; write them as encoded words"},
		{head + "X: " + strings.Repeat("x", 996) + "\r\n", "line 2: has 999 octets, at most 998 are possible; fold the field"},
		{head + "\r\nHello\r\n" + strings.Repeat("x", 999) + "\r\n", "line 4: has 999 octets, at most 998 are possible; encode the part"},
		{head + "\r\na\rb\r\n", "line 3: holds a carriage return"},
		{head + "\r\na\r\r\n", "line 3: holds a carriage return"},
		{head + "\r\na\r", "line 3: holds a carriage return"},
		{"From: a@acme.example\rTo: b@kunde.example\r\rHello\r", "line 1: holds a carriage return"},
		{head + "\r\n\x00\r\n", "line 3: holds a NUL"},
		{head + "Subject: a\x00\r\n", "line 2: holds a NUL"},
		{head + strings.Repeat("X: "+strings.Repeat("x", 900)+"\r\n", 300), "the header has more than 262144 octets"},
		{head + "Subject: a\r\nsubject: b\r\n", `line 3: the field "subject" stands in line 2 already`},
		{head + head, `line 2: the field "from" stands in line 1 already`},
		{head + "Content-Type: text/plain\r\nContent-Type: text/html\r\n", "may stand once"},
		{"From: a@acme.example, b@acme.example\r\n", "line 1: From has 2 addresses and there is no Sender field"},
		{"From: nobody:;\r\n", "line 1: From has no address"},
		{"From:\r\n", `line 1: the field "from" is empty`},
		{head + "Sender: a@acme.example, b@acme.example\r\n", "line 2: Sender has 2 addresses"},
		{head + "To:\r\n", `line 2: the field "to" is empty; remove it`},
		{head + "To: nobody\r\n", `line 2: the addresses of "to" cannot be read`},
		{head + "To: a@kunde.example b@kunde.example\r\n", `line 2: the addresses of "to" cannot be read`},
		{head + "Bcc: \"a b\"@kunde.example\r\n", `line 2: "bcc": address 1`},
		{head + "Cc: a@[192.0.2.1]\r\n", `line 2: "cc": address 1`},
		{head + "Message-ID: 4711\r\n", "line 2: the Message-ID \"4711\" is not of the form <unique@domain>"},
		{head + "Message-ID: <a@b> <c@d>\r\n", "is not of the form"},
		{head + "Message-ID: <>\r\n", "is not of the form"},
		{head + "Message-ID: <" + strings.Repeat("x", 252) + "@b>\r\n", "with at most 255 characters"},
		{head + "\r\nHello\r\nGrüße\r\n", "line 4: holds a character beyond ASCII, and the header has no Content-Type"},
		{head + "Content-Type: image/png\nContent-Transfer-Encoding: BINARY\n\nx\n", "line 3: a binary body"},
	} {
		r, err := ParseRaw([]byte(c.text))
		if r != nil {
			t.Errorf("%.60q was taken", c.text)
		}
		checkFieldError(t, err, "raw", c.reason)
	}
}
