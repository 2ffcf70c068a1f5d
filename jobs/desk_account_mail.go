package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/mail"
	"outboxd/mail/compose"
	"outboxd/mail/smtpout"
)

// testLetter is a test mail, built before anybody is spoken to.
type testLetter struct {
	from, to  mail.Address
	envelope  string // the envelope's sender
	messageID string
	message   []byte
	utf8      bool
	asked     bool // the server has taken its sender
}

type testLetters []*testLetter

// String tells for the audit what is going to be sent.
func (all testLetters) String() string {
	var texts []string
	for _, l := range all {
		texts = append(texts, fmt.Sprintf("mail from %s to %s", l.from.Addr(), l.to.Addr()))
	}
	return strings.Join(texts, ", ")
}

// writeAll builds a letter of the account's own sender and one of the other that is asked for. Without an address to send
// to they are for the account itself: they are then only spoken of, and never sent. The error is an *AskError.
func (t *accountTest) writeAll(q AccountTestRequest, now time.Time) (testLetters, error) {
	own, err := mail.ParseAddress(t.account.From)
	if err != nil {
		return nil, &AskError{Text: fmt.Sprintf("the account's from: %v", err), Hint: "correct it in " + t.desk.world.File.Path, Err: err}
	}
	to, senders := own, []mail.Address{own}
	if q.To != "" {
		if to, err = askedAddress(q.To); err != nil {
			return nil, err
		}
	}
	if q.SendAs != "" {
		other, err := askedAddress(q.SendAs)
		if err != nil {
			return nil, err
		}
		if other.Addr() != own.Addr() {
			senders = append(senders, other)
		}
	}
	var all testLetters
	for _, from := range senders {
		l, err := t.write(from, to, now)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func askedAddress(text string) (mail.Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil {
		return a, &AskError{Text: fmt.Sprintf("%q is no address: %v", text, err), Hint: "name one address, as in it@acme.example", Usage: true, Err: err}
	}
	return a, nil
}

func (t *accountTest) write(from, to mail.Address, now time.Time) (*testLetter, error) {
	l := &testLetter{from: from, to: to, envelope: cmp.Or(t.account.ReturnPath, from.Addr())}
	m := compose.Message{From: from, To: []mail.Address{to}, Subject: "Test of the account " + t.account.Name, Date: now,
		Text: fmt.Sprintf("outboxd sent this mail as %s to test the account %s (%s, port %d).\nIf you can read it, the account works.\n",
			from.Addr(), t.account.Name, t.account.Host, t.account.Port)}
	if t.account.ReplyTo != "" {
		reply, err := mail.ParseAddress(t.account.ReplyTo)
		if err != nil {
			return nil, &AskError{Text: fmt.Sprintf("the account's reply_to: %v", err), Hint: "correct it in " + t.desk.world.File.Path, Err: err}
		}
		m.ReplyTo = []mail.Address{reply}
	}
	var err error
	if m.MessageID, err = compose.NewMessageID(from.Host, rand.Reader); err != nil {
		return nil, err
	}
	l.messageID, l.utf8 = m.MessageID, m.NeedsUTF8()
	if l.message, err = compose.Build(m); err != nil {
		return nil, &AskError{Text: err.Error(), Err: err}
	}
	if l.message, err = t.desk.world.signers.sign(from.Host, l.message); err != nil {
		return nil, &AskError{Text: err.Error(), Err: err}
	}
	return l, nil
}

// transact makes one transaction with the letter, which beforeData may end before DATA. The error is that there is no
// connection for it. A session that the server had let go meanwhile is replaced once.
func (t *accountTest) transact(ctx context.Context, l *testLetter, beforeData func(context.Context) error) (smtpout.Result, error) {
	for again := false; ; again = true {
		if err := t.ready(ctx); err != nil {
			return smtpout.Result{}, err
		}
		r := t.session.Send(ctx, smtpout.Delivery{From: l.envelope, To: []string{l.to.Addr()}, Message: l.message, UTF8: l.utf8, BeforeData: beforeData})
		if _, stale := errors.AsType[*smtpout.StaleError](r.Stopped); !stale || again {
			return r, nil
		}
	}
}

// unreached is a step for which there was no connection any more.
func unreached(step, as string, err error) TestStep {
	if failed, ok := errors.AsType[*smtpout.Error](err); ok {
		return failedAs(step, as, failed.Outcome)
	}
	return TestStep{Step: step, As: as, Result: StepFailed, Text: err.Error()}
}

// fullError says that the account's limit has no room for a test mail now, or that a person has paused the account.
type fullError struct {
	wait time.Duration
	held bool
}

func (e *fullError) Error() string {
	if e.held {
		return "the account is paused by hand"
	}
	return fmt.Sprintf("the limit lets the next mail go in %s", e.wait)
}

// limitStep is the step of a mail that the limits did not let go.
func (t *accountTest) limitStep(as string, full *fullError) TestStep {
	s := TestStep{Step: "limit", As: as, Result: StepFailed, Text: full.Error()}
	if full.held {
		s.Remedy = "let it send again: outboxd account resume " + t.account.Name
	} else {
		s.Cause, s.Remedy = string(mail.ClassThrottled), "test again at "+t.desk.now().Add(full.wait).Format("15:04:05")
	}
	return s
}

// send sends the letter. It takes its place in the limits like any other mail, right before DATA.
func (t *accountTest) send(ctx context.Context, l *testLetter) {
	as := l.from.Addr()
	if !l.asked {
		t.add(TestStep{Step: "mail", As: as, Result: StepNotTried})
		return
	}
	r, err := t.transact(ctx, l, t.take)
	var full *fullError
	switch {
	case err != nil:
		t.add(unreached("mail", as, err))
	case errors.As(r.Stopped, &full):
		t.add(t.limitStep(as, full))
	case r.Stopped != nil:
		t.add(TestStep{Step: "mail", As: as, Result: StepFailed, Text: r.Stopped.Error(), Remedy: DatabaseHint(r.Stopped)})
	case r.Message.Verdict == mail.Accepted:
		t.add(TestStep{Step: "mail", As: as, Result: StepOK, Text: fmt.Sprintf("to %s: %s", l.to.Addr(), r.Message.Reply)})
		t.reply.Mails = append(t.reply.Mails, TestMail{As: as, To: l.to.Addr(), MessageID: l.messageID})
		t.heal(ctx)
	default:
		t.add(failedAs("mail", as, r.Message))
	}
}

// heal ends a pause of the account: it is proven to work.
func (t *accountTest) heal(ctx context.Context) {
	buckets, name := t.desk.world.bucketsOf(t.account), bucketName(t.account)
	health, err := buckets.Health(ctx, accountBucket(t.account))
	if err == nil && health.Failures == 0 && health.Left <= 0 {
		return
	}
	if err == nil {
		err = buckets.Heal(ctx, name)
	}
	if err != nil {
		t.add(TestStep{Step: "pause", Result: StepFailed, Text: err.Error(), Remedy: DatabaseHint(err)})
		return
	}
	t.add(TestStep{Step: "pause", Result: StepOK, Text: "ended: the account works"})
}

// take takes the mail's turn in the account's pace and counts it in the windows, or neither.
func (t *accountTest) take(ctx context.Context) error {
	bucket, buckets := accountBucket(t.account), t.desk.world.bucketsOf(t.account)
	if len(bucket.Windows) == 0 {
		return nil
	}
	turn, err := buckets.Take(ctx, []db.Bucket{bucket}, 1)
	if err != nil || !turn.OK {
		return fullOr(err, turn, bucket)
	}
	counted, err := buckets.Count(ctx, []db.Bucket{bucket}, 1, 0)
	if err != nil || !counted.OK {
		return errors.Join(fullOr(err, counted, bucket), buckets.Refund(context.WithoutCancel(ctx), turn))
	}
	return nil
}

// fullOr is the error, or a *fullError where the bucket said no.
func fullOr(err error, answer db.Take, b db.Bucket) error {
	if err != nil {
		return err
	}
	return &fullError{answer.Wait[b.Name].Round(time.Second), answer.Held}
}
