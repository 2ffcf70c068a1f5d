package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
)

// daemon is outboxd itself, at work in this process.
type daemon struct {
	engine *jobs.Engine
	ended  chan error // gets what Run returned, then is closed
	drain  context.CancelFunc
	kill   context.CancelFunc
}

// drainTime is how long mails in flight may take to end when the demo stops.
const drainTime = 5 * time.Second

// migrate does what `outboxd migrate` does with a jobs.yaml.
func migrate(ctx context.Context, config string) error {
	file, err := load(config)
	if err != nil {
		return err
	}
	world, err := jobs.Open(file)
	if err != nil {
		return fmt.Errorf("open the databases: %w", err)
	}
	if err := errors.Join(world.Migrate(ctx, func(string, int) {}), world.Close()); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	return nil
}

func load(config string) (*jobfile.File, error) {
	file, problems := jobfile.Load(config)
	if file == nil {
		return nil, fmt.Errorf("%s:\n%s", config, problems)
	}
	return file, nil
}

// startDaemon does what `outboxd run` does with a jobs.yaml. Its log goes to log, a line of JSON for each event.
func startDaemon(ctx context.Context, config string, log io.Writer) (*daemon, error) {
	file, err := load(config)
	if err != nil {
		return nil, err
	}
	format := zap.NewProductionEncoderConfig()
	format.EncodeTime = zapcore.ISO8601TimeEncoder
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(format), zapcore.AddSync(log), zap.InfoLevel))
	engine, err := jobs.New(file, jobs.Options{Log: logger, Name: "outboxd-demo"})
	if err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	d := &daemon{engine: engine, ended: make(chan error, 1)}
	var stop, kill context.Context
	stop, d.drain = context.WithCancel(context.WithoutCancel(ctx))
	kill, d.kill = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		d.ended <- engine.Run(stop, kill)
		close(d.ended)
	}()
	return d, nil
}

// close lets mails in flight end and waits for that.
func (d *daemon) close() error {
	defer d.kill()
	patience := time.AfterFunc(drainTime, d.kill)
	defer patience.Stop()
	d.drain()
	return <-d.ended
}

// why asks what a queued row waits for, and until when; the time is zero when nothing is known of it.
func (d *daemon) why(ctx context.Context, row string) (text string, until time.Time, err error) {
	reply, err := d.engine.Desk().QueueWhy(ctx, jobs.RowRequest{Row: row})
	if err != nil {
		return "", time.Time{}, err
	}
	for _, reason := range reply.Reasons {
		if reason.Until == nil || reply.State != db.Queued {
			continue
		}
		if text == "" {
			text, _, _ = strings.Cut(reason.Text, ". ")
		}
		until = *reason.Until // the last one lasts longest
	}
	return text, until, nil
}

// report asks what became of each mail of a run.
func (d *daemon) report(ctx context.Context, run string) ([]jobs.MailReport, error) {
	reply, err := d.engine.Desk().MailingReport(ctx, jobs.MailingReportRequest{Run: run})
	return reply.Mails, err
}
