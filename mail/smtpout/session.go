package smtpout

import (
	"bufio"
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"time"

	gosimplemail "github.com/xhit/go-simple-mail/v2"

	"outboxd/mail"
)

// restAfter is how long a session without a transaction may wait before it counts as rested, see [StaleError].
const restAfter = time.Second

// Session is one connection that is ready for transactions. One goroutine at a time calls Send; Close, Usable and the
// questions may come from any.
type Session struct {
	wire       *wire
	timeouts   Timeouts
	state      *tls.ConnectionState
	extensions []string
	mechanism  string
	maxSize    int64
	eightBit   bool
	utf8       bool
	size       bool
	dsn        bool

	library *gosimplemail.SMTPClient
	bridge  *bridge
	rested  time.Time // when the last reply came
	used    bool      // a transaction was made before

	mu     sync.Mutex
	busy   bool
	broken bool // no transaction can follow
	closed bool
}

// Delivery is one message and its envelope.
type Delivery struct {
	From    string   // envelope sender as local@host; "" is the null return path
	To      []string // envelope recipients as local@host
	Message []byte   // RFC 5322 with CRLF line ends; not changed and not kept
	UTF8    bool     // an address or the header needs SMTPUTF8 (RFC 6531)
	DSN     DSN      // the zero value asks for nothing

	// BeforeData may be nil. It is called when at least one recipient was accepted, right before DATA is written.
	// Its error ends the transaction with RSET; it then stands in Result.Stopped.
	BeforeData func(ctx context.Context) error

	// Mark may be nil. It is started when DATA has been written and runs, in a goroutine of its own, while the 354
	// travels; accepted tells for each of To whether the server took it. The first byte of the content is written after
	// it returned nil, never before. Its error closes the connection; it then stands in Result.Stopped. Send
	// does not return before Mark has.
	Mark func(ctx context.Context, accepted []bool) error
}

// Result tells what became of a Delivery.
type Result struct {
	// Recipients has one outcome for each of To in its order: its refusal, or the message's outcome.
	Recipients []mail.Outcome
	// Message is the transaction's outcome; if every recipient was refused, the first refusal.
	Message mail.Outcome
	// Stopped is not nil if the transaction ended from this side before the final dot: the error of BeforeData, of Mark or of
	// the context, ErrClosed, or a *StaleError. The server did not take the message; Message and the outcomes of the
	// recipients that were not refused mean nothing then.
	Stopped error
	// Marked tells that Mark returned nil. With Stopped or a refusal the message was not taken all the same.
	Marked bool
}

// Send makes one transaction. It checks the envelope and the message first; what is wrong with them is an outcome
// without a word to the server. After it, ask Usable.
func (s *Session) Send(ctx context.Context, d Delivery) Result {
	s.mu.Lock()
	if s.closed || s.broken || s.busy {
		s.mu.Unlock()
		return stoppedResult(&d, ErrClosed)
	}
	s.busy = true
	s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		s.finish(false)
		return stoppedResult(&d, err)
	}
	t := newTransaction(ctx, s, &d)
	if t.check() {
		release := s.wire.watch(ctx)
		t.run()
		release()
	}
	s.finish(t.broken != nil || t.dismissed)
	return t.result()
}

func stoppedResult(d *Delivery, err error) Result {
	return Result{Recipients: make([]mail.Outcome, len(d.To)), Stopped: err}
}

// finish ends a transaction; one that broke the dialogue takes the connection with it.
func (s *Session) finish(broken bool) {
	s.mu.Lock()
	s.busy = false
	broken = broken || s.wire.cause() != nil
	s.broken = s.broken || broken
	s.mu.Unlock()
	if broken {
		s.wire.abort(ErrClosed)
	}
}

// Usable tells whether another transaction may follow.
func (s *Session) Usable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && !s.broken && !s.busy && s.wire.cause() == nil
}

// Close ends the session: with QUIT if no transaction is under way and the dialogue is sound, else by closing the
// connection, which a transaction under way notices at once. The error is that of a QUIT that was not answered; the
// connection is closed anyway.
func (s *Session) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	polite := first && !s.busy && !s.broken
	s.mu.Unlock()
	var err error
	if polite {
		if _, err = s.wire.ask("QUIT", 2, s.timeouts.Quit); err == nil {
			_ = s.wire.nc.Close() // over TLS with its own goodbye
		}
	}
	s.wire.abort(ErrClosed)
	return err
}

// MaxSize returns the largest message in octets that the server announced with SIZE (RFC 1870), 0 if unknown.
func (s *Session) MaxSize() int64 { return s.maxSize }

// Extensions returns the lines of the EHLO reply that was given last, after STARTTLS, in the server's order.
func (s *Session) Extensions() []string { return slices.Clone(s.extensions) }

// Mechanism returns the AUTH mechanism that the login used, "" without one.
func (s *Session) Mechanism() string { return s.mechanism }

// TLS returns the state of the TLS connection, and false in clear.
func (s *Session) TLS() (tls.ConnectionState, bool) {
	if s.state == nil {
		return tls.ConnectionState{}, false
	}
	return *s.state, true
}

// attach makes the library's client over the ready connection. What it says is answered by the bridge, which lets
// nothing through before a transaction.
func (s *Session) attach() error {
	s.bridge = &bridge{wire: s.wire, out: bufio.NewWriterSize(nil, chunkSize)}
	s.bridge.answer("220 ready")
	server := gosimplemail.NewSMTPClient()
	server.CustomConn = s.bridge
	server.Encryption = gosimplemail.EncryptionNone
	server.Authentication = gosimplemail.AuthNone
	server.KeepAlive = true
	server.ConnectTimeout, server.SendTimeout = 0, 0 // they cannot interrupt anything; the wire's deadlines do
	var err error
	s.library, err = server.Connect()
	return err
}
