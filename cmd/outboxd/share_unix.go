//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
)

// shareWithFolder gives what root has made the group of its folder: the daemon reads it by its group.
func shareWithFolder(file string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(file))
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		return os.Lchown(file, -1, int(owner.Gid))
	}
	return nil
}
