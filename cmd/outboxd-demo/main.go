// Command outboxd-demo shows outboxd at work with nothing installed: an in-process MySQL-compatible database with two
// companies, a mail server that keeps every mail and sends none, and the real daemon on a real jobs.yaml.
//
// It promises that no mail leaves this computer and that everything it writes is in one new folder, named at the start.
// Within its first minute the schedule of a mailing fires: rows for all customers who owe something, a proof for the accountant, her
// approval, the mails, what is written back, the summary and the report.
//
// It runs until Ctrl-C; with --once until every sample row has become what it should and the mailing is closed, which it says by its
// exit status: 0 as expected, 1 not so within two minutes (and why), or something could not be started.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	once := flag.Bool("once", false, "end when every sample row has become what it should and the mailing is closed")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once
	var limit time.Duration
	if *once {
		limit = onceLimit
	}
	if err := show(ctx, os.Stdout, limit); err != nil {
		fmt.Fprintln(os.Stderr, "outboxd-demo:", err)
		os.Exit(1)
	}
}
