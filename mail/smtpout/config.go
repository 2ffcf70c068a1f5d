package smtpout

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// Encryption says how a connection is protected.
type Encryption uint8

// The ways of protection. StartTLS is required, not tried: there is no fallback to clear text.
const (
	StartTLS Encryption = iota // STARTTLS (RFC 3207), as on port 587
	TLS                        // TLS from the first byte (RFC 8314), as on port 465
	None                       // clear text, for a server on a trusted network; a login then needs loopback
)

var encryptionNames = [...]string{"starttls", "tls", "none"}

// String returns the name used in jobs.yaml.
func (e Encryption) String() string {
	if int(e) < len(encryptionNames) {
		return encryptionNames[e]
	}
	return fmt.Sprintf("unknown(%d)", uint8(e))
}

// ParseEncryption returns the Encryption with that name in jobs.yaml.
func ParseEncryption(name string) (Encryption, error) {
	for i, n := range encryptionNames {
		if n == name {
			return Encryption(i), nil
		}
	}
	return 0, fmt.Errorf("encryption %q: one of %s", name, strings.Join(encryptionNames[:], ", "))
}

// Auth says how to log in.
type Auth uint8

// The ways to log in. Auto takes the first of PLAIN, LOGIN and CRAM-MD5 that the server offers.
const (
	AuthAuto Auth = iota
	AuthPlain
	AuthLogin
	AuthCramMD5
	AuthXOAuth2 // with a token of [Config.Token] in place of a password
	AuthNone
)

var authNames = [...]string{"auto", "plain", "login", "cram-md5", "xoauth2", "none"}

// String returns the name used in jobs.yaml.
func (a Auth) String() string {
	if int(a) < len(authNames) {
		return authNames[a]
	}
	return fmt.Sprintf("unknown(%d)", uint8(a))
}

// ParseAuth returns the Auth with that name in jobs.yaml.
func ParseAuth(name string) (Auth, error) {
	for i, n := range authNames {
		if n == name {
			return Auth(i), nil
		}
	}
	return 0, fmt.Errorf("auth %q: one of %s", name, strings.Join(authNames[:], ", "))
}

// Timeouts bound each wait on the server. Zero fields take the defaults. RFC 5321 4.5.3.2 allows a server five minutes
// for most commands; one that needs more than a minute is treated as down, for a sender is held meanwhile. The
// two waits where giving up early costs most, DATA and the final dot, are the RFC's.
type Timeouts struct {
	Connect time.Duration // TCP connection, with name lookup; 30 s
	TLS     time.Duration // TLS handshake; 30 s
	Command time.Duration // the greeting and each reply to EHLO, STARTTLS, AUTH, MAIL and RCPT; 60 s
	Data    time.Duration // the 354; 2 min
	Body    time.Duration // each chunk of the content to be taken; 3 min
	Dot     time.Duration // the reply to the final dot; 10 min
	Reset   time.Duration // the reply to RSET, which holds up a known outcome; 10 s
	Quit    time.Duration // the reply to QUIT; 5 s
}

func (t Timeouts) withDefaults() Timeouts {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&t.Connect, 30*time.Second)
	set(&t.TLS, 30*time.Second)
	set(&t.Command, time.Minute)
	set(&t.Data, 2*time.Minute)
	set(&t.Body, 3*time.Minute)
	set(&t.Dot, 10*time.Minute)
	set(&t.Reset, 10*time.Second)
	set(&t.Quit, 5*time.Second)
	return t
}

// Config is how to reach one account's server.
type Config struct {
	Host       string // also the name that the certificate must carry
	Port       int
	Encryption Encryption
	RootCAs    *x509.CertPool // nil: the system's
	Auth       Auth
	Username   string // "" logs nobody in
	Password   string // never part of an error
	// Token gives the access token for AuthXOAuth2. rejected is the one that the server has just refused, "" at first: then
	// another one is wanted, and the same one again says that there is no better. An error that is a [TokenError] says itself what it means.
	Token    func(ctx context.Context, rejected string) (string, error)
	Hello    string // name given with EHLO; "": the computer's full name, else its address in brackets
	Timeouts Timeouts

	// Dialer makes the connection; nil dials TCP. It must respect its context, which also carries Timeouts.Connect.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
}

// helloName is what EHLO says (RFC 5321 4.1.4): a full name, or an address literal where the computer has none.
func (c Config) helloName(local net.Addr) string {
	if c.Hello != "" {
		return c.Hello
	}
	if name, err := os.Hostname(); err == nil && strings.Contains(strings.Trim(name, "."), ".") && validHello(name) {
		return name
	}
	tcp, ok := local.(*net.TCPAddr)
	switch {
	case !ok:
		return "localhost"
	case tcp.IP.To4() != nil:
		return "[" + tcp.IP.String() + "]"
	}
	return "[IPv6:" + tcp.IP.String() + "]"
}

func validHello(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// String describes the server without the login, for logs and errors.
func (c Config) String() string { return fmt.Sprintf("%s:%d (%s)", c.Host, c.Port, c.Encryption) }
