package compose

import (
	"strings"
	"testing"

	"outboxd/mail"
)

func TestSubject(t *testing.T) {
	cases := []struct{ in, want string }{
		{"", "Subject:\r\n"},
		{"Hello", "Subject: Hello\r\n"},
		{strings.Repeat("x", 66), "Subject: " + strings.Repeat("x", 66) + "\r\n"},
		{strings.Repeat("word ", 20) + "end", "Subject: " + strings.Repeat("word ", 12) + "word\r\n " + strings.Repeat("word ", 7) + "end\r\n"},
		{"Grüße", "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"},
		{"Guten Tag, Frau Müller", "Subject: =?utf-8?q?Guten_Tag=2C_Frau_M=C3=BCller?=\r\n"},
		{"a  b", "Subject: =?utf-8?q?a__b?=\r\n"},
		{"one\tand two", "Subject: =?utf-8?q?one=09and_two?=\r\n"},
		{" a", "Subject: =?utf-8?q?_a?=\r\n"},
		{"a ", "Subject: =?utf-8?q?a_?=\r\n"},
		{"a\x7f", "Subject: =?utf-8?q?a=7F?=\r\n"},
		{"a =?b", "Subject: =?utf-8?b?YSA9P2I=?=\r\n"},
		{strings.Repeat("x", 67), "Subject: =?utf-8?q?" + strings.Repeat("x", 54) + "?=\r\n =?utf-8?q?" + strings.Repeat("x", 13) + "?=\r\n"},
	}
	for _, c := range cases {
		var b builder
		b.subject(c.in)
		if got := string(b.buf); got != c.want {
			t.Errorf("%q:\n%q, want\n%q", c.in, got, c.want)
		}
	}
}

func TestEncodedWordsKeepCharactersWhole(t *testing.T) {
	for _, s := range []string{strings.Repeat("€", 100), strings.Repeat("a€", 100), strings.Repeat("🎉 party ", 40), "a" + strings.Repeat("é", 300)} {
		var b builder
		b.field("X")
		b.encoded(s)
		for word := range strings.FieldsSeq(strings.TrimPrefix(string(b.buf), "X:")) {
			if text := decode(word); len(word) > 75 || text == word || strings.ContainsRune(text, '\ufffd') {
				t.Errorf("word %q is %q", word, text)
			}
		}
		for line := range strings.SplitSeq(string(b.buf), "\r\n") {
			if len(line) > foldAt {
				t.Errorf("line of %d columns: %s", len(line), line)
			}
		}
		if got := decode(strings.TrimSpace(strings.ReplaceAll(string(b.buf[2:]), "\r\n", ""))); got != s {
			t.Errorf("reads %q, want %q", got, s)
		}
	}
}

func TestExtra(t *testing.T) {
	x70 := strings.Repeat("x", 70)
	cases := []struct {
		in   Header
		want string
	}{
		{Header{"X-A", ""}, "X-A:\r\n"},
		{Header{"X-A", " \t "}, "X-A:\r\n"},
		{Header{"X-A", " a \t b "}, "X-A: a \t b\r\n"},
		{Header{"X-A", "a  " + x70 + "\ty"}, "X-A: a\r\n  " + x70 + "\ty\r\n"},
		{Header{"X-A", "a\t" + x70 + x70}, "X-A: a\r\n\t" + x70 + x70 + "\r\n"},
		{Header{"X-A", x70 + x70}, "X-A:\r\n " + x70 + x70 + "\r\n"},
		{Header{"X-A", "Ö"}, "X-A: =?utf-8?b?w5Y=?=\r\n"},
		{Header{"X-A", "=?x"}, "X-A: =?utf-8?b?PT94?=\r\n"},
		{Header{"List-Id", "=?utf-8?q?x?= <a.b>"}, "List-Id: =?utf-8?q?x?= <a.b>\r\n"},
	}
	for _, c := range cases {
		var b builder
		b.extra(c.in)
		if got := string(b.buf); got != c.want {
			t.Errorf("%v:\n%q, want\n%q", c.in, got, c.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	x60 := strings.Repeat("x", 60)
	cases := []struct{ name, want string }{
		{"", "To: l@h\r\n"},
		{"Ann", "To: Ann <l@h>\r\n"},
		{"Ann O'Neil", "To: Ann O'Neil <l@h>\r\n"},
		{"Ann B. Cee", "To: \"Ann B. Cee\" <l@h>\r\n"},
		{"Cee, Ann", "To: \"Cee, Ann\" <l@h>\r\n"},
		{`a"b\c`, "To: \"a\\\"b\\\\c\" <l@h>\r\n"},
		{"a  b", "To: \"a  b\" <l@h>\r\n"},
		{" a", "To: \" a\" <l@h>\r\n"},
		{"<x@y>", "To: \"<x@y>\" <l@h>\r\n"},
		{"=?utf-8?q?a?=", "To: =?utf-8?b?PT91dGYtOD9xP2E/PQ==?= <l@h>\r\n"},
		{"Jörg", "To: =?utf-8?b?SsO2cmc=?= <l@h>\r\n"},
		{x60, "To: " + x60 + " <l@h>\r\n"},
		{x60 + "123456", "To: " + x60 + "123456 <l@h>\r\n"},
		{x60 + "1234567", "To: =?utf-8?q?" + x60[:54] + "?=\r\n =?utf-8?q?xxxxxx1234567?= <l@h>\r\n"},
		{strings.Repeat(`"`, 40), "To: =?utf-8?b?" + strings.Repeat("IiIi", 13) + "?=\r\n =?utf-8?b?Ig==?= <l@h>\r\n"},
	}
	for _, c := range cases {
		var b builder
		b.addresses("To", []mail.Address{{Name: c.name, Local: "l", Host: "h"}})
		if got := string(b.buf); got != c.want {
			t.Errorf("%q:\n%q, want\n%q", c.name, got, c.want)
		}
	}
	var split builder
	split.addresses("To", []mail.Address{{Local: "a", Host: "b"}, {Name: "Ann", Local: x60, Host: "example"}, {Name: "Ann", Local: x60, Host: "h"}})
	if got, want := string(split.buf), "To: a@b,\r\n Ann <"+x60+"@example>,\r\n Ann <"+x60+"@h>\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	var b builder
	if b.addresses("To", nil); len(b.buf) > 0 {
		t.Errorf("an empty list wrote %q", b.buf)
	}
}

func TestLongestWord(t *testing.T) {
	for s, want := range map[string]int{"": 0, "ab": 2, "ab cde": 4, "ab   c": 4, "abcd\te": 4, "a ": 1} {
		if got := longestWord(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func TestExcerpt(t *testing.T) {
	for s, want := range map[string]string{"a\nb": `"a\nb"`, strings.Repeat("é", 40): `"` + strings.Repeat("é", 30) + `..."`} {
		if got := excerpt(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}
