package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// versionHeader carries the version of who wrote the request or the reply.
const versionHeader = "Outboxd-Version"

const (
	maxRequest    = 1 << 20 // octets
	maxReply      = 64 << 20
	maxEnclosed   = 1 << 30
	maxOpen       = 32 // connections at once; more wait
	headerTime    = 5 * time.Second
	requestTime   = 10 * time.Second // to read a whole request
	operationTime = 3 * time.Minute  // an account test waits for a slow mail server
	replyTime     = 10 * time.Second
	enclosedTime  = 2 * time.Minute // to read what is enclosed
	idleTime      = 2 * time.Minute
)

// Actor is a request that changes something and so has to know who asked. It is set by the server, after decoding.
type Actor interface{ SetActor(name string) }

// Encloser is a reply with octets that are too many for JSON: a field that JSON leaves out. They follow the reply's JSON, as they
// are. It is a pointer's method, for the client fills the field.
type Encloser interface{ Enclosed() *[]byte }

// Hinter is an error that knows what to do about it.
type Hinter interface {
	error
	ErrorHint() string
}

// Misuse is an error that is the caller's mistake, when it returns true: asked wrongly, not failed.
type Misuse interface {
	error
	WrongUsage() bool
}

// Server answers operations. Make one with NewServer, add operations with Handle, then Serve.
type Server struct {
	mux     *http.ServeMux
	version string
	report  func(error)
}

// NewServer returns a server without operations. report gets what went wrong on the server's side of a connection.
func NewServer(version string, report func(error)) *Server {
	s := &Server{mux: http.NewServeMux(), version: version, report: report}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, http.StatusNotFound, failure{Error: fmt.Sprintf("this daemon (version %s) knows no %s", s.version, r.URL.Path)})
	})
	return s
}

// Handle adds an operation: a JSON request Q in, a JSON reply R out.
func Handle[Q, R any](s *Server, name string, f func(context.Context, Q) (R, error)) {
	s.mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		var q Q
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
		d.DisallowUnknownFields()
		d.UseNumber() // a number of any size stays what the person wrote
		if err := decodeOne(d, &q); err != nil {
			s.fail(w, http.StatusBadRequest, failure{Error: "request not understood: " + err.Error(),
				Hint: "program and daemon may be of different versions: restart the daemon"})
			return
		}
		if a, ok := any(&q).(Actor); ok {
			a.SetActor(actorOf(r.Context()))
		}
		ctx, cancel := context.WithTimeout(r.Context(), operationTime)
		defer cancel()
		reply, err := f(ctx, q)
		if err != nil {
			s.fail(w, http.StatusUnprocessableEntity, failureOf(err))
			return
		}
		var enclosed []byte
		if e, ok := any(&reply).(Encloser); ok {
			enclosed = *e.Enclosed()
		}
		s.write(w, http.StatusOK, reply, enclosed)
	})
}

// decodeOne reads exactly one value.
func decodeOne(d *json.Decoder, to any) error {
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the request")
	}
	return nil
}

// failure is an error as it travels.
type failure struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
	Usage bool   `json:"usage,omitempty"`
}

func failureOf(err error) failure {
	f := failure{Error: err.Error()}
	var hinter Hinter
	if errors.As(err, &hinter) {
		f.Hint = hinter.ErrorHint()
	}
	var misuse Misuse
	f.Usage = errors.As(err, &misuse) && misuse.WrongUsage()
	return f
}

func (s *Server) fail(w http.ResponseWriter, status int, f failure) { s.write(w, status, f, nil) }

// write writes a reply: JSON, a line feed, and what is enclosed.
func (s *Server) write(w http.ResponseWriter, status int, reply any, enclosed []byte) {
	body, err := json.Marshal(reply)
	if err != nil {
		s.report(fmt.Errorf("write a reply: %w", err))
		http.Error(w, `{"error":"the reply cannot be written"}`, http.StatusInternalServerError)
		return
	}
	// An operation may take longer than any limit for the whole; only the caller's reading is bounded.
	most := replyTime
	if len(enclosed) > 0 {
		most = enclosedTime
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(most)); err != nil {
		s.report(fmt.Errorf("bound a reply: %w", err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(versionHeader, s.version)
	w.WriteHeader(status)
	// The caller may have gone; it is its own loss.
	if _, err := w.Write(append(body, '\n')); err == nil && len(enclosed) > 0 {
		_, _ = w.Write(enclosed)
	}
}

// Serve answers until the context ends, then lets what is under way come to its end for up to grace, and returns nil. It
// closes the listener.
func (s *Server) Serve(ctx context.Context, l *Listener, grace time.Duration) error {
	h := &http.Server{
		Handler:           s.mux,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(reporter{s.report}, "", 0),
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return withActor(ctx, c) },
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(bound(l, maxOpen)) }()
	select {
	case err := <-ended:
		return errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := h.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		err = h.Close()
	}
	<-ended
	return errors.Join(err, l.Close())
}

// reporter turns the lines of net/http into errors.
type reporter struct{ report func(error) }

func (r reporter) Write(line []byte) (int, error) {
	r.report(fmt.Errorf("control socket: %s", line))
	return len(line), nil
}

// bounded lets only so many connections be open at once.
type bounded struct {
	net.Listener
	free   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func bound(l net.Listener, most int) net.Listener {
	return &bounded{Listener: l, free: make(chan struct{}, most), closed: make(chan struct{})}
}

// Accept waits for a free place, then for a connection.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.free <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.free
		return nil, err
	}
	return &placed{Conn: c, leave: func() { <-b.free }}, nil
}

// Close ends waiting too.
func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// placed is a connection that gives its place back once.
type placed struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close gives the place back.
func (p *placed) Close() error {
	p.once.Do(p.leave)
	return p.Conn.Close()
}
