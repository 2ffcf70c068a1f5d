// Package control is the way to speak to a running outboxd: HTTP with JSON over a unix socket in its runtime folder.
//
// It promises:
//   - One daemon a folder: [Listen] refuses while another one lives there, and takes the place of a dead one.
//   - Who asks is what the kernel says about the socket's other end. A request cannot name its own actor.
//   - Only the daemon's user and group reach the socket (mode 0660); what is asked needs no further secret.
//   - A request is bounded in size and in time, and one that panics ends alone.
//
// Failure rules: an error of an operation reaches the caller as a *[RemoteError] with its text, hint and kind. When nobody
// listens the caller gets a *[NoDaemonError], which is the only case in which it may work without the daemon. Program
// and daemon tell each other their versions; an operation or a field that the other side does not know is refused,
// never ignored.
package control
