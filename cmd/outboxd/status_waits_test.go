package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
)

// TestStatusListsWhatRowsWaitFor: windows, recipient domains, and who stands in for whom; many of them shortened.
func TestStatusListsWhatRowsWaitFor(t *testing.T) {
	until := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	company := jobs.CompanyStatus{Company: "acme", Waits: []jobs.CompanyWait{{What: "account office", Until: &until, Reason: "its window is Mon-Fri 08:00-18:00"}}}
	for i := range maxWaits {
		company.Waits = append(company.Waits, jobs.CompanyWait{What: fmt.Sprintf("mails to d%d.example", i), Until: &until})
	}
	reply := jobs.StatusReply{Companies: []jobs.CompanyStatus{company, {Company: "beta"}},
		Daemon: &jobs.Live{Companies: map[string]jobs.Health{"beta": {Overflow: []jobs.Overflow{{Job: "send", Account: "invoices", By: "system"}}}}}}
	var out strings.Builder
	printWaits(&out, reply)
	for _, want := range []string{"Rows of company acme wait for:\n  account office until " + clockOf(&until) + ": its window is Mon-Fri 08:00-18:00\n", "  and 1 more: outboxd status --json\n",
		"Account system sends the mail of account invoices of company beta (overflow)\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
	if n := strings.Count(out.String(), "\n  "); n != maxWaits+1 {
		t.Errorf("%d lines: %s", n, out.String())
	}
}
