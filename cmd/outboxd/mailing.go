package main

import (
	"fmt"
	"io"
	"time"

	"outboxd/db"
	"outboxd/jobs"
)

type mailingListCommand struct {
	Company string        `help:"Only this company's." placeholder:"NAME"`
	Job     string        `help:"Only those of this job, as acme/statements; of mailings to an audience acme/@staff." placeholder:"JOB"`
	Open    bool          `help:"Only those that have not ended."`
	Before  uint64        `help:"Only numbers below this one: the next page of one company." placeholder:"N"`
	Limit   int           `help:"Most runs, up to 1000." default:"20" placeholder:"N"`
	JSON    bool          `help:"Print JSON; with --watch one line a time."`
	Watch   bool          `help:"Print again and again until Ctrl-C."`
	Every   time.Duration `help:"How often to print with --watch." default:"2s" placeholder:"TIME"`
}

// Run lists runs, once or until the context ends. When a company could not be asked the exit status is 1.
func (c mailingListCommand) Run(i *invocation) error {
	q := jobs.MailingListRequest{Company: c.Company, Job: c.Job, Open: c.Open, Before: c.Before, Limit: c.Limit}
	missing := false
	look := func() (func() error, error) {
		reply, err := ask(i, opMailingList, q)
		missing = len(reply.Missing) > 0
		return func() error { return c.print(i, reply) }, err
	}
	if c.Watch {
		return watch(i, c.Every, !c.JSON, look)
	}
	show, err := look()
	if err == nil {
		err = show()
	}
	if err == nil && missing {
		return exitError(exitFailed)
	}
	return err
}

func (c mailingListCommand) print(i *invocation, r jobs.MailingListReply) (err error) {
	switch {
	case c.JSON && c.Watch:
		err = printJSON(i.stdout, r, "")
	case c.JSON:
		err = printJSON(i.stdout, r, "  ")
	default:
		err = printRuns(i.stdout, r)
	}
	for _, m := range r.Missing {
		fmt.Fprintf(i.stderr, "Company %s could not be asked: %s\nWhat to do: %s\n", clean(m.Company), clean(m.Error), clean(m.Hint))
	}
	return err
}

func printRuns(to io.Writer, r jobs.MailingListReply) error {
	w := &errorWriter{w: to}
	if len(r.Runs) == 0 {
		if len(r.Missing) == 0 {
			fmt.Fprintln(w, "No runs.")
		}
		return w.err
	}
	if err := runTable(w, r.Runs); err != nil {
		return err
	}
	for _, run := range r.Runs {
		if run.State.Open() || run.State == db.RunFailed || run.Next != "" { // what became of the others is in their reports
			printWaiting(w, run)
		}
	}
	if r.More {
		fmt.Fprintln(w, "\nThere are more: --limit N, --job JOB, or --before NUMBER of one company.")
	}
	return w.err
}

// runTable lists runs, one a line.
func runTable(w io.Writer, runs []jobs.RunInfo) error {
	t := newTable(w, "RUN", "JOB", "FOR", "STATE", "BY", "AUDIENCE", "SENT", "NOT SENT", "LEFT", "RATE", "EXPECTED END")
	for _, r := range runs {
		t.row(r.RunName, r.Job, jobs.OnClocks(r.Scheduled), r.State, r.StartedBy, audienceOf(r), jobs.Grouped(r.Sent), jobs.Grouped(r.Sum()-r.Sent), jobs.Grouped(r.Left), rateText(r), expectedEnd(r))
	}
	return t.end()
}

// companyClock is a time as clocks of a company show it, for its runs are named by such; "-" for none.
func companyClock(t *time.Time, zone string) string {
	if t == nil {
		return "-"
	}
	return t.In(zoneOf(zone)).Format(time.DateTime)
}

// zoneOf is a company's time zone; UTC for one that this computer does not know.
func zoneOf(name string) *time.Location {
	if zone, err := time.LoadLocation(name); err == nil {
		return zone
	}
	return time.UTC
}

// audienceOf is how many rows the audience has; those that there are so far while they are being made; "" where there is none.
func audienceOf(r jobs.RunInfo) string {
	switch {
	case r.Audience != nil:
		return jobs.Grouped(*r.Audience)
	case r.State.Open() && r.State != db.RunAsked:
		return jobs.Grouped(r.Enqueued) + " so far"
	}
	return ""
}

func rateText(r jobs.RunInfo) string {
	if r.Rate == 0 {
		return ""
	}
	return jobs.Grouped(int64(r.Rate)) + "/hour"
}

// expectedEnd is when a run will have ended, as far as is known, or when it has.
func expectedEnd(r jobs.RunInfo) string {
	switch {
	case r.EndedAt != nil:
		return "ended " + companyClock(r.EndedAt, r.Timezone)
	case r.Finish != nil:
		return companyClock(r.Finish, r.Timezone)
	}
	return ""
}

// printWaiting says what a run waits for, unless it has ended and nothing is to be said.
func printWaiting(w io.Writer, r jobs.RunInfo) {
	if r.Waits == "" {
		return
	}
	fmt.Fprintf(w, "\n%s %s: %s\n", clean(r.RunName), clean(r.Job), clean(r.Waits))
	if r.Next != "" {
		fmt.Fprintf(w, "  What to do: %s\n", clean(r.Next))
	}
}

// changedFlags are common to the commands that change a run.
type changedFlags struct {
	Name   string `arg:"" name:"run" help:"As acme/12."`
	Reason string `help:"Why, for the audit and for whoever looks at the run later." placeholder:"TEXT"`
	JSON   bool   `help:"Print JSON."`
}

// by is the request's part that every change has.
func (c changedFlags) by() jobs.By { return jobs.By{Reason: c.Reason} }

// check refuses what is no run's name before anybody is asked.
func (c changedFlags) check() error {
	_, err := jobs.ParseRun(c.Name)
	return err
}

// print says what was done, and how the run is since.
func (c changedFlags) print(i *invocation, r jobs.RunInfo, done string) error {
	if c.JSON {
		return printJSON(i.stdout, r, "  ")
	}
	w := &errorWriter{w: i.stdout}
	fmt.Fprintf(w, "%s: %s\n", clean(r.RunName), done)
	printWaiting(w, r)
	return w.err
}

type mailingApproveCommand struct {
	changedFlags
	NoWait bool `help:"Do not follow how it goes."`
}

// Run lets a held run go, and follows it.
func (c mailingApproveCommand) Run(i *invocation) error {
	if err := c.check(); err != nil {
		return err
	}
	reply, err := ask(i, opMailingApprove, jobs.MailingApproveRequest{By: c.by(), Run: c.Name})
	if err != nil {
		return err
	}
	if c.JSON || c.NoWait {
		return c.print(i, reply, "approved, it goes")
	}
	return follow(i, reply)
}

type mailingStopCommand struct {
	changedFlags
	Cancel bool `help:"For good: what has not gone is cancelled."`
}

// Run has a run send nothing more.
func (c mailingStopCommand) Run(i *invocation) error {
	if err := c.check(); err != nil {
		return err
	}
	reply, err := ask(i, opMailingStop, jobs.MailingStopRequest{By: c.by(), Run: c.Name, Cancel: c.Cancel})
	if err != nil {
		return err
	}
	done := "stopped: what is on its way ends, nothing more is sent"
	if c.Cancel {
		done = "cancelled: what is on its way ends, nothing more is sent"
	}
	return c.print(i, reply, done)
}

type mailingResumeCommand struct{ changedFlags }

// Run has a run go on, or begin.
func (c mailingResumeCommand) Run(i *invocation) error {
	if err := c.check(); err != nil {
		return err
	}
	reply, err := ask(i, opMailingResume, jobs.MailingResumeRequest{By: c.by(), Run: c.Name})
	if err != nil {
		return err
	}
	return c.print(i, reply, "it goes on")
}
