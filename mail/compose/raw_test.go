package compose

import (
	"strings"
	"testing"
	"time"
)

var rawDate = time.Date(2026, 11, 5, 8, 30, 0, 0, time.FixedZone("", 3600))

func builtRaw(t *testing.T, text string) (*Raw, string) {
	t.Helper()
	r, err := ParseRaw([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	message, err := r.Build("<new@acme.example>", rawDate)
	if err != nil {
		t.Fatal(err)
	}
	checkWire(t, message)
	return r, string(message)
}

func TestRawStaysAsItIs(t *testing.T) {
	const text = "X-Odd :no\r\n"
	_, err := ParseRaw([]byte(text))
	checkFieldError(t, err, "raw", "line 1: \"X-Odd :no\" is no header field")
	const whole = "x-ODD:  two  blanks \r\nDate: whenever\r\nmessage-id:\r\n <own.1@[192.0.2.1]>\r\nFROM:Ann <ann@acme.example> (office)\r\n" +
		"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\tand\r\n more\r\nTo: Team: a@kunde.example,\r\n b@kunde.example;, c@kunde.example\r\n\r\nBody\r\n.\r\n"
	r, got := builtRaw(t, whole)
	if got != whole {
		t.Errorf("%q", got)
	}
	if r.MessageID != "<own.1@[192.0.2.1]>" || r.Subject != "Grüße and more" || r.From.String() != "Ann <ann@acme.example>" || len(r.To) != 3 {
		t.Errorf("%+v", r)
	}
}

func TestRawIsMended(t *testing.T) {
	r, got := builtRaw(t, "From: ann@acme.example\nBcc: secret@kunde.example,\n other@kunde.example\nReturn-Path: <x@y.example>\nTo: a@kunde.example\nContent-Type: text/plain\n\nHello\nend")
	want := "From: ann@acme.example\r\nTo: a@kunde.example\r\nContent-Type: text/plain\r\nDate: Thu, 05 Nov 2026 08:30:00 +0100\r\nMessage-ID: <new@acme.example>\r\nMIME-Version: 1.0\r\n\r\nHello\r\nend\r\n"
	if got != want || len(r.Bcc) != 2 || strings.Contains(got, "secret") {
		t.Errorf("%q", got)
	}
}
