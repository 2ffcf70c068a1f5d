package jobfile

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// loadCompany loads a company acme with these lines, and says what is wrong with it.
func loadCompany(t *testing.T, lines string) (*Company, Problems) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jobs.yaml")
	write(t, file, `version: 1
servers: {main: {host: localhost, username: outboxd}}
accounts: {system: {host: smtp.acme.example, from: mail@acme.example, rate: 300/hour}}
companies:
  acme:
    server: main
    database: acme
`+lines)
	f, problems := Load(file)
	if f == nil {
		return nil, problems
	}
	return f.Company("acme"), problems
}

// TestDefaultsOfAMailing: what the shortest jobs of each kind mean.
func TestDefaultsOfAMailing(t *testing.T) {
	c, problems := loadCompany(t, `
    people: {eva: {email: eva@acme.example, may: [start]}, jan: {email: jan@acme.example, may: [approve], user: jnovak, database_user: jn}}
    audiences: {staff: SELECT email AS recipients FROM staff}
    mailing: {account: system}
    jobs:
      send: {kind: deliver}
      news: {kind: mailing, audience: {name: staff}, template: news, approval: {by: [jan]}, proof: {to: [eva]}, canary: {first: 5, stop_above: 0.5%}}
      sales: {kind: report, schedule: every 6h, to: [board@acme.example], subject: Sales, text: Hello}
      remind: {kind: sql, schedule: 10th at 09:00, statement: CALL remind()}
`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	m, r, s := c.Jobs.Mailing[0], c.Jobs.Report[0], c.Jobs.SQL[0]
	if m.Schedule != nil || m.Missed != Run || m.LateBy != 0 || m.Shift != "" || m.OncePer != Run || m.Priority != 4 || m.Account != "" || m.Key != nil || m.Recheck != "" {
		t.Errorf("mailing %+v", m)
	}
	if !reflect.DeepEqual(m.Approval, &Approval{By: []string{"jan"}, Else: Cancel}) || m.Proof.Samples != 3 || *m.Canary != (Canary{First: 5, Wait: 30 * time.Minute, StopAbove: 0.5}) {
		t.Errorf("approval %+v, proof %+v, canary %+v", m.Approval, m.Proof, m.Canary)
	}
	if r.IfEmpty != "send" || r.Missed != Run || r.Schedule.Text != "every 6h" || s.Time != 10*time.Minute || s.Schedule == nil {
		t.Errorf("report %+v, sql %+v", r, s)
	}
	if d := c.Mailing; d.Priority != 4 || d.Account != "system" || d.Approval != nil {
		t.Errorf("defaults %+v", d)
	}
	if e, j := c.People[0], c.People[1]; e.User != "eva" || e.DatabaseUser != "eva" || j.User != "jnovak" || j.DatabaseUser != "jn" {
		t.Errorf("people %+v, %+v", e, j)
	}
}

// TestValuesOfParameters stay what they are in the file: numbers to the last digit.
func TestValuesOfParameters(t *testing.T) {
	for text, want := range map[string]any{
		"1": json.Number("1"), "0.10": json.Number("0.10"), "-5": json.Number("-5"), "12345678901234567890.0000001": json.Number("12345678901234567890.0000001"), "1e3": json.Number("1e3"),
		"true": true, "false": false, "'1'": "1", `"true"`: "true", "Rome": "Rome", "2026-11-22": "2026-11-22", "' '": " ", `""`: "", "yes": "yes", "1 2": "1 2", "2026-11-22 08:00:00": "2026-11-22 08:00:00",
	} {
		c, problems := loadCompany(t, fmt.Sprintf(`
    audiences: {some: "SELECT email AS recipients FROM t WHERE a = :a"}
    jobs: {send: {kind: deliver}, news: {kind: mailing, schedule: every 1d, audience: {name: some, with: {a: %s}}, template: news}}
`, text))
		if len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
		} else if got := c.Jobs.Mailing[0].Audience.With; len(got) != 1 || got[0].Name != "a" || got[0].Value != want {
			t.Errorf("%s: %#v, want %#v", text, got, want)
		}
	}
	for _, text := range []string{"0x10", "010", "1_000", ".5", "5.", "+1", ".inf", ".nan", "0o7", "0b1", "~", "null", "{b: 1}", "[1]", "True"} {
		if _, problems := loadCompany(t, fmt.Sprintf(`
    audiences: {some: "SELECT email AS recipients FROM t WHERE a = :a"}
    jobs: {send: {kind: deliver}, news: {kind: mailing, schedule: every 1d, audience: {name: some, with: {a: %s}}, template: news}}
`, text)); len(problems.Errors()) != 1 {
			t.Errorf("%s: %v", text, problems)
		}
	}
}

func TestParsePercent(t *testing.T) {
	for text, want := range map[string]Percent{"5%": 5, "0%": 0, "100%": 100, "0.5 %": 0.5, "12.125%": 12.125} {
		if got, err := parsePercent(text); got != want || err != nil {
			t.Errorf("%s: %v, %v", text, got, err)
		} else if again, err := parsePercent(got.String()); again != want || err != nil {
			t.Errorf("%s is written %s", text, got)
		}
	}
	for _, text := range []string{"", "%", "5", "-5%", "101%", "100.001%", "5,5%", "1e1%", "5%%"} {
		if got, err := parsePercent(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

// TestLongTexts of SQL may have lines; what YAML adds around them is no part of them.
func TestLongTexts(t *testing.T) {
	c, problems := loadCompany(t, `
    audiences:
      lines: |
        SELECT email AS recipients -- the address
        FROM t

      folded: >
        SELECT email AS recipients
        FROM t
    jobs: {send: {kind: deliver}}
`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := c.Audiences[0].Query; got != "SELECT email AS recipients -- the address\nFROM t" {
		t.Errorf("%q", got)
	}
	if got := c.Audiences[1].Query; got != "SELECT email AS recipients FROM t" {
		t.Errorf("%q", got)
	}
	if _, problems := loadCompany(t, "    audiences: {a: \"SELECT\\0 1\"}\n    jobs: {send: {kind: deliver}}\n"); len(problems.Errors()) == 0 {
		t.Error("a NUL is taken")
	}
}

func TestPlaceholders(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		"no braces":             "",
		"{week} and { year }":   "",
		"a {{ b }} c":           "",
		"{{{week}}}":            "",
		"{weak}":                "is not known here ({weak}); did you mean week?",
		"{}":                    "has braces without a name ({}); as {week}",
		"{week":                 "has a brace that stands alone ({week); a name between two braces, as {week}; for a brace write two of it",
		"week}":                 "has a brace that stands alone (}); a name between two braces, as {week}; for a brace write two of it",
		"{week} {date} {nearly": "has a brace that stands alone ({nearly); a name between two braces, as {week}; for a brace write two of it",
	} {
		s := newSource("x")
		s.at["a"] = mark{1, 1, 1, 1}
		checkPlaceholders(s, "a", text, dateWords)
		got := strings.TrimPrefix(s.problems.String(), "x:1:1: a: ")
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestP7_ASchedulesHolidaysAreThoseOfTheCompany: jobs of all kinds, and a purge.
func TestP7_ASchedulesHolidaysAreThoseOfTheCompany(t *testing.T) {
	c, problems := loadCompany(t, `
    holidays: [2026-12-01, 2026-12-10]
    audiences: {staff: SELECT email AS recipients FROM staff}
    jobs:
      send: {kind: deliver}
      news: {kind: mailing, schedule: first business day at 08:00, audience: {name: staff}, template: news}
      sales: {kind: report, schedule: "0 8 10 * *", shift: previous, to: [board@acme.example], subject: Sales, text: Hello}
      remind: {kind: sql, schedule: 10th at 09:00, shift: next, statement: CALL remind()}
      purge: {kind: purge, schedule: first business day at 03:00, rows: 400d}
`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for what, got := range map[string]time.Time{
		"2026-12-02 08:00": c.Jobs.Mailing[0].Schedule.Next(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)),
		"2026-12-09 08:00": c.Jobs.Report[0].Schedule.Next(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)),
		"2026-12-11 09:00": c.Jobs.SQL[0].Schedule.Next(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)),
		"2026-12-02 03:00": c.Jobs.Purge[0].Schedule.Next(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)),
	} {
		if got.Format("2006-01-02 15:04") != what {
			t.Errorf("%s, want %s", got, what)
		}
	}
	if got := c.Jobs.SQL[0].Schedule.Meant(time.Date(2026, 12, 11, 9, 0, 0, 0, time.UTC)); got.Day() != 10 {
		t.Errorf("what comes on 11 December is meant for %s", got)
	}
}
