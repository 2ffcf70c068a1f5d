//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// inode names a file as JOURNAL_STREAM does.
func inode(t *testing.T, f *os.File) string {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	s := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", s.Dev, s.Ino)
}
