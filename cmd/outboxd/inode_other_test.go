//go:build !unix

package main

import (
	"os"
	"testing"
)

// inode has no meaning on this system.
func inode(*testing.T, *os.File) string { return "" }
