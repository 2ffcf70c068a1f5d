//go:build unix

package torture

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// edit replaces a text of one source file, in a copy that only the built daemon sees.
type edit struct {
	file string // from the project's folder
	old  string // must occur once
	new  string
}

// build makes the daemon with the edits, with the race detector where the tests have it, and returns its path.
func build(t testing.TB, edits []edit) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "outboxd")
	args := []string{"build", "-o", program}
	if raced {
		args = append(args, "-race")
	}
	if len(edits) > 0 {
		args = append(args, "-overlay", overlay(t, edits))
	}
	cmd := exec.Command("go", append(args, "./cmd/outboxd")...)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build outboxd: %v\n%s", err, out)
	}
	return program
}

// overlay writes the edited copies and returns the file that names them. An edit whose text is not there any more fails the
// test: whoever changed the code says anew how to break it.
func overlay(t testing.TB, edits []edit) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir, texts := t.TempDir(), map[string]string{}
	for _, e := range edits {
		path := filepath.Join(root, e.file)
		text, edited := texts[path]
		if !edited {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.old); n != 1 {
			t.Fatalf("the planted bug's anchor occurs %d times in %s, not once:\n%s\nThe code has changed: say anew in torture/plant_test.go how to break it.", n, e.file, e.old)
		}
		texts[path] = strings.Replace(text, e.old, e.new, 1)
	}
	replace := map[string]string{}
	for path, text := range texts {
		replace[path] = filepath.Join(dir, strings.ReplaceAll(path, string(filepath.Separator), "_"))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
