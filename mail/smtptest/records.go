package smtptest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Message is one message that the server took responsibility for.
type Message struct {
	From      string    // envelope sender, "" for the null return path
	To        []string  // accepted recipients, in the order of their RCPT
	Params    string    // what followed the sender in MAIL: SIZE=, BODY=, SMTPUTF8, RET=, ENVID=
	ToParams  []string  // what followed each of To in RCPT: NOTIFY=, ORCPT=
	MessageID string    // the header's Message-ID, with angle brackets
	Data      []byte    // content as sent, dot-stuffing undone, CRLF line ends; nil when not kept
	Size      int       // octets of the content
	Malformed string    // the content's first fault: a bare CR or LF, a NUL, a line over 998 octets; or ""
	Time      time.Time // when the final dot was accepted
	Conn      int       // number of the connection, from 1
	TLS       bool
	User      string // who was logged in
	Hello     string // the name given with EHLO
}

// Entry tells what became of one message, or of all mails to one recipient. The length of a list is how often.
type Entry struct {
	Began    []time.Time // DATA was answered with 354
	Accepted []time.Time // the final dot was accepted, also when the reply was lost
}

// Counts are the server's totals since it was made.
type Counts struct {
	Connections     int // accepted connections
	Open            int // of these, still open
	Handshakes      int // finished TLS handshakes
	Logins          int
	FailedLogins    int
	PasswordInClear int // logins tried without TLS
	MailInClear     int // MAIL commands without TLS
	Transactions    int // MAIL commands
	Data            int // 354 replies
	Body            int // transactions of which at least one octet of content came
	Accepted        int // final dots accepted
	Resets          int // RSET commands
	Quits           int // QUIT commands
	HelloFallbacks  int // HELO commands
}

// Login is one finished AUTH exchange.
type Login struct {
	User      string
	Mechanism string
	OK        bool
	TLS       bool
	Time      time.Time
	Conn      int
}

// Line is one command line as it came in; of AUTH only the mechanism is kept, of its exchange nothing.
type Line struct {
	Conn int
	TLS  bool
	Text string
}

type records struct {
	opts *options

	mu         sync.Mutex
	counts     Counts
	messages   []Message
	lines      []Line
	logins     []Login
	began      []time.Time
	messageIDs map[string]*Entry
	recipients map[string]*Entry
	waiters    []*waiter
}

type waiter struct {
	enough func(Counts) bool
	done   chan struct{}
}

func (r *records) init(o *options) {
	r.opts = o
	r.messageIDs = map[string]*Entry{}
	r.recipients = map[string]*Entry{}
}

// change applies f under the lock and wakes those whose wait is over.
func (r *records) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	r.waiters = slices.DeleteFunc(r.waiters, func(w *waiter) bool {
		if !w.enough(r.counts) {
			return false
		}
		close(w.done)
		return true
	})
}

func (r *records) connected() (number int) {
	r.change(func() { r.counts.Connections++; r.counts.Open++; number = r.counts.Connections })
	return number
}

func (r *records) disconnected() { r.change(func() { r.counts.Open-- }) }

func (r *records) line(l Line) {
	if r.opts.noMessages {
		return
	}
	r.change(func() { r.lines = append(r.lines, l) })
}

func (r *records) login(l Login) {
	r.change(func() {
		if l.OK {
			r.counts.Logins++
		} else {
			r.counts.FailedLogins++
		}
		if !r.opts.noRecords {
			r.logins = append(r.logins, l)
		}
	})
}

// dataBegan notes a 354 for the recipients; the Message-ID is not known yet.
func (r *records) dataBegan(to []string, now time.Time) {
	r.change(func() {
		r.counts.Data++
		if r.opts.noRecords {
			return
		}
		r.began = append(r.began, now)
		for _, t := range to {
			e := entry(r.recipients, strings.ToLower(t))
			e.Began = append(e.Began, now)
		}
	})
}

// idSeen notes the Message-ID of content that is coming in.
func (r *records) idSeen(id string, began time.Time) {
	if r.opts.noRecords || id == "" {
		return
	}
	r.change(func() {
		e := entry(r.messageIDs, id)
		e.Began = append(e.Began, began)
	})
}

func (r *records) accepted(m Message) {
	r.change(func() {
		r.counts.Accepted++
		if !r.opts.noRecords {
			for _, t := range m.To {
				e := entry(r.recipients, strings.ToLower(t))
				e.Accepted = append(e.Accepted, m.Time)
			}
			if m.MessageID != "" {
				e := entry(r.messageIDs, m.MessageID)
				e.Accepted = append(e.Accepted, m.Time)
			}
		}
		if !r.opts.noMessages {
			r.messages = append(r.messages, m)
		}
	})
}

func entry(m map[string]*Entry, key string) *Entry {
	e := m[key]
	if e == nil {
		e = &Entry{}
		m[key] = e
	}
	return e
}

func (e *Entry) clone() Entry {
	return Entry{Began: slices.Clone(e.Began), Accepted: slices.Clone(e.Accepted)}
}

// Messages returns the accepted messages in their order. The caller must not change their Data.
func (s *Server) Messages() []Message {
	s.records.mu.Lock()
	defer s.records.mu.Unlock()
	return slices.Clone(s.records.messages)
}

// Counts returns the server's totals.
func (s *Server) Counts() Counts {
	s.records.mu.Lock()
	defer s.records.mu.Unlock()
	return s.records.counts
}

// Logins returns the finished AUTH exchanges in their order.
func (s *Server) Logins() []Login {
	s.records.mu.Lock()
	defer s.records.mu.Unlock()
	return slices.Clone(s.records.logins)
}

// Lines returns all command lines in their order.
func (s *Server) Lines() []Line {
	s.records.mu.Lock()
	defer s.records.mu.Unlock()
	return slices.Clone(s.records.lines)
}

// DataTimes returns when each 354 was given, in order: what a rate limit counts.
func (s *Server) DataTimes() []time.Time {
	s.records.mu.Lock()
	defer s.records.mu.Unlock()
	return slices.Clone(s.records.began)
}

// Ledger returns the entries by Message-ID. Began counts content whose Message-ID header was seen: a client
// killed between DATA and the header stands in RecipientLedger alone.
func (s *Server) Ledger() map[string]Entry { return s.copyEntries(s.records.messageIDs) }

// RecipientLedger returns the entries by accepted recipient, in lower case.
func (s *Server) RecipientLedger() map[string]Entry { return s.copyEntries(s.records.recipients) }

func (s *Server) copyEntries(from map[string]*Entry) map[string]Entry {
	s.records.mu.Lock()
	defer s.records.mu.Unlock()
	to := make(map[string]Entry, len(from))
	for k, e := range maps.All(from) {
		to[k] = e.clone()
	}
	return to
}

// Wait returns when enough says so of the totals, or with the context's error. It does not poll: enough is
// asked at once and after every change, under the server's lock, and must not call the server.
func (s *Server) Wait(ctx context.Context, enough func(Counts) bool) error {
	w := &waiter{enough: enough, done: make(chan struct{})}
	s.records.mu.Lock()
	if enough(s.records.counts) {
		s.records.mu.Unlock()
		return nil
	}
	s.records.waiters = append(s.records.waiters, w)
	s.records.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		s.records.mu.Lock()
		defer s.records.mu.Unlock()
		s.records.waiters = slices.DeleteFunc(s.records.waiters, func(x *waiter) bool { return x == w })
		return fmt.Errorf("smtptest: waiting with %+v: %w", s.records.counts, ctx.Err())
	}
}

// WaitMessages returns when n messages have been accepted in all, or with the context's error.
func (s *Server) WaitMessages(ctx context.Context, n int) error {
	return s.Wait(ctx, func(c Counts) bool { return c.Accepted >= n })
}
