package compose

import (
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
)

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a\r\n", "a\n": "a\r\n", "a\r\n": "a\r\n", "a\r": "a\r\n", "\n": "\r\n",
		"a\nb\rc\r\nd": "a\r\nb\r\nc\r\nd\r\n", "a\r\r\nb": "a\r\n\r\nb\r\n", "a\n\rb": "a\r\n\r\nb\r\n",
	} {
		if got := normalise(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestChooseEncoding(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"empty", "", sevenBit},
		{"ASCII", "hello\ttab\fform feed", sevenBit},
		{"78 columns", strings.Repeat("x", 78) + "\n\n" + strings.Repeat("x", 78), sevenBit},
		{"79 columns", strings.Repeat("x", 79), quotedPrintable},
		{"a control", "bell \a", quotedPrintable},
		{"DEL", "delete \x7f", quotedPrintable},
		{"mostly ASCII", "Grüße aus Köln", quotedPrintable},
		{"mostly not", "Привет, мир", base64Encoding},
		{"the boundary", "=_x", quotedPrintable},
	}
	for _, c := range cases {
		if got := chooseEncoding(normalise(c.text), "=_x", false); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := chooseEncoding(normalise("=_x"), "", false); got != sevenBit {
		t.Errorf("without a boundary: %s", got)
	}
}

func TestQuotedPrintable(t *testing.T) {
	x74 := strings.Repeat("x", 74)
	for in, want := range map[string]string{
		"":                "",
		"a=b\r\n":         "a=3Db\r\n",
		"a \r\n\t\r\nb\t": "a=20\r\n=09\r\nb=09",
		"\x1b\f\x7fé":     "=1B=0C=7F=C3=A9",
		x74 + "xyz\r\n":   x74 + "x=\r\nyz\r\n",
		x74 + "é\r\n":     x74 + "=\r\n=C3=A9\r\n",
		x74 + "  \r\n":    x74 + " =\r\n=20\r\n",
	} {
		if got := string(appendQuotedPrintable(nil, in)); got != want {
			t.Errorf("%q:\n%q, want\n%q", in, got, want)
		}
		back, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(want)))
		if err != nil || string(back) != in {
			t.Errorf("%q reads back as %q, %v", in, back, err)
		}
	}
}

func TestBase64(t *testing.T) {
	for _, n := range []int{0, 1, 56, 57, 58, 114, 1000} {
		in := strings.Repeat("é1", n)[:n]
		got := string(appendBase64(nil, []byte(in)))
		for line := range strings.SplitSeq(got, "\r\n") {
			if len(line) > 76 {
				t.Errorf("%d bytes: line of %d", n, len(line))
			}
		}
		if back, err := base64.StdEncoding.DecodeString(got); err != nil || string(back) != in {
			t.Errorf("%d bytes read back as %q, %v", n, back, err)
		}
	}
}
