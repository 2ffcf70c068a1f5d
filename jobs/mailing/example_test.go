package mailing_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/acme"
	"outboxd/db"
	"outboxd/db/dbtest"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/library"
)

// sampled makes a schema with the sample tables of an example company.
func sampled(t *testing.T, sample string) *dbtest.Database {
	t.Helper()
	d := dbtest.New(t)
	s := d.Server
	client, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s:%d)/%s?multiStatements=true", s.Username, s.Password, s.Host, s.Port, d.Name))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.ExecContext(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	return d
}

// The audiences of the example are those of the sample tables: who gets a mail, and who is skipped.
func TestAudiencesOfTheExample(t *testing.T) {
	file, problems := jobfile.Load("../../jobs.yaml")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	staff := []string{"jan@acme.example", "eva@acme.example", "peter@acme.example", "ann@acme.example", "zuzana@acme.example", "- NULL"}
	served := []string{"uctaren@podlipou.example", "accounts@bistro.example", "faktury@panorama.example", "faktury@panorama.example", "accounts@greendeli.example", "left-the-company@example.org",
		"jedalen@skola.example", "accounts@obrien.example", "- pekaren at zajac.example", "- NULL"} // customers with open items
	lately := without(served, "left-the-company@example.org")
	members := []string{"alice@example.net", "alice@example.net", "cyril@example.net", "dana@example.net", "hana@example.net", "julia@example.net", "- NULL", "- george.hill"}
	librarians := []string{"ruth@library.example", "tomas@library.example", "ines@library.example"}
	for company, c := range map[string]struct {
		sample string
		with   map[string]any
		want   map[string][]string
	}{
		"acme": {acme.Sample, map[string]any{"tag": "vip", "min": json.Number("1.00")}, map[string][]string{
			"administrators": {"jan@acme.example", "zuzana@acme.example"}, "staff": staff,
			"active-in-a-year": append([]string{"objednavky@pramen.example"}, served...), "active-in-60-days": lately,
			"everybody": slices.Concat(staff, served, []string{"objednavky@pramen.example", "hello@teahouse.example"}),
			"tagged":    {"uctaren@podlipou.example", "faktury@panorama.example"},
			"press":     {"desk@gazette.example", "redakcia@noviny.example"}, "open-items": served,
			"overdue": {"left-the-company@example.org", "uctaren@podlipou.example", "faktury@panorama.example", "faktury@panorama.example", "jedalen@skola.example", "- pekaren at zajac.example", "- NULL"},
		}},
		"library": {library.Sample, map[string]any{"tag": "book-club"}, map[string][]string{
			"administrators": {"ruth@library.example"}, "staff": librarians, "active-in-a-year": members,
			"active-in-60-days":  without(members, "dana@example.net", "hana@example.net"),
			"everybody":          slices.Concat(librarians, members, []string{"fiona@example.net"}),
			"with-items-on-loan": {"alice@example.net", "alice@example.net", "cyril@example.net", "dana@example.net", "- NULL"},
			"tagged":             {"alice@example.net", "dana@example.net", "fiona@example.net"}, "friends": {"bookshop@example.net", "school@example.net"},
		}},
	} {
		t.Run(company, func(t *testing.T) {
			d, entry := sampled(t, c.sample), file.Company(company)
			if len(entry.Audiences) != len(c.want) {
				t.Errorf("%d audiences, and %d are expected", len(entry.Audiences), len(c.want))
			}
			for _, a := range entry.Audiences {
				s := mailing.FromAudience(entry, mailing.Start{Audience: a.Name, With: c.with, Subject: "S", Text: "T"})
				var got []string
				for _, m := range now(t, d, s) {
					got = append(got, shown(m))
				}
				want := slices.Sorted(slices.Values(c.want[a.Name]))
				if slices.Sort(got); !slices.Equal(got, want) {
					t.Errorf("%s: %q, want %q", a.Name, got, want)
				}
			}
		})
	}
}

// What the example's mailings know of one mail, by its key: all that their templates and statements name.
func TestMailingsOfTheExample(t *testing.T) {
	file, problems := jobfile.Load("../../jobs.yaml")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	bases := map[string]*dbtest.Database{"acme": sampled(t, acme.Sample), "library": sampled(t, library.Sample)}
	for _, want := range []struct {
		company, job, key, reference, language string
		params                                 []string
	}{
		{"acme", "statements", "1013", "", "en", []string{`"customer_id":1013`, `"name":"O'Brien & Sons"`, `"total":2150.00`, `"opening":0.00`, `"currency":"EUR"`, `"pdf":"terms.pdf"`, `"iban":"SK31 1200 0000 1987 4263 7541"`, `"from":"20`, `"to":"20`}},
		{"acme", "reminders", "6 / 2", "invoice:4706", "sk", []string{`"invoice_id":6`, `"level":2`, `"number":"4706"`, `"total":1034.00`, `"days":5`, `"grace":10`, `"name":"Kaviareň Pod Lipou s.r.o."`, `"issued":"20`, `"due":"20`}},
		{"acme", "newsletter", "1009", "", "sk", []string{`"name":"Kníhkupectvo Prameň"`}},
		{"library", "newsletter", "208", "", "sk", []string{`"name":"Hana Malá"`}},
		{"library", "on-loan", "202", "", "en", []string{`"member_id":202`, `"name":"Ben Meyer"`, `"items":2`, `"first_due":"20`}},
	} {
		c := file.Company(want.company)
		i := slices.IndexFunc(c.Jobs.Mailing, func(m *jobfile.Mailing) bool { return m.Name == want.job })
		if i < 0 {
			t.Fatalf("%s has no job %s", want.company, want.job)
		}
		all := now(t, bases[want.company], mailing.FromJob(c, c.Jobs.Mailing[i]))
		at := slices.IndexFunc(all, func(m db.NewMail) bool { return m.Key == want.key })
		if at < 0 {
			t.Errorf("%s: nothing about %s", want.job, want.key)
			continue
		}
		if m := all[at]; m.Reference != want.reference || m.Language != want.language {
			t.Errorf("%s: %+v", want.job, m)
		}
		for _, part := range want.params {
			if !strings.Contains(all[at].Params, part) {
				t.Errorf("%s: %s lacks %s", want.job, all[at].Params, part)
			}
		}
	}
}

// now asks for the audience of a run that is scheduled for now.
func now(t *testing.T, d *dbtest.Database, s mailing.Spec) []db.NewMail {
	t.Helper()
	sp, err := mailing.Read(deadline(t), d.Pool, d.Name, s, time.Now().UTC().Truncate(time.Second), db.ReadLimits{Time: time.Minute})
	must(t, err)
	defer sp.Close()
	return mails(t, sp)
}

// shown is a mail's address, after a dash when it is not sent.
func shown(m db.NewMail) string {
	address := m.Recipients
	if address == "" {
		address = "NULL"
	}
	if m.State == db.Skipped {
		return "- " + address
	}
	return address
}

func without(all []string, some ...string) (left []string) {
	for _, s := range all {
		if !slices.Contains(some, s) {
			left = append(left, s)
		}
	}
	return left
}
