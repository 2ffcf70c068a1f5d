package smtpout

import (
	"bytes"
	"context"
	"fmt"
	"time"

	gosimplemail "github.com/xhit/go-simple-mail/v2"

	"outboxd/mail"
)

// librarySender stands for the envelope's sender towards the library, which knows no null return path. It is never sent.
const librarySender = "sender@invalid"

// standIn is what the library is given to write in place of the message, which it would hold twice more as long as it is sent.
const standIn = "content"

// chunkSize is how much content is written at a time in octets: one TLS record.
const chunkSize = 16 << 10

// earlyReply is how long to look for a reply that a server wrote before it closed the connection within the content.
const earlyReply = time.Second

// transaction is one Send. Its fields are used by Send's goroutine alone; Mark's has only a context and a copy.
type transaction struct {
	ctx     context.Context
	session *Session
	wire    *wire
	d       *Delivery

	eightBit bool
	refusals []*mail.Outcome // one per d.To, nil unless refused
	accepted []bool          // one per d.To
	asked    []int           // indexes of d.To given to the library
	next     int             // index into asked of the next RCPT

	inContent bool
	tail      [5]byte // the last octets of the content so far
	dotGone   bool    // the final dot may have gone out

	message   *mail.Outcome // the verdict, once there is one
	stopped   error
	marked    bool
	broken    error // the dialogue is unsound: the connection cannot go on
	dismissed bool  // 421: the server closes the connection
	reset     bool  // RSET is due: refused, stopped, or nobody left to send to
}

func newTransaction(ctx context.Context, s *Session, d *Delivery) *transaction {
	return &transaction{
		ctx: ctx, session: s, wire: s.wire, d: d,
		refusals: make([]*mail.Outcome, len(d.To)),
		accepted: make([]bool, len(d.To)),
		tail:     [5]byte{0, 0, 0, '\r', '\n'},
	}
}

// check settles what needs no server and tells whether anything is left to send.
func (t *transaction) check() bool {
	reject := func(class mail.Class, text, remedy string) bool {
		o := fault(mail.ScopeMessage, mail.StepMail, class, text, remedy)
		t.message = &o
		return false
	}
	if t.d.From != "" {
		if text := addressFault(t.d.From, t.d.UTF8); text != "" {
			return reject(mail.ClassRejected, "sender: "+text, "Correct the sender's address.")
		}
	}
	if text := messageFault(t.d.Message); text != "" {
		return reject(mail.ClassRejected, text, "The message itself is malformed: correct what it was made from.")
	}
	if size, limit := int64(len(t.d.Message)), t.session.maxSize; limit > 0 && size > limit {
		return reject(mail.ClassSize, fmt.Sprintf("message of %d octets is larger than the %d octets that the server takes", size, limit),
			"Make the message smaller, or send it through an account that takes larger ones.")
	}
	if t.d.UTF8 && !t.session.utf8 {
		return reject(mail.ClassRejected, "an address or a header field needs SMTPUTF8 and the server does not offer it",
			"Use addresses whose part before the @ is plain ASCII and encoded words in a raw header, or an account whose server offers SMTPUTF8.")
	}
	if t.eightBit = hasEightBit(t.d.Message); t.eightBit && !t.session.eightBit {
		return reject(mail.ClassRejected, "message has 8-bit content and the server does not offer 8BITMIME",
			"Encode the content as quoted-printable or base64.")
	}
	for i, to := range t.d.To {
		if text := addressFault(to, t.d.UTF8); text != "" {
			o := fault(mail.ScopeRecipient, mail.StepRcpt, mail.ClassRejected, text, "Correct the recipient's address.")
			t.refusals[i] = &o
			continue
		}
		t.asked = append(t.asked, i)
	}
	if len(t.d.To) == 0 {
		return reject(mail.ClassRejected, "message has no recipient", "Name a recipient.")
	}
	return len(t.asked) > 0
}

// run lets the library make the transaction and clears up after it.
func (t *transaction) run() {
	to := make([]string, len(t.asked))
	for i, index := range t.asked {
		to[i] = t.d.To[index]
	}
	b := t.session.bridge
	b.tx = t
	err := gosimplemail.SendMessage(librarySender, to, standIn, t.session.library)
	b.tx = nil
	if t.broken == nil && t.message == nil && t.stopped == nil && !t.reset {
		// Every way to here has been decided above; what is not must not count as sent or not sent.
		_ = t.fail(t.step(), protocolErrorf("library: the transaction ended without a verdict: %v", err))
	}
	if t.reset && t.broken == nil && !t.dismissed {
		if err := t.resetServer(); err != nil {
			t.broken = err
		}
	}
	t.session.used = true
	t.session.rested = time.Now()
}

// step is where a transaction stands that has lost its way.
func (t *transaction) step() mail.Step {
	switch {
	case t.dotGone:
		return mail.StepDot
	case t.inContent:
		return mail.StepBody
	}
	return mail.StepData
}

// resetServer makes the server forget the transaction; an answer other than yes breaks the connection.
func (t *transaction) resetServer() error {
	reply, err := t.wire.ask("RSET", 2, min(t.session.timeouts.Reset, t.session.timeouts.Command))
	if err == nil && reply.refused() {
		return protocolErrorf("RSET was refused: %d %.80q", reply.code, reply.text)
	}
	return err
}

// fail notes an I/O error or a reply that is none. What was ended from this side before the dot has no verdict.
func (t *transaction) fail(step mail.Step, err error) error {
	t.broken = err
	if cause := t.wire.cause(); cause != nil && !t.dotGone && t.stopped == nil {
		t.stopped = cause
	}
	if t.stopped == nil {
		outcome := mail.ClassifyIO(step, err)
		t.message = &outcome
	}
	return err
}

// refuse notes a refusal of the whole message and tells the library no.
func (t *transaction) refuse(step mail.Step, r rawReply) {
	outcome := mail.Classify(step, r.parse())
	t.message = &outcome
	t.dismissed = r.code == 421
	t.reset = true
	t.session.bridge.answer("554 no")
}

// result puts the outcomes of message and recipients together.
func (t *transaction) result() Result {
	r := Result{Recipients: make([]mail.Outcome, len(t.d.To)), Stopped: t.stopped, Marked: t.marked}
	if t.message == nil && t.stopped == nil && len(t.refusals) > 0 {
		t.message = t.refusals[0] // all were refused, or one of them would have brought a verdict
	}
	if t.message != nil && t.stopped == nil {
		r.Message = *t.message
	}
	for i, o := range t.refusals {
		if o != nil {
			r.Recipients[i] = *o
		} else {
			r.Recipients[i] = r.Message
		}
	}
	return r
}

// endsContent adds p to the tail and tells whether the content now ends with CRLF.CRLF. Dot-stuffing makes sure that
// this occurs at its end alone.
func (t *transaction) endsContent(p []byte) bool {
	if len(p) >= len(t.tail) {
		copy(t.tail[:], p[len(p)-len(t.tail):])
	} else {
		copy(t.tail[:], t.tail[len(p):])
		copy(t.tail[len(t.tail)-len(p):], p)
	}
	return bytes.Equal(t.tail[:], []byte("\r\n.\r\n"))
}
