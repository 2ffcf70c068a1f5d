package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/compose"
	"outboxd/mail/smtpout"
)

// alerter tells a person by mail: once when trouble starts and once when it is over. It never blocks who reports; what
// cannot be sent now is tried again for a while, and every alert stands in the log in any case.
type alerter struct {
	log  *zap.Logger
	host string

	mu       sync.Mutex
	conf     *jobfile.Alerts
	accounts []*account // the one for alerts first
	signers  signers
	troubles map[string]bool
	queue    []alert
	memory   *db.Store // the control database keeps what was told; nil keeps it in memory alone
	instance string
	mended   func(key string) string
	wake     chan struct{}
}

type alert struct {
	subject, text string
	about         string    // key of the trouble; "" for news
	over          bool      // tells that it is over
	since         time.Time // when it was to be told
}

const (
	maxAlerts     = 100 // waiting to be sent; more are only logged
	alertPatience = 6 * time.Hour
	alertInterval = time.Minute
	alertTimeout  = 2 * time.Minute
	// toldFor is how long a restart does not tell again of a trouble.
	toldFor = 24 * time.Hour
)

func newAlerter(log *zap.Logger, host string) *alerter {
	return &alerter{log: log, host: host, troubles: map[string]bool{}, wake: make(chan struct{}, 1)}
}

// use sets whom to tell and by which accounts, the preferred one first. What can be signed is.
func (a *alerter) use(conf *jobfile.Alerts, accounts []*account, all signers) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conf, a.accounts, a.signers = conf, accounts, all
}

// start tells of a trouble, unless a person knows of it already.
func (a *alerter) start(key, subject, text string) {
	a.mu.Lock()
	known := a.troubles[key]
	a.troubles[key] = true
	a.mu.Unlock()
	if !known {
		a.add(alert{subject: subject, text: text, about: key, since: time.Now()})
	}
}

// end tells that a trouble is over, if it was told of.
func (a *alerter) end(key, subject string) {
	a.mu.Lock()
	known := a.troubles[key]
	delete(a.troubles, key)
	a.mu.Unlock()
	if known {
		a.add(alert{subject: subject, text: subject + ".", about: key, over: true, since: time.Now()})
	}
}

// tell tells what nothing makes undone: there will be no word that it is over.
func (a *alerter) tell(subject, text string) {
	a.add(alert{subject: subject, text: text, since: time.Now()})
}

// endOthers ends the troubles whose keys begin so, but for those that go on.
func (a *alerter) endOthers(head string, still map[string]bool, why string) {
	a.mu.Lock()
	var over []string
	for key := range a.troubles {
		if strings.HasPrefix(key, head) && !still[key] {
			over = append(over, key)
		}
	}
	a.mu.Unlock()
	for _, key := range over {
		a.end(key, key+": "+why)
	}
}

func (a *alerter) add(one alert) {
	a.log.Warn(eventAlert, zap.String("subject", one.subject), zap.String("text", one.text))
	a.mu.Lock()
	if a.conf != nil && len(a.queue) < maxAlerts {
		a.queue = append(a.queue, one)
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run sends alerts until stop is done.
func (a *alerter) run(stop context.Context, pulse *pulse) {
	defer pulse.end()
	tick := time.NewTicker(alertInterval)
	defer tick.Stop()
	a.recall(stop)
	for {
		pulse.beat()
		select {
		case <-a.wake:
		case <-tick.C:
		case <-stop.Done():
			return
		}
		a.mu.Lock()
		waiting := a.queue
		a.queue = nil
		a.mu.Unlock()
		// How long servers take is bounded by the deadlines of each wait, not by the watchdog's patience.
		pulse.end()
		for _, one := range waiting {
			a.deliver(stop, one)
		}
	}
}

// deliver tries every account that is well, but not the one that the alert is about; later again when none will do.
func (a *alerter) deliver(stop context.Context, one alert) {
	a.mu.Lock()
	conf, accounts, signers := a.conf, a.accounts, a.signers
	a.mu.Unlock()
	if conf == nil {
		return
	}
	var errs []error
	for _, acc := range accounts {
		if !acc.able() || acc.alertKey() == one.about && a.isOn(one.about) {
			continue
		}
		ctx, cancel := context.WithTimeout(stop, alertTimeout)
		err := acc.sendAlert(ctx, signers, conf.To, "outboxd on "+a.host+": "+one.subject, one.text)
		cancel()
		if err == nil {
			a.log.Info(eventAlertSent, zap.String("subject", one.subject), zap.String("account", acc.conf.Name))
			a.note(stop, one)
			return
		}
		errs = append(errs, fmt.Errorf("account %s: %w", acc.conf.Name, err))
	}
	if time.Since(one.since) >= alertPatience {
		a.log.Error(eventAlertFailed, zap.String("subject", one.subject), zap.Error(errors.Join(errs...)))
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) < maxAlerts {
		a.queue = append(a.queue, one)
	}
}

func (a *alerter) isOn(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.troubles[key]
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
