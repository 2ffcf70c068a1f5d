package template_test

import (
	"context"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"outboxd/mail/compose/template"
)

// block returns the n-th fenced block of a language in docs/for-accountants.md.
func block(t *testing.T, page, language string, n int) string {
	t.Helper()
	all := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(all) <= n {
		t.Fatalf("the page has %d blocks of %s", len(all), language)
	}
	return all[n][1]
}

// pageTree is the example's _shared with the templates that the page shows, and one of all functions in the page's table.
func pageTree(t *testing.T, page string, functions [][]string) fstest.MapFS {
	t.Helper()
	tree := fstest.MapFS{}
	shared, err := fs.Glob(os.DirFS(examples), "_shared/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range shared {
		content, err := os.ReadFile(examples + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		tree[name] = &fstest.MapFile{Data: content}
	}
	lines := []string{}
	for _, row := range functions {
		lines = append(lines, row[1])
	}
	for name, text := range map[string]string{
		"overdue/subject.txt": block(t, page, "text", 0), "overdue/body.html": block(t, page, "html", 0),
		"conditions/subject.txt": "S", "conditions/body.html": block(t, page, "html", 1),
		"functions/subject.txt": "S", "functions/body.txt": strings.Join(lines, "\n"),
	} {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return tree
}

// What the page for accountants shows is what comes out.
func TestPageForAccountants(t *testing.T) {
	text, err := os.ReadFile("../../../docs/for-accountants.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	params := block(t, page, "json", 0)
	rows := regexp.MustCompile("(?m)^\\| `(\\{\\{.*?\\}\\})` \\| (.*?) \\| (.*?) \\|$").FindAllStringSubmatch(page, -1)
	if len(rows) < 15 {
		t.Fatalf("the page has %d examples of functions", len(rows))
	}
	tree := pageTree(t, page, rows)
	rendered := func(name, language, params string) (template.Rendered, error) { // for a company of that language
		x, err := load(t, tree, language).Template(name)
		if err != nil {
			t.Fatal(err)
		}
		return x.Render(context.Background(), template.Request{Params: params})
	}
	for column, language := range map[int]string{2: "en", 3: "sk"} {
		r, err := rendered("functions", language, params)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range strings.Split(r.Text, "\n") {
			if got = strings.ReplaceAll(got, "\u00a0", " "); got != rows[i][column] {
				t.Errorf("%s in %s: %s, and the page says %s", rows[i][1], language, got, rows[i][column])
			}
		}
	}
	r, err := rendered("overdue", "en", params)
	if err != nil || r.Subject != "Invoice 2026000481 is due" || !strings.Contains(r.HTML, "3 days ago, on December 6, 2026") {
		t.Errorf("%s, %v", r.HTML, err)
	}
	golden(t, "overdue.html", r.HTML)
	if _, err := rendered("conditions", "en", params); err != nil {
		t.Error(err)
	}
	_, err = rendered("overdue", "en", strings.Replace(params, `"name": "Pod Lipou & Co."`, "", 1))
	if err == nil || !strings.Contains(page, "\n"+err.Error()+"\n") {
		t.Errorf("the page does not show this error: %v", err)
	}
}
