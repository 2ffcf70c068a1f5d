//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package control

import (
	"errors"
	"os"
)

var errLocked = errors.New("locked by another")

// lockFile only opens the file: here the socket that answers is what tells of another daemon.
func lockFile(path string) (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640) }
