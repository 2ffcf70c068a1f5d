package smtpout

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// bridge is the net.Conn that the library speaks over. Each command of the library is one Write, and the transaction
// carries it out there and then; Read gives the library the answer that was prepared for it. The library
// never sees a byte of the server's: its answers are "250", "354" or "554", so that a refused recipient does not
// end the transaction and a foreign reply cannot confuse it.
type bridge struct {
	wire *wire
	tx   *transaction  // nil between transactions
	in   []byte        // the answer that the library has not read yet
	out  *bufio.Writer // gathers content into chunks
}

// answer prepares what the library reads next.
func (b *bridge) answer(line string) { b.in = append(append(b.in[:0], line...), "\r\n"...) }

// Read gives the prepared answer. Without one the library waits for something that nobody was asked.
func (b *bridge) Read(p []byte) (int, error) {
	if len(b.in) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, b.in)
	b.in = b.in[n:]
	return n, nil
}

// Write takes one command, or a part of the content.
func (b *bridge) Write(p []byte) (int, error) {
	if err := b.take(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (b *bridge) take(p []byte) error {
	if b.tx == nil {
		if bytes.HasPrefix(p, []byte("EHLO ")) {
			b.answer("250 ready") // no extensions: the bridge adds what a MAIL needs
			return nil
		}
		return protocolErrorf("library: command outside a transaction")
	}
	if b.tx.inContent {
		if string(p) != standIn+"\r\n.\r\n" {
			return protocolErrorf("library: not the content in one write")
		}
		return b.content()
	}
	line, ended := strings.CutSuffix(string(p), "\r\n")
	if !ended || strings.ContainsAny(line, "\r\n") {
		return protocolErrorf("library: not one command in one write")
	}
	if line == "MAIL FROM:<"+librarySender+">" {
		return b.tx.mailFrom()
	}
	if address, ok := strings.CutPrefix(line, "RCPT TO:<"); ok {
		return b.tx.rcptTo(strings.TrimSuffix(address, ">"))
	}
	if line == "DATA" {
		return b.tx.data()
	}
	return protocolErrorf("library: unexpected command")
}

// content writes the message in place of the stand-in, with the dots that keep a line from ending it (RFC 5321 4.5.2).
func (b *bridge) content() error {
	b.out.Reset(contentWriter{b.tx})
	defer b.out.Reset(nil) // a session that rests keeps no message
	w := textproto.NewWriter(b.out).DotWriter()
	if _, err := w.Write(b.tx.d.Message); err != nil {
		return err
	}
	return w.Close()
}

// contentWriter takes the content chunk by chunk.
type contentWriter struct{ *transaction }

func (w contentWriter) Write(p []byte) (int, error) {
	if err := w.content(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close does nothing: the session owns the connection.
func (b *bridge) Close() error { return nil }

// LocalAddr is that of the connection.
func (b *bridge) LocalAddr() net.Addr { return b.wire.raw.LocalAddr() }

// RemoteAddr is that of the connection.
func (b *bridge) RemoteAddr() net.Addr { return b.wire.raw.RemoteAddr() }

// SetDeadline does nothing: each step has its own deadlines, see [Timeouts].
func (b *bridge) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (b *bridge) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (b *bridge) SetWriteDeadline(time.Time) error { return nil }
