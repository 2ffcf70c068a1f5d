package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestClassifyIO(t *testing.T) {
	cases := []struct {
		name   string
		err    error
		config bool
		remedy string
	}{
		{"nothing", nil, false, remedyConnection},
		{"closed", io.EOF, false, remedyConnection},
		{"cut", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), false, remedyConnection},
		{"reset", &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, false, remedyConnection},
		{"refused", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, false, remedyRefused},
		{"timeout", &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}, false, remedySlow},
		{"deadline", fmt.Errorf("dial: %w", context.DeadlineExceeded), false, remedySlow},
		{"no host", &net.DNSError{Err: "no such host", Name: "mx.example", IsNotFound: true}, false, remedyNoHost},
		{"dns down", &net.DNSError{Err: "server misbehaving", Name: "mx.example", IsTemporary: true}, false, remedyConnection},
		{"alert", &net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}, false, remedyHandshake},
		{"garbage", textproto.ProtocolError("short response"), false, remedyConnection},
		{"wrong name", &tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}}, true, remedyCertName},
		{"expired", fmt.Errorf("tls: %w", x509.CertificateInvalidError{Reason: x509.Expired}), true, remedyCertExpired},
		{"not for servers", x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}, true, remedyCertificate},
		{"unknown authority", x509.UnknownAuthorityError{}, true, remedyCertificate},
		{"no roots", x509.SystemRootsError{}, true, remedyCertificate},
		{"weak", x509.InsecureAlgorithmError(x509.MD5WithRSA), true, remedyCertificate},
		{"other verification", &tls.CertificateVerificationError{Err: errors.New("odd")}, true, remedyCertificate},
		{"no TLS", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, true, remedyNotTLS},
	}
	for _, c := range cases {
		for step := StepConnect; step <= StepDot+1; step++ {
			got := ClassifyIO(step, c.err)
			want := Outcome{Temporary, ScopeServer, RetryBackoff, ClassConnection, step, got.Reply, c.remedy}
			switch {
			case step >= StepDot:
				want.Verdict, want.Scope, want.Retry, want.Remedy = Uncertain, ScopeMessage, RetryNo, remedyUncertain
			case step == StepBody:
				want.Scope, want.Remedy = ScopeMessage, remedyConnection
			case c.config:
				want.Verdict, want.Scope, want.Retry, want.Class = Permanent, ScopeAccount, RetryStop, ClassConfig
			}
			if got != want {
				t.Errorf("%s at %s\ngot  %+v\nwant %+v", c.name, step, got, want)
			}
			if got.Reply.Code != 0 || got.Reply.Text == "" {
				t.Errorf("%s at %s: reply %+v must hold the error's text and no code", c.name, step, got.Reply)
			}
		}
	}
}

func TestClassifyIOTakesAReply(t *testing.T) {
	err := fmt.Errorf("rcpt: %w", &textproto.Error{Code: 550, Msg: "5.1.1 no such user"})
	if got, want := ClassifyIO(StepRcpt, err), Classify(StepRcpt, Reply{550, "5.1.1", "no such user"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestClassifyIOTextIsOneLine(t *testing.T) {
	got := ClassifyIO(StepConnect, errors.New("bad\r\ngreeting\x00 "+strings.Repeat("x", 1000))).Reply.Text
	if !strings.HasPrefix(got, "bad greeting x") || len([]rune(got)) != maxText {
		t.Errorf("got %q", got)
	}
}
