package mailing_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"outboxd/db"
	"outboxd/jobs/mailing"
	"outboxd/mail"
	"outboxd/mail/compose/template"
)

// Whatever a query returns becomes a mail that the table takes and that can be sent, or that has ended with a reason.
func FuzzRow(f *testing.F) {
	for _, text := range []string{"eva@kunde.example", "Eva <eva@kunde.example>\r\nBcc: all@kunde.example", "", " ", "\x00", "\xff\xfe", "sk", "2026-12-01", strings.Repeat("ž", 1000), `"\` + "\n", "a / b", "\u2028", "0009"} {
		for kind := range uint8(9) {
			f.Add("eva@kunde.example", text, text, kind, int64(5), 0.1)
			f.Add(text, text, "name", kind, int64(math.MinInt64), math.MaxFloat64)
		}
	}
	names := []string{"cc", "bcc", "from_address", "reply_to", "reference", "language", "subject", "priority", "send_after", "expires_at", "name"}
	kinds := []db.ColumnKind{db.KindText, db.KindInteger, db.KindDecimal, db.KindFloat, db.KindDate, db.KindDateTime, db.KindTimestamp, db.KindTime, db.KindBytes}
	f.Fuzz(func(t *testing.T, recipients, text, column string, kind uint8, n int64, x float64) {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return // no column has it
		}
		k := kinds[int(kind)%len(kinds)]
		values := map[db.ColumnKind]any{db.KindText: text, db.KindInteger: n, db.KindDecimal: db.Decimal(fmt.Sprint(n) + ".10"), db.KindFloat: x, db.KindDate: time.Unix(n%(1<<40), 0).UTC(),
			db.KindDateTime: time.Unix(n%(1<<40), 5000).UTC(), db.KindTimestamp: time.Unix(n%(1<<31), 0).UTC(), db.KindTime: text, db.KindBytes: []byte(text)}
		own := names[uint64(n)%uint64(len(names))]
		columns := []db.ReadColumn{{Name: "recipients", Kind: db.KindText}, {Name: own, Kind: k}, {Name: "p_" + column, Kind: k}, {Name: "none", Kind: k}}
		row := []any{recipients, values[k], values[k], nil}
		s := spec("SELECT 1", "recipients", own)
		sp, err := mailing.Read(t.Context(), source(rowsOf{columns, [][]any{row, row}}.each), "x", s, at, db.ReadLimits{})
		if err != nil {
			t.Fatal(err)
		}
		defer sp.Close()
		if err := sp.Each(t.Context(), 1, func(line int64, m db.NewMail) error { return sound(line, m) }); err != nil {
			t.Error(err)
		}
	})
}

// sound tells what is wrong with a mail.
func sound(line int64, m db.NewMail) error {
	if _, err := template.ParseParams(m.Params); err != nil || !json.Valid([]byte(m.Params)) {
		return fmt.Errorf("params %q: %w", m.Params, err)
	}
	for name, c := range map[string]struct {
		text string
		most int
	}{"recipients": {m.Recipients, 65535}, "cc": {m.Cc, 65535}, "bcc": {m.Bcc, 65535}, "from_address": {m.From, 998}, "reply_to": {m.ReplyTo, 998}, "reference": {m.Reference, 255},
		"language": {m.Language, 35}, "subject": {m.Subject, 998 * 4}, "key": {m.Key, 255}, "last_error": {m.LastError, 2000}} {
		if !utf8.ValidString(c.text) || utf8.RuneCountInString(c.text) > c.most || len(c.text) > 65535 {
			return fmt.Errorf("%s: %q does not fit", name, c.text)
		}
		if name != "recipients" && name != "cc" && name != "bcc" && name != "reply_to" && name != "from_address" && strings.ContainsAny(c.text, "\r\n\x00") {
			return fmt.Errorf("%s: %q is no line", name, c.text)
		}
	}
	if m.Priority < 1 || m.Priority > 5 {
		return fmt.Errorf("priority %d", m.Priority)
	}
	if line == 2 && (m.State != db.Skipped || m.LastError == "") {
		return fmt.Errorf("the second one of a key is %s", m.State)
	}
	if m.State == db.Skipped {
		if m.LastError == "" {
			return fmt.Errorf("skipped without a reason: %+v", m)
		}
		return nil
	}
	list, err := mail.ParseAddressList(m.Recipients)
	if err != nil || len(list) == 0 {
		return fmt.Errorf("recipients %q: %w", m.Recipients, err)
	}
	for name, text := range map[string]string{"cc": m.Cc, "bcc": m.Bcc, "from_address": m.From, "reply_to": m.ReplyTo} {
		if _, err := mail.ParseAddressList(text); err != nil {
			return fmt.Errorf("%s %q: %w", name, text, err)
		}
	}
	return nil
}

// A record is read as it was written, and anything else is an error, never a crash.
func FuzzRecord(f *testing.F) {
	f.Add([]byte{}, "text", int64(1), uint64(1), 0.1)
	f.Add([]byte{4, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, "", int64(-1), uint64(1<<63), -1.5)
	f.Add([]byte{7, 1, 255}, "\xff", int64(math.MaxInt64), uint64(0), math.MaxFloat64)
	f.Fuzz(func(t *testing.T, garbage []byte, text string, i int64, u uint64, x float64) {
		_, _ = mailing.ReadRecord(garbage, 3)
		values := []any{nil, i, u, x, text, db.Decimal(text), []byte(text), time.Unix(i%(1<<40), int64(u%1e9)).UTC()}
		got, err := mailing.ReadRecord(mailing.AppendRecord(nil, values), len(values))
		if err != nil || fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", values, values) {
			t.Errorf("%v became %v: %v", values, got, err)
		}
		if _, err := mailing.ReadRecord(mailing.AppendRecord(nil, values), len(values)-1); err == nil {
			t.Error("octets are left")
		}
	})
}

// A text without braces stays, a value stands as it is wherever it has braces of its own, and braces that do not fit are an error.
func FuzzFill(f *testing.F) {
	f.Add("invoices/{pdf}", "a.pdf")
	f.Add("{{week}} {pdf}}", "{pdf}")
	f.Add("}{", "")
	f.Fuzz(func(t *testing.T, text, value string) {
		got, err := mailing.Fill(text, map[string]any{"pdf": value})
		if !strings.ContainsAny(text, "{}") && (err != nil || got != text) {
			t.Errorf("%q became %q, %v", text, got, err)
		}
		escaped := strings.NewReplacer("{", "{{", "}", "}}").Replace(text)
		if got, err = mailing.Fill(escaped+"{pdf}"+escaped, map[string]any{"pdf": value}); err != nil || got != text+value+text {
			t.Errorf("%q around %q became %q, %v", text, value, got, err)
		}
	})
}
