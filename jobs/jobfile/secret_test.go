package jobfile

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestSecretRead(t *testing.T) {
	tests := []struct{ name, content, want, err string }{
		{"plain", "hunter2", "hunter2", ""},
		{"line feed", "hunter2\n", "hunter2", ""},
		{"carriage return", "hunter2\r\n", "hunter2", ""},
		{"blanks are kept", " hunter2 \n", " hunter2 ", ""},
		{"byte order mark", "\ufeffhunter2\n", "hunter2", ""},
		{"two line feeds", "hunter2\n\n", "", "more than one line"},
		{"two lines", "hunter2\nhunter2\n", "", "more than one line"},
		{"NUL", "hunter2\x00", "", "NUL"},
		{"empty", "", "", "it is empty"},
		{"line feed alone", "\n", "", "it is empty"},
		{"large", strings.Repeat("hunter2 ", maxSecret/8+1), "", "larger than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "secret")
			if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			checkRead(t, Secret{File: file}, test.want, test.err)
			t.Setenv("CREDENTIALS_DIRECTORY", dir)
			checkRead(t, Secret{Credential: "secret"}, test.want, test.err)
			// The environment holds no NUL, and a value as long as this or one with a mark is not for it.
			if !strings.ContainsAny(test.content, "\x00\ufeff") && len(test.content) < maxSecret {
				t.Setenv("TEST_SECRET", test.content)
				checkRead(t, Secret{Env: "TEST_SECRET"}, test.want, test.err)
			}
		})
	}
}

// A text may have several lines; all else is as with a secret of one line.
func TestSecretReadText(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	for content, want := range map[string]string{key: "", "": "it is empty", "\n \n": "it is empty", "hunter2\n\x00": "NUL", strings.Repeat("hunter2\n", maxSecret/8+1): "larger than"} {
		if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		secrets := []Secret{{File: filepath.Join(dir, "secret")}, {Credential: "secret"}}
		if !strings.Contains(content, "\x00") && len(content) < maxSecret {
			t.Setenv("TEST_SECRET", content)
			secrets = append(secrets, Secret{Env: "TEST_SECRET"})
		}
		for _, s := range secrets {
			got, err := s.ReadText()
			switch {
			case want == "" && (err != nil || got != key):
				t.Errorf("%s: %q, %v", s, got, err)
			case want != "" && (err == nil || got != "" || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2")):
				t.Errorf("%s: %q, %v; want an error with %q", s, got, err, want)
			}
		}
	}
	if runtime.GOOS == "windows" {
		return // no modes
	}
	if err := os.Chmod(filepath.Join(dir, "secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (Secret{File: filepath.Join(dir, "secret")}).ReadText(); err == nil || !strings.Contains(err.Error(), "others may use it") {
		t.Errorf("a file that others may read: %v", err)
	}
}

func TestSecretThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	checkRead(t, Secret{File: filepath.Join(dir, "none")}, "", "none")
	checkRead(t, Secret{File: dir}, "", "not a regular file")
	checkRead(t, Secret{Credential: "none"}, "", "credential none")
	checkRead(t, Secret{Env: "TEST_SECRET_UNSET"}, "", "it is not set")
	checkRead(t, Secret{}, "", "none is given")
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	checkRead(t, Secret{Credential: "none"}, "", "CREDENTIALS_DIRECTORY is not set")
}

// TestP9_SecretFileThatOthersMayUse is about Unix modes, which Windows does not have: there the file is read.
func TestP9_SecretFileThatOthersMayUse(t *testing.T) {
	for mode, refused := range map[os.FileMode]bool{0o400: false, 0o600: false, 0o640: false, 0o440: false, 0o644: true, 0o604: true, 0o602: true, 0o666: true} {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if refused && runtime.GOOS != "windows" {
			checkRead(t, Secret{File: file}, "", "others may use it")
		} else {
			checkRead(t, Secret{File: file}, "hunter2", "")
		}
	}
}

func checkRead(t *testing.T, s Secret, want, wantErr string) {
	t.Helper()
	got, err := s.Read()
	switch {
	case wantErr == "" && (err != nil || got != want):
		t.Errorf("%s: %q, %v; want %q", s, got, err, want)
	case wantErr != "" && (err == nil || got != "" || !strings.Contains(err.Error(), wantErr)):
		t.Errorf("%s: %q, %v; want an error with %q", s, got, err, wantErr)
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%s: the secret is in the error: %v", s, err)
	}
}

func TestSecretStringAndIsZero(t *testing.T) {
	tests := []struct {
		secret Secret
		want   string
		zero   bool
	}{
		{Secret{File: "secrets/db"}, "file secrets/db", false},
		{Secret{Credential: "db"}, "credential db", false},
		{Secret{Env: "DB"}, "environment variable DB", false},
		{Secret{}, "no secret", true},
	}
	for _, test := range tests {
		if got := test.secret.String(); got != test.want || test.secret.IsZero() != test.zero {
			t.Errorf("%+v: %s, zero %v", test.secret, got, test.secret.IsZero())
		}
	}
}
