package control

import "golang.org/x/sys/windows"

// errRefused is how a socket answers whose daemon is dead.
const errRefused = windows.WSAECONNREFUSED
