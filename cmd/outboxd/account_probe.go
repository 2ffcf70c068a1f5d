package main

import (
	"fmt"
	"strings"
	"time"

	"outboxd/jobs"
)

type accountTestCommand struct {
	Account      string        `arg:"" help:"The account's name."`
	SendAs       string        `help:"Also ask whether the account may send as this address." placeholder:"ADDRESS"`
	To           string        `help:"Also send a test mail to this address, one of each sender, within the account's limits." placeholder:"ADDRESS"`
	ReadBack     string        `help:"Look for the test mails in this mailbox, which --to leads to, and show SPF, DKIM and DMARC as its server saw them: imaps://USER@HOST[:993]/FOLDER." placeholder:"URL"`
	PasswordFile string        `help:"The file with the mailbox's password, closed to others; without it the variable OUTBOXD_IMAP_PASSWORD has it." placeholder:"FILE"`
	Wait         time.Duration `help:"How long to look for the mails." default:"2m" placeholder:"TIME"`
	Reason       string        `help:"Why, for the audit." placeholder:"TEXT"`
	JSON         bool          `help:"Print JSON."`
}

// Run tests an account. A test that fails is exit status 1.
func (c accountTestCommand) Run(i *invocation) error {
	mailbox, err := c.mailbox(i)
	if err != nil {
		return err
	}
	reply, err := ask(i, opAccountTest, jobs.AccountTestRequest{By: jobs.By{Reason: c.Reason}, Account: c.Account, SendAs: c.SendAs, To: c.To})
	if err != nil {
		return err
	}
	if mailbox != nil {
		c.readBack(i.ctx, *mailbox, &reply)
	}
	if c.JSON {
		err = printJSON(i.stdout, reply, "  ")
	} else {
		err = printTest(i, reply)
	}
	if err == nil && !reply.OK {
		return exitError(exitFailed)
	}
	return err
}

func printTest(i *invocation, r jobs.AccountTestReply) error {
	t := newTable(i.stdout)
	for _, s := range r.Steps {
		t.row(nameOfStep(s), s.Result, s.Text)
	}
	if err := t.end(); err != nil {
		return err
	}
	w := &errorWriter{w: i.stdout}
	if len(r.Offers) > 0 {
		fmt.Fprintln(w, "The server offers:", clean(strings.Join(r.Offers, ", ")))
	}
	for _, s := range r.Steps {
		if s.Result != jobs.StepFailed {
			continue
		}
		fmt.Fprintf(w, "\n%s failed", clean(nameOfStep(s)))
		if s.At != "" && s.At != s.Step {
			fmt.Fprintf(w, " at %s", clean(s.At))
		}
		if s.Cause != "" {
			fmt.Fprintf(w, ", cause: %s", clean(s.Cause))
		}
		fmt.Fprintln(w)
		if s.Remedy != "" {
			fmt.Fprintln(w, "What to do:", clean(s.Remedy))
		}
	}
	return w.err
}

// nameOfStep is a step with the sender that it is about.
func nameOfStep(s jobs.TestStep) string {
	switch {
	case s.As == "":
		return s.Step
	case s.Step == "send as":
		return s.Step + " " + s.As
	}
	return s.Step + " as " + s.As
}
