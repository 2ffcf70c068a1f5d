//go:build !(linux || darwin || freebsd)

package control

import (
	"errors"
	"net"
)

// peerUID is not known on this system.
func peerUID(*net.UnixConn) (int, error) {
	return 0, errors.ErrUnsupported
}
