package readback

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"outboxd/mail"
	"outboxd/mail/readback/imaptest"
)

const (
	someID  = "<1.abc@acme.example>"
	message = "Authentication-Results: mx.kunde.example; spf=pass smtp.mailfrom=acme.example; dkim=pass header.d=acme.example;\r\n dmarc=pass header.from=acme.example\r\n" +
		"From: Acme <noreply@acme.example>\r\nMessage-ID: " + someID + "\r\nSubject: Test\r\n\r\nbody\r\n"
)

// box is an IMAP server with one user's mailbox.
type box struct {
	*imaptest.Mailbox
	conf Config
}

func newBox(t *testing.T) *box {
	t.Helper()
	web := httptest.NewUnstartedServer(nil) // for its certificate
	web.StartTLS()
	defer web.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return &box{imaptest.Serve(t, listener, imap.CapListExtended, imap.CapSpecialUse), Config{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port,
		Username: imaptest.User, Password: imaptest.Password, RootCAs: roots, Every: 5 * time.Millisecond}}
}

func (b *box) put(folder, text string) {
	b.Put(folder, text, time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
}

// await opens the mailbox and waits for the mail, for as long as a test may take.
func (b *box) await(t *testing.T) (Arrived, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m, err := Open(ctx, b.conf)
	if err != nil {
		return Arrived{}, err
	}
	defer m.Close()
	return m.Await(ctx, someID)
}

func TestFindsTheMailAndChangesNothing(t *testing.T) {
	b := newBox(t)
	b.put("INBOX", strings.Replace(message, "1.abc", "1.abcd", 1))
	b.put("INBOX", message)
	b.put("INBOX", "Subject: another\r\n\r\n")
	a, err := b.await(t)
	if err != nil || a.Folder != "INBOX" || a.Junk || a.From != "noreply@acme.example" || a.At.UTC().Hour() != 9 || a.By != "mx.kunde.example" || !a.DMARC.Passed() {
		t.Errorf("%+v, %v", a, err)
	}
	if all, unseen := b.Counts("INBOX"); all != 3 || unseen != 3 {
		t.Errorf("%d messages, %d unseen", all, unseen)
	}
}

func TestFindsTheMailInJunk(t *testing.T) {
	for _, name := range []string{"Junk", "[Gmail]/Spam"} {
		b := newBox(t)
		b.Create("Sent")
		b.Create(name)
		b.put(name, message)
		a, err := b.await(t)
		if err != nil || a.Folder != name || !a.Junk {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// TestJunkByItsUse: a server that knows special uses (RFC 6154) is asked for them, and what the folder is called does not matter.
func TestJunkByItsUse(t *testing.T) {
	conf := scripted(t, ready, func(tag, command string, w io.Writer) bool {
		switch {
		case command == "CAPABILITY":
			return say(w, "* CAPABILITY IMAP4rev1 LIST-EXTENDED SPECIAL-USE\r\n"+tag+" OK\r\n")
		case strings.HasPrefix(command, "LIST") && strings.HasSuffix(command, "RETURN (SPECIAL-USE)"):
			return say(w, "* LIST () \"/\" INBOX\r\n* LIST (\\Junk) \"/\" Werbung\r\n"+tag+" OK\r\n")
		}
		return polite(nil)(tag, command, w)
	})
	m, err := Open(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if len(m.look) != 2 || m.look[1].name != "Werbung" {
		t.Errorf("%+v", m.look)
	}
}

func TestIsJunk(t *testing.T) {
	for _, f := range []*imap.ListData{{Mailbox: "INBOX.spam", Delim: '.'}, {Mailbox: "Werbung", Attrs: []imap.MailboxAttr{imap.MailboxAttrJunk}}, {Mailbox: "Junk E-mail"}} {
		if !isJunk(f) {
			t.Errorf("%+v", f)
		}
	}
	for _, f := range []*imap.ListData{{Mailbox: "INBOX"}, {Mailbox: "spam/kept", Delim: '/'}, {Mailbox: "Spam", Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}}} {
		if isJunk(f) {
			t.Errorf("%+v", f)
		}
	}
}

func TestWaitsForTheMail(t *testing.T) {
	b := newBox(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m, err := Open(ctx, b.conf)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if one, err := m.server.find("INBOX", someID); one != nil || err != nil {
		t.Fatal(one, err)
	}
	b.put("INBOX", message)
	if a, err := m.Await(ctx, someID); err != nil || a.Folder != "INBOX" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestRefusals(t *testing.T) {
	b := newBox(t)
	for name, c := range map[string]struct {
		change func(*Config)
		class  mail.Class
		words  string
	}{
		"password":    {func(c *Config) { c.Password = "wrong" }, mail.ClassAuth, "password"},
		"folder":      {func(c *Config) { c.Folder = "Nowhere" }, mail.ClassConfig, "folder"},
		"certificate": {func(c *Config) { c.RootCAs = nil }, mail.ClassConfig, "certificate"},
		"nobody":      {func(c *Config) { c.Port = 1 }, mail.ClassConnection, "port"},
	} {
		one := *b
		c.change(&one.conf)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var err error
		if m, opened := Open(ctx, one.conf); opened != nil {
			err = opened
		} else {
			_, err = m.Await(ctx, someID)
			m.Close()
		}
		cancel()
		refused, ok := errors.AsType[*Error](err)
		if !ok || refused.Outcome.Class != c.class || !strings.Contains(refused.Outcome.Remedy, c.words) || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: %v", name, err)
			if ok {
				t.Errorf("%+v", refused.Outcome)
			}
		}
	}
}

func TestClearTextIsForLoopback(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:143": true, "[::1]:143": true, "192.0.2.1:143": false} {
		a, err := net.ResolveTCPAddr("tcp", address)
		if err != nil || isLoopback(a) != want {
			t.Errorf("%s: %v, %v", address, isLoopback(a), err)
		}
	}
}

// fake is a server of functions.
type fake struct {
	list []folder
	look func(folder string) (*found, error)
}

func (f *fake) login(string, string) error          { return nil }
func (f *fake) folders() ([]folder, error)          { return f.list, nil }
func (f *fake) find(name, _ string) (*found, error) { return f.look(name) }
func (f *fake) close()                              {}

func TestGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	m, err := open(&fake{look: func(string) (*found, error) {
		if looks++; looks == 3 {
			cancel()
		}
		return nil, nil
	}}, Config{Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Await(ctx, someID); !errors.Is(err, ErrNotArrived) || looks != 3 {
		t.Errorf("%v after %d looks", err, looks)
	}
}

func TestJunkThatCannotBeOpened(t *testing.T) {
	refusal := &Error{Outcome: mail.ClassifyIMAP(mail.StepData, "NO [NOPERM]")}
	list := []folder{{"Junk", true}, {"INBOX", false}}
	m, err := open(&fake{list, func(name string) (*found, error) {
		if name == "Junk" {
			return nil, refusal
		}
		return &found{header: []byte(message)}, nil
	}}, Config{Folder: "INBOX"})
	if err != nil {
		t.Fatal(err)
	}
	m.look[0], m.look[1] = m.look[1], m.look[0]
	if a, err := m.Await(t.Context(), someID); err != nil || a.Folder != "INBOX" {
		t.Errorf("%+v, %v", a, err)
	}
	m.look = m.look[:1]
	m.look[0].junk = false
	if _, err := m.Await(t.Context(), someID); !errors.Is(err, refusal) {
		t.Error(err)
	}
}
