package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"outboxd/db"
)

// clean makes foreign text harmless for a terminal and keeps it in one line: what is not a visible character or a blank
// stands as its escape.
func clean(s string) string { return escape(s, "") }

// cleanLines is clean for texts that have lines.
func cleanLines(s string) string { return escape(s, "\n") }

func escape(s, allowed string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsGraphic(r) || strings.ContainsRune(allowed, r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}

// printJSON writes indented JSON. What a terminal might obey is escaped, which inside of JSON's strings means the same.
func printJSON(w io.Writer, v any, indent string) error {
	text, err := json.MarshalIndent(v, "", indent)
	if err != nil {
		return err
	}
	if indent == "" {
		var line bytes.Buffer
		if err := json.Compact(&line, text); err != nil {
			return err
		}
		text = line.Bytes()
	}
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r == '\n' || unicode.IsGraphic(r):
			b.WriteRune(r)
		case r > 0xffff:
			b.WriteString(surrogates(r))
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	_, err = fmt.Fprintln(w, b.String())
	return err
}

// surrogates is a character beyond the first plane as JSON escapes it (RFC 8259 section 7).
func surrogates(r rune) string {
	r -= 0x10000
	return fmt.Sprintf(`\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
}

// table writes aligned columns.
type table struct {
	w     *tabwriter.Writer
	heads int
}

// newTable begins a table. With heads every row gets as many cells, and an empty one is a dash.
func newTable(w io.Writer, heads ...any) *table {
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), len(heads)}
	if len(heads) > 0 {
		t.row(heads...)
	}
	return t
}

// row writes one line; every cell is made harmless.
func (t *table) row(cells ...any) {
	texts := make([]string, max(len(cells), t.heads))
	for i := range texts {
		if i < len(cells) {
			texts[i] = clean(fmt.Sprint(cells[i]))
		}
		if texts[i] == "" && t.heads > 0 {
			texts[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(texts, "\t"))
}

func (t *table) end() error { return t.w.Flush() }

// clock is a time in the zone of who asks, with seconds; "-" for none.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func clockOf(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return clock(*t)
}

// number is a count that stops at db.CountLimit.
func number(n int) string {
	if n > db.CountLimit {
		return ">" + strconv.Itoa(db.CountLimit)
	}
	return strconv.Itoa(n)
}

// short cuts a text for a column.
func short(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

// counted is a number with its noun.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// errorWriter remembers the first error of many writes: a listing is written line by line.
type errorWriter struct {
	w   io.Writer
	err error
}

// Write writes unless a write has failed before.
func (e *errorWriter) Write(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.w.Write(p)
	e.err = err
	return n, err
}
