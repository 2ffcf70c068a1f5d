package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"outboxd/statefile"
)

// SocketName is the name of the socket in the runtime folder.
const SocketName = "control.sock"

const (
	lockName   = "outboxd.lock"
	socketMode = 0o660
	folderMode = 0o750
	answerTime = 2 * time.Second
	// maxPath is the shortest limit of the systems outboxd runs on (macOS: 104 with the closing NUL; Linux: 108).
	maxPath = 103
)

// RunningError says that another daemon lives in the folder.
type RunningError struct{ Folder string }

// Error names the folder.
func (e *RunningError) Error() string { return "another outboxd is running in " + e.Folder }

// ErrorHint tells how to run a second one.
func (e *RunningError) ErrorHint() string {
	return "stop it first, or give this one a runtime folder of its own: OUTBOXD_RUNTIME=FOLDER"
}

// Listener is the daemon's socket, with the lock that makes the folder its own.
type Listener struct {
	net.Listener
	lock *os.File
}

// Listen makes the socket in the runtime folder, and the folder where it is missing. While another daemon lives there it
// is a *RunningError; what a dead one left is removed.
func Listen(folder string) (*Listener, error) {
	path := filepath.Join(folder, SocketName)
	if len(path) > maxPath {
		return nil, fmt.Errorf("control socket %s: the path is longer than the %d octets a socket may have; set OUTBOXD_RUNTIME to a shorter folder", path, maxPath)
	}
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return nil, fmt.Errorf("make the runtime folder: %w; set OUTBOXD_RUNTIME to a folder that this user may write", err)
	}
	lock, err := statefile.Lock(filepath.Join(folder, lockName))
	if errors.Is(err, statefile.ErrLocked) {
		return nil, &RunningError{folder}
	}
	if err != nil {
		return nil, fmt.Errorf("lock the runtime folder: %w; set OUTBOXD_RUNTIME to a folder that this user may write", err)
	}
	l, err := listen(folder, path)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &Listener{l, lock}, nil
}

func listen(folder, path string) (net.Listener, error) {
	if answers(path) { // on a system without locks, or after the lock's file was deleted
		return nil, &RunningError{folder}
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("control socket: %w", err)
	case info.Mode()&(os.ModeSocket|os.ModeIrregular) == 0: // Windows calls its sockets irregular
		return nil, fmt.Errorf("control socket %s: there is something that is no socket; move it away", path)
	default:
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove a dead control socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	// Until here the usual umask has kept everybody but the owner out: connecting needs the right to write.
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	}
	return l, nil
}

// answers tells whether somebody listens.
func answers(path string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// Close removes the socket and frees the folder.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	unlock := l.lock.Close()
	if errors.Is(unlock, os.ErrClosed) {
		unlock = nil
	}
	return errors.Join(err, unlock)
}
