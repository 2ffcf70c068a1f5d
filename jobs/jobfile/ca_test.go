package jobfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReadCA(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(good, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if pem, err := readCA(good); err != nil || string(pem) != "text" {
		t.Errorf("a file: %q, %v", pem, err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxCA+1); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, large, os.DevNull, filepath.Join(dir, "missing")} {
		if _, err := readCA(path); err == nil {
			t.Errorf("%s was read", path)
		}
	}
}
