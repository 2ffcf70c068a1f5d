package smtpout

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"outboxd/mail"
)

// Dial connects, secures the connection as configured, says hello and logs in. The error is always an *[Error]; it
// unwraps to the context's error if that ended it. Nothing is left open then.
func Dial(ctx context.Context, c Config) (*Session, error) {
	if c.Hello != "" && !validHello(c.Hello) {
		return nil, configError(mail.StepHello, "the name for EHLO is not plain ASCII without blanks", "Correct the hello name.")
	}
	s, err := dialWithToken(ctx, c)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// dialWithToken asks for the token before anybody is connected to, if the login wants one. A token that the server refuses, as one
// that was revoked, is replaced once if there is another.
func dialWithToken(ctx context.Context, c Config) (*Session, *Error) {
	if !c.wantsToken() {
		return dial(ctx, c, "")
	}
	token, err := c.Token(ctx, "")
	if err != nil {
		return nil, tokenError(err)
	}
	s, refused := dial(ctx, c, token)
	if refused == nil || refused.Outcome.Step != mail.StepAuth || refused.Outcome.Reply.Code != codeLoginRefused {
		return s, refused
	}
	other, err := c.Token(ctx, token)
	switch {
	case err != nil:
		return nil, tokenError(err)
	case other == token:
		return nil, refused
	}
	return dial(ctx, c, other)
}

// dial makes one connection and logs in on it.
func dial(ctx context.Context, c Config, token string) (*Session, *Error) {
	d := dialing{config: c, timeouts: c.Timeouts.withDefaults(), token: token}
	nc, err := d.connect(ctx)
	if err != nil {
		return nil, ioError(mail.StepConnect, err)
	}
	d.wire = newWire(nc)
	release := d.wire.watch(ctx)
	failed := d.handshake()
	release()
	if failed == nil {
		if cause := d.wire.cause(); cause != nil {
			failed = ioError(mail.StepAuth, cause) // it ended between the last reply and here
		}
	}
	var s *Session
	if failed == nil {
		s, failed = newSession(&d)
	}
	if failed != nil {
		failed.TLS, failed.Offers = d.state, d.extensions
		d.wire.abort(failed)
		return nil, failed
	}
	return s, nil
}

// dialing is a session in the making.
type dialing struct {
	config     Config
	timeouts   Timeouts
	token      string // for XOAUTH2
	wire       *wire
	state      *tls.ConnectionState // nil in clear
	extensions []string             // EHLO lines, keyword first, in the server's order
	mechanism  string               // the AUTH mechanism that was used
}

func (d *dialing) connect(ctx context.Context) (net.Conn, error) {
	dial := d.config.Dialer
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	timed, cancel := context.WithTimeout(ctx, d.timeouts.Connect)
	defer cancel()
	nc, err := dial(timed, "tcp", net.JoinHostPort(d.config.Host, strconv.Itoa(d.config.Port)))
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nc, err
}

// handshake brings a fresh connection to where transactions can begin.
func (d *dialing) handshake() *Error {
	if err := d.mayLogIn(); err != nil {
		return err
	}
	if d.config.Encryption == TLS {
		if err := d.startTLS(); err != nil {
			return err
		}
	}
	greeting, err := d.wire.expect(2, d.timeouts.Command)
	if err != nil {
		return ioError(mail.StepConnect, err)
	}
	if greeting.refused() {
		return replyError(mail.StepConnect, greeting)
	}
	if err := d.hello(); err != nil {
		return err
	}
	if d.config.Encryption == StartTLS {
		if err := d.upgrade(); err != nil {
			return err
		}
	}
	return d.logIn()
}

// hello says EHLO. There is no fallback to HELO: a server without EHLO has neither STARTTLS nor AUTH.
func (d *dialing) hello() *Error {
	reply, err := d.wire.ask("EHLO "+d.config.helloName(d.wire.raw.LocalAddr()), 2, d.timeouts.Command)
	if err != nil {
		return ioError(mail.StepHello, err)
	}
	if reply.refused() {
		return replyError(mail.StepHello, reply)
	}
	d.extensions = nil
	for i, line := range strings.Split(reply.text, "\n") {
		if line = strings.TrimSpace(line); i > 0 && line != "" {
			d.extensions = append(d.extensions, line)
		}
	}
	return nil
}

// upgrade does STARTTLS (RFC 3207) or fails. What was learned in clear is forgotten.
func (d *dialing) upgrade() *Error {
	if _, ok := extension(d.extensions, "STARTTLS"); !ok {
		return configError(mail.StepTLS, "the server does not offer STARTTLS",
			"Use the port of the provider's documentation (587 for starttls, 465 for tls). If it is right, something between here and the server strips the encryption: do not send over this network.")
	}
	reply, err := d.wire.ask("STARTTLS", 2, d.timeouts.Command)
	if err != nil {
		return ioError(mail.StepTLS, err)
	}
	if reply.refused() {
		return replyError(mail.StepTLS, reply)
	}
	if d.wire.r.Buffered() > 0 {
		return configError(mail.StepTLS, "the server sent more in clear after it agreed to STARTTLS",
			"Somebody may be injecting replies into the connection: check the network before sending over it.")
	}
	if err := d.startTLS(); err != nil {
		return err
	}
	return d.hello()
}

// startTLS makes the handshake. One of an old version is finished, so that it can be told from other troubles; then the
// connection ends, before anything is said over it.
func (d *dialing) startTLS() *Error {
	t := tls.Client(d.wire.raw, &tls.Config{
		ServerName: d.config.Host,
		RootCAs:    d.config.RootCAs,
		MinVersion: tls.VersionTLS10,
	})
	if err := d.wire.arm(d.timeouts.TLS); err != nil {
		return ioError(mail.StepTLS, err)
	}
	if err := t.Handshake(); err != nil {
		return ioError(mail.StepTLS, d.wire.explain(fmt.Errorf("TLS handshake: %w", err), "TLS handshake", d.timeouts.TLS))
	}
	state := t.ConnectionState()
	if state.Version < tls.VersionTLS12 {
		return configError(mail.StepTLS, "the server speaks nothing newer than "+tls.VersionName(state.Version)+", and 1.2 is needed",
			"Older versions of TLS do not protect a login. Ask the server's provider to update it, or for another host or port.")
	}
	d.state = &state
	d.wire.secure(t)
	return nil
}

// newSession hands the ready connection to the library.
func newSession(d *dialing) (*Session, *Error) {
	s := &Session{
		wire:       d.wire,
		timeouts:   d.timeouts,
		state:      d.state,
		extensions: d.extensions,
		mechanism:  d.mechanism,
		rested:     time.Now(),
	}
	if param, ok := extension(s.extensions, "SIZE"); ok {
		if n, err := strconv.ParseInt(param, 10, 64); err == nil && n > 0 {
			s.maxSize = n
		}
	}
	_, s.eightBit = extension(s.extensions, "8BITMIME")
	_, s.utf8 = extension(s.extensions, "SMTPUTF8")
	_, s.size = extension(s.extensions, "SIZE")
	_, s.dsn = extension(s.extensions, "DSN")
	if err := s.attach(); err != nil {
		return nil, ioError(mail.StepHello, err)
	}
	return s, nil
}

// extension finds an EHLO keyword, in any case, and its parameters. AUTH is also found in its old form "AUTH=".
func extension(lines []string, keyword string) (params string, ok bool) {
	for _, line := range lines {
		name, rest, _ := strings.Cut(line, " ")
		if before, after, found := strings.Cut(name, "="); found {
			name, rest = before, after+" "+rest
		}
		if strings.EqualFold(name, keyword) {
			params, ok = strings.TrimSpace(params+" "+rest), true
		}
	}
	return params, ok
}
