package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"outboxd/db"
	"outboxd/jobs/alerts"
	"outboxd/mail"
	"outboxd/mail/compose"
	"outboxd/mail/smtpout"
)

// alertSender is an account that carries alerts.
type alertSender struct {
	a       *account
	signers signers
}

// Account is its name.
func (s alertSender) Account() string { return s.a.conf.Name }

// Able tells whether it would take a mail now.
func (s alertSender) Able() bool { return s.a.able() }

// Key is that of its own trouble.
func (s alertSender) Key() string { return s.a.alertKey() }

// Send sends an alert.
func (s alertSender) Send(ctx context.Context, to []string, subject, text string) error {
	return s.a.sendAlert(ctx, s.signers, to, subject, text)
}

// alertSenders lists the accounts that may carry alerts: the general one, then those that stand in for it while it is in trouble. Those
// of single companies and of people never do.
func (e *Engine) alertSenders() []alerts.Sender {
	conf := e.world.File.Alerts
	if conf == nil {
		return nil
	}
	var list []alerts.Sender
	for _, a := range e.world.File.Accounts {
		if acc := e.accounts[a.Name]; acc != nil && len(a.Companies) == 0 && len(a.SenderAddresses) == 0 {
			list = append(list, alertSender{acc, e.world.signers})
		}
	}
	slices.SortStableFunc(list, func(x, y alerts.Sender) int {
		switch conf.Account {
		case x.Account():
			return -1
		case y.Account():
			return 1
		}
		return 0
	})
	return list
}

// sendAlert sends one mail outside of any outbox, within the account's limits.
func (a *account) sendAlert(ctx context.Context, all signers, to []string, subject, text string) error {
	d, err := a.packAlert(all, to, subject, text)
	if err != nil {
		return err
	}
	a.line.work(alertAsker)
	defer a.line.rest(alertAsker)
	p, err := a.acquire(ctx, alertAsker, 1)
	if err != nil {
		return err
	}
	defer p.release()
	s := p.senders[0]
	if err := a.ready(ctx, s); err != nil {
		return err
	}
	if p.turn {
		if err := a.takeForAlert(ctx, len(d.To)); err != nil {
			return err
		}
		d.BeforeData = func(ctx context.Context) error { return a.countAlert(ctx, len(d.To)) }
	}
	p.endTurn()
	r := s.session.Send(ctx, d)
	s.mails++
	if r.Stopped != nil {
		return r.Stopped
	}
	if r.Message.Verdict != mail.Accepted {
		return errors.New(r.Message.String())
	}
	return nil
}

// packAlert makes an alert's message and envelope. An alert must go, so without a key that can be used it goes unsigned.
func (a *account) packAlert(all signers, to []string, subject, text string) (smtpout.Delivery, error) {
	from, err := mail.ParseAddress(a.conf.From)
	if err != nil {
		return smtpout.Delivery{}, err
	}
	id, err := compose.NewMessageID(a.domain, rand.Reader)
	if err != nil {
		return smtpout.Delivery{}, err
	}
	m := compose.Message{From: from, Subject: subject, Text: text, MessageID: id, Date: time.Now()}
	d := smtpout.Delivery{From: from.Addr()}
	for _, one := range to {
		address, err := mail.ParseAddress(one)
		if err != nil {
			return d, err
		}
		m.To = append(m.To, address)
		d.To = append(d.To, address.Addr())
	}
	d.UTF8 = m.NeedsUTF8()
	if d.Message, err = compose.Build(m); err != nil {
		return d, err
	}
	if signed, err := all.sign(from.Host, d.Message); err == nil {
		d.Message = signed
	}
	return d, nil
}

// takeForAlert takes an alert's turn; errLost when it is not the time yet.
func (a *account) takeForAlert(ctx context.Context, recipients int) error {
	take, err := a.buckets.Take(ctx, []db.Bucket{a.bucket}, recipients)
	if err = a.noteBucket(err); err != nil {
		return err
	}
	if take.Held {
		a.forget()
	} else {
		a.pace.next(time.Now().Add(take.Wait[a.bucket.Name]))
	}
	if !take.OK {
		return errLost
	}
	return nil
}

// countAlert counts an alert right before its DATA; errLost when a window is full. It is tried again later: no row waits for it.
func (a *account) countAlert(ctx context.Context, recipients int) error {
	asked := time.Now()
	count, err := a.buckets.Count(ctx, []db.Bucket{a.bucket}, recipients, 0)
	if err = a.noteBucket(err); err == nil && (!count.OK || time.Since(asked) > a.bucket.Hold()) {
		err = errLost
	}
	return err
}
