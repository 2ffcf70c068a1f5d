package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/textproto"
	"os"
	"syscall"
)

// ClassifyIO says what it means that no reply came: a dial, a TLS handshake, a read or a write failed with err. After
// the final dot the mail is Uncertain; within the body the message did not arrive; before that it is the server's
// matter. A certificate that does not fit, or a port without TLS, is a matter of the account's settings and stays until
// a person mends it. An err that is a reply after all (*textproto.Error) goes to Classify.
//
// A cancelled context looks like a server that does not answer: ask the context first.
func ClassifyIO(step Step, err error) Outcome {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return Classify(step, ParseReply(reply.Code, reply.Msg))
	}
	text := "no reply"
	if err != nil {
		text = oneLine(err.Error(), maxText)
	}
	r := Reply{Text: text}
	if step >= StepDot {
		return uncertain(step, r)
	}
	o := Outcome{Verdict: Temporary, Scope: ScopeServer, Retry: RetryBackoff, Class: ClassConnection, Step: step, Reply: r}
	if step == StepBody {
		o.Scope, o.Remedy = ScopeMessage, remedyConnection
		return o
	}
	if remedy := remedyOfTLS(err); remedy != "" {
		o.Verdict, o.Scope, o.Retry, o.Class, o.Remedy = Permanent, ScopeAccount, RetryStop, ClassConfig, remedy
		return o
	}
	o.Remedy = remedyOfNetwork(err)
	return o
}

// remedyOfTLS tells the TLS errors that only another setting or another certificate mends; "" for all others.
func remedyOfTLS(err error) string {
	var (
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		roots   x509.SystemRootsError
		limits  x509.ConstraintViolationError
		weak    x509.InsecureAlgorithmError
		strange x509.UnhandledCriticalExtension
		verify  *tls.CertificateVerificationError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &name):
		return remedyCertName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return remedyCertExpired
	case errors.As(err, &invalid), errors.As(err, &unknown), errors.As(err, &roots), errors.As(err, &limits),
		errors.As(err, &weak), errors.As(err, &strange), errors.As(err, &verify):
		return remedyCertificate
	case errors.As(err, &record):
		return remedyNotTLS
	}
	return ""
}

// remedyOfNetwork tells the ways in which a server is not there.
func remedyOfNetwork(err error) string {
	var (
		lookup  *net.DNSError
		op      *net.OpError
		timeout net.Error
	)
	switch {
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return remedyNoHost
	case errors.Is(err, syscall.ECONNREFUSED):
		return remedyRefused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return remedySlow
	case errors.As(err, &op) && op.Op == "remote error": // how crypto/tls reports an alert of the other side
		return remedyHandshake
	}
	return remedyConnection
}
