package main

import (
	"fmt"

	"outboxd/db"
	"outboxd/jobs"
)

// changeFlags are common to the commands that change rows.
type changeFlags struct {
	Rows   []string `arg:"" name:"row" help:"As acme/17; several at once."`
	Reason string   `help:"Why, for the audit and for whoever looks at the row later." placeholder:"TEXT"`
	JSON   bool     `help:"Print JSON."`
}

// request checks the names of all rows before anything is done.
func (c changeFlags) request() (jobs.ChangeRequest, error) {
	for _, row := range c.Rows {
		if _, err := jobs.ParseRow(row); err != nil {
			return jobs.ChangeRequest{}, err
		}
	}
	return jobs.ChangeRequest{By: jobs.By{Reason: c.Reason}, Rows: c.Rows}, nil
}

// change asks for a change and tells what became of each row. One that could not be changed makes the exit status 1.
func change[Q any](i *invocation, o operation[Q, jobs.ChangeReply], q Q, json bool, done string) error {
	reply, err := ask(i, o, q)
	if err != nil {
		return err
	}
	failed := false
	w := &errorWriter{w: i.stdout}
	for _, r := range reply.Results {
		failed = failed || !r.Done
		switch {
		case json:
		case r.Done:
			fmt.Fprintf(w, "%s: %s\n", clean(r.Row), done)
		default:
			fmt.Fprintf(i.stderr, "%s: not done: %s\nWhat to do: %s\n", clean(r.Row), clean(r.Error), clean(r.Hint))
		}
	}
	if json {
		w.err = printJSON(i.stdout, reply, "  ")
	}
	if w.err == nil && failed {
		return exitError(exitFailed)
	}
	return w.err
}

// change is change for the commands whose request is a plain one.
func (c changeFlags) change(i *invocation, o operation[jobs.ChangeRequest, jobs.ChangeReply], done string) error {
	q, err := c.request()
	if err != nil {
		return err
	}
	return change(i, o, q, c.JSON, done)
}

// wantsReason refuses a command without a reason before anybody is asked.
func (c changeFlags) wantsReason(command string) error {
	if c.Reason != "" {
		return nil
	}
	return &usageError{command + " wants a reason", "say how you know, for whoever reads the audit later: --reason TEXT"}
}

type queueRetryCommand struct{ changeFlags }

// Run queues rows again.
func (c queueRetryCommand) Run(i *invocation) error {
	return c.change(i, opQueueRetry, "queued again, to go at once")
}

type queueHoldCommand struct{ changeFlags }

// Run keeps rows back.
func (c queueHoldCommand) Run(i *invocation) error {
	return c.change(i, opQueueHold, "held until it is released")
}

// heldFlags name rows by what they are.
type heldFlags struct {
	Rows    []string `arg:"" optional:"" name:"row" help:"As acme/17; several at once."`
	Held    bool     `help:"In place of rows: all held ones of the company."`
	Surplus bool     `help:"In place of rows: those that a job's hold_above has held."`
	Company string   `help:"With --held and --surplus: whose." placeholder:"NAME"`
	Reason  string   `help:"Why, for the audit and for whoever looks at the row later." placeholder:"TEXT"`
	JSON    bool     `help:"Print JSON."`
}

// change changes the named rows, or the held ones step by step until none is left.
func (c heldFlags) change(i *invocation, o operation[jobs.ChangeRequest, jobs.ChangeReply], done string) error {
	if !c.Held && !c.Surplus {
		return changeFlags{c.Rows, c.Reason, c.JSON}.change(i, o, done)
	}
	q := jobs.ChangeRequest{By: jobs.By{Reason: c.Reason}, Rows: c.Rows, Company: c.Company, Held: c.Held, Surplus: c.Surplus}
	changed := 0
	for {
		reply, err := ask(i, o, q)
		if err != nil {
			fmt.Fprintf(i.stderr, "%d rows %s before that.\n", changed, done)
			return err
		}
		if changed += reply.Changed; reply.Last == 0 {
			break
		}
		q.After = reply.Last
	}
	if c.JSON {
		return printJSON(i.stdout, jobs.ChangeReply{Results: []jobs.ChangeResult{}, Changed: changed}, "  ")
	}
	w := &errorWriter{w: i.stdout}
	fmt.Fprintf(w, "%s %s\n", counted(changed, "row"), done)
	return w.err
}

type queueReleaseCommand struct{ heldFlags }

// Run lets held rows go.
func (c queueReleaseCommand) Run(i *invocation) error {
	if err := (changeFlags{Reason: c.Reason}).wantsReason("queue release"); err != nil {
		return err
	}
	return c.change(i, opQueueRelease, "released")
}

type queueCancelCommand struct{ heldFlags }

// Run ends rows unsent.
func (c queueCancelCommand) Run(i *invocation) error { return c.change(i, opQueueCancel, "cancelled") }

type queueSettleCommand struct {
	changeFlags
	As string `help:"What became of the mail: sent or failed." enum:"sent,failed" required:"" placeholder:"STATE"`
}

// Run ends uncertain rows as a person says.
func (c queueSettleCommand) Run(i *invocation) error {
	if err := c.wantsReason("queue settle"); err != nil {
		return err
	}
	q, err := c.request()
	if err != nil {
		return err
	}
	return change(i, opQueueSettle, jobs.SettleRequest{ChangeRequest: q, As: db.State(c.As)}, c.JSON, "settled as "+c.As)
}
