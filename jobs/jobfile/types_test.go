package jobfile

import "testing"

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
	if !(&Account{}).serves("acme") {
		t.Error("an account for all does not serve acme")
	}
	some := &Account{Companies: []string{"acme"}}
	if !some.serves("acme") || some.serves("beta") {
		t.Error("an account for acme")
	}
}
