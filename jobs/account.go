package jobs

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"outboxd/db"
	"outboxd/jobs/alerts"
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
	alerts  *alerts.Alerter
	times   *troubleTimes

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

	token  tokenWait
	logins chan struct{} // holds the one who logs in: a wrong password is tried once at a time
	condition
	background sync.WaitGroup // what is noted beside the mails
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

func newAccount(conf *jobfile.Account, to access, buckets *db.Buckets, log *zap.Logger, alerts *alerts.Alerter, times *troubleTimes) *account {
	a := &account{conf: conf, smtp: to.Config, signIn: to.signIn, bucket: accountBucket(conf), domains: newDomains(conf), buckets: buckets, alerts: alerts, times: times,
		log: log.With(zap.String("account", conf.Name)), senders: make(chan *sender, conf.Connections), pace: newPace(),
		line: newLine(conf.Connections), making: make(chan struct{}, 1), dials: rate.NewLimiter(rate.Limit(2*conf.Connections), conf.Connections), logins: make(chan struct{}, 1)}
	a.condition.changed = make(chan struct{})
	if own, err := mail.ParseAddress(conf.From); err == nil {
		a.sender, a.domain = own.Addr(), own.Host
	}
	for range conf.Connections {
		a.senders <- &sender{}
	}
	return a
}

// limited tells whether its mails take slots of its bucket: where it has limits, and as long as it is slowed. It may change at
// any time: whoever counts on it for a while keeps the answer.
func (a *account) limited() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.bucket.Windows) > 0 || a.bucket.Warmup != nil || a.slowed.PerHour > 0
}

func (a *account) isSlowed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.slowed.PerHour > 0
}

// windows are its limits as they are now, the pace of a slowed account among them.
func (a *account) windows() []db.Window {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.slowed.PerHour == 0 {
		return a.bucket.Windows
	}
	return append(slices.Clone(a.bucket.Windows), db.Window{N: a.slowed.PerHour, Per: time.Hour})
}

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
		if err := a.awaitHealth(ctx); err != nil {
			return nil, err
		}
		limited := a.limited()
		if limited {
			if err := a.pace.wait(ctx); err != nil {
				return nil, err
			}
		}
		select {
		case s := <-a.senders:
			if a.usable() && (!limited || time.Until(a.pace.due()) <= 0) {
				return &permit{account: a, senders: []*sender{s}, turn: limited}, nil
			}
			a.senders <- s // it fell ill, or another mail had the slot, while we waited
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
	a.background.Wait()
}
