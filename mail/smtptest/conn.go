package smtptest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
)

// maxLine bounds a command line in octets; RFC 4954 4 asks for 12288 in AUTH.
const maxLine = 16 << 10

// errEnd ends a connection as the script or the client wants it.
var errEnd = errors.New("connection ended")

// conn is one connection; only its own goroutine uses it.
type conn struct {
	s      *Server
	number int
	raw    net.Conn
	nc     net.Conn // raw, or TLS over it
	r      *bufio.Reader
	w      *bufio.Writer
	secure bool
	hello  string
	user   string

	transaction int // number of this transaction's MAIL
	inMail      bool
	from        string
	params      string
	toParams    []string // one for each of to
	to          []string
}

func newConn(s *Server, nc net.Conn, number int) *conn {
	c := &conn{s: s, number: number, raw: nc}
	c.use(nc)
	return c
}

// use makes nc the connection that is read and written: at the start, and after the TLS handshake.
func (c *conn) use(nc net.Conn) {
	c.nc, c.r, c.w = nc, bufio.NewReaderSize(nc, maxLine), bufio.NewWriterSize(nc, 4<<10)
}

func (c *conn) serve() {
	if c.s.opts.implicitTLS && c.handshake() != nil {
		return
	}
	if ok, err := c.answer(StepConnect, "220 localhost ESMTP smtptest"); err != nil || !ok {
		return
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return
		}
		verb, arg, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if verb == "AUTH" {
			line = "AUTH " + strings.ToUpper(strings.SplitN(arg, " ", 2)[0])
		}
		c.s.records.line(Line{Conn: c.number, TLS: c.secure, Text: line})
		if err := c.command(verb, arg); err != nil {
			return
		}
	}
}

// readLine reads one line without its CRLF; what was answered so far is sent before it waits.
func (c *conn) readLine() (string, error) {
	if c.r.Buffered() == 0 {
		if err := c.w.Flush(); err != nil {
			return "", err
		}
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return string(bytes.TrimRight(line, "\r\n")), nil
}

func (c *conn) command(verb, arg string) error {
	switch verb {
	case "EHLO", "HELO":
		return c.doHello(verb, arg)
	case "STARTTLS":
		return c.doStartTLS()
	case "AUTH":
		return c.doAuth(arg)
	case "MAIL":
		return c.doMail(arg)
	case "RCPT":
		return c.doRcpt(arg)
	case "DATA":
		return c.doData()
	case "RSET":
		c.s.records.change(func() { c.s.records.counts.Resets++ })
		ok, err := c.answer(StepReset, "250 2.0.0 reset")
		if ok {
			c.endTransaction()
		}
		return err
	case "NOOP":
		return c.say(StepNoop, "250 2.0.0 ok")
	case "QUIT":
		c.s.records.change(func() { c.s.records.counts.Quits++ })
		if err := c.say(StepQuit, "221 2.0.0 bye"); err != nil {
			return err
		}
		return errors.Join(c.w.Flush(), errEnd)
	case "VRFY":
		return c.write("252 2.0.0 perhaps")
	}
	return c.write("500 5.5.1 unknown command")
}

func (c *conn) doHello(verb, arg string) error {
	lines := []string{"localhost greets " + arg}
	if verb == "EHLO" {
		lines = append(lines, c.extensions()...)
	} else {
		c.s.records.change(func() { c.s.records.counts.HelloFallbacks++ })
	}
	var b strings.Builder
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		b.WriteString("250" + sep + l + "\r\n")
	}
	ok, err := c.answer(StepHello, strings.TrimSuffix(b.String(), "\r\n"))
	if ok {
		c.hello = arg
		c.endTransaction()
	}
	return err
}

func (c *conn) extensions() []string {
	o := &c.s.opts
	var e []string
	add := func(name, param string) {
		if !o.without[name] {
			e = append(e, strings.TrimSpace(name+" "+param))
		}
	}
	add("PIPELINING", "")
	add("SIZE", itoa(o.maxSize))
	add("8BITMIME", "")
	add("SMTPUTF8", "")
	add("ENHANCEDSTATUSCODES", "")
	if o.dsn {
		e = append(e, "DSN")
	}
	if !o.noStartTLS && !c.secure {
		e = append(e, "STARTTLS")
	}
	if o.logsIn() {
		e = append(e, "AUTH "+strings.Join(o.mechanisms, " "))
	}
	return e
}

func (c *conn) doStartTLS() error {
	if c.s.opts.noStartTLS || c.secure {
		return c.write("502 5.5.1 not here")
	}
	ok, err := c.answer(StepTLS, "220 2.0.0 go ahead")
	if err != nil || !ok {
		return err
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	return c.handshake()
}

// handshake moves the connection to TLS; all that was said before is forgotten (RFC 3207 4.2).
func (c *conn) handshake() error {
	if err := c.play(StepHandshake); err != nil {
		return err
	}
	t := tls.Server(c.raw, c.s.tls)
	if err := t.Handshake(); err != nil {
		return err
	}
	c.use(t)
	c.secure, c.hello, c.user = true, "", ""
	c.endTransaction()
	c.s.records.change(func() { c.s.records.counts.Handshakes++ })
	return nil
}

func (c *conn) endTransaction() {
	c.inMail, c.from, c.params, c.to, c.toParams = false, "", "", nil, nil
}

// write sends one reply, which may have several lines, when the client waits for it.
func (c *conn) write(reply string) error {
	if _, err := c.w.WriteString(reply + "\r\n"); err != nil {
		return err
	}
	if c.r.Buffered() > 0 {
		return nil // the client pipelines: answer all at once (RFC 2920)
	}
	return c.w.Flush()
}

// say answers where it does not matter whether the reply is positive.
func (c *conn) say(step Step, reply string) error {
	_, err := c.answer(step, reply)
	return err
}

// answer plays the script at step, or writes the usual reply. It reports whether the client was told yes.
func (c *conn) answer(step Step, reply string) (bool, error) {
	a, ok := c.s.script.take(c.moment(step))
	if !ok {
		return positive(reply), c.write(reply)
	}
	return c.act(step, a, reply)
}

// play lets the script act at a step that has no usual reply.
func (c *conn) play(step Step) error {
	a, ok := c.s.script.take(c.moment(step))
	if !ok {
		return nil
	}
	_, err := c.act(step, a, "")
	return err
}

func (c *conn) moment(step Step) Moment {
	return Moment{Step: step, Conn: c.number, Transaction: c.transaction, From: c.from, To: c.to}
}

// act plays one action and reports whether the client was told yes.
func (c *conn) act(step Step, a Action, reply string) (bool, error) {
	if err := c.hold(a.Wait); err != nil {
		return false, err
	}
	said := a.Write
	if said == "" && a.End == Continue && reply != "" {
		said = reply + "\r\n"
	}
	_, err := c.w.WriteString(said)
	if err = errors.Join(err, c.w.Flush()); err != nil {
		return false, err
	}
	switch a.End {
	case Continue:
		return positive(said), nil
	case Stall:
		c.stall(step)
	case Reset:
		if t, ok := c.raw.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // close sends RST and drops what is unread
		}
		_ = c.raw.Close()
	case Hangup:
		_ = c.raw.Close()
	}
	return positive(said), errEnd
}

// hold waits for a script's signal.
func (c *conn) hold(signal <-chan struct{}) error {
	if signal == nil {
		return nil
	}
	select {
	case <-signal:
		return nil
	case <-c.s.done:
		return errEnd
	}
}

// stall keeps silent. Elsewhere it reads on, to end with its client; in the content a stalled server reads
// nothing, so that the client's writes stall as well.
func (c *conn) stall(step Step) {
	if step == StepBody {
		<-c.s.done
		return
	}
	_, _ = io.Copy(io.Discard, c.nc)
}

func positive(reply string) bool {
	return strings.HasPrefix(reply, "2") || strings.HasPrefix(reply, "3")
}
