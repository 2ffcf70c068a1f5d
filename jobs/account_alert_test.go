package jobs

import (
	"slices"
	"testing"

	"outboxd/jobs/jobfile"
)

// TestAlertsGoByTheGeneralAccount: others of all companies stand in for it, those of a company or a person never.
func TestAlertsGoByTheGeneralAccount(t *testing.T) {
	file := &jobfile.File{Alerts: &jobfile.Alerts{Account: "system"}, Accounts: []*jobfile.Account{
		{Name: "eva", SenderAddresses: []string{"eva@acme.example"}}, {Name: "news"}, {Name: "acme", Companies: []string{"acme"}}, {Name: "system"}, {Name: "asleep"}}}
	e := &Engine{world: &World{File: file}, accounts: map[string]*account{}}
	for _, conf := range file.Accounts[:4] {
		e.accounts[conf.Name] = &account{conf: conf}
	}
	var got []string
	for _, a := range e.alertSenders() {
		got = append(got, a.Account())
	}
	if !slices.Equal(got, []string{"system", "news"}) {
		t.Errorf("alerts go by %v", got)
	}
}
