package jobs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/smtpout"
)

// backoff is the pause after the given number of verdicts, and false when the mail is to be given up. What counts against
// give_up_after is the sum of the pauses that the mail's own refusals have earned: time in which its account was in trouble
// does not run.
func backoff(r jobfile.Retry, attempts int) (time.Duration, bool) {
	sum, pause := time.Duration(0), r.First
	for range attempts - 1 {
		sum += pause
		pause = min(2*pause, r.Max)
	}
	if attempts >= r.Attempts || sum+pause > r.GiveUpAfter {
		return 0, false
	}
	// A fifth more or less, so that mails refused together do not come back together.
	return time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64())), true
}

// decide makes the result of a transaction into what is written into the row.
func (f *feeder) decide(p *parcel, r smtpout.Result) db.Settlement {
	t := db.Settlement{Lease: p.row.Lease}
	if r.Stopped != nil {
		t.Change = db.Change{State: db.Queued, GivenBack: true, Lane: p.row.Lane}
		if p.asked {
			// The mark may stand and the body never began: say so, or the attempt would look uncertain for ever.
			t.Attempt = f.attempt(mail.Outcome{Step: mail.StepData, Reply: mail.Reply{Text: "stopped before the message was sent"}})
		}
		return t
	}
	f.a.learn(r, p)
	f.r.c.learn(p, r.Recipients)
	d := f.judge(p, forEach(p, r.Recipients))
	t.Attempt = f.attempt(r.Message)
	t.Change = db.Change{State: d.state, Account: f.a.conf.Name, Sent: d.accepted, Code: r.Message.Reply.Code, Enhanced: r.Message.Reply.Enhanced,
		LastError: d.reason}
	if d.state == db.Queued {
		t.Lane = p.row.Lane
	}
	if p.all != nil {
		t.Recipients = d.each
	}
	switch {
	case d.state != db.Queued:
		t.Verdict = true
	case d.deferred:
		t.Verdict, t.Wait = true, d.wait
	case d.pause > 0 && !d.ended:
		// The account's matter: no attempt is spent. The row steps back, so that another one is the next to try.
		t.GivenBack, t.Wait = true, d.pause
	default:
		t.Verdict, t.Wait = true, d.pause
	}
	return t
}

func (f *feeder) attempt(o mail.Outcome) *db.Attempt {
	return &db.Attempt{Account: f.a.conf.Name, Daemon: f.r.c.e.host, Step: o.Step.String(), Verdict: o.Verdict.String(),
		Code: o.Reply.Code, Enhanced: o.Reply.Enhanced, Reply: o.Reply.String()}
}

// judgement is what the outcomes of the recipients mean together.
type judgement struct {
	state    db.State
	each     []db.Recipient
	accepted bool          // at least one was accepted now
	ended    bool          // at least one has its outcome now, whatever it is
	deferred bool          // the mail itself was refused for now
	wait     time.Duration // until its next try
	pause    time.Duration // of the account, when it is the one in trouble
	reason   string
}

func (f *feeder) judge(p *parcel, outcomes []mail.Outcome) judgement {
	var d judgement
	d.each = slices.Clone(p.all)
	if p.all == nil {
		d.each = []db.Recipient{{Address: p.envelope.To[0]}}
	}
	resend := f.r.job.OnUncertain == jobfile.Resend
	for i, o := range outcomes {
		r := &d.each[p.open[i]]
		r.Token, r.Code, r.Enhanced, r.LastError = p.row.Token, o.Reply.Code, o.Reply.Enhanced, explain(o)
		if o.Verdict != mail.Accepted && !o.PausesAccount() && o.Reply.Code != 0 {
			f.a.reproach(o)
		}
		switch {
		case o.Verdict == mail.Accepted:
			r.State, r.LastError = db.RecipientAccepted, ""
			d.accepted = true
		case o.Verdict == mail.Uncertain && !resend:
			r.State = db.RecipientUncertain
		case o.PausesAccount():
			r.State = db.RecipientOpen
			d.pause = max(d.pause, f.a.troubleFor(context.Background(), o, p.from))
		case o.Verdict == mail.Permanent:
			r.State = db.RecipientFailed
		default:
			r.State = db.RecipientOpen
			d.deferred = d.deferred || o.Retry != mail.RetrySplit || !d.accepted
		}
	}
	if d.deferred {
		attempts, again := p.row.Attempts+1, false
		if d.wait, again = backoff(f.r.job.Retry, attempts); !again {
			giveUp(d.each, p.open, outcomes, attempts)
			d.deferred = false
		}
	}
	for _, i := range p.open {
		d.ended = d.ended || d.each[i].State != db.RecipientOpen
	}
	d.state = db.Together(d.each, db.Queued)
	d.reason = troubles(d.each)
	return d
}

// giveUp ends the recipients that were refused for now once too often. Whether one has the mail that was sent to it without
// a reply stays uncertain.
func giveUp(each []db.Recipient, open []int, outcomes []mail.Outcome, attempts int) {
	for i, o := range outcomes {
		if r := &each[open[i]]; r.State == db.RecipientOpen && !o.PausesAccount() {
			if r.State = db.RecipientFailed; o.Verdict == mail.Uncertain {
				r.State = db.RecipientUncertain
			}
			r.LastError = fmt.Sprintf("given up after %d tries: %s", attempts, o)
		}
	}
}

// troubles sums up for last_error what did not go well.
func troubles(each []db.Recipient) string {
	var bad []db.Recipient
	for _, r := range each {
		if r.LastError != "" {
			bad = append(bad, r)
		}
	}
	switch {
	case len(bad) == 0:
		return ""
	case len(each) == 1:
		return bad[0].LastError
	}
	return fmt.Sprintf("%d of %d recipients, first %s: %s", len(bad), len(each), bad[0].Address, bad[0].LastError)
}

// learn notes what a transaction tells about the account: any reply about the mail itself means that the account works.
func (a *account) learn(r smtpout.Result, p *parcel) {
	for _, o := range r.Recipients {
		if !o.PausesAccount() && o.Verdict != mail.Uncertain && o.Class != mail.ClassConnection {
			a.refused.forget(p.from)
			a.well(context.Background())
			return
		}
	}
}

// troubleFor pauses the account, or only a sender that the account may not use: one row's wrong from_address is no
// reason to stop the others.
func (a *account) troubleFor(ctx context.Context, o mail.Outcome, from string) time.Duration {
	if o.Class == mail.ClassSendAsDenied && from != a.sender {
		a.reproach(o)
		return a.refused.add(from, o)
	}
	return a.trouble(ctx, o)
}

// logOutcome writes the row's event into the mail log.
func (f *feeder) logOutcome(t db.Settlement, row db.Row, w way) {
	fields := []zap.Field{zap.Uint64("id", row.ID), zap.String("message_id", row.MessageID), zap.String("token", row.Token)}
	if row.Reference != "" {
		fields = append(fields, zap.String("reference", row.Reference))
	}
	if w.person.Host != "" {
		fields = append(fields, zap.Stringer("as", w.from))
	}
	if a := t.Attempt; a != nil {
		fields = append(fields, zap.String("step", a.Step), zap.String("reply", a.Reply))
	}
	if t.Wait > 0 {
		fields = append(fields, zap.Duration("wait", t.Wait))
	}
	if t.LastError != "" {
		fields = append(fields, zap.String("reason", t.LastError))
	}
	switch {
	case t.State == db.Sent:
		f.log.Info(eventSent, fields...)
	case t.State == db.Partial:
		f.log.Warn(eventPartial, fields...)
	case t.State == db.Failed:
		f.log.Warn(eventFailed, fields...)
	case t.State == db.Uncertain:
		f.log.Warn(eventUncertain, fields...)
	case t.State == db.Skipped:
		f.log.Warn(eventSkipped, fields...)
	case t.State == db.Suppressed:
		f.log.Info(eventSuppressed, fields...)
	case t.State == db.Expired:
		f.log.Warn(eventExpired, fields...)
	case t.GivenBack:
		f.log.Info(eventGivenBack, fields...)
	default:
		f.log.Info(eventDeferred, fields...)
	}
}
