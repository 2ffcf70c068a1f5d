//go:build postfix

package postfixtest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// Request is what Postfix tells the policy service, see SMTPD_POLICY_README.
type Request map[string]string

// policy answers on a port of its own. Without an answer function everything is left to the other restrictions.
type policy struct {
	listener net.Listener
	mu       sync.Mutex
	answer   func(Request) string
}

func newPolicy(t testing.TB) *policy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &policy{listener: l}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait() // Postfix has ended by now, and its connections with it
	})
	return p
}

func (p *policy) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *policy) set(answer func(Request) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// serve answers the requests of one process of Postfix: lines of name=value, up to an empty one.
func (p *policy) serve(conn net.Conn) {
	defer conn.Close()
	request := Request{}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			request[name] = value
			continue
		}
		if _, err := fmt.Fprintf(conn, "action=%s\n\n", p.ask(request)); err != nil {
			return
		}
		request = Request{}
	}
}

func (p *policy) ask(request Request) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answer == nil {
		return "DUNNO"
	}
	return p.answer(request)
}
