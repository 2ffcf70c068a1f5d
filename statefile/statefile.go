// Package statefile writes files that outlive the process, and locks them against other processes.
//
// It promises that a file is the old or the new text whole, whatever ends the process or the computer, that others than its owner do not
// read it, and that what root makes belongs to the owner of the folder that it is in: the daemon must be able to go on with it.
package statefile

import (
	"errors"
	"os"
	"path/filepath"
)

const (
	folderMode = 0o700
	// Mode is that of a file.
	Mode = 0o600
)

// MakeFolder makes a folder below one that exists.
func MakeFolder(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, folderMode); err != nil {
		return err
	}
	return GiveAway(path)
}

// Write replaces a file, and makes its folder where it is missing. After a crash of the computer the old text may be back, unless
// SyncFolder was called.
func Write(path string, text []byte) error {
	if err := MakeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	next, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, Mode)
	if err != nil {
		return err
	}
	_, err = next.Write(text)
	if err = errors.Join(err, next.Sync(), next.Close(), GiveAway(next.Name())); err != nil {
		return err
	}
	return os.Rename(next.Name(), path)
}
