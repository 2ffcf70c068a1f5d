//go:build unix

package torture

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// link is the network between the daemons and the database: it can be cut, frozen, and lose replies.
type link struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu     sync.Mutex
	pairs  map[*pair]bool
	frozen chan struct{} // closed when it thaws; nil when it is not frozen
}

// pair is one connection through the link.
type pair struct {
	client, server *net.TCPConn
	mute           atomic.Bool // replies are lost
}

func newLink(t testing.TB, target string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{listener: listener, target: target, pairs: map[*pair]bool{}}
	l.running.Go(l.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut(1, nil)
		l.running.Wait()
	})
	return l
}

func (l *link) port() int { return l.listener.Addr().(*net.TCPAddr).Port }

func (l *link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", l.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p := &pair{client: client.(*net.TCPConn), server: server.(*net.TCPConn)}
		l.mu.Lock()
		l.pairs[p] = true
		l.mu.Unlock()
		l.running.Go(func() { l.pump(p, p.server, p.client, false) })
		l.running.Go(func() { l.pump(p, p.client, p.server, true) })
	}
}

// pump copies one direction until it breaks, and then breaks the other.
func (l *link) pump(p *pair, to io.Writer, from io.Reader, reply bool) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		l.thawed()
		if n > 0 && !(reply && p.mute.Load()) {
			if _, err := to.Write(b[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	p.break2()
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
}

// break2 resets both ends.
func (p *pair) break2() {
	for _, c := range []*net.TCPConn{p.client, p.server} {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}

// some picks a share of the connections; nil randomness takes all.
func (l *link) some(share float64, rng *rand.Rand) []*pair {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*pair
	for p := range l.pairs {
		if rng == nil || rng.Float64() < share {
			out = append(out, p)
		}
	}
	return out
}

// cut resets connections.
func (l *link) cut(share float64, rng *rand.Rand) {
	for _, p := range l.some(share, rng) {
		p.break2()
	}
}

// lose lets requests through and drops their replies for a while, then resets the connections: what was asked for is done, and
// nobody knows.
func (l *link) lose(share float64, rng *rand.Rand, d time.Duration) {
	some := l.some(share, rng)
	for _, p := range some {
		p.mute.Store(true)
	}
	pause(nil, d)
	for _, p := range some {
		p.break2()
	}
}

// freeze lets nothing through for a while.
func (l *link) freeze(d time.Duration) {
	l.mu.Lock()
	l.frozen = make(chan struct{})
	l.mu.Unlock()
	pause(nil, d)
	l.mu.Lock()
	close(l.frozen)
	l.frozen = nil
	l.mu.Unlock()
}

// thawed returns when the link is not frozen.
func (l *link) thawed() {
	l.mu.Lock()
	frozen := l.frozen
	l.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

// pause waits for d, or less when done is closed first. Faults last for a time: that is what they are.
func pause(done <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-done:
	}
}

// between is a random time.
func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)))
}
