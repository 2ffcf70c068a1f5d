//go:build unix

package statefile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// GiveAway lets what root has made belong to the owner of the folder that it is in: the daemon must be able to go on with it.
func GiveAway(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	}
	return nil
}

// SyncFolder makes sure that the folder of a path knows its files after a crash of the computer.
func SyncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
