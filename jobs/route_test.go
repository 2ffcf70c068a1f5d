package jobs

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
	"testing"

	"outboxd/db/dbtest"
	"outboxd/jobs/jobfile"
)

// routeAccounts are those of a company, in order of preference.
func routeAccounts() []*jobfile.Account {
	return []*jobfile.Account{
		{Name: "resting", From: "noreply@acme.example", SenderDomains: []string{"acme.example"}},
		{Name: "invoices", From: "Invoices <invoices@acme.example>", ReplyTo: "accounts@acme.example", SenderDomains: []string{"acme.example", "Rechnung.example"}, Active: true},
		{Name: "archive", From: "noreply@old.example", SenderDomains: []string{"old.example"}},
		{Name: "eva", From: "eva@acme.example", SenderAddresses: []string{"eva@acme.example", "info@acme.example"}, Active: true},
		{Name: "jan", From: "jan@acme.example", SenderAddresses: []string{"jan@acme.example"}},
		{Name: "any", From: "Any <any@any.example>", Active: true},
	}
}

// TestTheGeneralAccountIsEveryCompanys: named by a row, under its own sender, also where the company lists others alone. What names
// no account never goes by it then.
func TestTheGeneralAccountIsEveryCompanys(t *testing.T) {
	general := &jobfile.Account{Name: jobfile.GeneralAccount, From: "noreply@acme.example", Active: true}
	own := &jobfile.Account{Name: "invoices", From: "invoices@acme.example", SenderDomains: []string{"acme.example"}, Active: true}
	r := newResolver(&jobfile.File{Accounts: []*jobfile.Account{general, own}}, &jobfile.Company{Accounts: []string{"invoices"}})
	if w, err := r.resolve("system", ""); err != nil || w.account != general {
		t.Errorf("named: %+v %v", w, err)
	}
	if w, err := r.resolve("", ""); err != nil || w.account != own {
		t.Errorf("not named: %+v %v", w, err)
	}
	for _, c := range []struct{ account, from string }{{"system", "eva@acme.example"}, {"", "eva@elsewhere.example"}} {
		var refused *rowError
		if w, err := r.resolve(c.account, c.from); !errors.As(err, &refused) {
			t.Errorf("%q %q: goes by %+v, %v", c.account, c.from, w.account, err)
		}
	}
	if names := r.names(); names != "invoices" {
		t.Errorf("a hint names %s", names)
	}
}

func TestResolve(t *testing.T) {
	r := &resolver{accounts: routeAccounts()}
	for _, c := range []struct{ account, from, want, as, refusal string }{
		{"", "", "invoices", "Invoices <invoices@acme.example>", ""},
		{"", "  ", "invoices", "Invoices <invoices@acme.example>", ""},
		{"", "Ida <ida@acme.example>", "invoices", "Ida <ida@acme.example>", ""},
		{"", "ida@ACME.example", "invoices", "ida@acme.example", ""},
		{"", "ida@rechnung.example", "invoices", "ida@rechnung.example", ""},
		{"", "ida@elsewhere.example", "any", "ida@elsewhere.example", ""},
		{"", "ida@old.example", "any", "ida@old.example", ""},
		{"", "Eva <eva@acme.example>", "eva", "Eva <eva@acme.example>", ""},
		{"", "Info@Acme.example", "eva", "Info@acme.example", ""},
		{"", "jan@acme.example", "invoices", "jan@acme.example", ""}, // his own is not active
		{"any", "", "any", "Any <any@any.example>", ""},
		{"ANY", "eva@acme.example", "any", "eva@acme.example", ""},
		{"eva", "", "eva", "eva@acme.example", ""},
		{"resting", "", "resting", "noreply@acme.example", ""},
		{"eva", "ida@acme.example", "", "", "account eva may not send as ida@acme.example: its sender_addresses are eva@acme.example, info@acme.example"},
		{"resting", "eva@old.example", "", "", "account resting may not send as @old.example: its sender_domains are acme.example"},
		{"nobody", "", "", "", `account "nobody" is none that this company may use: set one of resting, invoices, archive, eva, jan, any`},
		{"nobody", "eva@acme.example", "", "", `account "nobody" is none that this company may use`},
		{"", "nobody", "", "", `from_address "nobody"`},
		{"any", "a@b, c@d", "", "", `from_address`},
	} {
		got, err := r.resolve(c.account, c.from)
		var refused *rowError
		switch {
		case c.refusal == "" && (err != nil || got.account.Name != c.want || got.from.String() != c.as || got.person.Host != "" || got.replyTo != got.account.ReplyTo):
			t.Errorf("%q %q: %+v %v, want %s as %s", c.account, c.from, got, err, c.want, c.as)
		case c.refusal != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.refusal)):
			t.Errorf("%q %q: %v, want %s", c.account, c.from, err, c.refusal)
		}
	}
	if a, err := r.route("", "eva@acme.example"); err != nil || a.Name != "invoices" {
		t.Errorf("the route of a domain does not go by a person's own account: %v %v", a, err)
	}
	r.accounts = r.accounts[:5]
	if got, err := r.resolve("", "eva@old.example"); err != nil || got.account.Name != "archive" {
		t.Errorf("the only one is inactive, so the row waits for it: %v %v", got, err)
	}
	if _, err := r.resolve("", "ida@elsewhere.example"); err == nil || !strings.Contains(err.Error(),
		"no account of the company may send as @elsewhere.example: ida@elsewhere.example is outside of the sender_domains and sender_addresses of resting, invoices, archive, eva, jan") {
		t.Errorf("%v", err)
	}
	r.accounts = r.accounts[3:]
	if got, err := r.resolve("", "jan@acme.example"); err != nil || got.account.Name != "jan" {
		t.Errorf("only his own may send it, so the row waits for it: %v %v", got, err)
	}
	if _, err := r.resolve("", ""); err == nil || !strings.Contains(err.Error(), "a person's own: set from_address, or account to one of eva, jan") {
		t.Errorf("%v", err)
	}
	r.accounts = nil
	if _, err := r.resolve("", ""); err == nil || !strings.Contains(err.Error(), "no account") {
		t.Errorf("%v", err)
	}
}

// TestSendAs is the table of what the mail of a person goes out as by the general account.
func TestSendAs(t *testing.T) {
	const person, plain, own, named = "Eva Nova <eva@acme.example>", "eva@acme.example", "Acme <noreply@acme.example>", "noreply@acme.example"
	for _, c := range []struct{ provider, account, from, sendAs, to, want string }{
		{"other", own, person, jobfile.Own, "", person},
		{"gmail", own, person, jobfile.Own, "", person},
		{"other", own, person, jobfile.System, plain, "Eva Nova via Acme <noreply@acme.example>"},
		{"other", own, plain, jobfile.System, plain, "eva via Acme <noreply@acme.example>"},
		{"other", named, plain, jobfile.System, plain, "eva via acme.example <noreply@acme.example>"},
		{"other", own, "Acme news <NoReply@acme.example>", jobfile.System, "", "Acme news <NoReply@acme.example>"},
		{"other", own, "", jobfile.System, "", own},
		{"other", own, person, jobfile.Both, "", person},
		{"gmail-relay", own, person, jobfile.Both, "", person},
		{"gmail", own, person, jobfile.Both, plain, "Eva Nova via Acme <noreply@acme.example>"},
		{"office365", own, person, jobfile.Both, plain, "Eva Nova via Acme <noreply@acme.example>"},
		{"gmail", own, "Login <login@acme.example>", jobfile.Both, "", "Login <login@acme.example>"},
		{"gmail", own, "", jobfile.Both, "", own},
	} {
		a := &jobfile.Account{Name: "system", Active: true, Provider: c.provider, Username: "login@acme.example", From: c.account, ReplyTo: "office@acme.example"}
		for _, a.Name = range []string{"system", "other"} {
			w, err := (&resolver{accounts: []*jobfile.Account{a}, sendAs: c.sendAs}).resolve("", c.from)
			if err != nil {
				t.Fatal(err)
			}
			want, to := c.want, "office@acme.example"
			switch {
			case a.Name == "other" && c.from != "":
				want = c.from // send_as is about the general account alone
			case a.Name == "system" && c.to != "":
				to = c.from
			}
			changed := want != cmp.Or(c.from, c.account)
			if w.from.String() != want || w.replyTo != to || changed != (w.person.Host != "") {
				t.Errorf("%s of %s, send_as %s: %+v, want %s with answers to %s", c.from, c.provider, c.sendAs, w, want, to)
			}
		}
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

// TestStandIns is the table of who may stand in for whom: nobody who would change the sender.
func TestStandIns(t *testing.T) {
	account := func(name, provider string, change func(*jobfile.Account)) *jobfile.Account {
		a := &jobfile.Account{Name: name, Provider: provider, Host: name + ".example", Username: name + "@acme.example", From: name + "@acme.example", Active: true}
		change(a)
		return a
	}
	as := func(domains, addresses []string) func(*jobfile.Account) {
		return func(a *jobfile.Account) { a.SenderDomains, a.SenderAddresses = domains, addresses }
	}
	acme, eva := []string{"acme.example"}, []string{"eva@acme.example"}
	any := func(*jobfile.Account) {}
	origin := account("invoices", "other", as(acme, nil))
	r := &resolver{accounts: []*jobfile.Account{
		origin,
		account("twin", "other", func(a *jobfile.Account) { a.Host, a.Username = origin.Host, origin.Username }),
		account("resting", "other", func(a *jobfile.Account) { a.Active = false }),
		account("listed", "office365", as(acme, nil)),
		account("elsewhere", "other", as([]string{"beta.example"}, nil)),
		account("refuses", "office365", any),
		account("rewrites", "gmail", any),
		account("relay", "gmail-relay", any),
		account("eva", "other", as(nil, eva)),
		account("system", "other", any),
	}}
	for _, c := range []struct{ sendAs, from, want string }{
		{jobfile.Own, "", "listed relay system"},
		{jobfile.Own, "eva@acme.example", "listed relay eva system"},
		{jobfile.Both, "ida@acme.example", "listed relay system"},
		{jobfile.System, "ida@acme.example", "listed relay"},
		{jobfile.System, "system@acme.example", "listed relay system"},
		{jobfile.Own, "refuses@acme.example", "listed refuses relay system"}, // its own username
		{jobfile.Own, "ida@beta.example", "elsewhere relay system"},
	} {
		r.sendAs = c.sendAs
		sender, err := parseSender(c.from)
		if err != nil {
			t.Fatal(err)
		}
		w, err := wayBy(origin, c.sendAs, sender)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, a := range r.standIns(w) {
			names = append(names, a.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("send_as %s, from %q: %s, want %s", c.sendAs, c.from, got, c.want)
		}
	}
}
