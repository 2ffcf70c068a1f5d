package main

import (
	"fmt"
	"strings"
	"time"

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
	t := newTable(w, "ACCOUNT", "STATE", "LAST SUCCESS", "SERVER", "ENCRYPTION", "USER", "FROM", "LIMITS", "COMPANIES")
	for _, a := range reply.Accounts {
		t.row(a.Account, stateText(a.AccountStatus), clockOf(a.LastSuccess), fmt.Sprintf("%s:%d", a.Host, a.Port), a.Encryption, a.Username, a.From, strings.Join(a.Limits, ", "), orAll(a.Companies))
	}
	if err := t.end(); err != nil {
		return err
	}
	var all []jobs.AccountStatus
	for _, a := range reply.Accounts {
		all = append(all, a.AccountStatus)
	}
	printAccountTroubles(w, all, time.Time{})
	return w.err
}

func orAll(list []string) string {
	if len(list) == 0 {
		return "all"
	}
	return strings.Join(list, ", ")
}
