package jobs

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"outboxd/db/dbtest"
	"outboxd/jobs/jobfile"
)

func TestResolve(t *testing.T) {
	r := &resolver{company: "acme", accounts: []*jobfile.Account{
		{Name: "resting", SenderDomains: []string{"acme.example"}},
		{Name: "invoices", SenderDomains: []string{"acme.example", "Rechnung.example"}, Active: true},
		{Name: "archive", SenderDomains: []string{"old.example"}},
		{Name: "any", Active: true},
	}}
	for _, c := range []struct{ account, from, want, refusal string }{
		{"", "", "invoices", ""},
		{"", "  ", "invoices", ""},
		{"", "Eva <eva@acme.example>", "invoices", ""},
		{"", "eva@ACME.example", "invoices", ""},
		{"", "eva@rechnung.example", "invoices", ""},
		{"", "eva@elsewhere.example", "any", ""},
		{"", "eva@old.example", "any", ""},
		{"any", "", "any", ""},
		{"ANY", "eva@acme.example", "any", ""},
		{"resting", "", "resting", ""},
		{"resting", "eva@old.example", "", "account resting may not send as @old.example: its sender_domains are acme.example"},
		{"nobody", "", "", `account "nobody" is none that this company may use: set one of resting, invoices, archive, any`},
		{"", "nobody", "", `from_address "nobody"`},
		{"any", "a@b, c@d", "", `from_address`},
	} {
		got, err := r.resolve(c.account, c.from)
		var refused *rowError
		switch {
		case c.refusal == "" && (err != nil || got.Name != c.want):
			t.Errorf("%q %q: %v %v, want %s", c.account, c.from, got, err, c.want)
		case c.refusal != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.refusal)):
			t.Errorf("%q %q: %v, want %s", c.account, c.from, err, c.refusal)
		}
	}
	r.accounts = r.accounts[:3]
	if got, err := r.resolve("", "eva@old.example"); err != nil || got.Name != "archive" {
		t.Errorf("the only one is inactive, so the row waits for it: %v %v", got, err)
	}
	if _, err := r.resolve("", "eva@elsewhere.example"); err == nil || !strings.Contains(err.Error(), "may send as @elsewhere.example") {
		t.Errorf("%v", err)
	}
	r.accounts = nil
	if _, err := r.resolve("", ""); err == nil || !strings.Contains(err.Error(), "no account") {
		t.Errorf("%v", err)
	}
}

// TestRouteHash compares with the table's own computed column.
func TestRouteHash(t *testing.T) {
	d := dbtest.New(t)
	for _, c := range []struct{ account, from string }{
		{"", ""}, {"main", ""}, {"MAIN", "a@b.example"}, {"", "a@B.example"}, {"", "Eva <a@b.example>"}, {"", " <a@b.example> "},
		{"", "nobody"}, {"", "\"x@y\" <a@b.example>"}, {"", "a@münchen.example"}, {"", "a@b.example "}, {"", "@"}, {"", ">@<"},
	} {
		d.Exec(t, `INSERT INTO {db}.outbox (recipients, account, from_address) VALUES ('x@y', NULLIF(?, ''), NULLIF(?, ''))`, c.account, c.from)
		want := d.Read(t, `SELECT route FROM {db}.outbox ORDER BY id DESC LIMIT 1`)
		if got := strconv.FormatUint(uint64(routeHash(c.account, c.from)), 10); got != want {
			t.Errorf("%q %q: %s, the table says %s", c.account, c.from, got, want)
		}
	}
}
