package public

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"outboxd/jobs/jobfile"
)

// TestListensWhereJobsYAMLSays goes through a reload to another address, and one that serves no pages any more.
func TestListensWhereJobsYAMLSays(t *testing.T) {
	listeners := make(chan net.Listener, 1)
	closed := make(chan string, 1)
	s := New(func() Desk { return &desk{open: true} }, func(err error) { t.Error(err) })
	s.listen = func(address string) (net.Listener, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		listeners <- l
		return told{l, address, closed}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()

	for _, address := range []string{"first", "second"} {
		s.Use(&jobfile.Public{Listen: address, URL: own})
		if address == "second" {
			if was := <-closed; was != "first" {
				t.Errorf("%s was closed", was)
			}
		}
		l := <-listeners
		s.Use(&jobfile.Public{Listen: address, URL: own}) // the same: nothing begins anew
		r, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		if text := body(t, r); r.StatusCode != http.StatusOK || !strings.Contains(text, "statements of acme") {
			t.Errorf("%s: %s", address, r.Status)
		}
		r.Body.Close()
	}
	s.Use(nil)
	if was := <-closed; was != "second" {
		t.Errorf("%s was closed", was)
	}
	cancel()
	<-ended
}

// told tells when it is closed.
type told struct {
	net.Listener
	address string
	closed  chan string
}

func (l told) Close() error {
	err := l.Listener.Close()
	select {
	case l.closed <- l.address:
	default:
	}
	return err
}

func TestAnAddressThatIsTakenIsTriedAgain(t *testing.T) {
	var reported []error
	again := make(chan struct{})
	tries := 0
	listening := make(chan net.Listener, 1)
	s := New(func() Desk { return &desk{} }, func(err error) { reported = append(reported, err) })
	s.again = func(context.Context) bool { <-again; return true }
	s.listen = func(string) (net.Listener, error) {
		if tries++; tries < 3 {
			return nil, errors.New("address already in use")
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		listening <- l
		return l, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	s.Use(&jobfile.Public{Listen: "127.0.0.1:1", URL: own})
	again <- struct{}{}
	again <- struct{}{}
	<-listening
	cancel()
	<-ended
	if tries != 3 || len(reported) != 1 || !strings.Contains(reported[0].Error(), "127.0.0.1:1") {
		t.Errorf("%d tries, reported %v", tries, reported)
	}
}

// TestAListenerThatFailsIsMadeAnew: where the system takes no more connections for a while, people reach the pages again after it.
func TestAListenerThatFailsIsMadeAnew(t *testing.T) {
	reported := make(chan error, 8)
	listening := make(chan net.Listener, 2)
	s := New(func() Desk { return &desk{} }, func(err error) { reported <- err })
	s.again = func(context.Context) bool { return true }
	s.listen = func(string) (net.Listener, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		listening <- l
		return l, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	s.Use(&jobfile.Public{Listen: "127.0.0.1:1", URL: own})
	if err := (<-listening).Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-reported; !strings.Contains(err.Error(), "closed") {
		t.Error(err)
	}
	r, err := http.Get("http://" + (<-listening).Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	cancel()
	<-ended
}
