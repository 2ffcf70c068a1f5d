package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/oauth"
	"outboxd/mail/smtpout"
)

// account is an SMTP account at work: its senders, its pace and its health, shared by the companies that use it.
type account struct {
	conf    *jobfile.Account
	smtp    smtpout.Config
	signIn  *oauth.Source // nil: it does not log in by OAuth
	bucket  db.Bucket
	domains *domains
	buckets *db.Buckets
	log     *zap.Logger
	alerts  *alerter

	fingerprint string // of all this: a reload keeps an account that is the same

	senders chan *sender  // those that are free
	line    *line         // who waits for them
	making  chan struct{} // holds the one who sees to the next permit; of a limited account also the turn to ask for a slot
	pace    *pace         // of a limited account
	sender  string        // its own sender's address
	domain  string        // and domain, for Message-IDs
	refused refusals      // other senders that its server does not accept
	dials   *rate.Limiter // a server that drops each connection is not dialled in a loop

	shared  bool    // by several companies
	control *outage // of the control database; nil where the bucket is in the company's own

	mu       sync.Mutex
	paused   time.Time     // nothing is tried before
	resumed  chan struct{} // closed when the pause changes
	asked    time.Time     // when another daemon's word on the pause was last asked for
	failures int           // troubles in a row, of all daemons
	mended   bool          // its settings have changed since: a pause of before does not hold back the first try
}

// sender holds one connection, or the place for one.
type sender struct {
	session *smtpout.Session
	mails   int
	since   time.Time // when it became idle
}

const (
	idleSession  = 30 * time.Second // longer idle sessions are closed: servers do the same, less politely
	mailsSession = 500              // then a new session: servers want to let go now and then
)

func newAccount(conf *jobfile.Account, to access, buckets *db.Buckets, log *zap.Logger, alerts *alerter) *account {
	a := &account{conf: conf, smtp: to.Config, signIn: to.signIn, bucket: accountBucket(conf), domains: newDomains(conf), buckets: buckets, alerts: alerts,
		log: log.With(zap.String("account", conf.Name)), senders: make(chan *sender, conf.Connections), pace: newPace(),
		line: newLine(conf.Connections), making: make(chan struct{}, 1), dials: rate.NewLimiter(rate.Limit(2*conf.Connections), conf.Connections), resumed: make(chan struct{})}
	if own, err := mail.ParseAddress(conf.From); err == nil {
		a.sender, a.domain = own.Addr(), own.Host
	}
	for range conf.Connections {
		a.senders <- &sender{}
	}
	return a
}

func (a *account) limited() bool { return len(a.bucket.Windows) > 0 }

// permit is the right to send: on a limited account one mail and the turn to ask for its slot.
type permit struct {
	account *account
	who     asker
	senders []*sender
	turn    bool
}

// prepare waits until the account is well and due and a sender is free.
func (a *account) prepare(ctx context.Context) (*permit, error) {
	for {
		if a.limited() {
			if err := a.pace.wait(ctx); err != nil {
				return nil, err
			}
		}
		if err := a.awaitHealth(ctx); err != nil {
			return nil, err
		}
		select {
		case s := <-a.senders:
			if a.pauseLeft() <= 0 && (!a.limited() || time.Until(a.pace.due()) <= 0) {
				return &permit{account: a, senders: []*sender{s}, turn: a.limited()}, nil
			}
			a.free(s) // it fell ill, or another mail had the slot, while we waited for the sender
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// addFree adds senders that are free now until there are n.
func (p *permit) addFree(n int) {
	for len(p.senders) < n {
		select {
		case s := <-p.account.senders:
			p.senders = append(p.senders, s)
		default:
			return
		}
	}
}

// take gives the caller one of the permit's senders.
func (p *permit) take() *sender {
	s := p.senders[len(p.senders)-1]
	p.senders = p.senders[:len(p.senders)-1]
	return s
}

// release1 returns a sender that was not used.
func (p *permit) release1() {
	p.account.free(p.take())
	p.account.line.unused(p.who)
}

// endTurn lets the next mail ask for its slot.
func (p *permit) endTurn() {
	if p.turn {
		p.turn = false
		<-p.account.making
	}
}

// release returns what is left of the permit.
func (p *permit) release() {
	for len(p.senders) > 0 {
		p.release1()
	}
	p.endTurn()
}

// free makes the sender available again.
func (a *account) free(s *sender) {
	s.since = time.Now()
	a.senders <- s
}

// errPaused says that another daemon has found the account in trouble.
var errPaused = errors.New("the account is paused")

// ready sees to it that the sender has a session. A *smtpout.Error has paused the account already.
func (a *account) ready(ctx context.Context, s *sender) error {
	if s.session != nil && s.session.Usable() && time.Since(s.since) < idleSession && s.mails < mailsSession {
		return nil
	}
	a.drop(s)
	health, err := a.buckets.Health(ctx, a.bucket)
	if err = a.noteBucket(err); err != nil && a.limited() {
		return err // an unlimited account has nothing to ask but for its pause
	}
	a.mu.Lock()
	a.failures = health.Failures
	mended := a.mended
	a.mended = false
	a.mu.Unlock()
	if health.Left > 0 && !mended {
		a.pauseUntil(time.Now().Add(health.Left))
		return errPaused
	}
	if err := a.dials.Wait(ctx); err != nil {
		return err
	}
	session, err := smtpout.Dial(ctx, a.smtp)
	if err != nil {
		var refused *smtpout.Error
		if errors.As(err, &refused) && ctx.Err() == nil {
			a.trouble(ctx, refused.Outcome)
		}
		return err
	}
	s.session, s.mails, s.since = session, 0, time.Now()
	if health.Left > 0 {
		return a.noteBucket(a.buckets.Pause(ctx, a.bucket.Name, 0, db.Trouble{Scope: health.Scope, Class: health.Class, Reason: health.Reason}))
	}
	return nil
}

// drop ends the sender's session, if it has one.
func (a *account) drop(s *sender) {
	if s.session == nil {
		return
	}
	if err := s.session.Close(); err != nil {
		a.log.Debug(eventSessionClose, zap.Error(err))
	}
	s.session = nil
}

// closeIdle ends sessions that nobody has used for a while.
func (a *account) closeIdle() {
	for range len(a.senders) {
		select {
		case s := <-a.senders:
			if time.Since(s.since) > idleSession {
				a.drop(s)
			}
			a.senders <- s
		default:
			return
		}
	}
}

// shut ends all sessions. The account must have no mail in flight and get none any more.
func (a *account) shut() {
	for range cap(a.senders) {
		a.drop(<-a.senders)
	}
}
