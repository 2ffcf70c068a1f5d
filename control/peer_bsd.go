//go:build darwin || freebsd

package control

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// localLevel is SOL_LOCAL, which every system with LOCAL_PEERCRED defines as 0.
const localLevel = 0

// peerUID asks the kernel for the user at the other end, as it was when the connection was made.
func peerUID(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Xucred
	var got error
	err = raw.Control(func(fd uintptr) { cred, got = unix.GetsockoptXucred(int(fd), localLevel, unix.LOCAL_PEERCRED) })
	if err := errors.Join(err, got); err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
