package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/smtpout"
)

// account is an SMTP account at work: its senders, its pace and its health, shared by the companies that use it.
type account struct {
	conf    *jobfile.Account
	smtp    smtpout.Config
	bucket  db.Bucket
	buckets *db.Buckets
	log     *zap.Logger
	alerts  *alerter
	mark    string // fingerprint of all this: a reload keeps an account that is the same

	senders chan *sender  // those that are free
	pace    *pace         // of a limited account
	sender  string        // its own sender's address
	domain  string        // and domain, for Message-IDs
	refused refusals      // other senders that its server does not accept
	dials   *rate.Limiter // a server that drops each connection is not dialled in a loop

	mu       sync.Mutex
	paused   time.Time     // nothing is tried before
	resumed  chan struct{} // closed when the pause changes
	failures int           // troubles in a row, of all daemons
}

// sender holds one connection, or the place for one.
type sender struct {
	session *smtpout.Session
	mails   int
	since   time.Time // when it became idle
}

const (
	idleSession  = 30 * time.Second // longer idle sessions are closed: servers do the same, less politely
	mailsSession = 200              // then a new session, as providers ask
)

func newAccount(conf *jobfile.Account, smtp smtpout.Config, buckets *db.Buckets, log *zap.Logger, alerts *alerter) *account {
	a := &account{conf: conf, smtp: smtp, bucket: accountBucket(conf), buckets: buckets, alerts: alerts,
		log: log.With(zap.String("account", conf.Name)), senders: make(chan *sender, conf.Connections), pace: newPace(),
		dials: rate.NewLimiter(rate.Every(time.Second), conf.Connections), resumed: make(chan struct{})}
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
	senders []*sender
	turn    bool
}

// acquire waits until the account is well and due and a sender is free, in the order of arrival: companies that share
// the account share it fairly. An unlimited account gives up to want senders.
func (a *account) acquire(ctx context.Context, want int) (*permit, error) {
	p := &permit{account: a}
	if a.limited() {
		if err := a.pace.enter(ctx); err != nil {
			return nil, err
		}
		p.turn, want = true, 1
	}
	for {
		if err := a.awaitHealth(ctx); err != nil {
			p.release()
			return nil, err
		}
		select {
		case s := <-a.senders:
			p.senders = append(p.senders, s)
		case <-ctx.Done():
			p.release()
			return nil, ctx.Err()
		}
		if a.pauseLeft() <= 0 {
			break
		}
		p.release1() // it fell ill while we waited for the sender
	}
	for len(p.senders) < want {
		select {
		case s := <-a.senders:
			p.senders = append(p.senders, s)
		default:
			return p, nil
		}
	}
	return p, nil
}

// take gives the caller one of the permit's senders.
func (p *permit) take() *sender {
	s := p.senders[len(p.senders)-1]
	p.senders = p.senders[:len(p.senders)-1]
	return s
}

func (p *permit) release1() { p.account.free(p.take()) }

// endTurn lets the next mail ask for its slot.
func (p *permit) endTurn() {
	if p.turn {
		p.turn = false
		p.account.pace.leave()
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

func (a *account) pauseLeft() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Until(a.paused)
}

func (a *account) awaitHealth(ctx context.Context) error {
	for {
		a.mu.Lock()
		left, resumed := time.Until(a.paused), a.resumed
		a.mu.Unlock()
		if left <= 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-resumed:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// errPaused says that another daemon has found the account in trouble.
var errPaused = errors.New("the account is paused")

// ready sees to it that the sender has a session. A *smtpout.Error has paused the account already.
func (a *account) ready(ctx context.Context, s *sender) error {
	if s.session != nil && s.session.Usable() && time.Since(s.since) < idleSession && s.mails < mailsSession {
		return nil
	}
	a.drop(s)
	health, err := a.buckets.Health(ctx, a.bucket.Name)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.failures = health.Failures
	a.mu.Unlock()
	if health.Left > 0 {
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

// pauseFor is the pause that fits what the reply says about the next try; each trouble in a row makes the pause longer.
func pauseFor(o mail.Outcome, failures int) time.Duration {
	first, factor, most := 15*time.Second, 2.0, 15*time.Minute
	switch {
	case o.Retry == mail.RetryStop:
		first, factor, most = 5*time.Minute, 3, 4*time.Hour
	case o.Retry == mail.RetryLater:
		first, factor, most = time.Hour, 1, time.Hour
	case o.Verdict == mail.Throttled:
		first, most = time.Minute, time.Hour
	}
	pause := float64(first)
	for range min(failures, 20) {
		pause = min(pause*factor, float64(most))
	}
	// Jitter upwards only: a shorter pause would hammer.
	return time.Duration(pause * (1 + rand.Float64()/10))
}

// alertAfter is how many troubles in a row a person is told of: at once where only a person can help.
func alertAfter(o mail.Outcome) int {
	if o.Retry == mail.RetryStop {
		return 1
	}
	return 4
}

// trouble pauses the account in all daemons, so that nobody is locked out and no server hammered, and returns the pause.
// Several mails that meet the same trouble count as one.
func (a *account) trouble(ctx context.Context, o mail.Outcome) time.Duration {
	a.mu.Lock()
	if left := time.Until(a.paused); left > 0 {
		a.mu.Unlock()
		return left
	}
	pause := pauseFor(o, a.failures)
	a.failures++
	failures := a.failures
	a.mu.Unlock()
	a.pauseUntil(time.Now().Add(pause))

	reason := explain(o)
	if err := a.buckets.Pause(ctx, a.bucket.Name, pause, o.Scope.String(), reason); err != nil {
		a.log.Warn(eventStoreError, zap.Error(err))
	}
	a.log.Warn(eventAccountPaused, zap.Duration("pause", pause), zap.Stringer("scope", o.Scope), zap.String("class", string(o.Class)),
		zap.Stringer("step", o.Step), zap.Stringer("reply", o.Reply), zap.String("remedy", o.Remedy), zap.Int("failures", failures))
	if failures >= alertAfter(o) {
		a.alerts.start(a.alertKey(), fmt.Sprintf("account %s is paused", a.conf.Name),
			fmt.Sprintf("The account %s (%s) cannot send:\n\n%s\n\nIts mail waits and no attempt is spent. outboxd tries again by itself, the next time in about %s.",
				a.conf.Name, a.smtp, reason, pause.Round(time.Second)))
	}
	return pause
}

func (a *account) alertKey() string { return "account " + a.conf.Name }

// pauseUntil moves the end of the pause.
func (a *account) pauseUntil(t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paused = t
	close(a.resumed)
	a.resumed = make(chan struct{})
}

// well notes that a mail went through: the troubles are over.
func (a *account) well(ctx context.Context) {
	a.mu.Lock()
	ill := a.failures > 0
	a.failures = 0
	a.mu.Unlock()
	if !ill {
		return
	}
	a.pauseUntil(time.Time{})
	if err := a.buckets.Heal(ctx, a.bucket.Name); err != nil {
		a.log.Warn(eventStoreError, zap.Error(err))
	}
	a.log.Info(eventAccountWell)
	a.alerts.end(a.alertKey(), fmt.Sprintf("account %s sends again", a.conf.Name))
}

// explain is an outcome for a person: what the server said, and what to do about it.
func explain(o mail.Outcome) string {
	if o.Remedy == "" {
		return o.String()
	}
	return o.String() + ". " + o.Remedy
}
