// Package smtptest is an SMTP server on loopback for tests, demonstrations and benchmarks. It keeps what it
// was sent and does what its script says: replies, silence, resets, half replies and lies, at any step, for
// any recipient, on any attempt.
//
// Promise: without a script it behaves as RFC 5321 asks (with STARTTLS, AUTH, SIZE, 8BITMIME, SMTPUTF8 and
// PIPELINING), keeps a ledger of every message that it saw, and notices passwords and mails that came in clear.
//
// Failure rules: a scripted fault happens exactly where its Rule says and is counted; whatever a client does
// wrong is answered with the reply of RFC 5321 and harms no other connection. Close ends every connection,
// stalled ones too, and returns when all of them have ended. It is no server for real mail: it accepts from
// everybody and keeps everything in memory.
package smtptest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// Server is one SMTP server. Its methods may be called from any goroutine.
type Server struct {
	opts      options
	authority *Authority
	tls       *tls.Config
	address   string        // where it listens; kept over Down and Up
	done      chan struct{} // closed by Close: wakes every stalled connection
	wg        sync.WaitGroup
	records   records
	script    script

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
	closed   bool
}

// TB is the part of testing.TB that New needs, so that programs can use the package without the testing package.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// New starts a server on a free port of 127.0.0.1 and closes it when the test ends.
func New(t TB, opts ...Option) *Server {
	t.Helper()
	s, err := NewServer("127.0.0.1:0", opts...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// NewServer starts a server on address ("127.0.0.1:0" for a free port). With the option InMemory the address
// is only a name and connections are made by DialPipe.
func NewServer(address string, opts ...Option) (*Server, error) {
	s := &Server{
		opts:    defaults(),
		address: address,
		done:    make(chan struct{}),
		conns:   map[net.Conn]struct{}{},
	}
	for _, o := range opts {
		o(&s.opts)
	}
	s.records.init(&s.opts)
	s.script.decide = s.opts.decide
	if err := s.certify(); err != nil {
		return nil, fmt.Errorf("smtptest: certificate: %w", err)
	}
	if s.opts.inMemory {
		return s, nil
	}
	if err := s.Up(); err != nil {
		return nil, err
	}
	return s, nil
}

// certify gives the server its certificate.
func (s *Server) certify() (err error) {
	if s.authority = s.opts.authority; s.authority == nil {
		if s.authority, err = NewAuthority(); err != nil {
			return err
		}
	}
	certificate, err := s.authority.Issue(s.opts.certificate)
	s.tls = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: s.opts.minTLS(), MaxVersion: s.opts.maxTLS}
	return err
}

// Up listens (again) on the server's address. It does nothing on a server that listens.
func (s *Server) Up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("smtptest: server is closed")
	}
	if s.listener != nil || s.opts.inMemory {
		return nil
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("smtptest: listen: %w", err)
	}
	s.listener = l
	s.address = l.Addr().String()
	s.wg.Add(1)
	go s.accept(l)
	return nil
}

// Down stops listening and cuts every connection, as a server does that crashes. Up starts it again on the
// same port; script and records stay.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close()
		s.listener = nil
	}
	for c := range s.conns {
		_ = c.Close()
	}
}

// Close ends the server and all its connections and waits for them. A second Close does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		close(s.done)
		s.Down()
	}
	s.wg.Wait()
	return nil
}

func (s *Server) accept(l net.Listener) {
	defer s.wg.Done()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.start(c)
	}
}

// start serves one connection in its own goroutine; a server that is closing cuts it instead.
func (s *Server) start(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = nc.Close()
		return
	}
	s.conns[nc] = struct{}{}
	c := newConn(s, nc, s.records.connected())
	s.wg.Go(func() {
		c.serve()
		_ = nc.Close()
		s.mu.Lock()
		delete(s.conns, nc)
		s.mu.Unlock()
		s.records.disconnected()
	})
}

// DialPipe connects to the server in memory, whatever network and address say. Such connections have no
// buffers at all and work inside testing/synctest when the server was made there with the option InMemory.
func (s *Server) DialPipe(ctx context.Context, _, _ string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	client, server := net.Pipe()
	s.start(server)
	return client, nil
}

// Addr returns the server's host:port.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// Host returns the host that the server listens on.
func (s *Server) Host() string {
	host, _, err := net.SplitHostPort(s.Addr())
	if err != nil {
		return s.Addr()
	}
	return host
}

// Port returns the port that the server listens on, 0 in memory.
func (s *Server) Port() int {
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}
