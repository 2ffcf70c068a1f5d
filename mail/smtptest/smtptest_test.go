package smtptest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

const sample = "Message-ID: <1@test>\r\nSubject: hello\r\n\r\n.dot\r\nbye\r\n"

// talker speaks SMTP line by line.
type talker struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

func talk(t *testing.T, s *Server) *talker {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &talker{t: t, nc: nc, r: bufio.NewReader(nc)}
}

func (k *talker) send(text string) {
	k.t.Helper()
	if _, err := io.WriteString(k.nc, text); err != nil {
		k.t.Fatal(err)
	}
}

// expect sends lines and wants the last line of the reply to begin with want.
func (k *talker) expect(want, send string) {
	k.t.Helper()
	if send != "" {
		k.send(send + "\r\n")
	}
	for {
		line, err := k.r.ReadString('\n')
		if err != nil {
			k.t.Fatalf("after %q: %v", send, err)
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		if !strings.HasPrefix(line, want) {
			k.t.Fatalf("after %q: got %q, want %q", send, line, want)
		}
		return
	}
}

func (k *talker) mail(from, to string) {
	k.t.Helper()
	k.expect("250", "MAIL FROM:<"+from+">")
	k.expect("250", "RCPT TO:<"+to+">")
	k.expect("354", "DATA")
}

func (k *talker) hello() {
	k.t.Helper()
	k.expect("220", "")
	k.expect("250", "EHLO client.example")
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func sendSample(t *testing.T, c *smtp.Client) {
	t.Helper()
	if err := errors.Join(c.Mail("a@x.example"), c.Rcpt("b@y.example"), c.Rcpt("C@y.example")); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, sample); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWholeDialogueWithStandardClient(t *testing.T) {
	var heard []Message
	s := New(t, Users(map[string]string{"ann": "secret"}), RequireAuth(), RequireTLS(), OnMessage(func(m Message) { heard = append(heard, m) }))
	c, err := smtp.Dial(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.StartTLS(&tls.Config{RootCAs: s.CA(), ServerName: s.Host()}); err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(smtp.PlainAuth("", "ann", "secret", "127.0.0.1")); err != nil {
		t.Fatal(err)
	}
	sendSample(t, c)
	sendSample(t, c)
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(soon(t), func(c Counts) bool { return c.Open == 0 }); err != nil {
		t.Fatal(err)
	}
	m := s.Messages()
	if len(m) != 2 || len(heard) != 2 {
		t.Fatalf("messages %d, heard %d", len(m), len(heard))
	}
	got := m[1]
	if string(got.Data) != sample || got.Size != len(sample) || got.MessageID != "<1@test>" || got.User != "ann" || !got.TLS ||
		got.From != "a@x.example" || len(got.To) != 2 || got.Malformed != "" || got.Conn != 1 || got.Hello != "localhost" {
		t.Errorf("message %+v", got)
	}
	if e := s.Ledger()["<1@test>"]; len(e.Began) != 2 || len(e.Accepted) != 2 {
		t.Errorf("ledger %+v", e)
	}
	if e := s.RecipientLedger()["c@y.example"]; len(e.Began) != 2 || len(e.Accepted) != 2 {
		t.Errorf("recipient ledger %+v", e)
	}
	want := Counts{Connections: 1, Handshakes: 1, Logins: 1, Transactions: 2, Data: 2, Body: 2, Accepted: 2, Quits: 1}
	if got := s.Counts(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	if l := s.Logins(); len(l) != 1 || l[0].User != "ann" || !l[0].TLS || !l[0].OK || l[0].Mechanism != "PLAIN" {
		t.Errorf("logins %+v", l)
	}
	if len(s.DataTimes()) != 2 {
		t.Errorf("data times %v", s.DataTimes())
	}
	for _, l := range s.Lines() {
		if strings.Contains(l.Text, "c2VjcmV0") {
			t.Errorf("credentials in the transcript: %+v", l)
		}
	}
}

func TestAuthMechanisms(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines []string // sent, with the reply that is expected
	}{
		{"PLAIN at once", []string{"AUTH PLAIN AGFubgBzZWNyZXQ=", "235"}},
		{"PLAIN asked", []string{"AUTH PLAIN", "334", "AGFubgBzZWNyZXQ=", "235"}},
		{"PLAIN wrong", []string{"AUTH PLAIN AGFubgBzZWNyZXR0", "535"}},
		{"PLAIN broken", []string{"AUTH PLAIN eHg=", "535"}},
		{"PLAIN no base64", []string{"AUTH PLAIN ??", "501"}},
		{"LOGIN", []string{"AUTH LOGIN", "334 VXNlcm5hbWU6", "YW5u", "334 UGFzc3dvcmQ6", "c2VjcmV0", "235"}},
		{"LOGIN with user", []string{"AUTH LOGIN YW5u", "334 UGFzc3dvcmQ6", "c2VjcmV0", "235"}},
		{"LOGIN cancelled", []string{"AUTH LOGIN", "334", "*", "501"}},
		{"CRAM-MD5 wrong", []string{"AUTH CRAM-MD5", "334", "YW5uIDAw", "535"}},
		{"unknown", []string{"AUTH XOAUTH2 xx", "504"}},
		{"twice", []string{"AUTH PLAIN AGFubgBzZWNyZXQ=", "235", "AUTH PLAIN AGFubgBzZWNyZXQ=", "503"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := New(t, Users(map[string]string{"ann": "secret"}))
			k := talk(t, s)
			k.hello()
			for i := 0; i < len(tc.lines); i += 2 {
				k.expect(tc.lines[i+1], tc.lines[i])
			}
			if s.Counts().PasswordInClear == 0 {
				t.Error("a login in clear was not noticed")
			}
		})
	}
}

func TestCramMD5WithStandardClient(t *testing.T) {
	s := New(t, Users(map[string]string{"ann": "secret"}), Mechanisms("CRAM-MD5"))
	c, err := smtp.Dial(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(smtp.CRAMMD5Auth("ann", "secret")); err != nil {
		t.Fatal(err)
	}
}

func TestRefusals(t *testing.T) {
	s := New(t, MaxSize(1000), Without("SMTPUTF8"), WithoutStartTLS())
	k := talk(t, s)
	k.hello()
	k.expect("500", "NONSENSE")
	k.expect("502", "STARTTLS")
	k.expect("504", "AUTH PLAIN xx")
	k.expect("503", "RCPT TO:<a@b>")
	k.expect("503", "DATA")
	k.expect("501", "MAIL FROM:a@b")
	k.expect("552", "MAIL FROM:<a@b> SIZE=1001")
	k.expect("501", "MAIL FROM:<a@b> SIZE=x")
	k.expect("555", "MAIL FROM:<a@b> SMTPUTF8")
	k.expect("250", "MAIL FROM:<> SIZE=1000 BODY=8BITMIME")
	k.expect("503", "MAIL FROM:<a@b>")
	k.expect("501", "RCPT TO:<>")
	k.expect("555", "RCPT TO:<a@b> NOTIFY=NEVER")
	k.expect("503", "DATA")
	k.expect("250", "RSET")
	k.expect("250", "NOOP")
	k.expect("252", "VRFY a")
	k.mail("a@b", "c@d")
	k.expect("552", strings.Repeat(strings.Repeat("x", 78)+"\r\n", 14)+".")
	k.expect("250", "HELO client")
	k.expect("221", "QUIT")
	if c := s.Counts(); c.Accepted != 0 || c.HelloFallbacks != 1 || c.Resets != 1 || c.MailInClear != 7 {
		t.Errorf("counts %+v", c)
	}
}

func TestRequireTLSAndAuth(t *testing.T) {
	s := New(t, RequireTLS(), Users(map[string]string{"a": "b"}))
	k := talk(t, s)
	k.hello()
	k.expect("530", "MAIL FROM:<a@b>")
	k.expect("530", "AUTH PLAIN xx")
	s = New(t, RequireAuth(), Users(map[string]string{"a": "b"}))
	k = talk(t, s)
	k.hello()
	k.expect("530", "MAIL FROM:<a@b>")
}

func TestMalformedContentIsNoticed(t *testing.T) {
	s := New(t)
	k := talk(t, s)
	k.hello()
	for _, tc := range []struct{ content, want string }{
		{"a: b\r\n\r\nx\r\n", ""},
		{"a: b\nc\r\n", "bare CR or LF"},
		{"a\rb\r\n", "bare CR or LF"},
		{"a\x00b\r\n", "NUL"},
		{strings.Repeat("x", 999) + "\r\n", "line over 998 octets"},
		{strings.Repeat("x", 3*maxLine) + "\r\n", "line over 998 octets"},
		{"a\n.\n.\r\nb\r\n", "bare CR or LF"}, // ".\r\n" after a bare LF does not end the content
	} {
		k.mail("a@b", "c@d")
		k.expect("250", tc.content+".")
		all := s.Messages()
		if got := all[len(all)-1].Malformed; got != tc.want {
			t.Errorf("%.20q: %q, want %q", tc.content, got, tc.want)
		}
	}
}

func TestFoldedMessageID(t *testing.T) {
	s := New(t)
	k := talk(t, s)
	k.hello()
	k.mail("a@b", "c@d")
	k.expect("250", "message-id:\r\n <folded@x>\r\n\r\nMessage-ID: <not@this>\r\n.")
	if m := s.Messages()[0]; m.MessageID != "<folded@x>" {
		t.Errorf("%q", m.MessageID)
	}
}

func TestCertificates(t *testing.T) {
	for _, tc := range []struct {
		kind Certificate
		want func(error) bool
	}{
		{CertGood, func(err error) bool { return err == nil }},
		{CertExpired, func(err error) bool {
			e, ok := errors.AsType[x509.CertificateInvalidError](err)
			return ok && e.Reason == x509.Expired
		}},
		{CertWrongName, func(err error) bool { _, ok := errors.AsType[x509.HostnameError](err); return ok }},
		{CertUnknownCA, func(err error) bool { _, ok := errors.AsType[x509.UnknownAuthorityError](err); return ok }},
	} {
		s := New(t, ImplicitTLS(), WithCertificate(tc.kind))
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(s.CAPEM()) {
			t.Fatal("PEM")
		}
		c, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: pool})
		if !tc.want(err) {
			t.Errorf("%d: %v", tc.kind, err)
		}
		if err == nil {
			if _, _, err := textproto.NewConn(c).ReadResponse(220); err != nil {
				t.Error(err)
			}
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"FROM:<a@b>", "FROM:<> SIZE=1", "from: <a@b> x", "FROM:<a<b>", "FROM:<a@b>x", "FROM:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		address, params, ok := parsePath(arg, "FROM:")
		if !ok && address+params != "" {
			t.Errorf("%q: refused with %q %q", arg, address, params)
		}
		if strings.ContainsAny(address, "<>") {
			t.Errorf("%q: address %q", arg, address)
		}
	})
}
