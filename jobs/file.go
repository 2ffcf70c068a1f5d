package jobs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	fileWait   = time.Minute      // of a row whose folder is not there
	changeWait = 10 * time.Second // of a row whose file is being written
)

// rootFile is a regular file below a company's attachments folder, open, with the size that it had then. Neither .. nor a
// link leads out of the folder, at whatever moment it is made.
type rootFile struct {
	*os.File
	info os.FileInfo
}

// awayError is the *waitError of a folder that cannot be used: every row that needs it waits.
type awayError struct{ waitError }

// Unwrap makes the row wait.
func (e *awayError) Unwrap() error { return &e.waitError }

// changingError is the *waitError of a file that is being written.
type changingError struct{ waitError }

// Unwrap makes the row wait.
func (e *changingError) Unwrap() error { return &e.waitError }

func away(format string, args ...any) error {
	return &awayError{waitError{fmt.Sprintf(format, args...), fileWait}}
}

// openBelow opens a file below the folder. That the folder cannot be used is nobody's row's fault and an *awayError; what is
// wrong with the file itself is a *rowError.
func openBelow(folder, name string) (*rootFile, error) {
	if folder == "" {
		return nil, &rowError{"the company has no folder for files: name it in jobs.yaml as attachments, or put the content into the row"}
	}
	path := filepath.FromSlash(name)
	if !filepath.IsLocal(path) || strings.ContainsRune(name, 0) {
		return nil, &rowError{fmt.Sprintf("file %q is not below the company's attachments folder: write its path from there, without .. and without a leading /", name)}
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, away("the attachments folder cannot be used: %v. Is it mounted, and may outboxd read it?", err)
	}
	// Without O_NONBLOCK the open of a named pipe would wait for its writer.
	f, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, errors.Join(fileError(root, name, err), root.Close())
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &rowError{fmt.Sprintf("file %q is not a regular file", name)}
	}
	if err = errors.Join(err, root.Close()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &rootFile{f, info}, nil
}

// faultsOfTheRow are the system's errors that tell of a wrong path, and not of a disk or a server of files in trouble.
var faultsOfTheRow = []error{syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.EACCES, syscall.EPERM, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.ENXIO, syscall.EINVAL}

// fileError says whose fault it is that a file cannot be opened.
func fileError(root *os.Root, name string, err error) error {
	var number syscall.Errno
	switch known := errors.As(err, &number); {
	case errors.Is(err, fs.ErrNotExist) && empty(root):
		return away("file %q is not there, nor is anything else in the attachments folder: is it mounted?", name)
	case errors.Is(err, fs.ErrNotExist):
		return &rowError{fmt.Sprintf("file %q is not in the company's attachments folder: put it there, then queue retry", name)}
	case !known: // the root's own refusal
		return &rowError{fmt.Sprintf("file %q leads out of the company's attachments folder: a link that leaves it is not followed", name)}
	case errors.Is(err, fs.ErrPermission):
		return &rowError{fmt.Sprintf("file %q may not be read by the user that outboxd runs as: give it the right, then queue retry", name)}
	case slices.ContainsFunc(faultsOfTheRow, func(fault error) bool { return errors.Is(err, fault) }):
		return &rowError{fmt.Sprintf("file %q cannot be opened: %v", name, number)}
	}
	return away("file %q cannot be opened: %v", name, err)
}

// empty tells whether the folder holds nothing at all, like one on which nothing is mounted.
func empty(root *os.Root) bool {
	dir, err := root.Open(".")
	if err != nil {
		return false
	}
	_, err = dir.ReadDir(1)
	return errors.Join(dir.Close()) == nil && errors.Is(err, io.EOF)
}

// statBelow looks at a file below the folder, as openBelow does.
func statBelow(folder, name string) (os.FileInfo, error) {
	f, err := openBelow(folder, name)
	if err != nil {
		return nil, err
	}
	return f.info, f.Close()
}

// readBelow reads a file that was looked at before. One that has changed since is still being written.
func readBelow(folder, name string, was os.FileInfo) (content []byte, err error) {
	f, err := openBelow(folder, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	same := func(info os.FileInfo) bool { return info.Size() == was.Size() && info.ModTime().Equal(was.ModTime()) }
	if same(f.info) {
		content = make([]byte, was.Size())
		_, err = io.ReadFull(f, content)
	}
	now, statErr := f.Stat()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), statErr == nil && !same(now):
		return nil, &changingError{waitError{fmt.Sprintf("file %q changes while it is read: write it under another name and rename it when it is whole", name), changeWait}}
	case err != nil || statErr != nil:
		return nil, away("file %q cannot be read: %v", name, errors.Join(err, statErr))
	}
	return content, nil
}
