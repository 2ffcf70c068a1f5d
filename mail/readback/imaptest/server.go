// Package imaptest gives tests an IMAP server in memory, with one user's mailbox.
package imaptest

import (
	"errors"
	"io"
	"log"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// Who may log in.
const (
	User     = "eva@kunde.example"
	Password = "correct horse"
)

// Mailbox is the user's mailbox. Any goroutine may use it.
type Mailbox struct {
	t    testing.TB
	user *imapmemserver.User
}

// Serve answers at a listener until the test ends, with IMAP4rev1 and what is named beside it. There is an INBOX.
func Serve(t testing.TB, l net.Listener, extensions ...imap.Cap) *Mailbox {
	t.Helper()
	memory := imapmemserver.New()
	m := &Mailbox{t, imapmemserver.NewUser(User, Password)}
	memory.AddUser(m.user)
	m.Create("INBOX")
	caps := imap.CapSet{imap.CapIMAP4rev1: {}}
	for _, extension := range extensions {
		caps[extension] = struct{}{}
	}
	server := imapserver.New(&imapserver.Options{InsecureAuth: true, Logger: log.New(io.Discard, "", 0), Caps: caps,
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return memory.NewSession(), nil, nil
		}})
	ended := make(chan struct{})
	go func() {
		_ = server.Serve(l) // returns when it is closed
		close(ended)
	}()
	t.Cleanup(func() {
		if err := server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		<-ended
	})
	return m
}

// Create makes a folder.
func (m *Mailbox) Create(folder string) {
	m.t.Helper()
	if err := m.user.Create(folder, nil); err != nil {
		m.t.Error(err)
	}
}

type literal struct{ *strings.Reader }

// Size is that of the whole text.
func (l literal) Size() int64 { return l.Reader.Size() }

// Put puts a message into a folder, as of a time.
func (m *Mailbox) Put(folder, text string, at time.Time) {
	m.t.Helper()
	if _, err := m.user.Append(folder, literal{strings.NewReader(text)}, &imap.AppendOptions{Time: at}); err != nil {
		m.t.Error(err)
	}
}

// Counts tells how many messages a folder has, and how many of them nobody has read.
func (m *Mailbox) Counts(folder string) (all, unseen int) {
	m.t.Helper()
	status, err := m.user.Status(folder, &imap.StatusOptions{NumMessages: true, NumUnseen: true})
	if err != nil {
		m.t.Fatal(err)
	}
	return int(*status.NumMessages), int(*status.NumUnseen)
}
