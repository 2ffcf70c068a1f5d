package main

import (
	"fmt"
	"strings"
	"time"

	"outboxd/jobs"
)

type accountPauseCommand struct {
	Account string        `arg:"" help:"The account's name."`
	For     time.Duration `help:"For so long, as in 2h; else until outboxd account resume." placeholder:"TIME"`
	Reason  string        `help:"Why, for the audit and for whoever looks at the account meanwhile." placeholder:"TEXT"`
	JSON    bool          `help:"Print JSON."`
}

// Run pauses an account.
func (c accountPauseCommand) Run(i *invocation) error {
	q := jobs.AccountPauseRequest{By: jobs.By{Reason: c.Reason}, Account: c.Account, For: c.For}
	reply, err := ask(i, opAccountPause, q)
	if err != nil {
		return err
	}
	until := "until outboxd account resume " + c.Account
	if reply.PausedUntil != nil {
		until = "until " + clockOf(reply.PausedUntil)
	}
	return printChanged(i, reply, c.JSON, "paused "+until+"; mails in flight end, the others wait")
}

type accountResumeCommand struct {
	Account string `arg:"" help:"The account's name."`
	Reason  string `help:"Why, for the audit." placeholder:"TEXT"`
	JSON    bool   `help:"Print JSON."`
}

// Run resumes an account.
func (c accountResumeCommand) Run(i *invocation) error {
	reply, err := ask(i, opAccountResume, jobs.AccountResumeRequest{By: jobs.By{Reason: c.Reason}, Account: c.Account})
	if err != nil {
		return err
	}
	return printChanged(i, reply, c.JSON, "not paused any more")
}

func printChanged(i *invocation, r jobs.AccountChangeReply, json bool, done string) error {
	if json {
		return printJSON(i.stdout, r, "  ")
	}
	w := &errorWriter{w: i.stdout}
	fmt.Fprintf(w, "%s: %s\n", clean(strings.Join(r.Accounts, ", ")), clean(done))
	printAccountTroubles(w, []jobs.AccountStatus{r.AccountStatus}, time.Now())
	return w.err
}
