package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// inNewFolder makes the demo put its folder where the test's end removes it.
func inNewFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, dir)
	}
	return dir
}

func TestOnce(t *testing.T) {
	dir := inNewFolder(t)
	var out strings.Builder
	if err := show(t.Context(), &out, onceLimit); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		`mariadb -h 127\.0\.0\.1 -P \d+ -u root acme -e "INSERT INTO outbox `,
		`mail to zofia@example\.org: Faktúra č\. 2026-117`,
		`acme/5     partial`,
		`acme/8     queued    next at \d\d:\d\d:\d\d\n.*450`,
		`bakery/2   queued    next at \d\d:\d\d:\d\d\n.*limit`,
		`acme/9     mail to lipa@example\.org: Faktúra č\. 2026000481: 746,88`,
		`acme/10    mail to lipa@example\.org: Invoice 2026000481`,
		`run acme/\d+ held\n +10 rows are made`,
		`mail to eva@acme\.example: Proof of statements`,
		`UPDATE acme\.outbox_run SET approved_by = USER\(\)`,
		`mail to accounts@obrien\.example: Statement of account`,
		`mail to board@acme\.example: Sales, week`,
		`run acme/\d+ done\n.*6 sent \+ 1 failed \+ 3 skipped = 10`,
		`skipped  1005   accounts@greendeli\.example\n +recheck`,
		`mail to eva@acme\.example: statements for .*: 6 of 10`,
		`All 14 sample rows .* and the mailing is closed`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("not printed: %s", want)
		}
	}
	pages, err := filepath.Glob(filepath.Join(dir, "outboxd-demo-*", "mail-*.html"))
	if err != nil || len(pages) < 19 || len(pages) > 21 { // two of the samples wait, and may have gone meanwhile
		t.Errorf("%d pages, want 19 to 21: %v", len(pages), err)
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// stopper ends the demo when it prints a text.
type stopper struct {
	strings.Builder
	at   string
	stop context.CancelFunc
}

func (s *stopper) Write(b []byte) (int, error) {
	if strings.Contains(string(b), s.at) {
		s.stop()
	}
	return s.Builder.Write(b)
}

func TestStopByHand(t *testing.T) {
	inNewFolder(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &stopper{at: "bakery/1   sent", stop: cancel}
	if err := show(ctx, out, 0); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "stopping") || !strings.Contains(text, "Stopped.") || strings.Contains(text, "All 14") {
		t.Errorf("printed:\n%s", text)
	}
}

func TestNoFolderNoDemo(t *testing.T) {
	dir := inNewFolder(t)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := show(t.Context(), new(strings.Builder), onceLimit); err == nil {
		t.Error("no error")
	}
}
