package main

import (
	"fmt"
	"strings"

	"outboxd/jobs"
)

type accountListCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run shows all accounts.
func (c accountListCommand) Run(i *invocation) error {
	reply, err := ask(i, opAccountList, jobs.AccountListRequest{})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(i.stdout, reply, "  ")
	}
	w := &errorWriter{w: i.stdout}
	t := newTable(w, "ACCOUNT", "STATE", "SERVER", "ENCRYPTION", "USER", "FROM", "LIMITS", "COMPANIES")
	for _, a := range reply.Accounts {
		t.row(a.Account, a.State, fmt.Sprintf("%s:%d", a.Host, a.Port), a.Encryption, a.Username, a.From, strings.Join(a.Limits, ", "), orAll(a.Companies))
	}
	if err := t.end(); err != nil {
		return err
	}
	var all []jobs.AccountStatus
	for _, a := range reply.Accounts {
		all = append(all, a.AccountStatus)
	}
	printAccountTroubles(w, all)
	return w.err
}

func orAll(list []string) string {
	if len(list) == 0 {
		return "all"
	}
	return strings.Join(list, ", ")
}

type accountTestCommand struct {
	Account string `arg:"" help:"The account's name."`
	To      string `help:"Also send a test mail to this address, within the account's limits." placeholder:"ADDRESS"`
	Reason  string `help:"Why, for the audit." placeholder:"TEXT"`
	JSON    bool   `help:"Print JSON."`
}

// Run tests an account. A test that fails is exit status 1.
func (c accountTestCommand) Run(i *invocation) error {
	reply, err := ask(i, opAccountTest, jobs.AccountTestRequest{By: jobs.By{Reason: c.Reason}, Account: c.Account, To: c.To})
	if err != nil {
		return err
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
		t.row(s.Step, s.Result, s.Text)
	}
	if err := t.end(); err != nil {
		return err
	}
	w := &errorWriter{w: i.stdout}
	if len(r.Offers) > 0 {
		fmt.Fprintln(w, "The server offers:", clean(strings.Join(r.Offers, ", ")))
	}
	if s, failed := r.FailedStep(); failed && s.Remedy != "" {
		fmt.Fprintln(w, "What to do:", clean(s.Remedy))
	}
	return w.err
}
