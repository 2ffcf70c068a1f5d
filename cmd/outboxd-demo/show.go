package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"outboxd/mail/smtptest"
)

// onceLimit is how long --once waits for the samples and for the mailing, which begins at the next full minute.
const onceLimit = 2 * time.Minute

// parts is all that the demo has started, in that order.
type parts struct {
	folder   string
	notes    []*os.File
	database *database
	pool     *sql.DB
	eva      *sql.DB // of the accountant
	catcher  *smtptest.Server
	daemon   *daemon
	fires    time.Time // the schedules
}

// show starts everything, follows it, and stops it in reverse. With a limit it ends as soon as the samples are as
// expected, and returns a *DifferentError when they are not so in time.
func show(ctx context.Context, out io.Writer, limit time.Duration) (err error) {
	catching, endCatching := context.WithCancel(context.WithoutCancel(ctx))
	defer endCatching()
	mails := make(chan smtptest.Message, 100)
	p := &parts{}
	defer func() {
		endCatching()
		err = errors.Join(err, p.close())
	}()
	if err := p.start(ctx, catching, mails); err != nil {
		return err
	}
	d := &demo{out: out, folder: p.folder, pool: p.pool, daemon: p.daemon, samples: samples(), command: command(p.database.address.Port),
		printed: map[string]string{}, answers: answers{}, arriving: mails}
	d.story = &story{pool: p.pool, eva: p.eva, say: d.say, report: p.daemon.report, fires: p.fires}
	fmt.Fprint(out, welcome(p))
	if err := insertSamples(ctx, p.pool, d.samples); err != nil {
		return err
	}
	for _, s := range d.samples {
		fmt.Fprintf(out, "  %-9s  %s\n", rowName(s.company, s.id), s.about)
	}
	fmt.Fprintf(out, "\nAt %s two schedules of acme fire: statements of account for all who owe something, and a report.\n\nWhat becomes of it all:\n\n", clock(p.fires))
	if err := d.watch(ctx, p.daemon.ended, limit); err != nil {
		return err
	}
	early := ctx.Err() != nil
	if early {
		d.say("stopping: mails in flight come to their end")
	}
	d.daemon = d.answers
	if err := errors.Join(p.stopDaemon(), d.look(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	fmt.Fprint(out, farewell(p, len(d.samples), limit > 0 && !early))
	return nil
}

// start starts the parts one after the other. The mail server hands over mails until catching ends.
func (p *parts) start(ctx, catching context.Context, mails chan<- smtptest.Message) (err error) {
	if p.folder, err = os.MkdirTemp("", "outboxd-demo-"); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	databaseLog, err := p.note("database.log")
	if err != nil {
		return err
	}
	if p.database, err = startDatabase(databaseLog); err != nil {
		return err
	}
	if p.pool, err = openSQL(p.database.address.String(), "root"); err != nil {
		return err
	}
	if p.eva, err = openSQL(p.database.address.String(), "eva"); err != nil {
		return err
	}
	for _, name := range append(companies(), "outboxd") {
		if _, err := p.pool.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
			return fmt.Errorf("create the database %s: %w", name, err)
		}
	}
	if p.catcher, err = startCatcher(catching, mails); err != nil {
		return err
	}
	config, err := p.configure()
	if err != nil {
		return err
	}
	if err := migrate(ctx, config); err != nil {
		return err
	}
	if err := insertBooks(ctx, p.pool); err != nil {
		return err
	}
	daemonLog, err := p.note("outboxd.log")
	if err != nil {
		return err
	}
	if config, err = p.configure(); err != nil { // anew, as the schedules are to fire soon after the daemon has begun
		return err
	}
	p.daemon, err = startDaemon(ctx, config, daemonLog)
	return err
}

// configure writes the jobs.yaml, with schedules that fire at the next full minute.
func (p *parts) configure() (path string, err error) {
	p.fires = nextMinute(time.Now())
	return writeConfig(p.folder, p.database.address, p.catcher.Port(), p.catcher.CAPEM(), p.fires)
}

// note opens a file of the folder for what a part has to say.
func (p *parts) note(name string) (*os.File, error) {
	f, err := os.Create(filepath.Join(p.folder, name))
	if err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	p.notes = append(p.notes, f)
	return f, nil
}

// stopDaemon lets the daemon end, if it runs.
func (p *parts) stopDaemon() error {
	d := p.daemon
	if p.daemon = nil; d == nil {
		return nil
	}
	return d.close()
}

// close stops what was started, the last first.
func (p *parts) close() error {
	errs := []error{p.stopDaemon()}
	if p.catcher != nil {
		errs = append(errs, p.catcher.Close())
	}
	for _, pool := range []*sql.DB{p.eva, p.pool} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	if p.database != nil {
		errs = append(errs, p.database.close())
	}
	for _, f := range p.notes {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
