package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const previewRow = `INSERT INTO {db}.outbox (recipients, subject, body_html) VALUES ('Eva <eva@kunde.example>', 'Faktúra', '<h1>Hello</h1><script>alert(1)</script>'), ('nobody', 'x', NULL)`

// TestMessagePreview: without a daemon and with one, the same is written.
func TestMessagePreview(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, previewRow)
	s.db.Exec(t, `UPDATE {db}.outbox SET held = 1`)
	alone := s.must(exitDone, "message preview acme/1", "No daemon is running", "acme/1 is held")
	if !strings.Contains(alone, "\r\nSubject: =?utf-8?q?Fakt=C3=BAra?=\r\n") {
		t.Fatalf("%s", alone)
	}
	s.start()
	if asked := s.must(exitDone, "message preview 1", "acme/1 is held"); asked != alone {
		t.Errorf("alone\n%s\nfrom the daemon\n%s", alone, asked)
	}
	eml, page := filepath.Join(t.TempDir(), "a b.eml"), filepath.Join(t.TempDir(), "a b.html")
	code, out, errs := s.do("message", "preview", "acme/1", "--out", eml, "--html", page)
	if code != exitDone || out != "The message is in "+eml+"\nOpen in a browser: file://"+strings.ReplaceAll(page, " ", "%20")+"\n" {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	if got := contents(t, eml); got != alone {
		t.Errorf("the file holds\n%s", got)
	}
	for _, part := range []string{"<td>Faktúra</td>", "<td>acme/1</td>", "<td>eva@kunde.example</td>", "acme/1 is held", `srcdoc="`, `a%20b.eml"`, "&lt;h1&gt;Hello"} {
		if !strings.Contains(contents(t, page), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	var told struct {
		Row, Account, Out string
		EnvelopeFrom      string   `json:"envelope_from"`
		EnvelopeTo        []string `json:"envelope_to"`
		Size              int
		Warnings          []string
	}
	if err := json.Unmarshal([]byte(s.must(exitDone, "message preview acme/1 --json --out "+filepath.Join(filepath.Dir(page), "c.eml"))), &told); err != nil {
		t.Fatal(err)
	}
	if told.Row != "acme/1" || told.Account != "bulk" || told.EnvelopeFrom != "bulk@acme.example" || told.EnvelopeTo[0] != "eva@kunde.example" ||
		told.Size != len(alone) || len(told.Warnings) != 1 || filepath.Base(told.Out) != "c.eml" {
		t.Errorf("%+v", told)
	}
	s.must(exitFailed, "message preview acme/2", "acme/2 would fail: recipients: ", "there is no @", "What to do:")
	s.must(exitFailed, "message preview acme/1 --out "+filepath.Join(s.config, "below"), "not a directory")
	s.must(exitWrong, "message preview", "nothing is named")
	s.must(exitWrong, "message preview acme/1 --template invoice", "either a row, or a template")
	s.must(exitWrong, "message preview --template invoice --params @nowhere", "nowhere")
	s.must(exitFailed, "message preview acme/9", "there is no row acme/9")
}

// TestMessagePreviewOfATemplate: its params come from a file, and the page says nothing of a row.
func TestMessagePreviewOfATemplate(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"hello/subject.txt": "Hello {{.name}}", "hello/subject.sk.txt": "Ahoj {{.name}}", "hello/body.html": "<p>{{.name}}</p>", "hello/body.sk.html": "<p>{{.name}}</p>", "params.json": `{"name": "<Eva>"}`,
		"large.json": strings.Repeat(" ", maxParams+1)} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.write(strings.Replace(s.file(""), "    accounts: [bulk, main]", "    templates: "+dir+"\n    accounts: [bulk, main]", 1))
	s.start()
	command := "message preview --template hello --params @" + dir + "/"
	s.must(exitDone, command+"params.json --html "+dir+"/page.html --language sk", "Open in a browser: file://"+dir+"/page.html")
	for _, part := range []string{"<td>Ahoj &lt;Eva&gt;</td>", "<td>bulk@acme.example</td>", "&amp;lt;Eva&amp;gt;"} {
		if !strings.Contains(contents(t, dir+"/page.html"), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	s.must(exitDone, command+"params.json --to eva@kunde.example", "\r\nTo: eva@kunde.example\r\n", "\r\nSubject: Hello <Eva>\r\n")
	s.must(exitFailed, "message preview --template hello", "the message would fail: template: hello/subject.txt:1:", "What to do:")
	s.must(exitWrong, command+"large.json", "at most")
}

func contents(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v", path, info.Mode())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMessageThatATerminalWouldObey(t *testing.T) {
	for text, want := range map[string]bool{"Plain\r\n\ttext, Fakt\u00fara\r\n": false, "\x1b[31m": true, "a\x00b": true, "\u009b31m": true, "\xff": true} {
		if acts([]byte(text)) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
