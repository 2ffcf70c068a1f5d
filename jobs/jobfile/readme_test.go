package jobfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeFile loads the jobs.yaml that the README shows.
func TestReadmeFile(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "```yaml\n")
	block, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		t.Fatal("README.md has no block of YAML")
	}
	path := filepath.Join(t.TempDir(), "jobs.yaml")
	if err := os.WriteFile(path, []byte(block), 0o600); err != nil {
		t.Fatal(err)
	}
	file, problems := Load(path)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if file.Company("acme") == nil || len(file.Company("acme").Jobs.Deliver) != 1 {
		t.Errorf("the file has %+v", file.Companies)
	}
}
