package template_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"outboxd/mail/compose/table"
	"outboxd/mail/compose/template"
)

// files makes a folder of templates of names and texts.
func files(pairs ...string) fstest.MapFS {
	tree := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		tree[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return tree
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// load fails on any problem.
func load(t testing.TB, tree fs.FS, language string) *template.Set {
	t.Helper()
	set, problems := template.Load(tree, template.Options{Language: language, Zone: zone(t, "Europe/Bratislava")})
	for _, p := range problems {
		t.Error(p)
	}
	return set
}

// renderHTML renders one body as the template x.
func render(t testing.TB, html, params string, change ...func(*template.Request)) (template.Rendered, error) {
	t.Helper()
	set := load(t, files("x/subject.txt", "S", "x/body.html", html, "x/items.sql", "SELECT 1"), "en")
	x, err := set.Template("x")
	if err != nil {
		t.Fatal(err)
	}
	r := template.Request{Params: params}
	for _, f := range change {
		f(&r)
	}
	return x.Render(context.Background(), r)
}

func TestValues(t *testing.T) {
	for _, c := range []struct{ html, params, want string }{
		{`{{.id}} {{.price}}`, `{"id": 9007199254740993123, "price": 0.10}`, "9007199254740993123 0.10"},
		{`{{.name}}`, `{"name": "<b>&"}`, "&lt;b&gt;&amp;"},
		{`[{{.empty}}]`, `{"empty": ""}`, "[]"},
		{`{{if .gone}}a{{else}}b{{end}}{{with .gone.deep}}c{{end}}{{default "d" .gone.deep}}`, `{"gone": null}`, "bd"},
		{`{{if .zero}}a{{else}}b{{end}}{{if not .zero}}c{{end}}{{if or .zero .one}}d{{end}}`, `{"zero": 0.00, "one": 1}`, "bcd"},
		{`{{if eq .n 0.1}}a{{end}}{{if eq .n "0.100"}}b{{end}}{{if gt .n 0.09}}c{{end}}{{if lt .big 9007199254740994}}d{{end}}`, `{"n": 0.10, "big": 9007199254740993}`, "abcd"},
		{`{{range .items}}{{.n}};{{end}}`, `{"items": [{"n": 1}, {"n": 2.50}]}`, "1;2.50;"},
		{`{{money .n "EUR"}} {{money .n "JPY"}} {{money .n .c}}`, `{"n": 1234567.895, "c": "KWD"}`, "€1,234,567.90 ¥1,234,568 KWD\u00a01,234,567.895"},
		{`{{sum .items "n"}} {{money (sum .items "n") "EUR"}} {{add .a 0.2 "0.30"}}`, `{"items": [{"n": 0.1}, {"n": 0.2}, {}], "a": 0.1}`, "0.3 €0.30 0.60"},
		{`{{plural .n "one" "%d invoice" "other" "%d invoices"}}, {{plural .m "one" "%d invoice" "other" "%d invoices"}}`, `{"n": 1, "m": 1000}`, "1 invoice, 1,000 invoices"},
		{`{{percent .r}} {{percent .r 1}} {{number .n}} {{number .n 2}}`, `{"r": 0.055, "n": 1234.5}`, "5.5% 5.5% 1,234.5 1,234.50"},
		{`{{date .d}} {{date .d "long"}} {{date .at "short"}} {{time .at}}`, `{"d": "2026-11-22", "at": "2026-11-22T23:30:00Z"}`, "Nov 22, 2026 November 22, 2026 11/23/26 12:30 am"},
		{`{{printf "%05d %.1f" .n .m}}`, `{"n": 42, "m": 2.25}`, "00042 2.3"},
		{`{{.n | money "EUR"}}`, `{"n": 1}`, ""},
	} {
		got, err := render(t, c.html, c.params)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: %q and no error", c.html, got.HTML)
			}
			continue
		}
		if err != nil || got.HTML != c.want {
			t.Errorf("%s with %s: %q, %v; not %q", c.html, c.params, got.HTML, err, c.want)
		}
	}
}

func TestMissing(t *testing.T) {
	for _, c := range []struct{ html, params, want string }{
		{"a\n  {{.customer.name}}", `{}`, `x/body.html:2:5: parameter customer.name is missing: add it to params, or write {{default "…" .customer.name}}`},
		{"{{.a}}", `{"a": null}`, `x/body.html:1:3: parameter a is missing: add it to params, or write {{default "…" .a}}`},
		{"{{money .a .b}}", `{"a": 1}`, `x/body.html:1:3: parameter b is missing: add it to params, or write {{default "…" .b}}`},
		{"{{.a | date}}", `{}`, `x/body.html:1:8: parameter a is missing: add it to params, or write {{default "…" .a}}`},
		{"{{range .items}}{{.n}}{{end}}", `{}`, `x/body.html:1:9: parameter items is missing: add it to params, or write {{default "…" .items}}`},
		{"é{{range .items}}{{.n}}{{end}}", `{"items": [{}]}`, `x/body.html:1:20: parameter n is missing (within {{range .items}}): add it to params, or write {{default "…" .n}}`},
		{"{{$x := .a}}{{$x}}", `{}`, `x/body.html:1:15: $x gives nothing: a parameter is missing; add it to params, or write {{default "…" ($x)}}`},
		{"{{len .a}}", `{}`, `x/body.html:1:7: parameter a is missing: add it to params, or write {{default "…" .a}}`},
		{"{{index .m `k`}}", `{"m": {}}`, "x/body.html:1:3: index .m `k` gives nothing: a parameter is missing; add it to params, or write {{default \"…\" (index .m `k`)}}"},
		{"{{.a.b}}", `{"a": "text"}`, `x/body.html:1:5: .a.b: this is no object, so it has no field b`},
		{"{{money .a `EUR`}}", `{"a": "text"}`, `x/body.html:1:3: money: "text" is no number`},
		{"{{gt .a 1}}", `{}`, `x/body.html:1:3: parameter a is missing: add it to params, or write {{default "…" .a}}`},
		{"", `{"a": 1`, `params:1:8: not a JSON object: it ends too early: params is a JSON object, as JSON_OBJECT('name', 'Eva', 'total', 12.50) makes it`},
		{"", `[1]`, `params: not a JSON object but array: params is a JSON object, as JSON_OBJECT('name', 'Eva', 'total', 12.50) makes it`},
		{`<a href="{{.u}}">`, `{"u": "javascript:alert(1)"}`, `a parameter cannot stand in the place`},
	} {
		_, err := render(t, c.html, c.params)
		var e *template.Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s with %s:\n%v, not\n%s", c.html, c.params, err, c.want)
		}
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct{ html, want string }{
		{"a\n é {{if .x}}b", "x/body.html:2:4: {{if}} is never closed: write {{end}} where it ends"},
		{"{{.a}} {{.b}} {{.c", "x/body.html:1:15: unclosed action: an action ends with two braces: }}"},
		{"{{.a}} {{end}}", "x/body.html:1:8: unexpected {{end}}: there is one {{end}} more than blocks"},
		{"{{.a}} {{mony .b}}", `x/body.html:1:10: there is no function "mony": the functions are`},
		{`{{money .a "ERU"}}`, `x/body.html:1:3: "ERU" is no currency`},
		{`{{money .a}}`, `x/body.html:1:3: money is given 1 values: write it like {{money .total "EUR"}}`},
		{`{{plural .n "one" "x"}}`, `x/body.html:1:3: plural needs a text for "other"`},
		{`{{template "foot" .}}`, `x/body.html:1:12: there is no template "foot"`},
		{`{{query "itms" "send"}}`, `x/body.html:1:9: there is no query "itms": its SQL stands in itms.sql in the template's folder; there are items`},
		{`<img src="cid:logo.png">`, `x/body.html:1:15: there is no image "logo.png"`},
		{`<a href="{{if .x}}">{{end}}`, `x/body.html:1:15: {{if}} branches end in different contexts`},
		{"<p>\n<a href='x>", `x/body.html:2:1: ends in a non-text context`},
		{"{{$a}}", `x/body.html:1:1: undefined variable "$a"`},
		{"{{.the-name}}", `x/body.html:1:1: bad character U+002D '-'`},
	} {
		_, problems := template.Load(files("x/subject.txt", "S", "x/body.html", c.html, "x/items.sql", "SELECT 1"), template.Options{})
		if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), c.want) {
			t.Errorf("%s:\n%v, not\n%s", c.html, problems, c.want)
		}
	}
}

func TestQuery(t *testing.T) {
	result := &table.Result{Columns: []table.Column{{Name: "day", Kind: table.Date}, {Name: "note", Kind: table.Text}, {Name: "amount", Kind: table.Number}}}
	asked := 0
	ask := func(r *template.Request) {
		r.Query = func(_ context.Context, statement string) (*table.Result, error) {
			asked++
			if statement != "SELECT 1" {
				t.Errorf("asked %s", statement)
			}
			return result, nil
		}
	}
	const html = `{{$r := query "items" "skip"}}{{table $r "day" "note" "amount=Amount|money EUR"}}{{range (query "items" "send").Rows}}{{date .day}}{{end}}{{sum $r "amount"}}`
	_, err := render(t, html, `{"id": 7}`, ask)
	var skip *template.SkipError
	if !errors.As(err, &skip) || skip.Query != "items" || asked != 1 {
		t.Errorf("an empty result gives %v", err)
	}
	result.Rows = [][]any{{time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), nil, table.Decimal("0.10")}, {time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), "<x>", table.Decimal("1234.20")}}
	got, err := render(t, html, `{"id": 7}`, ask)
	if err != nil || asked != 2 {
		t.Fatal(err, asked)
	}
	for _, want := range []string{"Mar 1, 2026", "&lt;x&gt;", `text-align:right">€1,234.20<`, "1234.30"} {
		if !strings.Contains(got.HTML, want) {
			t.Errorf("no %s in %s", want, got.HTML)
		}
	}
}

func TestContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	set := load(t, files("x/subject.txt", "S", "x/body.txt", `{{range 1000000000}}{{end}}`), "")
	x, _ := set.Template("x")
	_, err := x.Render(ctx, template.Request{})
	var e *template.Error
	if !errors.Is(err, context.Canceled) || errors.As(err, &e) {
		t.Errorf("a cancelled rendering ends with %v", err)
	}
	late, stop := context.WithTimeout(context.Background(), 0)
	defer stop()
	if _, err = x.Render(late, template.Request{}); !errors.As(err, &e) || !strings.HasSuffix(err.Error(), "rendering took too long: is there a loop in it that has no end?") {
		t.Errorf("a rendering that took too long ends with %v", err)
	}
}

// statementOf answers one statement with one row.
func statementOf(statement string) func(context.Context, string) (*table.Result, error) {
	return func(_ context.Context, asked string) (*table.Result, error) {
		if asked != statement {
			return nil, errors.New("asked " + asked)
		}
		return &table.Result{Columns: []table.Column{{Name: "a", Kind: table.Integer}}, Rows: [][]any{{int64(1)}}}, nil
	}
}

// What could hold a daemon up ends with an error of the row.
func TestBounds(t *testing.T) {
	for _, c := range []struct{ html, want string }{
		{`{{define "a"}}{{template "a" .}}{{end}}{{template "a" .}}`, "exceeded maximum template depth"},
		{`{{range 100000000}}{{$.big}}{{end}}`, "the mail becomes larger than 32 MB"},
		{`{{printf "%1000000000d" .n}}`, "x/body.html:1:3"},
		{`{{money .huge "EUR"}}`, "is no number"},
		{`{{number .n 99}}`, "0 to 20 decimals"},
		{`{{query "items" "send"}}`, `the query "items": refused`},
		{`{{query "items" .n}}`, `x/body.html:1:`},
		{`{{index .list 5}}`, "index out of range: 5"},
		{`{{range .n}}{{end}}`, "range can't iterate over 1"},
	} {
		refused := errors.New("refused")
		_, err := render(t, c.html, `{"n": 1, "huge": 1e999999999, "list": [], "big": "`+strings.Repeat("x", 1<<20)+`"}`, func(r *template.Request) {
			r.Query = func(context.Context, string) (*table.Result, error) { return nil, refused }
		})
		var e *template.Error
		if query := strings.Contains(c.want, "refused"); errors.As(err, &e) == query || errors.Is(err, refused) != query || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.html, err)
		}
	}
}

// What a designer writes for Outlook goes out as it is; what stands between is escaped as everywhere.
func TestOutlookConditions(t *testing.T) {
	const in = `<!--[if mso]><b title="{{.a}}"><![endif]--><!-- gone --><!--[if !mso]><!-->{{.a}}<!--<![endif]-->`
	got, err := render(t, in, `{"a": "<\">"}`)
	if want := `<!--[if mso]><b title="&lt;&#34;&gt;"><![endif]--><!--[if !mso]><!-->&lt;&#34;&gt;<!--<![endif]-->`; err != nil || got.HTML != want {
		t.Errorf("%s, %v", got.HTML, err)
	}
}

// The subject is one line, whatever the parameters are.
func TestSubject(t *testing.T) {
	set := load(t, files("x/subject.txt", "\n a {{.a}}\n\t{{money 5 `EUR`}}  b\n", "x/body.txt", "T"), "sk")
	x, _ := set.Template("x")
	r, err := x.Render(context.Background(), template.Request{Params: `{"a": "x\r\nBcc: y\u2028\u0085z"}`})
	if want := "a x Bcc: y z 5,00\u00a0€ b"; err != nil || r.Subject != want {
		t.Errorf("%q, %v", r.Subject, err)
	}
}

// Only what the HTML shows goes with it, the template's own before the shared.
func TestImages(t *testing.T) {
	set := load(t, files("x/subject.txt", "S", "x/body.html", `<img src="cid:a.png"><td background='CID:b.gif'><p style="background:url(cid:c.jpg)">{{if .d}}<img src="cid:{{.d}}">{{end}}<img src="cid:chart">`,
		"x/a.png", "own", "_shared/a.png", "shared", "_shared/b.gif", "b", "_shared/c.jpg", "c", "x/d.png", "d", "x/unused.png", "u"), "en")
	x, _ := set.Template("x")
	for params, want := range map[string]string{`{}`: "a.png own, b.gif b, c.jpg c, ", `{"d": "d.png"}`: "a.png own, b.gif b, c.jpg c, d.png d, ", `{"d": "../a.png"}`: "a.png own, b.gif b, c.jpg c, "} {
		r, err := x.Render(context.Background(), template.Request{Params: params})
		got := ""
		for _, a := range r.Inline {
			got += a.ContentID + " " + string(a.Content) + ", "
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v", params, got, err)
		}
	}
}

// A table's columns: chosen, named, formatted, aligned; in a plain text as columns.
func TestTable(t *testing.T) {
	const params = `{"items": [{"name": "<Nails>", "qty": 1234, "price": 0.5, "cur": "EUR", "day": "2026-11-22"}, {"name": "é", "qty": 2, "price": 1234.567, "cur": "JPY", "day": "2026-01-02", "note": "n"}]}`
	set := load(t, files("x/subject.txt", "S", "x/body.txt", `{{table .items "name=Item" "qty" "price=Price|money cur" "day=|date long" "note?"}}`), "en")
	x, _ := set.Template("x")
	r, err := x.Render(context.Background(), template.Request{Params: params})
	want := "Item      Qty  Price                     Note\n<Nails>  1234  €0.50  November 22, 2026\né           2 ¥1,235  January 2, 2026    n"
	if got := strings.Join(strings.Fields(r.Text), " "); err != nil || got != strings.Join(strings.Fields(want), " ") || strings.Count(r.Text, "\n") != 2 {
		t.Errorf("%s\n%v", r.Text, err)
	}
	for html, want := range map[string]string{
		`{{table .items}}`:                  "say which columns",
		`{{table .items "nome"}}`:           `row 1 of the list has no nome; write "nome?" if it need not have one`,
		`{{table .items "name|money EUR"}}`: `row 1, column name: "<Nails>" is no number`,
		`{{table .items "price|money xx"}}`: `"xx" is no currency`,
	} {
		if _, err := render(t, html, params); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", html, err)
		}
	}
}
