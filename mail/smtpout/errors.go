package smtpout

import (
	"crypto/tls"
	"errors"
	"fmt"

	"outboxd/mail"
)

// ErrClosed is the reason of what [Session.Close] ended, and of a Send on a session that can take no transaction.
var ErrClosed = errors.New("session is closed")

// Error is why a session could not be made: what it means, and what happened.
type Error struct {
	Outcome mail.Outcome
	Err     error // the context's error, a certificate's, the network's; nil when the server's reply says it all

	// How far the dialogue of Dial got.
	TLS    *tls.ConnectionState // nil: to no encryption
	Offers []string             // the last EHLO's lines, as the server wrote them
}

// Error gives the step and the reason; never a password.
func (e *Error) Error() string { return e.Outcome.String() }

// Unwrap returns what happened below.
func (e *Error) Unwrap() error { return e.Err }

// TokenError is why there is no access token, told as an outcome of the login.
type TokenError interface {
	error
	TokenOutcome() mail.Outcome
}

// StaleError is a session that turned out to be dead or dismissed at MAIL after it had rested: the server had let it go
// meanwhile. Nothing was sent and it says nothing about the server: take a new session at once.
type StaleError struct {
	Outcome mail.Outcome // what the same would mean on a new session
}

// Error tells how it showed.
func (e *StaleError) Error() string { return fmt.Sprintf("session went stale: %s", e.Outcome) }

// configError is a mismatch between the account's settings and its server that a person has to mend.
func configError(step mail.Step, text, remedy string) *Error {
	return &Error{Outcome: mail.Outcome{
		Verdict: mail.Permanent, Scope: mail.ScopeAccount, Retry: mail.RetryStop, Class: mail.ClassConfig,
		Step: step, Reply: mail.Reply{Text: text}, Remedy: remedy,
	}}
}

// ioError is a wait or a connection that failed.
func ioError(step mail.Step, err error) *Error {
	return &Error{Outcome: mail.ClassifyIO(step, err), Err: err}
}

// replyError is a refusal.
func replyError(step mail.Step, r rawReply) *Error {
	return &Error{Outcome: mail.Classify(step, r.parse())}
}

// tokenError is a login for which there is no token.
func tokenError(err error) *Error {
	if told, ok := errors.AsType[TokenError](err); ok {
		return &Error{Outcome: told.TokenOutcome(), Err: err}
	}
	return ioError(mail.StepAuth, err)
}
