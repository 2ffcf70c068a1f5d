package mail

import (
	"strings"
	"testing"
)

func TestParseReply(t *testing.T) {
	cases := []struct {
		code     int
		text     string
		enhanced string
		want     string
	}{
		{250, "OK", "", "OK"},
		{250, "2.0.0 OK", "2.0.0", "OK"},
		{550, "5.1.1", "5.1.1", ""},
		{550, "5.7.1 first line\n5.7.1 second\r\n5.7.1", "5.7.1", "first line second"},
		{535, "535-5.7.8 bad\n535 5.7.8 login", "5.7.8", "bad login"},
		{550, "550 5.1.1 twice", "5.1.1", "twice"},
		{550, "5.2.252 three digits", "5.2.252", "three digits"},
		{550, "5.1234.1 no status", "", "5.1234.1 no status"},
		{550, "3.1.1 no status", "", "3.1.1 no status"},
		{550, "5.1 no status", "", "5.1 no status"},
		{552, "1 mailbox not found", "", "1 mailbox not found"},
		{550, "no mailbox here by that name. (#5.1.1)", "5.1.1", "no mailbox here by that name. (#5.1.1)"},
		{550, "#5.1.0 refused # 12", "5.1.0", "#5.1.0 refused # 12"},
		{550, "ticket #5.1. and ##", "", "ticket #5.1. and ##"},
		{550, "a\x00b\x1b[31mc\u202ed\xff", "", "a b [31mc d\uFFFD"},
		{0, "", "", ""},
	}
	for _, c := range cases {
		got := ParseReply(c.code, c.text)
		if want := (Reply{c.code, c.enhanced, c.want}); got != want {
			t.Errorf("%d %q: got %+q, want %+q", c.code, c.text, got, want)
		}
	}
}

func TestParseReplyCuts(t *testing.T) {
	if got := []rune(ParseReply(550, strings.Repeat("é", 500)).Text); len(got) != 500 || got[499] != 'é' {
		t.Errorf("500 runes must stay, got %d", len(got))
	}
	for _, text := range []string{strings.Repeat("é", 501), strings.Repeat("long line\n", 1<<17)} {
		if got := []rune(ParseReply(550, text).Text); len(got) != 500 || got[499] != '…' {
			t.Errorf("got %d runes that end in %q", len(got), got[len(got)-1])
		}
	}
}

func TestReplyString(t *testing.T) {
	cases := map[string]Reply{
		"550 5.1.1 no such user": {550, "5.1.1", "no such user"},
		"550 no":                 {550, "", "no"},
		"connection reset":       {0, "", "connection reset"},
		"550 a b":                {550, "", "a\r\n\x00b"},
	}
	for want, r := range cases {
		if got := r.String(); got != want {
			t.Errorf("%+q: got %q, want %q", r, got, want)
		}
	}
}

func TestOutcomeString(t *testing.T) {
	got := Classify(StepRcpt, ParseReply(550, "5.1.1 no such user")).String()
	if want := "permanent at rcpt: 550 5.1.1 no such user"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, s := range []interface{ String() string }{Step(200), Verdict(200), Scope(200), Retry(200)} {
		if s.String() != "unknown(200)" {
			t.Errorf("%T: got %q", s, s.String())
		}
	}
}
