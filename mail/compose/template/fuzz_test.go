package template_test

import (
	"bytes"
	"context"
	"io"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	address "outboxd/mail"
	"outboxd/mail/compose"
	"outboxd/mail/compose/table"
	"outboxd/mail/compose/template"
)

// whole uses every function, wherever a value can stand.
const whole = `<html><head><style>p{color:{{.colour}}}</style></head><body title="{{.title}}"><a href="https://acme.example/?q={{.q}}">{{.name}}</a>
{{if gt .n 10}}{{money .n .currency}}{{else}}{{number .n 2}}{{end}}{{percent .n}}{{date .day "long"}}{{time .day}}{{plural .n "one" "%d a" "few" "%d b" "other" "%d c"}}
{{range $i, $x := .items}}{{$i}} {{.name}} {{money .price $.currency}} {{default "-" .note}}{{end}}{{sum .items "price"}}{{add .n 1}}{{table .items "name" "price=P|money currency" "note?"}}
{{with .customer}}{{.name}}{{end}}{{printf "%5.1f %s" .n .name}}{{print .n .name}}{{if eq .name "x" "y"}}x{{end}}{{if and .a (or .b .c) (not .d)}}{{len .items}}{{end}}
{{table (query "q" "send")}}<img src="cid:logo.png"></body></html>`

// Whatever params and a query's result hold: an error of the row, or a message with no header but our own, whose subject is one line.
func FuzzParams(f *testing.F) {
	f.Add(`{"name": "Eva", "title": "t", "q": "1&2", "colour": "red", "n": 12.5, "currency": "EUR", "day": "2026-11-22", "items": [{"name": "a", "price": 0.10}], "customer": {"name": "C"}}`, "sk", "cell")
	f.Add(`{"name": "a\r\nBcc: x@y.example", "title": "\"><script>", "q": "\u0000", "colour": "red", "n": -1e300, "currency": "JPY", "day": "2026-11-22T08:00:00+02:00", "items": [{"name": "\u2028", "price": 1e-300, "note": null}], "customer": {"name": "<>"}}`, "ar", "\r\n.\r\n")
	f.Add(`{"n": {"n": []}, "items": {"a": 1}, "name": [1, null, {"a": null}]}`, "", "=?")
	f.Add(`{"n": "1", "name": 0, "items": [], "title": "", "q": true, "colour": "expression(1)", "currency": "XTS", "day": "0000-00-00", "customer": "c"}`, "zh-Hant-TW-u-nu-thai", "\xff")
	f.Add(`[`, "x-y", "")
	set := load(f, files("x/subject.txt", "Mail for {{.name}}\n and {{.title}}", "x/body.html", whole, "x/body.txt", "{{table (query `q` `send`)}} {{.name}}", "x/q.sql", "SELECT 1", "x/logo.png", "\x89PNG"), "en")
	x, err := set.Template("x")
	if err != nil {
		f.Fatal(err)
	}
	known := []string{"Date", "From", "To", "Subject", "Message-Id", "Auto-Submitted", "Mime-Version", "Content-Type"}
	f.Fuzz(func(t *testing.T, params, language, cell string) {
		request := template.Request{Language: language, Params: params, Query: func(context.Context, string) (*table.Result, error) {
			return &table.Result{Columns: []table.Column{{Name: "c", Kind: table.Text}, {Name: cell, Kind: table.Number}}, Rows: [][]any{{cell, nil}, {nil, table.Decimal(cell)}}}, nil
		}}
		r, err := x.Render(context.Background(), request)
		if err != nil {
			if _, ok := err.(*template.Error); !ok || strings.ContainsAny(err.Error(), "\x00") {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		again, err := x.Render(context.Background(), request)
		if err != nil || again.HTML != r.HTML || again.Subject != r.Subject || again.Text != r.Text {
			t.Errorf("rendered twice, two results: %v", err)
		}
		raw, err := compose.Build(compose.Message{
			From: address.Address{Local: "shop", Host: "acme.example"}, To: []address.Address{{Local: "ann", Host: "example.org"}},
			Subject: r.Subject, Text: r.Text, HTML: r.HTML, Inline: r.Inline, MessageID: "<1@acme.example>", Date: time.Unix(1795305600, 0).UTC(),
		})
		if err != nil {
			if _, ok := err.(*compose.FieldError); !ok {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range m.Header {
			if !slices.Contains(known, name) || len(values) != 1 {
				t.Errorf("header %s: %q", name, values)
			}
		}
		if _, err := io.ReadAll(m.Body); err != nil {
			t.Error(err)
		}
		if strings.Contains(strings.ToLower(r.HTML), "<script") {
			t.Errorf("a script got in: %s", r.HTML)
		}
	})
}

// Whatever a template is: problems with places, or a template that can be rendered or fails with an *Error.
func FuzzTemplate(f *testing.F) {
	f.Add(whole, "{{.a}}")
	f.Add("{{define \"a\"}}{{template \"b\"}}{{end}}{{block \"b\" .}}{{break}}{{end}}", "{{/* c */}}{{- . -}}")
	f.Add("<!--[if mso]>{{.a}}<![endif]--><a href='{{if .a}}'{{end}}>", "{{range $i, $x := .l}}{{continue}}{{else}}{{$i}}{{end}}")
	f.Add("{{with $x := .a}}{{$x.b.c}}{{else with .b}}{{.}}{{end}}{{(index .l 0).name | printf \"%d\" | len}}", "{{\"a}")
	f.Add("{{`a}}b` | html}}<p {{.a}}", "{{call .f 1}}{{slice .s 1 2}}{{js .a}}{{nil}}{{1.5e3i}}{{'a'}}")
	f.Fuzz(func(t *testing.T, html, text string) {
		set, problems := template.Load(files("x/subject.txt", text, "x/body.html", html, "x/body.txt", text, "x/q.sql", "", "x/logo.png", ""), template.Options{Language: "sk"})
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.File == "" || p.Message == "" {
				if !strings.Contains(p.Message, "UTF-8") {
					t.Errorf("a problem without a place: %+v", p)
				}
			}
		}
		x, err := set.Template("x")
		if (err == nil) != (len(problems) == 0) {
			t.Fatalf("%v, %v", problems, err)
		}
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err = x.Render(ctx, template.Request{Params: `{"a": "text", "b": {"c": 1}, "l": [{"name": 2.50}], "s": "abc", "n": 0.00}`})
		if _, ok := err.(*template.Error); err != nil && !ok {
			t.Errorf("%T: %v", err, err)
		}
	})
}
