package template_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/mail"
	"outboxd/mail/compose"
	"outboxd/mail/compose/table"
	"outboxd/mail/compose/template"
)

var update = flag.Bool("update", false, "write the rendered examples in testdata anew")

const examples = "../../../acme/templates"

// statement is what the example's query would find.
func statement(t testing.TB) func(context.Context, string) (*table.Result, error) {
	day := func(d int) time.Time { return time.Date(2026, 10, d, 0, 0, 0, 0, time.UTC) }
	return func(_ context.Context, query string) (*table.Result, error) {
		if !strings.Contains(query, ":customer_id") {
			t.Errorf("asked %s", query)
		}
		return &table.Result{
			Columns: []table.Column{{Name: "booked", Kind: table.Date}, {Name: "document", Kind: table.Text}, {Name: "description", Kind: table.Text}, {Name: "amount", Kind: table.Number}},
			Rows: [][]any{
				{day(2), "2026000398", "Invoice, coffee & service", table.Decimal("1284.00")},
				{day(9), "PAY-7741", "Payment received, thank you", table.Decimal("-250.00")},
				{day(14), "CR-2026-19", nil, table.Decimal("-96.40")},
				{day(30), "2026000447", "Invoice, coffee", table.Decimal("0.10")},
			},
		}, nil
	}
}

// example renders a template of the example folder with the parameters in testdata.
func example(t testing.TB, name, language string) template.Rendered {
	t.Helper()
	params, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := load(t, os.DirFS(examples), "sk").Template(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x.Render(context.Background(), template.Request{Language: language, Params: string(params), Query: statement(t)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What the examples become, to the octet.
func TestExamples(t *testing.T) {
	for _, name := range []string{"invoice", "newsletter", "reminder", "statement"} {
		for _, language := range []string{"en", "sk"} {
			t.Run(name+"."+language, func(t *testing.T) {
				r := example(t, name, language)
				if len(r.Inline) != 1 || r.Inline[0].Name != "logo.png" || r.Language != language {
					t.Errorf("%d images, language %s", len(r.Inline), r.Language)
				}
				raw, err := compose.Build(compose.Message{
					From: mail.Address{Local: "invoices", Host: "acme.example"}, To: []mail.Address{{Local: "eva", Host: "customer.example"}},
					Subject: r.Subject, Text: r.Text, HTML: r.HTML, Inline: r.Inline, MessageID: "<1@acme.example>", Date: time.Unix(1795305600, 0).UTC(),
				})
				if err != nil || !strings.Contains(string(raw), "multipart/related") {
					t.Errorf("cannot be composed: %v", err)
				}
				golden(t, name+"."+language+".html", "<!-- "+r.Subject+" -->\n"+r.HTML)
			})
		}
	}
}

// The library's templates are made with what its audiences give.
func TestLibraryExamples(t *testing.T) {
	books := func(context.Context, string) (*table.Result, error) {
		return &table.Result{
			Columns: []table.Column{{Name: "title", Kind: table.Text}, {Name: "author", Kind: table.Text}, {Name: "due", Kind: table.Date}},
			Rows:    [][]any{{"Momo", "Michael Ende", time.Date(2026, 12, 6, 0, 0, 0, 0, time.UTC)}},
		}, nil
	}
	set := load(t, os.DirFS("../../../library/templates"), "en")
	for _, c := range []struct{ name, language, params, subject, part string }{
		{"newsletter", "en", `{"name": "Ben"}`, "News from the library", "<p>Dear Ben,</p>"},
		{"newsletter", "sk", `{"name": "Hana"}`, "Novinky z knižnice", "čitateľka Hana,"},
		{"on-loan", "sk", `{"name": "Ben", "items": 1, "first_due": "2026-12-06"}`, "One book is on loan to you", "Momo"},
		{"on-loan", "en", `{"name": "Ben", "items": 2, "first_due": "2026-12-06"}`, "2 books are on loan to you", "December 6, 2026"},
	} {
		x, err := set.Template(c.name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := x.Render(context.Background(), template.Request{Language: c.language, Params: c.params, Query: books})
		if err != nil || r.Subject != c.subject || !strings.Contains(r.HTML, c.part) {
			t.Errorf("%s: %q, %s, %v", c.name, r.Subject, r.HTML, err)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s; after a wanted change run the test with -update\n%s", file, got)
	}
}
