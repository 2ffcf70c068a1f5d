package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"outboxd/db"
	"outboxd/jobs"
)

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"Grüße, 世界": "Grüße, 世界", "\x1b[31mred": `\x1b[31mred`, "a\tb\r\nc": `a\tb\r\nc`, "\u009b": `\u009b`, "\u202eabc": `\u202eabc`,
		"it's": "it's", "\xff": "\ufffd", "'": "'",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if got := cleanLines("a\nb\x07"); got != "a\nb\\a" {
		t.Errorf("%q", got)
	}
}

func FuzzPrintJSON(f *testing.F) {
	f.Add("a\x1b[31m\u202e\U000e0001\u009b\x7f")
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		if err := printJSON(&out, map[string]string{"text": text}, "  "); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsGraphic(r) {
				t.Errorf("%q stands in %q", r, out.String())
			}
		}
		var back map[string]string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["text"] != strings.ToValidUTF8(text, "\ufffd") && !strings.Contains(back["text"], "\ufffd") {
			t.Errorf("%q became %q, %v", text, back["text"], err)
		}
	})
}

func TestPrintJSONInOneLine(t *testing.T) {
	var out bytes.Buffer
	if err := printJSON(&out, map[string]any{"a": []int{1, 2}}, ""); err != nil || out.String() != `{"a":[1,2]}`+"\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := printJSON(&out, func() {}, ""); err == nil {
		t.Error("a function is no JSON")
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	table := newTable(&out, "A", "B")
	table.row("long", "x\x1b")
	table.row("s")
	if err := table.end(); err != nil || out.String() != "A     B\nlong  x\\x1b\ns     -\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestSmallTexts(t *testing.T) {
	now := time.Now()
	for got, want := range map[string]string{
		number(db.CountLimit): "10000", number(db.CountLimit + 1): ">10000", counted(1, "error"): "1 error", counted(0, "error"): "0 errors",
		short("abc", 3): "abc", short("äöüß", 3): "äö…", clock(time.Time{}): "-", clockOf(nil): "-", clockOf(&now): now.Format("2006-01-02 15:04:05"),
		orAll(nil): "all", orAll([]string{"a", "b"}): "a, b", codeText(0): "", codeText(250): "250",
		jobs.StateText(db.Queued, true): "held", jobs.StateText(db.Sent, true): "sent", indented("a\nb"): "  a\n  b",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestErrorWriter(t *testing.T) {
	w := &errorWriter{w: brokenWriter{}}
	for range 2 {
		if _, err := w.Write([]byte("x")); err == nil || w.err == nil {
			t.Error("no error")
		}
	}
}

func TestParseWhen(t *testing.T) {
	now := time.Date(2026, 11, 21, 18, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"":                     {},
		"2026-11-20":           time.Date(2026, 11, 20, 0, 0, 0, 0, time.Local),
		"2026-11-20 12:30":     time.Date(2026, 11, 20, 12, 30, 0, 0, time.Local),
		"2026-11-20 12:30:15":  time.Date(2026, 11, 20, 12, 30, 15, 0, time.Local),
		"2026-11-20T12:30:15Z": time.Date(2026, 11, 20, 12, 30, 15, 0, time.UTC),
		"2h":                   now.Add(-2 * time.Hour),
		"3d":                   now.AddDate(0, 0, -3),
	} {
		if got, err := parseWhen("since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "-2h", "-1d", "2026-13-01", "d"} {
		var usage *usageError
		if _, err := parseWhen("since", text, now); !errors.As(err, &usage) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
