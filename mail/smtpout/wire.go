package smtpout

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// past is a deadline that has gone by: it ends a read or a write that is under way.
var past = time.Unix(1, 0)

// wire is the connection to the server. One goroutine speaks over it; any goroutine may end it.
type wire struct {
	raw net.Conn // the connection that deadlines are set on
	nc  net.Conn // raw, or TLS over it
	r   *bufio.Reader

	mu       sync.Mutex
	stopped  error // why it was ended from outside: the context's error, Mark's, or ErrClosed
	shielded bool  // the end of the context no longer counts
}

func newWire(nc net.Conn) *wire {
	return &wire{raw: nc, nc: nc, r: bufio.NewReaderSize(nc, maxReplyLine)}
}

// secure goes on over the TLS connection t.
func (w *wire) secure(t net.Conn) {
	w.nc = t
	w.r = bufio.NewReaderSize(t, maxReplyLine)
}

// watch lets the end of ctx interrupt the wire until the returned function has been called, which waits for an
// interruption that is just happening, so that none can reach a later transaction.
func (w *wire) watch(ctx context.Context) (release func()) {
	w.mu.Lock()
	w.shielded = false
	w.mu.Unlock()
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		w.interrupt(ctx.Err())
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// interrupt ends what is read or written now and all that follows, unless the wire is shielded.
func (w *wire) interrupt(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shielded || w.stopped != nil {
		return
	}
	w.stopped = cause
	_ = w.raw.SetDeadline(past) // an error means that the connection is closed already
}

// shield makes the end of the context count no longer. It fails if the wire was ended before.
func (w *wire) shield() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped != nil {
		return w.stopped
	}
	w.shielded = true
	return nil
}

// abort closes the connection, shielded or not, without a word to the server.
func (w *wire) abort(cause error) {
	w.mu.Lock()
	if w.stopped == nil {
		w.stopped = cause
	}
	w.mu.Unlock()
	_ = w.raw.Close()
}

// cause returns why the wire was ended from outside, or nil.
func (w *wire) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped
}

// arm sets the deadline, unless the wire was ended. It is for both directions, because TLS may write where we read.
func (w *wire) arm(d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped != nil {
		return w.stopped
	}
	return w.raw.SetDeadline(time.Now().Add(d))
}

// write sends p whole within d.
func (w *wire) write(p []byte, d time.Duration) error {
	if err := w.arm(d); err != nil {
		return err
	}
	if _, err := w.nc.Write(p); err != nil {
		return w.explain(err, "writing", d)
	}
	return nil
}

// read reads one reply within d.
func (w *wire) read(d time.Duration) (rawReply, error) {
	if err := w.arm(d); err != nil {
		return rawReply{}, err
	}
	reply, err := readReply(w.r)
	if err != nil {
		return rawReply{}, w.explain(err, "waiting for a reply", d)
	}
	return reply, nil
}

// explain says how long was waited, or gives the reason why the wire was ended from outside.
func (w *wire) explain(err error, doing string, d time.Duration) error {
	if cause := w.cause(); cause != nil {
		return cause
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%s: gave up after %v: %w", doing, d, err)
	}
	return err
}

// send writes one command line. A reply that is there already answers nothing and would be taken for this command's.
func (w *wire) send(line string, d time.Duration) error {
	if strings.ContainsAny(line, "\r\n\x00") {
		return protocolErrorf("line break in a command")
	}
	if w.r.Buffered() > 0 {
		return errUnasked
	}
	return w.write([]byte(line+"\r\n"), d)
}

// expect reads a reply whose first digit is want, or a refusal; any other reply is a *protocolError.
func (w *wire) expect(want int, d time.Duration) (rawReply, error) {
	reply, err := w.read(d)
	if err == nil && !reply.refused() && reply.code/100 != want {
		return rawReply{}, protocolErrorf("a reply that does not fit: %d %.80q", reply.code, reply.text)
	}
	return reply, err
}

// ask sends one command and reads its reply.
func (w *wire) ask(line string, want int, d time.Duration) (rawReply, error) {
	if err := w.send(line, d); err != nil {
		return rawReply{}, err
	}
	return w.expect(want, d)
}
