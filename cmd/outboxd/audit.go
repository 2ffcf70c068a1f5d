package main

import (
	"fmt"

	"outboxd/jobs"
)

type auditCommand struct {
	Limit  int    `help:"Most entries." default:"50" placeholder:"N"`
	Before uint64 `help:"Only entries with numbers below this one: the next page." placeholder:"N"`
	JSON   bool   `help:"Print JSON."`
}

// Run shows who did what.
func (c auditCommand) Run(i *invocation) error {
	reply, err := ask(i, opAudit, jobs.AuditRequest{Before: c.Before, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(i.stdout, reply, "  ")
	}
	if len(reply.Entries) == 0 {
		_, err := fmt.Fprintln(i.stdout, "No entries.")
		return err
	}
	t := newTable(i.stdout, "NUMBER", "TIME", "WHO", "WHAT", "TO WHAT", "REASON", "DETAIL")
	for _, e := range reply.Entries {
		t.row(e.ID, clock(e.At), e.Actor, e.Action, e.Target, e.Reason, short(e.Detail, 60))
	}
	return t.end()
}
