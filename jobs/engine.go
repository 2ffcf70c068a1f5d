package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"outboxd/db"
	"outboxd/jobs/alerts"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/witness"
)

// Options are what a daemon is told beside its jobs.yaml.
type Options struct {
	Log  *zap.Logger // nil logs nothing
	Name string      // the daemon's stable identity: rows of an earlier life with the same name are taken back at start
	Host string      // the computer's name, for jobs bound to one; "" asks the system
	// State is the folder in which is remembered what a restored database has forgotten; "" remembers it as long as the
	// engine lives.
	State string
}

// Engine runs the jobs of all companies.
type Engine struct {
	log      *zap.Logger
	host     string
	instance db.Instance
	pulses   *pulses
	watches  *watches
	alerts   *alerts.Alerter
	started  time.Time
	control  *outage          // of the control database
	patience time.Duration    // how long a database is out of reach before a person is told
	doubt    time.Duration    // how long a database may seem a copy until it counts as one; 0 for the usual time
	now      func() time.Time // by which sending windows open
	packTime time.Duration    // how long the making of a message may keep a sender
	troubles *troubleTimes
	state    *State
	witness  *witness.Folder // of state
	weigher  *weigher
	tend     chan struct{} // holds a word that there are other accounts

	kill context.Context // ends when mails in flight are to be abandoned; set by Run

	mu        sync.Mutex
	running   bool
	world     *World
	accounts  map[string]*account
	companies map[string]*company
	refused   string // why the last reload was refused
	old       sync.WaitGroup
}

// New reads the secrets of a jobs.yaml. Nothing is connected before Run.
func New(file *jobfile.File, o Options) (*Engine, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Host == "" {
		var err error
		if o.Host, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("ask for the computer's name: %w", err)
		}
	}
	memory := OpenState(o.State, o.Name)
	e := &Engine{log: o.Log, host: o.Host, instance: db.Instance{ID: memory.Instance(), Host: o.Host},
		pulses: newPulses(), watches: newWatches(), alerts: alerts.New(o.Log, o.Host), patience: downAlertAfter, now: time.Now,
		state: memory, witness: memory.Folder, weigher: newWeigher(heavyRoom), tend: make(chan struct{}, 1), packTime: packTime,
		troubles: &troubleTimes{1, slowAlertAfter}}
	e.control = e.newOutage(e.log, "control", "the control database", "What is sent by limited accounts of several companies waits.", time.Local)
	e.control.down, e.control.up = eventControlDown, eventControlUp
	world, err := Open(file)
	if err != nil {
		return nil, err
	}
	if err := world.loadTemplates(true); err != nil {
		return nil, errors.Join(err, world.Close())
	}
	accounts, err := e.openAccounts(world, nil)
	if err != nil {
		return nil, errors.Join(err, world.Close())
	}
	e.world, e.accounts = world, accounts
	return e, nil
}

// computer tells this computer from its copies, as far as it can be told: by its name and the number that the system gave
// it when it was installed.
func computer() string {
	name, _ := os.Hostname() // without either the state directory vouches for any
	number, _ := os.ReadFile("/etc/machine-id")
	sum := sha256.Sum256(append([]byte("outboxd "+name+" "), number...))
	return hex.EncodeToString(sum[:8])
}

// fingerprint tells whether two configurations, with their secrets, are the same.
func fingerprint(parts ...any) string {
	h := sha256.New()
	for _, p := range parts {
		// Configurations are plain data; what JSON cannot say does not occur in them.
		if err := json.NewEncoder(h).Encode(p); err != nil {
			fmt.Fprintf(h, "%v", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Run works until stop is done, then drains: nothing more is taken, mails in flight end, the rest is given back. When
// kill is done it returns without waiting. It returns nil after a clean drain.
func (e *Engine) Run(stop, kill context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(stop))
	defer cancel()
	e.mu.Lock()
	e.running, e.started, e.kill = true, time.Now(), kill
	e.companies = map[string]*company{}
	e.startCompanies(nil)
	e.mu.Unlock()
	e.log.Info(eventStarted, zap.String("host", e.host), zap.String("instance", e.instance.ID), zap.Int("companies", len(e.world.Companies)))

	var background sync.WaitGroup
	background.Go(func() {
		pulse := e.pulses.add("alerts")
		e.alerts.Run(ctx, pulse.beat, pulse.end)
	})
	background.Go(func() { e.present(ctx) })
	background.Go(func() { e.keepAccounts(ctx) })
	background.Go(func() { e.keepSignIns(ctx) })

	<-stop.Done()
	e.log.Info(eventStopping)
	ended := make(chan error, 1)
	go func() {
		e.drain()
		cancel()
		background.Wait()
		ended <- e.close()
	}()
	select {
	case err := <-ended:
		e.log.Info(eventStopped)
		return err
	case <-kill.Done():
		return errors.New("stopped before the mails in flight had ended: their leases run out and the marks decide")
	}
}

// drain stops taking and waits until nothing is in flight.
func (e *Engine) drain() {
	e.mu.Lock()
	e.running = false
	all := make([]*company, 0, len(e.companies))
	for _, c := range e.companies {
		c.cancel()
		all = append(all, c)
	}
	e.mu.Unlock()
	for _, c := range all {
		<-c.done
	}
	e.old.Wait()
}

func (e *Engine) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range e.accounts {
		a.shut()
	}
	e.state.Close()
	return e.world.Close()
}

// startCompanies starts the companies of the current world, but for those in kept. The caller holds the lock.
func (e *Engine) startCompanies(kept map[string]bool) {
	e.alerts.Use(e.world.File.Alerts, e.alertSenders())
	e.alerts.Remember(e.world.Control, e.instance.ID, e.mended)
	select {
	case e.tend <- struct{}{}:
	default:
	}
	for i, p := range e.world.Companies {
		name := p.Company.Name
		if kept[name] {
			continue
		}
		c := e.newCompany(p)
		e.companies[name] = c
		own := kept == nil
		// Polls of many companies are spread over the first second.
		delay := time.Duration(i) * time.Second / time.Duration(len(e.world.Companies))
		go func() {
			sleep(c.stop, delay)
			c.run(e.kill, own)
		}()
	}
	for _, out := range e.world.leftOut {
		companies := strings.Join(out.Companies, ", ")
		e.log.Error(eventCompanyOut, zap.String("file", out.File), zap.Strings("companies", out.Companies), zap.String("problems", out.Problems.String()))
		e.alerts.Start(leftOutKey(out), "companies left out: "+companies,
			fmt.Sprintf("The companies %s (%s) are left out and send nothing:\n\n%s\n\nMend that, then: systemctl reload outboxd", companies, out.File, out.Problems))
	}
	for name, err := range e.world.unusable {
		e.log.Error(eventAccountUnusable, zap.String("account", name), zap.Error(err))
		e.alerts.Start(unusableKey(name), "account "+name+" cannot be used",
			fmt.Sprintf("%v\n\nIts mail waits. Mend that, then: systemctl reload outboxd", err))
	}
	e.tellBroken()
}

func leftOutKey(out jobfile.LeftOut) string {
	return "left out " + out.File + " " + strings.Join(out.Companies, " ")
}

func (e *Engine) newCompany(p *Place) *company {
	c := &company{e: e, name: p.Company.Name, place: p, resolver: newResolver(e.world.File, p.Company), accounts: map[string]*account{},
		fingerprint: e.companyFingerprint(e.world, e.accounts, p), log: e.log.With(zap.String("company", p.Company.Name)),
		done: make(chan struct{}), leases: map[db.Lease]bool{}, strikes: map[string]int{},
		lanes: &lanes{paused: map[uint32]uint32{}}, ownLanes: map[string]uint32{}, overflows: map[string]overflows{}, quiet: map[string]bool{}, begun: make(chan struct{}, 1), statements: map[string]chan struct{}{}}
	for _, job := range p.Company.Jobs.SQL {
		c.statements[job.Name] = make(chan struct{}, 1)
	}
	c.outage = e.newOutage(c.log, "company "+c.name, "company "+c.name+": its database", "Its mail waits, other companies are not affected.", p.Company.Timezone)
	c.outage.down, c.outage.up, c.outage.doubtful = eventCompanyDown, eventCompanyUp, true
	c.sources = newSources(c)
	c.fence = e.newFence(c)
	c.stop, c.cancel = context.WithCancel(context.Background())
	for _, name := range carriers(p.Company) {
		if a := e.accounts[name]; a != nil {
			c.accounts[name] = a
		}
	}
	return c
}

// downAlertAfter is how long a database is out of reach before a person is told.
const downAlertAfter = time.Minute

func (e *Engine) newOutage(log *zap.Logger, key, what, effect string, zone *time.Location) *outage {
	return &outage{log: log, alerts: e.alerts, key: key, what: what, effect: effect, zone: zone, after: e.patience, since: time.Now()}
}

// carriers are the accounts by which a company's rows may go: its own, and the general one, which every company may name.
func carriers(c *jobfile.Company) []string {
	if slices.Contains(c.Accounts, jobfile.GeneralAccount) {
		return c.Accounts
	}
	return append(slices.Clone(c.Accounts), jobfile.GeneralAccount)
}

// companyFingerprint is the fingerprint of all that a company's work depends on.
func (e *Engine) companyFingerprint(w *World, accounts map[string]*account, p *Place) string {
	parts := []any{p.Company, p.Company.Timezone.String(), p.Pool.Key(), p.signers.prints()}
	if p.Reader != nil {
		parts = append(parts, p.Reader.Key())
	}
	if t, err := p.templates(); err == nil {
		parts = append(parts, t.sum)
	}
	for _, name := range carriers(p.Company) {
		if a := accounts[name]; a != nil {
			parts = append(parts, a.fingerprint)
		} else {
			parts = append(parts, w.File.Account(name))
		}
	}
	return fingerprint(parts...)
}

// isHost tells whether name means this computer: its name, with or without the domain.
func (e *Engine) isHost(name string) bool {
	short, _, _ := strings.Cut(e.host, ".")
	return strings.EqualFold(name, e.host) || strings.EqualFold(name, short)
}

// currentWorld is what the current jobs.yaml leads to.
func (e *Engine) currentWorld() *World {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.world
}

// wake has a company's keeper look at its runs at once: a person has begun or changed one.
func (e *Engine) wake(company string) {
	e.mu.Lock()
	c := e.companies[company]
	e.mu.Unlock()
	if c != nil {
		c.wake()
	}
}

// stuckAfter is when a loop counts as hanging: well above the time a few statements with their deadlines may take.
const stuckAfter = 5 * time.Minute

// Stuck lists the loops that have made no progress for five minutes: for the watchdog.
func (e *Engine) Stuck() []string { return e.pulses.stuck(stuckAfter) }

// Desk answers and acts for people, always by the current file.
func (e *Engine) Desk() *Desk {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := NewDesk(e.world, e.Live, e.state)
	d.now, d.wake = e.now, e.wake
	return d
}
