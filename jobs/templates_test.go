package jobs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outboxd/mail/page"
)

// TestP6_BrokenTemplatesLeaveOutTheirCompanyAlone: at the start the company is left out; a reload is refused; a mended file comes in
// by a reload with the same jobs.yaml.
func TestP6_BrokenTemplatesLeaveOutTheirCompanyAlone(t *testing.T) {
	s, beta := newSite(t), newSite(t)
	dir := folder(t, map[string]string{"hello/subject.txt": "Hello", "hello/body.txt": "Hello {{.name"})
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "hello", "body.txt"), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	hello := func() {
		t.Helper()
		beta.db.Exec(t, `INSERT INTO {db}.outbox (recipients, template, params) VALUES ('b@kunde.example', 'hello', '{"name": "Eva"}')`)
	}
	text := s.two("  main: "+s.account(unlimited), "    server: main\n    database: "+beta.db.Name+"\n    templates: "+dir, "")
	s.mail("a@kunde.example")
	hello()
	s.start(text, "one")
	s.awaitEvent("company_left_out", 1)
	s.awaitRows("1 sent 1")
	if got := beta.db.Read(t, rowsQuery); got != "1 queued 0" {
		t.Errorf("rows of the company that is left out: %s", got)
	}
	err := s.engine.Reload(s.write(text))
	if err == nil || !strings.Contains(err.Error(), filepath.Join("hello", "body.txt")+":1:7") {
		t.Errorf("reload with a broken template: %v", err)
	}
	write("Hello {{.name}}")
	s.reload(text)
	beta.awaitRows("1 sent 1")
	write("Good evening {{.name}}")
	s.reload(text)
	hello()
	beta.awaitRows("1 sent 1", "2 sent 1")
	for i, want := range []string{"Hello Eva\n", "Good evening Eva\n"} {
		if m := page.Read(s.smtp.Messages()[i+1].Data); m.Text != want {
			t.Errorf("mail %d is %q, want %q", i+1, m.Text, want)
		}
	}
}
