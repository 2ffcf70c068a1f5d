package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"outboxd/control"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/public"
)

// The events of the process itself; those of the engine stand in jobs.
const (
	eventProblem    = "jobs_yaml"     // one problem of jobs.yaml or of an included file
	eventControl    = "control_error" // the control socket had trouble with one caller
	eventPublic     = "public_error"  // the pages for people had trouble, or cannot be served at the moment
	eventStuck      = "stuck"         // parts of the daemon make no progress; the watchdog is not fed
	eventUnstuck    = "unstuck"
	eventNotifyFail = "notify_failed" // the service manager could not be told
	eventKilled     = "killed"        // a second signal: mails in flight are abandoned
)

// controlGrace is how long answers may take when the daemon ends.
const controlGrace = 3 * time.Second

type runCommand struct{}

// Run is the daemon.
func (runCommand) Run(i *invocation) error {
	// A panic ends the process with SIGABRT. The usual exit status 2 would mean a wrong configuration, after which the unit
	// does not start it again.
	debug.SetTraceback("crash")
	journal := toJournal(i.env("JOURNAL_STREAM"), i.stderr)
	log := newLogger(i.stderr, journal)
	file, problems := jobfile.Load(i.config)
	if file == nil && journal {
		logProblems(log, problems)
		return exitError(exitWrong)
	}
	if file == nil {
		if err := printProblems(i.stderr, problems); err != nil {
			return err
		}
		return exitError(exitWrong)
	}
	folder, err := i.folder()
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("ask for the computer's name: %w", err)
	}
	name, err := i.daemonName()
	if err != nil {
		return err
	}
	state, err := i.state()
	if err != nil {
		return err
	}
	listener, err := control.Listen(folder)
	if err != nil {
		return err
	}
	engine, err := jobs.New(file, jobs.Options{Log: log, Name: name, Host: host, State: state})
	if err != nil {
		return errors.Join(&usageError{err.Error(), "the secrets must be readable for the user that outboxd runs as; systemd does not start it again by itself"}, listener.Close())
	}
	logProblems(log, problems)
	d := &process{invocation: i, log: log, engine: engine}
	d.pages = public.New(func() public.Desk { return engine.Desk() }, func(err error) { log.Warn(eventPublic, zap.Error(err)) })
	return d.run(listener, file)
}

// process is the running daemon.
type process struct {
	*invocation
	log    *zap.Logger
	engine *jobs.Engine
	pages  *public.Server
}

// run works until the first signal to end and the drain after it, or until the second one.
func (d *process) run(listener *control.Listener, file *jobfile.File) error {
	signals := d.signals
	if signals == nil {
		own := make(chan os.Signal, 8)
		signal.Notify(own, syscall.SIGHUP, syscall.SIGTERM, os.Interrupt)
		defer signal.Stop(own)
		signals = own
	}
	stop, drain := context.WithCancel(d.ctx)
	defer drain()
	kill, end := context.WithCancel(context.Background())
	defer end()
	serving, dismiss := context.WithCancel(context.WithoutCancel(d.ctx))
	var background sync.WaitGroup
	background.Go(func() { d.answer(serving, listener) })
	background.Go(func() { d.feedWatchdog(serving) })
	background.Go(func() { d.pages.Run(serving) })
	d.pages.Use(file.Public)

	ended := make(chan error, 1)
	go func() { ended <- d.engine.Run(stop, kill) }()
	d.notify(daemon.SdNotifyReady + "\nSTATUS=" + summary(file))
	err := d.obey(signals, ended, drain, end)
	dismiss()
	background.Wait()
	return err
}

// obey does what signals say until the engine has ended.
func (d *process) obey(signals <-chan os.Signal, ended <-chan error, drain, kill func()) error {
	stopping := false
	stop := d.ctx.Done()
	for {
		select {
		case err := <-ended:
			return err
		case <-stop:
			stop, stopping = nil, true
			d.notify(daemon.SdNotifyStopping + "\nSTATUS=Ending the mails in flight")
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP && !stopping:
				d.reload()
			case s == syscall.SIGHUP:
			case stopping:
				d.log.Error(eventKilled)
				kill()
			default:
				stop, stopping = nil, true
				d.notify(daemon.SdNotifyStopping + "\nSTATUS=Ending the mails in flight")
				drain()
			}
		}
	}
}

// reload lets a new jobs.yaml take over, or says why the old one goes on.
func (d *process) reload() {
	d.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	file, problems := jobfile.Load(d.config)
	logProblems(d.log, problems)
	status := "The reload was refused, the old jobs.yaml goes on; see outboxd status"
	if file == nil {
		d.engine.ReloadFailed(problems)
	} else if err := d.engine.Reload(file); err == nil { // the engine has told of an error
		status = summary(file)
		d.pages.Use(file.Public)
	}
	d.notify(daemon.SdNotifyReady + "\nSTATUS=" + status)
}

func logProblems(log *zap.Logger, problems jobfile.Problems) {
	for _, p := range problems {
		write := log.Error
		if p.Warning {
			write = log.Warn
		}
		write(eventProblem, zap.String("file", p.File), zap.Int("line", p.Line), zap.Int("column", p.Column), zap.String("path", p.Path),
			zap.String("problem", p.Message), zap.String("value", p.Value), zap.String("hint", p.Hint))
	}
}

func summary(file *jobfile.File) string {
	text := fmt.Sprintf("%d companies, %s", len(file.Companies), counted(len(file.Accounts), "account"))
	if len(file.Companies) == 1 {
		text = "1 company, " + counted(len(file.Accounts), "account")
	}
	if n := len(file.LeftOut); n > 0 {
		text += fmt.Sprintf("; %s left out", counted(n, "file"))
	}
	return text
}

// answer serves the control socket.
func (d *process) answer(ctx context.Context, l *control.Listener) {
	report := func(err error) { d.log.Warn(eventControl, zap.Error(err)) }
	s := control.NewServer(version, report)
	for _, o := range operations {
		o.serve(s, d.engine.Desk)
	}
	if err := s.Serve(ctx, l, controlGrace); err != nil {
		report(err)
	}
}

// feedWatchdog tells systemd that the daemon makes progress, for as long as it does.
func (d *process) feedWatchdog(ctx context.Context) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		d.log.Warn(eventNotifyFail, zap.Error(err))
	}
	fed := every > 0
	if !fed {
		every = time.Minute // the log tells all the same
	}
	tick := time.NewTicker(every / 3)
	defer tick.Stop()
	was := ""
	for {
		stuck := strings.Join(d.engine.Stuck(), ", ")
		switch {
		case stuck != "" && stuck != was:
			d.log.Error(eventStuck, zap.String("parts", stuck))
		case stuck == "" && was != "":
			d.log.Info(eventUnstuck)
		}
		if was = stuck; stuck == "" && fed {
			d.notify(daemon.SdNotifyWatchdog)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// notify tells the service manager, if there is one.
func (d *process) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		d.log.Warn(eventNotifyFail, zap.Error(err))
	}
}
