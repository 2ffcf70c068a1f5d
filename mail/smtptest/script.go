package smtptest

import (
	"slices"
	"strings"
	"sync"
)

// Step is a point of the dialogue that a script can act at. The names are those of mail.Step, and a few more.
type Step string

// The steps in the order of a dialogue.
const (
	StepConnect   Step = "connect"   // instead of the greeting
	StepTLS       Step = "tls"       // the STARTTLS command
	StepHandshake Step = "handshake" // before the TLS handshake
	StepHello     Step = "hello"     // EHLO or HELO
	StepAuth      Step = "auth"      // the AUTH command
	StepMail      Step = "mail"
	StepRcpt      Step = "rcpt"
	StepData      Step = "data" // the DATA command
	StepBody      Step = "body" // inside the content, see Action.After
	StepDot       Step = "dot"  // the content is read, its reply is due
	StepReset     Step = "rset"
	StepNoop      Step = "noop"
	StepQuit      Step = "quit"
)

// End says how an action goes on after its reply.
type End int

// The ends of an action.
const (
	Continue End = iota // the dialogue goes on
	Stall               // silence until the server is closed or the client has gone
	Hangup              // the connection is closed in order
	Reset               // the connection is cut with RST
)

// Action is what the server does at a step instead of its usual reply. The zero Action is the usual reply.
type Action struct {
	// Wait holds the server until the channel is closed.
	Wait <-chan struct{}
	// After is the number of octets of content to read before a StepBody action; less content acts before the dot.
	After int
	// Accept records the message as accepted before anything is written: the server takes it, whatever it says (StepDot).
	Accept bool
	// Write is sent as it stands instead of the usual reply: any octets, also half a line. The command is
	// carried out if it begins with 2 or 3. Empty with End Continue is the usual reply, otherwise nothing.
	Write string
	// End says what comes after the reply.
	End End
}

// Reply answers with text; a line feed in it makes a reply of several lines.
func Reply(text string) Action {
	return Action{Write: strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"}
}

// ReplyAndHangup answers with text and closes the connection, as servers do with 421.
func ReplyAndHangup(text string) Action {
	a := Reply(text)
	a.End = Hangup
	return a
}

// Silence never answers.
func Silence() Action { return Action{End: Stall} }

// Cut resets the connection instead of answering.
func Cut() Action { return Action{End: Reset} }

// Garbage answers with a line that is no SMTP reply.
func Garbage() Action { return Action{Write: "\x00\xff<html>what?\r\n"} }

// Half sends the beginning of a reply and then ends as said.
func Half(text string, end End) Action { return Action{Write: text, End: end} }

// LoseReply accepts the message and closes the connection without a word (StepDot).
func LoseReply() Action { return Action{Accept: true, End: Hangup} }

// Rule says where an action happens. All of its conditions have to hold; zero values hold always.
type Rule struct {
	Step        Step
	Conn        int    // the server's nth connection, from 1
	Transaction int    // the server's nth MAIL command, from 1, and what follows it
	From        string // the envelope's sender
	To          string // this RCPT's address; at later steps one of the accepted recipients
	Skip        int    // so many fitting moments pass first
	Times       int    // and then so many are acted on; 0 is all
	Do          Action
}

// Hook follows one rule.
type Hook struct {
	reached chan struct{}
	script  *script
	count   int // guarded by script.mu
}

// Reached is closed when the rule acts for the first time, before its action begins.
func (h *Hook) Reached() <-chan struct{} { return h.reached }

// Count returns how often the rule has acted.
func (h *Hook) Count() int {
	h.script.mu.Lock()
	defer h.script.mu.Unlock()
	return h.count
}

type script struct {
	decide func(Moment) (Action, bool) // see Decide; never changed

	mu    sync.Mutex
	rules []*activeRule
}

type activeRule struct {
	Rule
	hook *Hook
	seen int
}

// On adds a rule to the script. The first rule that fits acts.
func (s *Server) On(r Rule) *Hook {
	h := &Hook{reached: make(chan struct{}), script: &s.script}
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.rules = append(s.script.rules, &activeRule{Rule: r, hook: h})
	return h
}

// ClearScript removes all rules; actions that have begun go on.
func (s *Server) ClearScript() {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.rules = nil
}

// Moment is where a connection stands when the script is asked.
type Moment struct {
	Step        Step
	Conn        int      // the server's nth connection, from 1
	Transaction int      // the server's nth MAIL command, from 1
	From        string   // the envelope's sender
	To          []string // the address of this RCPT; at later steps the accepted recipients. Not to be changed
}

// take finds the action for a moment and counts it.
func (s *script) take(m Moment) (Action, bool) {
	if a, ok := s.rule(m); ok {
		return a, true
	}
	if s.decide != nil {
		if a, ok := s.decide(m); ok {
			return a, true
		}
	}
	return Action{}, false
}

func (s *script) rule(m Moment) (Action, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		if !r.fits(m) {
			continue
		}
		r.seen++
		if r.seen <= r.Skip || (r.Times > 0 && r.seen > r.Skip+r.Times) {
			continue
		}
		r.hook.count++
		if r.hook.count == 1 {
			close(r.hook.reached)
		}
		return r.Do, true
	}
	return Action{}, false
}

func (r *Rule) fits(m Moment) bool {
	return r.Step == m.Step &&
		(r.Conn == 0 || r.Conn == m.Conn) &&
		(r.Transaction == 0 || r.Transaction == m.Transaction) &&
		(r.From == "" || strings.EqualFold(r.From, m.From)) &&
		(r.To == "" || slices.ContainsFunc(m.To, func(to string) bool { return strings.EqualFold(to, r.To) }))
}
