//go:build !windows

package control

import "syscall"

// errRefused is how a socket answers whose daemon is dead.
const errRefused = syscall.ECONNREFUSED
