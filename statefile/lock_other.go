//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package statefile

import (
	"errors"
	"os"
)

// ErrLocked says that another process has the lock.
var ErrLocked = errors.New("locked by another")

// Lock only opens the file: here the socket that answers is what tells of another daemon.
func Lock(path string) (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640) }
