package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"outboxd/db"
	"outboxd/mail"
	"outboxd/mail/compose"
	"outboxd/mail/smtpout"
)

// testLetter is a test mail, built before anybody is spoken to.
type testLetter struct {
	from, to mail.Address
	message  []byte
	utf8     bool
}

func (t *accountTest) write(to string, now time.Time) (*testLetter, error) {
	var l testLetter
	var err error
	if l.to, err = mail.ParseAddress(to); err != nil {
		return nil, &AskError{Text: fmt.Sprintf("%q is no address: %v", to, err), Hint: "name one address, as in it@acme.example", Usage: true, Err: err}
	}
	if l.from, err = mail.ParseAddress(t.account.From); err != nil {
		return nil, &AskError{Text: fmt.Sprintf("the account's from: %v", err), Hint: "correct it in " + t.desk.world.File.Path, Err: err}
	}
	m := compose.Message{From: l.from, To: []mail.Address{l.to}, Subject: "Test of the account " + t.account.Name, Date: now,
		Text: fmt.Sprintf("outboxd sent this mail to test the account %s (%s, port %d).\nIf you can read it, the account works.\n", t.account.Name, t.account.Host, t.account.Port)}
	if t.account.ReplyTo != "" {
		reply, err := mail.ParseAddress(t.account.ReplyTo)
		if err != nil {
			return nil, &AskError{Text: fmt.Sprintf("the account's reply_to: %v", err), Hint: "correct it in " + t.desk.world.File.Path, Err: err}
		}
		m.ReplyTo = []mail.Address{reply}
	}
	if m.MessageID, err = compose.NewMessageID(l.from.Host, rand.Reader); err != nil {
		return nil, err
	}
	l.utf8 = m.NeedsUTF8()
	if l.message, err = compose.Build(m); err != nil {
		return nil, err
	}
	if l.message, err = t.desk.world.signers.sign(l.from.Host, l.message); err != nil {
		return nil, &AskError{Text: err.Error(), Err: err}
	}
	return &l, nil
}

// fullError says that the account's limit has no room for a test mail now.
type fullError struct{ wait time.Duration }

func (e *fullError) Error() string {
	return fmt.Sprintf("the limit lets the next mail go in %s", e.wait)
}

// send sends the letter. It takes its place in the limits like any other mail, right before DATA.
func (t *accountTest) send(ctx context.Context, session *smtpout.Session, l *testLetter) {
	from := l.from.Addr()
	if t.account.ReturnPath != "" {
		from = t.account.ReturnPath
	}
	r := session.Send(ctx, smtpout.Delivery{From: from, To: []string{l.to.Addr()}, Message: l.message, UTF8: l.utf8, BeforeData: t.take})
	var full *fullError
	switch {
	case errors.As(r.Stopped, &full):
		t.add(TestStep{Step: "limit", Result: StepFailed, Text: full.Error(), Cause: string(mail.ClassSenderQuota),
			Remedy: fmt.Sprintf("test again at %s", t.desk.now().Add(full.wait).Format("15:04:05"))})
	case r.Stopped != nil:
		t.add(TestStep{Step: "mail", Result: StepFailed, Text: r.Stopped.Error(), Remedy: DatabaseHint(r.Stopped)})
	case r.Message.Verdict == mail.Accepted:
		t.add(TestStep{Step: "mail", Result: StepOK, Text: fmt.Sprintf("to %s: %s", l.to.Addr(), r.Message.Reply)})
		t.heal(ctx)
	default:
		o := r.Message
		t.add(TestStep{Step: o.Step.String(), Result: StepFailed, Text: fmt.Sprintf("%s: %s", o.Verdict, o.Reply), Cause: string(o.Class), Remedy: o.Remedy})
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

func (t *accountTest) take(ctx context.Context) error {
	bucket := accountBucket(t.account)
	if len(bucket.Windows) == 0 {
		return nil
	}
	take, err := t.desk.world.bucketsOf(t.account).Take(ctx, []db.Bucket{bucket}, 1)
	if err != nil {
		return err
	}
	if !take.OK {
		return &fullError{take.Wait[bucket.Name].Round(time.Second)}
	}
	return nil
}
