package readback

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"outboxd/mail"
)

// Config is where a mailbox is and how to log in.
type Config struct {
	Host     string // also the name that the certificate must carry
	Port     int
	Username string
	Password string         // never part of an error
	Folder   string         // where mail arrives; "" is INBOX
	Clear    bool           // no TLS: for a server on this computer alone
	RootCAs  *x509.CertPool // nil: the system's
	Every    time.Duration  // how often to look; 0: every 3 s
}

// Arrived is a mail as it was found.
type Arrived struct {
	Folder string
	Junk   bool      // it lies with the unwanted mail
	At     time.Time // when the server took it
	From   string    // the address that the recipient sees
	Verdicts
}

// Error is why a mailbox could not be asked: what it means, and what happened.
type Error struct {
	Outcome mail.Outcome
	Err     error // nil when the server's answer says it all
}

// Error gives the server's words; never the password.
func (e *Error) Error() string { return e.Outcome.Reply.String() }

// Unwrap returns what happened below.
func (e *Error) Unwrap() error { return e.Err }

// ErrNotArrived says that the mail was not in the mailbox as long as it was waited for.
var ErrNotArrived = errors.New("the mail is not in the mailbox")

// server is what is asked of an IMAP server. Its errors are *Error.
type server interface {
	login(user, password string) error
	folders() ([]folder, error)
	// find returns the newest message with this Message-ID in a folder, nil when there is none.
	find(folder, messageID string) (*found, error)
	close()
}

type folder struct {
	name string
	junk bool // as the server says (RFC 6154) or as it is called
}

type found struct {
	at     time.Time
	header []byte // at most maxHeader octets
}

// Mailbox is a mailbox that one is logged in to.
type Mailbox struct {
	server server
	look   []folder // where mail may lie
	every  time.Duration
}

// Open connects and logs in. The error is an *Error. The context ends the mailbox's use too.
func Open(ctx context.Context, c Config) (*Mailbox, error) {
	s, err := dial(ctx, c)
	if err != nil {
		return nil, err
	}
	m, err := open(s, c)
	if err != nil {
		s.close()
	}
	return m, err
}

func open(s server, c Config) (*Mailbox, error) {
	if err := s.login(c.Username, c.Password); err != nil {
		return nil, err
	}
	all, err := s.folders()
	if err != nil {
		return nil, err
	}
	m := &Mailbox{server: s, every: c.Every, look: []folder{{name: c.Folder}}}
	if m.every <= 0 {
		m.every = 3 * time.Second
	}
	if c.Folder == "" {
		m.look[0].name = "INBOX"
	}
	for _, f := range all {
		if f.junk && !strings.EqualFold(f.name, m.look[0].name) {
			m.look = append(m.look, f)
		}
	}
	m.look = m.look[:min(len(m.look), 4)]
	return m, nil
}

// Await looks for the mail with this Message-ID, angle brackets included, until it is there or the context ends. Then
// the error is ErrNotArrived; else it is an *Error.
func (m *Mailbox) Await(ctx context.Context, messageID string) (Arrived, error) {
	tick := time.NewTicker(m.every)
	defer tick.Stop()
	for {
		for _, f := range m.look {
			one, err := m.server.find(f.name, messageID)
			switch {
			case ctx.Err() != nil:
				return Arrived{}, ErrNotArrived
			case err != nil && f.junk:
				continue // a folder that cannot be opened is no reason to give up
			case err != nil:
				return Arrived{}, err
			case one != nil:
				return arrived(f, one, messageID)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return Arrived{}, ErrNotArrived
		}
	}
}

// arrived reads a found message's header.
func arrived(f folder, one *found, messageID string) (Arrived, error) {
	h, err := readHeader(one.header)
	if err != nil {
		return Arrived{}, &Error{Outcome: mail.ClassifyIMAP(mail.StepData, fmt.Sprintf("the header of %s cannot be read: %v", messageID, err)), Err: err}
	}
	a := Arrived{Folder: f.name, Junk: f.junk, At: one.at, Verdicts: verdictsOf(h)}
	if from, err := mail.ParseAddress(h.Get("From")); err == nil {
		a.From = from.Addr()
	}
	return a, nil
}

// Close logs out. How that goes changes nothing.
func (m *Mailbox) Close() { m.server.close() }
