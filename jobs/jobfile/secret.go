package jobfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Secret says where a secret is kept. It never holds the value, so it may be printed and logged.
// At most one field is set; none means that there is no secret.
type Secret struct {
	File       string `key:"file" is:"path" otherwise:"one of the three" doc:"A file that holds nothing else. Others than its owner and group must have no access to it; one line feed at its end is ignored." eg:"{file: secrets/db}"`
	Credential string `key:"credential" is:"name" otherwise:"one of the three" doc:"A credential of systemd (LoadCredential=), found in the folder that CREDENTIALS_DIRECTORY names." eg:"{credential: db}"`
	Env        string `key:"env" is:"name" otherwise:"one of the three" doc:"An environment variable." eg:"{env: DB_PASSWORD}"`
}

const maxSecret = 64 << 10 // octets

// IsZero tells whether no secret is referred to.
func (s Secret) IsZero() bool { return s == Secret{} }

// String returns the reference, such as "file /etc/outboxd/secrets/db".
func (s Secret) String() string {
	switch {
	case s.File != "":
		return "file " + s.File
	case s.Credential != "":
		return "credential " + s.Credential
	case s.Env != "":
		return "environment variable " + s.Env
	}
	return "no secret"
}

// Read returns the secret's value, less one line feed at its end. Its errors name the reference and never the value.
// A missing or empty secret, one with several lines, and a file that others may use are errors; the last is not
// checked on Windows, which has no such modes, nor for a credential, whose folder systemd guards.
func (s Secret) Read() (string, error) { return s.readAs(oneLine) }

// ReadText returns the whole text of a secret that has several lines, as a key in PEM form has. Its errors are those of Read.
func (s Secret) ReadText() (string, error) { return s.readAs(wholeText) }

func (s Secret) readAs(form func(value string) (string, error)) (string, error) {
	value, err := s.read()
	if err == nil {
		value, err = form(value)
	}
	if err != nil {
		return "", fmt.Errorf("read secret from %s: %w", s, err)
	}
	return value, nil
}

func (s Secret) read() (string, error) {
	switch {
	case s.File != "":
		return readSecretFile(s.File, runtime.GOOS != "windows")
	case s.Credential != "":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return "", errors.New("CREDENTIALS_DIRECTORY is not set; start the program by systemd with LoadCredential=")
		}
		return readSecretFile(filepath.Join(dir, s.Credential), false)
	case s.Env != "":
		value, ok := os.LookupEnv(s.Env)
		if !ok {
			return "", errors.New("it is not set")
		}
		return value, nil
	}
	return "", errors.New("none is given")
}

func readSecretFile(path string, checkMode bool) (value string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() { // opening a named pipe would wait for ever
		return "", errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err = f.Stat()
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); checkMode && mode&0o007 != 0 {
		return "", fmt.Errorf("others may use it (mode %04o); chmod o= %s", mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecret {
		return "", fmt.Errorf("it is larger than %d octets", maxSecret)
	}
	return string(bytes.TrimPrefix(b, []byte("\ufeff"))), nil
}

func wholeText(value string) (string, error) {
	switch {
	case strings.TrimSpace(value) == "":
		return "", errors.New("it is empty")
	case strings.Contains(value, "\x00"):
		return "", errors.New("it has a NUL")
	}
	return value, nil
}

// oneLine drops one line end and refuses what cannot be a password.
func oneLine(value string) (string, error) {
	if v, ok := strings.CutSuffix(value, "\n"); ok {
		value = strings.TrimSuffix(v, "\r")
	}
	switch {
	case value == "":
		return "", errors.New("it is empty")
	case strings.ContainsAny(value, "\x00\r\n"):
		return "", errors.New("it has more than one line, or a NUL")
	}
	return value, nil
}
