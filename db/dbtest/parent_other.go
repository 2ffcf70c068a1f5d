//go:build !linux

package dbtest

import "os/exec"

// endWithParent is Linux's alone; elsewhere Stop ends the server.
func endWithParent(*exec.Cmd) {}
