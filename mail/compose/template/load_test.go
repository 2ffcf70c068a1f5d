package template_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"outboxd/mail/compose/template"
)

// Which language a mail is in, and in which its numbers are written.
func TestLanguages(t *testing.T) {
	set := load(t, files(
		"a/subject.txt", "S {{number .n}}", "a/subject.sk.txt", "SK {{number .n}}",
		"a/body.sk.html", `sk {{template "foot"}}`, "a/body.en.html", `en {{template "foot"}}`, "a/body.pt-BR.txt", "br", "a/body.html", `none {{template "foot"}}`,
		"_shared/foot.html", "foot", "_shared/foot.sk.html", "päta",
		"b/subject.txt", "S", "b/body.de.txt", "de {{number .n}}",
		"c/subject.txt", "S", "c/body.txt", "none {{number .n}}",
	), "sk")
	for _, c := range []struct{ name, language, subject, body, chosen string }{
		{"a", "", "SK 1\u00a0234,5", "sk päta", "sk"},
		{"a", "sk-SK", "SK 1\u00a0234,5", "sk päta", "sk-SK"},
		{"a", "sk_SK", "SK 1\u00a0234,5", "sk päta", "sk-SK"},
		{"a", "en-GB", "S 1,234.5", "en foot", "en-GB"},
		{"a", "pt-BR", "S 1.234,5", "br", "pt-BR"},
		{"a", "pt", "SK 1\u00a0234,5", "sk päta", "sk"},
		{"a", "ja", "SK 1\u00a0234,5", "sk päta", "sk"},
		{"b", "de-CH", "S", "de 1’234.5", "de-CH"},
		{"c", "de", "S", "none 1\u00a0234,5", "sk"},
	} {
		x, err := set.Template(c.name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := x.Render(context.Background(), template.Request{Language: c.language, Params: `{"n": 1234.5}`})
		if err != nil || r.Subject != c.subject || r.Text+r.HTML != c.body || r.Language != c.chosen {
			t.Errorf("%s in %q: %+v, %v", c.name, c.language, r, err)
		}
	}
	b, _ := set.Template("b")
	for language, want := range map[string]string{"fr": `the template "b" has no body in "fr" or "sk": it has one in de`, "x!": `"x!" is no language`} {
		if _, err := b.Render(context.Background(), template.Request{Language: language}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("in %q: %v", language, err)
		}
	}
}

// All problems of a folder at once, each once, and what is whole can be used.
func TestAllProblems(t *testing.T) {
	set, problems := template.Load(files(
		"_shared/head.html", "{{.a}}\n{{nofunc}}", "_shared/unused.txt", "{{end}}",
		"good/subject.txt", "S", "good/body.txt", "T",
		"one/subject.txt", "{{.a", "one/body.html", `{{template "head"}}`, "one/body.sk.html", `{{template "head"}}<b {{.x}}`,
		"two/body.xx-yy-zz9.html", "", "two/what is this.png", "",
		"_odd/subject.txt", "", "README.md", "not a template", "three/.hidden", "", "three/subject.txt~", "",
		"four/subject.txt", "\xff", "four/body.txt", "",
	), template.Options{})
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	want := []string{
		`_odd: is no name for a template`,
		`_shared/head.html:2:3: there is no function "nofunc"`,
		`_shared/unused.txt:1:1: unexpected {{end}}`,
		`four/subject.txt: is not UTF-8`,
		`one/body.sk.html:1:1: `,
		`one/subject.txt:1:1: unclosed action`,
		`three: has no body`,
		`two/body.xx-yy-zz9.html: "xx-yy-zz9" is no language`,
		`two/what is this.png: cannot be shown as an image`,
		`two: has no body`,
	}
	for _, w := range want {
		n := 0
		for _, g := range got {
			if strings.HasPrefix(g, w) {
				n++
			}
		}
		if n != 1 && !strings.HasSuffix(w, "1:1: ") {
			t.Errorf("%d times %s", n, w)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(got, "\n"))
	}
	if _, err := set.Template("good"); err != nil || !set.Has("one") || set.Has("five") {
		t.Errorf("%v, %v", err, set.Names())
	}
	if _, err := set.Template("one"); err == nil || !strings.Contains(err.Error(), "one/") && !strings.Contains(err.Error(), "_shared/") {
		t.Errorf("a broken template: %v", err)
	}
	if _, err := set.Template("five"); err == nil || !strings.HasSuffix(err.Error(), "; there are good") {
		t.Errorf("an unknown template: %v", err)
	}
	_, problems = template.Load(nil, template.Options{Language: "?"})
	if len(problems) != 1 {
		t.Errorf("an unknown language: %v", problems)
	}
}

// A link that leads out of the folder is refused, one within it is followed.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("secret", "secret")
	write("templates/a/subject.txt", "S")
	write("templates/a/body.txt", "T")
	write("templates/_shared/foot.txt", "foot")
	for link, target := range map[string]string{"templates/a/out.txt": "../../secret", "templates/a/in.txt": "../_shared/foot.txt", "templates/b": "..", "templates/c": "a"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(filepath.Join(dir, "templates"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	set, problems := template.Load(root.FS(), template.Options{})
	text := fmt.Sprint(problems)
	if !strings.Contains(text, "a/out.txt: cannot be read") || !strings.Contains(text, "b: cannot be read") || !strings.Contains(text, "symbolic link") || strings.Contains(text, "in.txt") {
		t.Errorf("links: %v", problems)
	}
	if len(set.Names()) != 0 {
		t.Errorf("%v can be used", set.Names())
	}
}

// Templates of outbox_template, on top of the folder's shared files.
func TestCompile(t *testing.T) {
	set := load(t, files("_shared/layout.html", `<div>{{block "content" .}}{{end}}{{template "foot"}}</div><img src="cid:l.png">`, "_shared/foot.html", "F", "_shared/l.png", "PNG", "f/subject.txt", "S", "f/body.txt", "file"), "sk")
	rows := []template.Row{
		{Name: "x", Subject: "S {{.n}}", HTML: `{{template "layout"}}{{define "content"}}{{.n}} {{table (query "q" "send")}}{{end}}`, Queries: `{"q": "SELECT 1"}`},
		{Name: "x", Language: "en", Subject: "E", Text: "english"},
		{Name: "_foot", HTML: "row's"},
		{Name: "other", Subject: "{{"},
	}
	x, err := set.Compile("x", rows)
	if err != nil {
		t.Fatal(err)
	}
	r, err := x.Render(context.Background(), template.Request{Params: `{"n": 1}`, Query: statementOf("SELECT 1")})
	if err != nil || r.Subject != "S 1" || !strings.HasPrefix(r.HTML, "<div>1 <table") || !strings.HasSuffix(r.HTML, `row&#39;s</div><img src="cid:l.png">`) && !strings.HasSuffix(r.HTML, `row's</div><img src="cid:l.png">`) || len(r.Inline) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := x.Render(context.Background(), template.Request{Language: "en"}); err != nil || r.Subject+r.Text+r.HTML != "Eenglish" {
		t.Errorf("%+v, %v", r, err)
	}
	if again, _ := set.Compile("x", rows); again != x {
		t.Error("the same rows are compiled twice")
	}
	if f, err := set.Compile("f", rows); err == nil {
		t.Errorf("f is no row and compiled: %v", f)
	}
	for _, c := range []struct {
		row  template.Row
		want string
	}{
		{template.Row{Name: "y", Subject: "S", HTML: "a\n{{.b"}, `outbox_template/y.html:2:1: unclosed action`},
		{template.Row{Name: "y", Subject: "S", Language: "sk", Text: "{{query `z` `send`}}"}, `outbox_template/y.sk.text:1:9: there is no query "z"`},
		{template.Row{Name: "y", Subject: "S", Text: "T", Queries: "[]"}, `outbox_template/y.queries: not a JSON object`},
		{template.Row{Name: "y", Subject: "S", Text: "T", Queries: `{"q": "SELECT 1"} {`}, `outbox_template/y.queries: not a JSON object`},
		{template.Row{Name: "y", Text: "T"}, `outbox_template/y: has no subject`},
		{template.Row{Name: "y", Subject: "S"}, `outbox_template/y: has no body`},
		{template.Row{Name: "y", Language: "!"}, `outbox_template/y: "!" is no language`},
		{template.Row{Name: "z"}, `there is no template "y"`},
	} {
		var e *template.Error
		if _, err := set.Compile("y", []template.Row{c.row}); !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, not %s", c.row, err, c.want)
		}
	}
	for i := range 1200 { // the cache is bounded
		if _, err := set.Compile("x", []template.Row{{Name: "x", Subject: fmt.Sprint(i), Text: "T"}}); err != nil {
			t.Fatal(err)
		}
	}
}

// One template, many mails at once: no mail gets another's language or values.
func TestManyAtOnce(t *testing.T) {
	x, _ := load(t, files("x/subject.txt", "{{.n}}", "x/body.html", `{{range .all}}{{money . "EUR"}};{{end}}`, "x/body.sk.html", `{{range .all}}{{money . "EUR"}};{{end}}`), "en").Template("x")
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 50 {
				n := worker*1000 + i
				language, want := "en", fmt.Sprintf("€%d.50;€1.00;", n)
				if n%2 == 0 {
					language, want = "sk", fmt.Sprintf("%d,50\u00a0€;1,00\u00a0€;", n)
				}
				r, err := x.Render(context.Background(), template.Request{Language: language, Params: fmt.Sprintf(`{"n": %d, "all": [%d.50, 1]}`, n, n)})
				if got := strings.NewReplacer("\u00a0", "", ",", "", ".", "", "&nbsp;", "").Replace(r.HTML); err != nil || r.Subject != fmt.Sprint(n) || got != strings.NewReplacer("\u00a0", "", ",", "", ".", "").Replace(want) {
					t.Errorf("%d: %+v, %v", n, r, err)
				}
			}
		})
	}
	wait.Wait()
}

// Texts that are made to keep a parser busy are read in a time that grows with their length.
func TestHostileTemplates(t *testing.T) {
	for name, html := range map[string]string{
		"stray <":        strings.Repeat("<", 50_000),
		"unknown names":  strings.Repeat("{{nofn}}", 5_000),
		"many actions":   strings.Repeat("{{.a}} ", 5_000) + "{{end}}",
		"many places":    strings.Repeat("{{.a}}\n{{money .b `EUR`}}", 3_000),
		"nested blocks":  strings.Repeat("{{if .a}}", 3_000) + strings.Repeat("{{end}}", 3_000),
		"nested loops":   strings.Repeat("{{range .a}}", 40) + strings.Repeat("{{end}}", 40),
		"parentheses":    "{{" + strings.Repeat("(", 50_000),
		"braces":         strings.Repeat("{{", 30_000),
		"unclosed":       strings.Repeat("{{if .a}}", 5_000),
		"Outlook's mark": strings.Repeat("<!--[if mso]>", 5_000),
	} {
		start := time.Now()
		_, problems := template.Load(files("x/subject.txt", "S", "x/body.html", html), template.Options{})
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: %s", name, took)
		}
		if len(problems) > 60 {
			t.Errorf("%s: %d problems", name, len(problems))
		}
	}
}
