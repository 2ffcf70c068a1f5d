package smtptest

import (
	"crypto/tls"
	"maps"
)

// Option changes what a server offers, asks for and keeps.
type Option func(*options)

type options struct {
	inMemory    bool
	implicitTLS bool
	noStartTLS  bool
	requireTLS  bool
	requireAuth bool
	noMessages  bool
	noRecords   bool
	certificate Certificate
	authority   *Authority
	maxTLS      uint16
	users       map[string]string
	tokens      func(user, token string) bool
	mechanisms  []string
	prompts     [2]string
	maxSize     int64
	without     map[string]bool
	dsn         bool
	onMessage   func(Message)
	decide      func(Moment) (Action, bool)
}

func defaults() options {
	return options{
		mechanisms: []string{"PLAIN", "LOGIN", "CRAM-MD5"},
		prompts:    [2]string{"Username:", "Password:"},
		without:    map[string]bool{},
	}
}

// InMemory makes a server without a listener; DialPipe connects to it.
func InMemory() Option { return func(o *options) { o.inMemory = true } }

// ImplicitTLS makes a connection begin with the TLS handshake, as on port 465 (RFC 8314).
func ImplicitTLS() Option { return func(o *options) { o.implicitTLS, o.noStartTLS = true, true } }

// WithoutStartTLS takes STARTTLS out of the EHLO reply and refuses the command: stripped, or never there.
func WithoutStartTLS() Option { return func(o *options) { o.noStartTLS = true } }

// RequireTLS refuses AUTH and MAIL in clear with 530 5.7.0.
func RequireTLS() Option { return func(o *options) { o.requireTLS = true } }

// MaxTLS limits the TLS version, for instance to tls.VersionTLS11, which the server then also accepts.
func MaxTLS(version uint16) Option { return func(o *options) { o.maxTLS = version } }

// WithCertificate chooses what is wrong with the server's certificate.
func WithCertificate(c Certificate) Option { return func(o *options) { o.certificate = c } }

// SignedBy makes an authority sign the server's certificate that several servers share; else each has its own.
func SignedBy(a *Authority) Option { return func(o *options) { o.authority = a } }

// Users sets the passwords of the users; AUTH is offered once there is a user. See RequireAuth.
func Users(passwords map[string]string) Option {
	return func(o *options) { o.users = maps.Clone(passwords) }
}

// Tokens checks the tokens of AUTH XOAUTH2, which is offered then, in place of Users' passwords. It is called in the connections'
// goroutines.
func Tokens(good func(user, token string) bool) Option {
	return func(o *options) { o.tokens, o.mechanisms = good, []string{"XOAUTH2"} }
}

// Mechanisms sets the AUTH mechanisms on offer: PLAIN, LOGIN, CRAM-MD5, XOAUTH2. Others can be named but not used.
// With none, AUTH is not offered.
func Mechanisms(names ...string) Option { return func(o *options) { o.mechanisms = names } }

// LoginPrompts sets the two questions of AUTH LOGIN; servers differ in them.
func LoginPrompts(user, password string) Option {
	return func(o *options) { o.prompts = [2]string{user, password} }
}

// RequireAuth refuses MAIL with 530 5.7.0 before a login.
func RequireAuth() Option { return func(o *options) { o.requireAuth = true } }

// MaxSize announces SIZE n in octets (RFC 1870) and refuses larger messages; 0 announces no limit.
func MaxSize(n int64) Option { return func(o *options) { o.maxSize = n } }

// Without takes extensions out of the EHLO reply: SIZE, 8BITMIME, SMTPUTF8, PIPELINING, ENHANCEDSTATUSCODES.
func Without(extensions ...string) Option {
	return func(o *options) {
		for _, e := range extensions {
			o.without[e] = true
		}
	}
}

// OfferDSN offers delivery status notifications (RFC 3461). None is ever sent.
func OfferDSN() Option { return func(o *options) { o.dsn = true } }

// WithoutMessages keeps the ledger and the counts, but no messages and no transcript: for tests with very many mails.
func WithoutMessages() Option { return func(o *options) { o.noMessages = true } }

// NullSink keeps the counts and nothing else, for benchmarks.
func NullSink() Option {
	return func(o *options) { o.noMessages, o.noRecords = true, true }
}

// OnMessage calls f for every accepted message, before its reply is written and in the connection's
// goroutine: a slow f is a slow server. Bodies are given to f also with WithoutMessages and NullSink.
func OnMessage(f func(Message)) Option { return func(o *options) { o.onMessage = f } }

// Decide asks f at every step at which no rule acts, in the connection's goroutine; false is the usual reply. At StepData the
// command has been read, whatever becomes of it.
func Decide(f func(Moment) (Action, bool)) Option { return func(o *options) { o.decide = f } }

// logsIn tells whether AUTH is offered.
func (o *options) logsIn() bool {
	return (len(o.users) > 0 || o.tokens != nil) && len(o.mechanisms) > 0
}

// minTLS is the lowest version on offer: only MaxTLS goes below 1.2.
func (o *options) minTLS() uint16 {
	if o.maxTLS != 0 && o.maxTLS < tls.VersionTLS12 {
		return o.maxTLS
	}
	return tls.VersionTLS12
}
