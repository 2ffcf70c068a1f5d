package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"outboxd/jobs"
)

type statusCommand struct {
	JSON  bool          `help:"Print JSON; with --watch one line a time."`
	Watch bool          `help:"Print again and again until Ctrl-C."`
	Every time.Duration `help:"How often to print with --watch." default:"2s" placeholder:"TIME"`
}

// Run shows how all is, once or until the context ends.
func (c statusCommand) Run(i *invocation) error {
	look := func() (func() error, error) {
		reply, err := ask(i, opStatus, jobs.StatusRequest{})
		return func() error { return c.print(i, reply) }, err
	}
	if c.Watch {
		return watch(i, c.Every, !c.JSON, look)
	}
	show, err := look()
	if err != nil {
		return err
	}
	return show()
}

// watch prints again and again until the context ends. It goes on when the daemon is away for a while, unless it was never there. look
// asks, and returns what prints the answer.
func watch(i *invocation, every time.Duration, wholeScreen bool, look func() (show func() error, err error)) error {
	if every < 100*time.Millisecond {
		return &usageError{fmt.Sprintf("--every %s is too often", every), "at least 100ms"}
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for first := true; ; first = false {
		show, err := look()
		switch {
		case i.ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		}
		if isTerminal(i.stdout) && wholeScreen {
			fmt.Fprint(i.stdout, "\x1b[H\x1b[2J")
		}
		if err != nil {
			i.exit(err)
		} else if err := show(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-i.ctx.Done():
			return nil
		}
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (c statusCommand) print(i *invocation, r jobs.StatusReply) error {
	switch {
	case c.JSON && c.Watch:
		return printJSON(i.stdout, r, "")
	case c.JSON:
		return printJSON(i.stdout, r, "  ")
	}
	w := &errorWriter{w: i.stdout}
	printDaemon(w, r)
	fmt.Fprintln(w)
	t := newTable(w, "COMPANY", "STATE", "QUEUED", "DUE", "OLDEST DUE", "SENDING", "HELD", "UNCERTAIN", "FAILED", "PARTIAL", "EXPIRED", "SENT 1H")
	for _, s := range r.Companies {
		if s.Counts == nil {
			t.row(s.Company, "down")
			continue
		}
		sent := 0
		for _, n := range s.SentHour {
			sent += n
		}
		state := "up"
		if s.Fenced != nil {
			state = "fenced"
		}
		t.row(s.Company, state, number(s.Queued), number(s.Due), age(s.OldestDue), number(s.Sending), number(s.Held), number(s.Uncertain), number(s.Failed),
			number(s.Partial), number(s.Expired), sent)
	}
	if err := t.end(); err != nil {
		return err
	}
	if err := printJobs(w, r.Companies); err != nil {
		return err
	}
	if err := printMailings(w, r.Companies); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := printAccounts(w, r.Accounts); err != nil {
		return err
	}
	printTroubles(w, r)
	return w.err
}

// age is a number of seconds as people say it, "-" for none.
func age(seconds int) string {
	if seconds <= 0 {
		return "-"
	}
	return (time.Duration(seconds) * time.Second).String()
}

// printMailings lists the runs that have not ended, if there are any.
func printMailings(w io.Writer, all []jobs.CompanyStatus) error {
	var runs []jobs.RunInfo
	for _, c := range all {
		runs = append(runs, c.Mailings...)
	}
	if len(runs) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	return runTable(w, runs)
}

// printJobs lists the jobs with a schedule, if there are any.
func printJobs(w io.Writer, all []jobs.CompanyStatus) error {
	var t *table
	for _, c := range all {
		for _, j := range c.Jobs {
			if t == nil {
				fmt.Fprintln(w)
				t = newTable(w, "JOB", "LAST RUN", "STATE", "CONTENTS", "ROWS", "NEXT", "ERROR")
			}
			contents, rows := fmt.Sprint(j.Contents), fmt.Sprint(j.Rows)
			if j.Kind != "purge" {
				contents, rows = "", ""
			}
			t.row(c.Company+"/"+j.Job, j.Scheduled, j.State, contents, rows, clock(j.Next), short(j.Error, 80))
		}
	}
	if t == nil {
		return nil
	}
	return t.end()
}

func printDaemon(w io.Writer, r jobs.StatusReply) {
	if r.Daemon == nil {
		fmt.Fprintln(w, "No outboxd is running on this computer.")
		return
	}
	fmt.Fprintf(w, "outboxd on %s, running since %s\n", clean(r.Daemon.Host), clock(r.Daemon.Started))
	if r.Daemon.Draining {
		fmt.Fprintln(w, "It is ending: it takes nothing more and waits for the mails in flight.")
	}
}

// errorsFor is how long an account's last error is shown after it is over.
const errorsFor = 24 * time.Hour

// printTroubles lists all that a person may want to mend.
func printTroubles(w io.Writer, r jobs.StatusReply) {
	if d := r.Daemon; d != nil {
		if d.ReloadRefused != "" {
			fmt.Fprintf(w, "\nThe last reload was refused, the old jobs.yaml goes on:\n%s\n", indented(d.ReloadRefused))
		}
		if len(d.Stuck) > 0 {
			fmt.Fprintf(w, "\nParts of the daemon make no progress: %s\n", clean(strings.Join(d.Stuck, ", ")))
		}
		for _, c := range r.Companies {
			if h := d.Companies[c.Company]; h.Down != "" && c.Up {
				fmt.Fprintf(w, "\nCompany %s has stood still since %s: %s\n", clean(c.Company), clock(h.Since), clean(h.Down))
			}
			if h := d.Companies[c.Company]; h.Altered != "" {
				fmt.Fprintf(w, "\nThe tables of company %s were altered:\n%s\n", clean(c.Company), indented(h.Altered))
			}
		}
	}
	for _, c := range r.Companies {
		if !c.Up {
			fmt.Fprintf(w, "\nCompany %s is down: %s\n  What to do: %s\n", clean(c.Company), clean(c.Error), clean(c.Hint))
		}
	}
	for _, c := range r.Companies {
		if f := c.Fenced; f != nil {
			fmt.Fprintf(w, "\nCompany %s is FENCED, nothing is sent, for its database is not the one it was: %s\n  What to do: %s\n", clean(c.Company), clean(f.Why), clean(f.Hint))
		}
		if c.Divert != "" {
			fmt.Fprintf(w, "\nCompany %s DIVERTS: every mail goes to %s and to nobody else.\n", clean(c.Company), clean(c.Divert))
		}
	}
	printWaits(w, r)
	for _, c := range r.Companies {
		for _, run := range c.Mailings {
			if run.Next != "" {
				printWaiting(w, run)
			}
		}
		if c.WriteBacks > 0 {
			fmt.Fprintf(w, "\nTables of company %s have not been told of %s yet, it is tried again by itself: %s\n  What to do: outboxd mailing list --company %s shows of which runs; mend what the error names\n",
				clean(c.Company), counted(int(c.WriteBacks), "outcome"), clean(c.WriteError), clean(c.Company))
		}
		if c.Counts != nil && c.Held > c.HeldByRun {
			fmt.Fprintf(w, "\nCompany %s holds rows (%s) until a person says what becomes of them\n  What to do: outboxd queue list --company %s --held, then queue release or queue cancel\n",
				clean(c.Company), number(c.Held-c.HeldByRun), clean(c.Company))
		}
	}
	for _, out := range r.LeftOut {
		fmt.Fprintf(w, "\nLeft out with all its companies (%s): %s\n%s\n", clean(strings.Join(out.Companies, ", ")), clean(out.File),
			indented(strings.Join(out.Problems, "\n")))
	}
	for _, k := range r.Keys {
		fmt.Fprintf(w, "\nMails of %s wait, for they cannot be signed: %s\n  What to do: %s\n", clean(k.Domain), clean(k.Reason), clean(k.Hint))
	}
	printAccountTroubles(w, r.Accounts, r.Time.Add(-errorsFor))
}

// maxWaits is how many things that rows of a company wait for are listed.
const maxWaits = 20

// printWaits lists what rows wait for together, and accounts that others stand in for.
func printWaits(w io.Writer, r jobs.StatusReply) {
	for _, c := range r.Companies {
		if len(c.Waits) > 0 {
			fmt.Fprintf(w, "\nRows of company %s wait for:\n", clean(c.Company))
		}
		for i, wait := range c.Waits {
			if i == maxWaits {
				fmt.Fprintf(w, "  and %d more: outboxd status --json\n", len(c.Waits)-i)
				break
			}
			text := fmt.Sprintf("%s until %s: %s", clean(wait.What), clockOf(wait.Until), clean(wait.Reason))
			fmt.Fprintln(w, "  "+strings.TrimSuffix(text, ": "))
		}
		if r.Daemon == nil {
			continue
		}
		for _, o := range r.Daemon.Companies[c.Company].Overflow {
			fmt.Fprintf(w, "\nAccount %s sends the mail of account %s of company %s (overflow)\n", clean(o.By), clean(o.Account), clean(c.Company))
		}
	}
}

func indented(s string) string {
	return "  " + strings.ReplaceAll(cleanLines(s), "\n", "\n  ")
}
