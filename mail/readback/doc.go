// Package readback finds a mail that was sent in its recipient's mailbox, by IMAP (RFC 9051, RFC 3501), and reads what the
// receiving server wrote about it.
//
// It changes nothing there: folders are opened to be read, and a message stays unseen. It speaks over TLS, in clear to this
// computer alone. Whatever the server says is bounded: the octets of a session, the folders, the part of a header that is
// read; and a context ends everything, so that a server that says nothing or will not stop costs a person's time and no more.
package readback
