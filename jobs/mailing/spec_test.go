package mailing_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

func TestASpecIsReadAsItWasWritten(t *testing.T) {
	c := &jobfile.Company{Audiences: []*jobfile.Audience{{Name: "open-items", Query: "SELECT email AS recipients FROM v WHERE total >= :min AND a < b"}}}
	s := mailing.FromJob(c, &jobfile.Mailing{
		Name: "statements", Timing: jobfile.Timing{Was: "old", Host: "mail1"},
		Audience: jobfile.AudienceRef{Name: "open-items", With: []jobfile.Value{{Name: "min", Value: json.Number("0.10")}, {Name: "big", Value: json.Number("18446744073709551615")}, {Name: "all", Value: true}, {Name: "name", Value: "O'Neill"}}},
		Template: "statement", Key: []string{"customer_id"}, OncePer: "month", Account: "invoices", Priority: 4,
		Attach:   []jobfile.Attach{{File: "{pdf}"}, {Query: "SELECT 1", As: "xlsx", Name: "s.xlsx", Options: &jobfile.TableOptions{Totals: []string{"amount"}}}},
		Proof:    &jobfile.Proof{To: []string{"starter"}, Samples: 3},
		Approval: &jobfile.Approval{By: []string{"jan"}, Within: 8 * time.Hour, Else: "cancel"},
		Canary:   &jobfile.Canary{First: 50, Wait: time.Minute, StopAbove: 2.5},
		Recheck:  "SELECT 1", OnSent: "UPDATE a SET b = :sent_at", OnFailed: "UPDATE a SET c = 1", Summary: []string{"eva"},
	})
	if s.Statement != c.Audiences[0].Query || s.Attach[1].Options != `{"totals":["amount"]}` || s.With["big"] != json.Number("18446744073709551615") {
		t.Errorf("%+v", s)
	}
	text := s.JSON()
	again, err := mailing.Parse(text)
	if err != nil || !reflect.DeepEqual(again, s) {
		t.Errorf("%v: %s\nbecame %s", err, text, again.JSON())
	}
	if !strings.Contains(text, `"min":0.10`) || !strings.Contains(text, "total >= :min AND a < b") {
		t.Errorf("people cannot read it: %s", text)
	}
	for _, wrong := range []string{"", "{", "[]", `{"kind": 1}`, "{} {}"} {
		if _, err := mailing.Parse(wrong); err == nil {
			t.Errorf("%q is a spec", wrong)
		}
	}
}

func TestAMailingThatAPersonStartsIsAsTheCompanySays(t *testing.T) {
	c := &jobfile.Company{Audiences: []*jobfile.Audience{{Name: "staff", Query: "SELECT 1"}}}
	start := mailing.Start{Audience: "staff", Subject: "Hello", Text: "Hi", With: map[string]any{"tag": "vip"}}
	s := mailing.FromAudience(c, start)
	if s.Job != "@staff" || s.Statement != "SELECT 1" || s.Priority != 4 || s.Proof != nil || s.Subject != "Hello" || s.Text != "Hi" || s.With["tag"] != "vip" || s.Period(time.Now()) != "" {
		t.Errorf("%+v", s)
	}
	c.Mailing = &jobfile.MailingDefaults{Account: "news", Priority: 5, Proof: &jobfile.Proof{To: []string{"eva"}}, Approval: &jobfile.Approval{By: []string{"jan"}}, Canary: &jobfile.Canary{First: 1}, Summary: []string{"starter"}}
	s = mailing.FromAudience(c, start)
	if s.Account != "news" || s.Priority != 5 || s.Proof == nil || s.Approval == nil || s.Canary == nil || s.Summary[0] != "starter" {
		t.Errorf("%+v", s)
	}
}

func TestAReportGoesByTheSystemAccount(t *testing.T) {
	s := mailing.FromReport(nil, &jobfile.Report{Name: "sales", To: []string{"board@acme.example"}, Subject: "Sales, week {week}", IfEmpty: "skip", Attach: []jobfile.Attach{{Name: "a.xlsx", As: "xlsx", Query: "SELECT 1"}}})
	if s.Kind != mailing.KindReport || s.Account != "system" || s.To[0] != "board@acme.example" || s.IfEmpty != "skip" || s.Attach[0].Query != "SELECT 1" {
		t.Errorf("%+v", s)
	}
}

func TestPeriods(t *testing.T) {
	for _, c := range []struct{ once, at, want string }{
		{"run", "2026-11-22", ""}, {"", "2026-11-22", ""}, {"day", "2026-11-22", "2026-11-22"}, {"week", "2026-11-22", "2026-W47"},
		{"week", "2027-01-01", "2026-W53"}, {"week", "2024-12-30", "2025-W01"}, {"month", "2026-01-31", "2026-01"}, {"quarter", "2026-03-31", "2026-Q1"},
		{"quarter", "2026-04-01", "2026-Q2"}, {"quarter", "2026-12-31", "2026-Q4"}, {"year", "2026-12-31", "2026"}, {"ever", "2026-12-31", "ever"},
	} {
		at, err := time.Parse(time.DateOnly, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := (mailing.Spec{OncePer: c.once}).Period(at); got != c.want {
			t.Errorf("once per %s at %s: %q, not %q", c.once, c.at, got, c.want)
		}
	}
}

// TestP7_AHolidayMovesNoPeriod: a run of January that is held on 31 December mails January's, and so says its spec when it is read again.
func TestP7_AHolidayMovesNoPeriod(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jobs.yaml")
	if err := os.WriteFile(file, []byte(`version: 1
servers: {main: {host: localhost, username: outboxd}}
accounts: {system: {host: smtp.acme.example, from: mail@acme.example, rate: 300/hour}}
companies:
  acme:
    server: main
    database: acme
    holidays: [2027-01-01]
    audiences: {staff: "SELECT email AS recipients, id FROM staff"}
    jobs:
      send: {kind: deliver}
      news: {kind: mailing, schedule: "0 8 1 * *", shift: previous, audience: {name: staff}, template: news, key: [id], once_per: month}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, problems := jobfile.Load(file)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	company := loaded.Company("acme")
	job := company.Jobs.Mailing[0]
	wall := time.Date(2026, 11, 15, 0, 0, 0, 0, time.UTC)
	for _, want := range []struct{ scheduled, period string }{{"2026-12-01", "2026-12"}, {"2026-12-31", "2027-01"}, {"2027-02-01", "2027-02"}} {
		wall = job.Schedule.Next(wall)
		spec, err := mailing.Parse(mailing.FromJob(company, job).At(job.Schedule, wall).JSON())
		if err != nil {
			t.Fatal(err)
		}
		if got := spec.Period(wall); wall.Format(time.DateOnly) != want.scheduled || got != want.period {
			t.Errorf("the run of %s is of %s, want %s of %s", wall, got, want.scheduled, want.period)
		}
	}
	now := time.Date(2026, 11, 15, 9, 30, 0, 0, time.UTC)
	if s := mailing.FromJob(company, job).At(nil, now); s.Meant != nil || !s.Stands(now).Equal(now) {
		t.Errorf("a run by hand stands for %v", s.Meant)
	}
}

func TestACanaryStopsAboveItsLine(t *testing.T) {
	c := mailing.Canary{StopAbove: 5}
	for _, x := range []struct {
		ended, bad int64
		stops      bool
	}{{0, 0, false}, {50, 0, false}, {100, 5, false}, {100, 6, true}, {50, 3, true}, {1, 1, true}} {
		if c.Stops(x.ended, x.bad) != x.stops {
			t.Errorf("%d of %d", x.bad, x.ended)
		}
	}
	if (mailing.Canary{}).Stops(50, 0) || !(mailing.Canary{}).Stops(50, 1) {
		t.Error("a line of 0 % is crossed by one alone, and by none")
	}
}

func TestPlaceholders(t *testing.T) {
	at := time.Date(2027, 1, 1, 8, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"plain": "plain", "Sales, week {week}": "Sales, week 53", "{date} {year}-{month} Q{quarter}": "2027-01-01 2027-01 Q1", "{{week}} }}": "{week} }", "{ week }": "53",
	} {
		if got, err := mailing.Fill(text, mailing.Dates(at)); err != nil || got != want {
			t.Errorf("%s: %q %v", text, got, err)
		}
	}
	values := map[string]any{"pdf": "a/1.pdf", "n": json.Number("0.10"), "none": nil}
	if got, err := mailing.Fill("x/{pdf}-{n}", values); err != nil || got != "x/a/1.pdf-0.10" {
		t.Error(got, err)
	}
	for text, want := range map[string]string{"{nothing}": "there are n, none, pdf", "{none}": "NULL", "{pdf": "no }", "pdf}": "without a {"} {
		if _, err := mailing.Fill(text, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
