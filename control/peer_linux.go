package control

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// peerUID asks the kernel for the user at the other end, as it was when the connection was made.
func peerUID(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var got error
	err = raw.Control(func(fd uintptr) { cred, got = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, got); err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
