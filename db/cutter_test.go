package db_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// cutter stands between a pool and its server, and cuts a connection at a statement.
type cutter struct {
	t        testing.TB
	server   string
	listener net.Listener

	mu    sync.Mutex
	at    []byte // cut when this is seen; nil when not armed
	lose  loss
	says  *answer // in place of the server's reply; nil to cut
	then  func()  // before the client learns of a lost reply; nil for nothing
	conns []net.Conn
}

// answer is an error that the server is made to give at the cut, and whether it does what was asked for.
type answer struct {
	number uint16
	state  string
	done   bool
}

// packet is the answer as the protocol has it.
func (a answer) packet() []byte {
	body := append([]byte{0xff, byte(a.number), byte(a.number >> 8), '#'}, a.state+"made up"...)
	return append([]byte{byte(len(body)), 0, 0, 1}, body...)
}

// loss is what gets lost at the cut.
type loss int

const (
	statementLost loss = iota // the server never sees it
	replyLost                 // the server has done it
	bothUnknown               // the server gets it while the connection breaks
)

func (l loss) String() string {
	return [...]string{"statement lost", "reply lost", "cut in between"}[l]
}

// through returns the database behind a fresh cutter.
func through(t testing.TB, d *dbtest.Database) (*cutter, *dbtest.Database) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cutter{t: t, server: net.JoinHostPort(d.Server.Host, strconv.Itoa(d.Server.Port)), listener: listener}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			running.Go(func() { c.serve(conn) })
		}
	})
	login := d.Server
	login.Host, login.Port = "127.0.0.1", listener.Addr().(*net.TCPAddr).Port
	pool, err := db.Open(login)
	must(t, err)
	t.Cleanup(func() {
		err := errors.Join(pool.Close(), listener.Close())
		c.mu.Lock()
		for _, conn := range c.conns {
			conn.Close()
		}
		c.mu.Unlock()
		running.Wait()
		must(t, err)
	})
	store, err := pool.Store(d.Name)
	must(t, err)
	return c, &dbtest.Database{Server: login, Name: d.Name, Pool: pool, Store: store}
}

// arm cuts the next connection that sends the text.
func (c *cutter) arm(text string, lose loss) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.lose, c.says, c.then = []byte(text), lose, nil, nil
}

// armThen cuts as arm does, loses the reply, and has something done before the client learns of it.
func (c *cutter) armThen(text string, then func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.lose, c.says, c.then = []byte(text), replyLost, nil, then
}

// answer gives the next COMMIT an error, and where nothing is to be done rolls back in its place.
func (c *cutter) answer(a answer) { c.answerTo(commit, a) }

// answerTo is answer for the next statement with a text.
func (c *cutter) answerTo(text string, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.says = []byte(text), &a
}

// spent tells whether the cut was made.
func (c *cutter) spent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at == nil
}

// serve passes on what a client and the server say, until one of them ends or a cut is made.
func (c *cutter) serve(client net.Conn) {
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		client.Close()
		return
	}
	c.mu.Lock()
	c.conns = append(c.conns, client, server)
	c.mu.Unlock()
	replies, requests := parts(server), parts(client)
	defer func() { // lets the readers end
		client.Close()
		server.Close()
		for range replies {
		}
		for range requests {
		}
	}()
	for {
		select {
		case b, ok := <-replies:
			if _, err := client.Write(b); err != nil || !ok {
				return
			}
		case b, ok := <-requests:
			if !ok || !c.pass(b, client, server, replies) {
				return
			}
		}
	}
}

// parts yields what comes from a connection, until it ends.
func parts(from net.Conn) <-chan []byte {
	all := make(chan []byte)
	go func() {
		defer close(all)
		for {
			b := make([]byte, 64<<10)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			all <- b[:n]
		}
	}()
	return all
}

// pass hands a request to the server, or does what was planned for it, and tells whether the connection goes on.
func (c *cutter) pass(request []byte, client, server net.Conn, replies <-chan []byte) bool {
	says := c.answers(request)
	if says == nil {
		if c.cuts(request, server, replies) {
			return false
		}
		_, err := server.Write(request)
		return err == nil
	}
	if !says.done {
		request = []byte("\x09\x00\x00\x00\x03ROLLBACK")
	}
	if _, err := server.Write(request); err != nil {
		return false
	}
	<-replies
	_, err := client.Write(says.packet())
	return err == nil
}

// answers returns what the request is to be answered with, nil when nothing was made up for it.
func (c *cutter) answers(request []byte) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.says == nil || !bytes.Contains(request, c.at) {
		return nil
	}
	says := c.says
	c.at, c.says = nil, nil
	return says
}

// cuts makes the cut when the request is the one that was waited for.
func (c *cutter) cuts(request []byte, server io.Writer, replies <-chan []byte) bool {
	c.mu.Lock()
	hit := c.at != nil && bytes.Contains(request, c.at)
	lose, then := c.lose, c.then
	if hit {
		c.at = nil
	}
	c.mu.Unlock()
	if hit && lose != statementLost {
		if _, err := server.Write(request); err != nil {
			c.t.Error(err)
		}
		if lose == replyLost {
			<-replies
			if then != nil {
				then()
			}
		}
	}
	return hit
}
