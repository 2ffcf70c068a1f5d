package dbtest

import (
	"os/exec"
	"syscall"
)

// EndWithParent has the kernel end a process when the test process that starts it dies, however it dies.
func EndWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
