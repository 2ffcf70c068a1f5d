package readback

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"outboxd/mail"
)

// The bounds of one session.
const (
	dialTime    = 30 * time.Second
	maxOctets   = 2 << 20 // that the server may send
	mostFolders = 5000
)

// imapServer is a server by go-imap, whose decoder runs in a goroutine of its own and reads through conn.
type imapServer struct {
	conn    *boundedConn
	client  *imapclient.Client
	release func() bool // stops watching the context
}

// dial connects and reads the greeting. The error is an *Error.
func dial(ctx context.Context, c Config) (server, error) {
	timed, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(timed, "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return nil, ioError(mail.StepConnect, err)
	}
	conn := raw
	if c.Clear {
		if !isLoopback(raw.RemoteAddr()) {
			_ = raw.Close() // nothing was said
			return nil, &Error{Outcome: mail.ClassifyIMAP(mail.StepAuth, "[PRIVACYREQUIRED] outboxd itself refuses a login in clear over a network")}
		}
	} else {
		secured := tls.Client(raw, &tls.Config{ServerName: c.Host, RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12})
		if err := secured.HandshakeContext(timed); err != nil {
			_ = raw.Close() // the handshake has failed, that is what is told
			return nil, ioError(mail.StepTLS, err)
		}
		conn = secured
	}
	s := &imapServer{conn: &boundedConn{Conn: conn, left: maxOctets}}
	s.release = context.AfterFunc(ctx, func() { _ = conn.Close() })
	s.client = imapclient.New(s.conn, nil)
	if err := s.client.WaitGreeting(); err != nil {
		s.close()
		return nil, s.refused(mail.StepConnect, err)
	}
	return s, nil
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func (s *imapServer) login(user, password string) error {
	if err := s.client.Login(user, password).Wait(); err != nil {
		refused := s.refused(mail.StepAuth, err)
		if len(password) >= 4 { // a server may repeat what it was sent
			refused.Outcome.Reply.Text = strings.ReplaceAll(refused.Outcome.Reply.Text, password, "***")
		}
		return refused
	}
	return nil
}

func (s *imapServer) folders() ([]folder, error) {
	var options *imap.ListOptions
	if caps := s.client.Caps(); caps.Has(imap.CapSpecialUse) && caps.Has(imap.CapListExtended) || caps.Has(imap.CapIMAP4rev2) {
		options = &imap.ListOptions{ReturnSpecialUse: true}
	}
	list := s.client.List("", "*", options)
	var all []folder
	for f := list.Next(); f != nil; f = list.Next() {
		if len(all) < mostFolders {
			all = append(all, folder{f.Mailbox, isJunk(f)})
		}
	}
	if err := list.Close(); err != nil {
		return nil, s.refused(mail.StepData, err)
	}
	return all, nil
}

// junkNames are what servers that know no \Junk call it.
var junkNames = map[string]bool{"junk": true, "spam": true, "junk e-mail": true, "junk email": true, "bulk mail": true, "bulk": true}

func isJunk(f *imap.ListData) bool {
	name := strings.ToLower(f.Mailbox)
	if f.Delim != 0 {
		name = name[strings.LastIndexByte(name, byte(f.Delim))+1:]
	}
	for _, attr := range f.Attrs {
		switch attr {
		case imap.MailboxAttrNoSelect:
			return false
		case imap.MailboxAttrJunk:
			return true
		}
	}
	return junkNames[name]
}

func (s *imapServer) find(name, messageID string) (*found, error) {
	if _, err := s.client.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		return nil, s.refused(mail.StepData, err)
	}
	hits, err := s.client.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Message-ID", Value: messageID}}}, nil).Wait()
	if err != nil {
		return nil, s.refused(mail.StepData, err)
	}
	newest := newestOf(hits)
	if newest == 0 {
		return nil, nil
	}
	section := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, Peek: true, Partial: &imap.SectionPartial{Size: maxHeader}}
	all, err := s.client.Fetch(imap.UIDSetNum(newest), &imap.FetchOptions{InternalDate: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		return nil, s.refused(mail.StepData, err)
	}
	for _, m := range all {
		one := &found{at: m.InternalDate, header: m.FindBodySection(section)}
		// A search finds parts of words too, and some servers find what they like.
		if h, err := readHeader(one.header); err == nil && h.Get("Message-Id") == messageID {
			return one, nil
		}
	}
	return nil, nil
}

// newestOf is the highest number found, 0 for none. The set is not written out: a server may name four billion.
func newestOf(hits *imap.SearchData) imap.UID {
	set, ok := hits.All.(imap.UIDSet)
	if !ok || len(set) == 0 {
		return 0
	}
	return set[len(set)-1].Stop
}

func (s *imapServer) close() {
	s.release()
	_ = s.conn.Close() // a goodbye changes nothing, and a server might not answer it
}

// refused makes the library's error the server's answer, or what happened to the connection.
func (s *imapServer) refused(step mail.Step, err error) *Error {
	var answer *imap.Error
	switch broken := s.conn.broken(); {
	case errors.As(err, &answer):
		text := string(answer.Type)
		if answer.Code != "" {
			text += fmt.Sprintf(" [%s]", answer.Code)
		}
		return &Error{Outcome: mail.ClassifyIMAP(step, text+" "+answer.Text)}
	case broken != nil:
		return ioError(step, broken)
	}
	return ioError(step, err)
}

// ioError is a connection that was not made or broke. The general remedies speak of an account's settings.
func ioError(step mail.Step, err error) *Error {
	e := &Error{Outcome: mail.ClassifyIO(step, err), Err: err}
	if e.Outcome.Class == mail.ClassConfig {
		e.Outcome.Remedy = "The IMAP server's certificate does not fit, or it speaks no TLS on this port. Put the host name that the provider gives into --read-back; the usual port is 993."
	} else {
		e.Outcome.Remedy = "The IMAP server cannot be reached, does not answer or broke off. Check host and port in --read-back, the network and the firewall."
	}
	return e
}

// boundedConn is a connection from which only so many octets are read. It keeps the error that ended it, which the library
// tells as text alone.
type boundedConn struct {
	net.Conn

	mu   sync.Mutex
	left int64
	err  error
}

// errTooMuch ends a server that sends without end.
var errTooMuch = fmt.Errorf("the server has sent more than %d octets", maxOctets)

// Read reads as far as is allowed.
func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left -= int64(n); c.left < 0 && err == nil {
		err = errTooMuch
	}
	if c.err == nil {
		c.err = err
	}
	return n, err
}

func (c *boundedConn) broken() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
