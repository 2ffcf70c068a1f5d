package main

import (
	"database/sql"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/acme"
	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/library"
	"outboxd/mail/page"
	"outboxd/mail/smtptest"
)

const accountantsPage = "../../docs/for-accountants.md"

// workedExample is the company of the page for accountants: its jobs.yaml, on the sample tables and a catching server. Whoever runs the
// test is its Eva, and the database's user its Jan.
func workedExample(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	text := blocks(t, accountantsPage, "yaml")[0]
	for pattern, with := range map[string]string{
		`(?m)^version: 1$`: "version: 1\ncontrol: {server: main, database: " + s.db.Name + "}",
		`(?m)^  main: .*$`: fmt.Sprintf("  main: {host: %s, port: %d, username: %s, encryption: none}", s.db.Server.Host, s.db.Server.Port, s.db.Server.Username),
		`(?m)^  (system|invoices): .*(from: .*@acme.example>), rate: (.*)}$`: fmt.Sprintf("  $1: {host: 127.0.0.1, port: %d, encryption: none, $2, own_relay: true, rate: $3}", s.smtp.Port()),
		`(?m)^    database: acme$`:               "    database: " + s.db.Name,
		`(?m)^    reader: .*$`:                   "    # whoever owns the tables reads them",
		`(?m)^    (templates|attachments): acme`: "    $1: " + filepath.Join(root, "acme"),
		`(?m)^      eva: \{`:                     "      eva: {user: " + me.Username + ", database_user: nobody, ",
		`(?m)^      jan: \{`:                     "      jan: {user: nobody, database_user: " + s.db.Server.Username + ", ",
		`deliver\}`:                              "deliver, poll: 100ms}",
		`wait: 5m`:                               "wait: 1s",
	} {
		p := regexp.MustCompile(pattern)
		if !p.MatchString(text) {
			t.Fatalf("the page's jobs.yaml has no %s", pattern)
		}
		text = p.ReplaceAllString(text, with)
	}
	s.write(text)
	s.fill(acme.Sample)
	s.smtp.On(smtptest.Rule{Step: smtptest.StepRcpt, To: "left-the-company@example.org", Do: smtptest.Reply("550 5.1.1 No such user here")})
	return s
}

// fill loads a file of statements, as the client mariadb would.
func (s *site) fill(statements string) {
	s.t.Helper()
	client, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s:%d)/%s?multiStatements=true", s.db.Server.Username, s.db.Server.Password, s.db.Server.Host, s.db.Server.Port, s.db.Name))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.ExecContext(s.t.Context(), statements); err != nil {
		s.t.Fatal(err)
	}
}

// unlimited takes the limits of the accounts away.
func (s *site) unlimited() {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(strings.ReplaceAll(string(text), "rate: 300/hour", "rate: unlimited"))
}

// The page's jobs.yaml is one that may be used as it stands.
func TestFileOfThePageForAccountants(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "jobs.yaml")
	if err := os.CopyFS(filepath.Join(dir, "acme"), acme.Files); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(blocks(t, accountantsPage, "yaml")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, problems := jobfile.Load(path); len(problems) > 0 {
		t.Error(problems)
	}
}

// The library of the example has mails for its readers, with what its templates ask for.
func TestLibraryOfTheExample(t *testing.T) {
	s := newSite(t)
	s.fill(library.Sample)
	text, err := os.ReadFile("../../companies/library.yaml")
	if err != nil {
		t.Fatal(err)
	}
	templates, err := filepath.Abs("../../library/templates")
	if err != nil {
		t.Fatal(err)
	}
	_, company, _ := strings.Cut(string(text), "companies:\n")
	company = strings.NewReplacer("database: library\n", "database: "+s.db.Name+"\n", "library/templates", templates).Replace(company)
	company = regexp.MustCompile(`(?m)^    reader: .*$`).ReplaceAllString(company, "    # whoever owns the tables reads them")
	rest, _, _ := strings.Cut(s.file(""), "companies:\n")
	s.write(rest + "companies:\n" + company)
	for command, texts := range map[string][]string{
		"plan library/newsletter": {"would get it   6", "no address     1", "bad address    1", "our new books are on the shelf", "Novinky z knižnice"},
		"plan library/on-loan":    {"would get it   4", "One book is on loan to you", "Middlemarch | George Eliot"},
		"plan library/book-club":  {"would get it   3"},
		"plan library/tagged --with tag=children --template newsletter": {"would get it   1", "Dear Ben Meyer"},
	} {
		s.must(exitDone, "mailing "+command, texts...)
	}
}

// The worked example of the page for accountants, from the plan to the report: what the page shows is what comes out.
func TestWorkedExample(t *testing.T) {
	s := workedExample(t)
	s.must(exitDone, "check --online", "0 errors")
	var shown strings.Builder
	for _, job := range []string{"statements", "reminders", "newsletter", "weekly-sales"} {
		shown.WriteString(s.must(exitDone, "mailing plan acme/"+job, "Sample 1 of "))
	}
	s.fire("statements", time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC))
	s.unlimited()
	d := s.start()
	d.arrived(2) // the proofs, to Eva and Jan
	shown.WriteString(s.must(exitDone, "mailing list"))
	s.db.Exec(t, "INSERT INTO {db}.payment SELECT 7799, invoice_id, CURRENT_DATE, amount FROM {db}.v_open_invoices WHERE customer_id = 1005")
	run := "acme/" + s.db.Read(t, `SELECT id FROM {db}.outbox_run WHERE job = 'statements'`)
	shown.WriteString(s.must(exitDone, "mailing approve "+run))
	d.arrived(2 + 6 + 1) // the statements and the summary
	for _, command := range []string{"mailing list", "mailing report " + run, "mailing report " + run + " --failed"} {
		shown.WriteString(s.must(exitDone, command))
	}
	if n := s.db.Read(t, "SELECT COUNT(*) FROM {db}.customer WHERE mailed_at IS NOT NULL AND id IN (1001, 1002, 1003, 1004, 1012, 1013) OR mail_error IS NOT NULL AND id = 1008"); n != "7" {
		t.Errorf("%s customers were written to", n)
	}
	for _, m := range s.smtp.Messages() {
		if slices.Contains(m.To, "eva@acme.example") {
			shown.WriteString(page.Read(m.Data).Text + "\n")
		}
	}
	out := alike(strings.ReplaceAll(shown.String(), s.db.Name, "acme"))
	for _, block := range mailingBlocks(t) {
		for line := range strings.Lines(block) {
			if line = alike(line); line != "" && line != "…" && !strings.HasPrefix(line, "outboxd ") && !slices.Contains(strings.Split(out, "\n"), line) {
				t.Errorf("the page shows %q, which does not come out", line)
			}
		}
	}
	if t.Failed() {
		t.Log(shown.String())
	}
}

// fire begins a run of a mailing as its schedule would.
func (s *site) fire(job string, scheduled time.Time) {
	s.t.Helper()
	file, problems := jobfile.Load(s.config)
	if len(problems) > 0 {
		s.t.Fatal(problems)
	}
	c := file.Company("acme")
	at := slices.IndexFunc(c.Jobs.Mailing, func(m *jobfile.Mailing) bool { return m.Name == job })
	spec := mailing.FromJob(c, c.Jobs.Mailing[at])
	run := db.NewRun{Job: job, Kind: spec.Kind, Scheduled: scheduled, State: db.RunRunning, Spec: spec.JSON(), Period: spec.Period(scheduled), StartedBy: "schedule"}
	if begun, err := s.db.Store.BeginRun(s.t.Context(), run, db.Instance{Host: "test"}); err != nil || begun == nil {
		s.t.Fatal(err)
	}
}

var (
	digitRuns = regexp.MustCompile(`[0-9]+`)
	gaps      = regexp.MustCompile(`[ \x{a0}-]+`)
	names     = regexp.MustCompile(`\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun|CES?T)\b`)
)

// mailingBlocks are the outputs that the first half of the page shows.
func mailingBlocks(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(accountantsPage)
	if err != nil {
		t.Fatal(err)
	}
	half, _, found := strings.Cut(string(text), "## A template in ten lines")
	path := filepath.Join(t.TempDir(), "half.md")
	if err := os.WriteFile(path, []byte(half), 0o600); err != nil || !found {
		t.Fatal(err)
	}
	return blocks(t, path, "")
}

// alike leaves out what differs from day to day: numbers, names of months and days, and how wide columns are; and the limit that the run does without.
func alike(text string) string {
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(text, "unlimited", "300/hour")) {
		line = names.ReplaceAllString(digitRuns.ReplaceAllString(line, "0"), "x")
		lines = append(lines, strings.TrimSpace(gaps.ReplaceAllString(line, " ")))
	}
	return strings.Join(lines, "\n")
}
