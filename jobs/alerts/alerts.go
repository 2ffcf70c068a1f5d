package alerts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

// Sender is an account that may carry alerts.
type Sender interface {
	// Account is its name.
	Account() string
	// Able tells whether it would take a mail now.
	Able() bool
	// Key is that of the trouble that tells of the account itself: while that lasts the account does not carry it.
	Key() string
	// Send sends one mail outside of any outbox, within the account's limits. After an error it was not sent, or this is
	// not known; it is sent again.
	Send(ctx context.Context, to []string, subject, text string) error
}

// Alerter tells of troubles, each by its key. Its methods may be called at any time, by several at once.
type Alerter struct {
	log  *zap.Logger
	host string

	mu       sync.Mutex
	conf     *jobfile.Alerts
	senders  []Sender // the one for alerts first
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

// The mail log's events of alerts; docs/operations.md lists them all.
const (
	eventAlert       = "alert" // a person is to know; also where no alerts are configured
	eventAlertSent   = "alert_sent"
	eventAlertFailed = "alert_failed"
	eventStoreError  = "store_error"
)

// New makes an alerter that knows of no trouble, tells nobody and remembers nothing but in memory: see Use and Remember. The
// host stands in each subject.
func New(log *zap.Logger, host string) *Alerter {
	return &Alerter{log: log, host: host, troubles: map[string]bool{}, wake: make(chan struct{}, 1)}
}

// Use sets whom to tell, nil for nobody, and by which accounts, the preferred one first.
func (a *Alerter) Use(conf *jobfile.Alerts, senders []Sender) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conf, a.senders = conf, senders
}

// Start tells of a trouble, unless a person knows of it already.
func (a *Alerter) Start(key, subject, text string) {
	a.mu.Lock()
	known := a.troubles[key]
	a.troubles[key] = true
	a.mu.Unlock()
	if !known {
		a.add(alert{subject: subject, text: text, about: key, since: time.Now()})
	}
}

// End tells that a trouble is over, if it was told of.
func (a *Alerter) End(key, subject string) {
	a.mu.Lock()
	known := a.troubles[key]
	delete(a.troubles, key)
	a.mu.Unlock()
	if known {
		a.add(alert{subject: subject, text: subject + ".", about: key, over: true, since: time.Now()})
	}
}

// Tell tells what nothing makes undone: there will be no word that it is over.
func (a *Alerter) Tell(subject, text string) {
	a.add(alert{subject: subject, text: text, since: time.Now()})
}

// EndOthers ends the troubles whose keys begin so, but for those that go on.
func (a *Alerter) EndOthers(head string, still map[string]bool, why string) {
	a.mu.Lock()
	var over []string
	for key := range a.troubles {
		if strings.HasPrefix(key, head) && !still[key] {
			over = append(over, key)
		}
	}
	a.mu.Unlock()
	for _, key := range over {
		a.End(key, key+": "+why)
	}
}

func (a *Alerter) add(one alert) {
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

// Run sends alerts until stop is done. It calls beat when it makes progress, and rest when it waits for mail servers, and at its end.
func (a *Alerter) Run(stop context.Context, beat, rest func()) {
	defer rest()
	tick := time.NewTicker(alertInterval)
	defer tick.Stop()
	a.recall(stop)
	for {
		beat()
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
		rest()
		for _, one := range waiting {
			a.deliver(stop, one)
		}
	}
}

// deliver tries every account that is well, but not the one that the alert is about; later again when none will do.
func (a *Alerter) deliver(stop context.Context, one alert) {
	a.mu.Lock()
	conf, senders := a.conf, a.senders
	a.mu.Unlock()
	if conf == nil {
		return
	}
	var errs []error
	for _, s := range senders {
		if !s.Able() || s.Key() == one.about && a.IsOn(one.about) {
			continue
		}
		ctx, cancel := context.WithTimeout(stop, alertTimeout)
		err := s.Send(ctx, conf.To, "outboxd on "+a.host+": "+one.subject, one.text)
		cancel()
		if err == nil {
			a.log.Info(eventAlertSent, zap.String("subject", one.subject), zap.String("account", s.Account()))
			a.note(stop, one)
			return
		}
		errs = append(errs, fmt.Errorf("account %s: %w", s.Account(), err))
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

// IsOn tells whether a trouble was told of, or is to be, and is not over.
func (a *Alerter) IsOn(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.troubles[key]
}
