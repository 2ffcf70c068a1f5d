package public

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"outboxd/jobs/jobfile"
)

const (
	headerTime = 5 * time.Second
	pageTime   = 10 * time.Second // to read a request, or to be read
	askTime    = 20 * time.Second // to look a run up, or to approve it
	idleTime   = time.Minute
	maxHeader  = 16 << 10
	maxForm    = 4 << 10 // octets
	maxOpen    = 64      // connections at once; more wait
	againTime  = 30 * time.Second
	grace      = 3 * time.Second
)

// Server listens where jobs.yaml says. Its zero value is not one; make it with New.
type Server struct {
	desk     func() Desk
	report   func(error)
	settings chan *jobfile.Public
	listen   func(address string) (net.Listener, error)
	again    func(ctx context.Context) bool // waits until it is time to try again
}

// New returns a server that asks the desk of the moment. report gets what went wrong on its side; nothing of it is for who asked.
func New(desk func() Desk, report func(error)) *Server {
	return &Server{desk: desk, report: report, settings: make(chan *jobfile.Public, 1),
		listen: func(address string) (net.Listener, error) { return net.Listen("tcp", address) },
		again: func(ctx context.Context) bool {
			select {
			case <-time.After(againTime):
				return true
			case <-ctx.Done():
				return false
			}
		}}
}

// Use has the server listen where p says, nil for nowhere, from now on.
func (s *Server) Use(p *jobfile.Public) {
	select {
	case <-s.settings: // the newest counts
	default:
	}
	s.settings <- p
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) {
	var now *jobfile.Public
	var serving sync.WaitGroup
	end := func() {}
	for {
		select {
		case p := <-s.settings:
			if same(p, now) {
				continue
			}
			end()
			serving.Wait()
			now = p
			if p == nil {
				continue
			}
			own, stop := context.WithCancel(ctx)
			end = stop
			serving.Go(func() { s.serve(own, p) })
		case <-ctx.Done():
			end()
			serving.Wait()
			return
		}
	}
}

func same(a, b *jobfile.Public) bool { return a == b || a != nil && b != nil && *a == *b }

// serve answers until ctx ends. Where it cannot listen, or cannot go on, it tries again.
func (s *Server) serve(ctx context.Context, p *jobfile.Public) {
	for told := false; ; {
		l, err := s.listen(p.Listen)
		if err == nil {
			s.answer(ctx, l, p)
		} else if !told {
			s.report(fmt.Errorf("public: cannot listen on %s, so links in proofs lead nowhere; it is tried again: %w", p.Listen, err))
		}
		told = err != nil
		if ctx.Err() != nil || !s.again(ctx) {
			return
		}
	}
}

// answer answers requests until ctx ends or the listener fails.
func (s *Server) answer(ctx context.Context, l net.Listener, p *jobfile.Public) {
	h := &http.Server{
		Handler:           Handler(s.desk, p.URL, s.report),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       pageTime,
		WriteTimeout:      askTime + pageTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(reporter{s.report}, "", 0),
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(netutil.LimitListener(l, maxOpen)) }()
	select {
	case err := <-ended:
		s.report(fmt.Errorf("public: %w", err))
		_ = h.Close() // connections that are open
		return
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := h.Shutdown(last); errors.Is(err, context.DeadlineExceeded) {
		_ = h.Close() // whoever reads that slowly has the whole page or does without
	}
	<-ended
}

// reporter turns the lines of net/http into errors.
type reporter struct{ report func(error) }

func (r reporter) Write(line []byte) (int, error) {
	r.report(fmt.Errorf("public: %s", line))
	return len(line), nil
}
