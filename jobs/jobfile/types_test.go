package jobfile

import (
	"strings"
	"testing"
)

func TestIdentity(t *testing.T) {
	a := Account{Name: "a", Username: "Invoices@Acme.example", Host: "SMTP.Acme.example"}
	if got, want := a.Identity(), "invoices@acme.example@smtp.acme.example"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := (&Account{Host: "Relay", Port: 25}).Identity(); got != "relay:25" {
		t.Errorf("without a username: %s", got)
	}
}

func TestServes(t *testing.T) {
	if !(&Account{}).Serves("acme") {
		t.Error("an account for all does not serve acme")
	}
	some := &Account{Companies: []string{"acme"}}
	if !some.Serves("acme") || some.Serves("beta") {
		t.Error("an account for acme")
	}
}

// TestOverflow is written yes or no, and true or false as other switches are.
func TestOverflow(t *testing.T) {
	for text, want := range map[string]bool{"yes": true, "no": false, "true": true, "false": false} {
		a, problems := loadAccount(t, "host: h.example, from: a@acme.example, overflow: "+text)
		if a.Overflow != want || len(problems) > 0 {
			t.Errorf("%s: %v, %v", text, a.Overflow, problems)
		}
	}
}

// TestDomainsOfLimits are kept as addresses have them, in the order of the file.
func TestDomainsOfLimits(t *testing.T) {
	a, _ := loadAccount(t, `host: h.example, from: a@acme.example, per_domain: {GMAIL.com: 10/minute, "*": 200/hour, účtáreň.example: unlimited}, sender_addresses: [A@ACME.example]`)
	var got []string
	for _, d := range a.PerDomain {
		got = append(got, d.Name+" "+d.Rate.String())
	}
	if s := strings.Join(got, ", "); s != "gmail.com 10/minute, * 200/hour, xn--tre-ela7jwevs.example unlimited" || a.SenderAddresses[0] != "A@acme.example" {
		t.Errorf("%s, %v", s, a.SenderAddresses)
	}
}
