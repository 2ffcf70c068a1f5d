package smtpout

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"outboxd/mail"
)

// mailFrom sends MAIL with our sender and the parameters that this message needs.
func (t *transaction) mailFrom() error {
	s := t.session
	line := "MAIL FROM:<" + t.d.From + ">"
	if s.size {
		line += " SIZE=" + strconv.Itoa(len(t.d.Message))
	}
	if t.eightBit {
		line += " BODY=8BITMIME"
	}
	if t.d.UTF8 {
		line += " SMTPUTF8"
	}
	if s.dsn {
		line += t.d.DSN.mailParameters()
	}
	rested := s.used || time.Since(s.rested) >= restAfter
	reply, err := t.wire.ask(line, 2, s.timeouts.Command)
	switch {
	case err != nil:
		err = t.fail(mail.StepMail, err)
		if _, strange := errors.AsType[*protocolError](err); rested && t.stopped == nil && !strange {
			t.stopped = &StaleError{Outcome: *t.message}
		}
		return err
	case reply.refused():
		t.refuse(mail.StepMail, reply)
		if rested && t.dismissed {
			t.stopped = &StaleError{Outcome: *t.message}
		}
	default:
		s.bridge.answer("250 yes")
	}
	return nil
}

// rcptTo sends one RCPT. A refusal is noted and the library told yes, so that it goes on with the others.
func (t *transaction) rcptTo(address string) error {
	if t.next >= len(t.asked) || t.d.To[t.asked[t.next]] != address {
		return t.fail(mail.StepRcpt, protocolErrorf("library: unexpected recipient"))
	}
	i := t.asked[t.next]
	t.next++
	line := "RCPT TO:<" + address + ">"
	if t.session.dsn {
		line += t.d.DSN.rcptParameters()
	}
	reply, err := t.wire.ask(line, 2, t.session.timeouts.Command)
	switch {
	case err != nil:
		return t.fail(mail.StepRcpt, err)
	case reply.code == 421: // the server leaves: this ends the message, not one recipient
		t.refuse(mail.StepRcpt, reply)
		return nil
	case reply.refused():
		outcome := mail.Classify(mail.StepRcpt, reply.parse())
		t.refusals[i] = &outcome
	default:
		t.accepted[i] = true
	}
	t.session.bridge.answer("250 yes")
	return nil
}

// data sends DATA when somebody is left to send to, and lets Mark run while the 354 travels.
func (t *transaction) data() error {
	if !slices.Contains(t.accepted, true) {
		t.reset = true
		t.session.bridge.answer("554 no")
		return nil
	}
	if t.d.BeforeData != nil {
		if err := t.d.BeforeData(t.ctx); err != nil {
			t.stopped = err
			t.reset = true
			t.session.bridge.answer("554 no")
			return nil
		}
	}
	if err := t.wire.send("DATA", t.session.timeouts.Data); err != nil {
		return t.fail(mail.StepData, err)
	}
	marked := t.startMark()
	reply, err := t.wire.expect(3, t.session.timeouts.Data)
	if markErr := <-marked; markErr != nil {
		t.stopped = markErr
		return t.fail(mail.StepData, markErr)
	}
	t.marked = t.d.Mark != nil
	if err == nil && t.wire.r.Buffered() > 0 {
		err = errUnasked // it would be taken for the reply to the dot
	}
	switch {
	case err != nil:
		return t.fail(mail.StepData, err)
	case reply.refused():
		t.refuse(mail.StepData, reply)
	default:
		t.inContent = true
		t.session.bridge.answer("354 go")
	}
	return nil
}

// startMark runs Mark and delivers its error once. With its success the context counts no longer; with its error
// the connection is ended at once, for nothing may follow the DATA.
func (t *transaction) startMark() <-chan error {
	marked := make(chan error, 1)
	if t.d.Mark == nil {
		marked <- nil
		return marked
	}
	accepted := slices.Clone(t.accepted)
	go func() {
		err := t.d.Mark(t.ctx, accepted)
		if err != nil {
			t.wire.interrupt(err)
		} else {
			_ = t.wire.shield() // an end that came before it shows at the next read or write
		}
		marked <- err
	}()
	return marked
}

// content writes a chunk of the content, and after the last one reads the verdict.
func (t *transaction) content(p []byte) error {
	if t.endsContent(p) {
		return t.dot(p)
	}
	if err := t.wire.write(p, t.session.timeouts.Body); err != nil {
		return t.contentFailed(mail.StepBody, err)
	}
	return nil
}

// dot writes the chunk that ends with the final dot. From here on nothing but the server's word or a deadline counts.
func (t *transaction) dot(p []byte) error {
	if err := t.wire.shield(); err != nil {
		return t.fail(mail.StepBody, err)
	}
	t.dotGone = true
	if err := t.wire.write(p, t.session.timeouts.Body); err != nil {
		return t.contentFailed(mail.StepDot, err)
	}
	reply, err := t.wire.expect(2, t.session.timeouts.Dot)
	if err != nil {
		return t.fail(mail.StepDot, err)
	}
	t.verdict(mail.StepDot, reply)
	return nil
}

// contentFailed looks for a reply that explains why the content could not be written: servers answer 552 or
// 421 and close. The connection is lost in any case.
func (t *transaction) contentFailed(step mail.Step, err error) error {
	if t.wire.cause() == nil {
		reply, readErr := t.wire.read(earlyReply)
		if readErr == nil && (reply.refused() || step == mail.StepDot && reply.code/100 == 2) {
			t.verdict(step, reply)
			t.broken = err
			return err
		}
	}
	return t.fail(step, err)
}

// verdict notes the reply to the content.
func (t *transaction) verdict(step mail.Step, reply rawReply) {
	if reply.refused() {
		t.refuse(step, reply)
		return
	}
	outcome := mail.Classify(step, reply.parse())
	t.message = &outcome
	t.session.bridge.answer("250 yes")
}
