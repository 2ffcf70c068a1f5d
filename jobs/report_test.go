package jobs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/mail/page"
)

// reporting makes the mail of a report of a company with sales.
func (s *site) reporting(keys ...string) (*jobfile.File, *jobs.Place) {
	s.t.Helper()
	s.db.Exec(s.t, `CREATE TABLE {db}.sale (day DATE, product VARCHAR(100), amount DECIMAL(10,2)) CHARACTER SET utf8mb4`)
	s.db.Exec(s.t, `INSERT INTO {db}.sale VALUES ('2026-11-30', 'Káva <b>1 kg</b>', 1234.50), ('2026-12-01', 'Čaj & med', 0.10)`)
	w, place := s.world(s.with("  main: "+s.account(unlimited)+"\n  system: "+accountOn("localhost", s.smtp, unlimited), "", append(keys, "timezone: Europe/Bratislava", "language: sk", reader)...))
	return w.File, place
}

func weekly() (db.Run, mailing.Spec) {
	spec := mailing.Spec{Kind: mailing.KindReport, Job: "weekly-sales", To: []string{"board@acme.example", "Eva <eva@acme.example>"}, Subject: "Sales, week {week}", Account: "system",
		Text: "The sales up to {date}: Q{quarter}, {month}/{year}.\nA {{brace}} stays.\n",
		Attach: []mailing.Attach{
			{As: "html", Name: "By product, week {week}", Query: "SELECT product, amount, day FROM sale WHERE day <= :scheduled_at ORDER BY amount DESC"},
			{As: "xlsx", Name: "sales-{week}.xlsx", Query: "SELECT * FROM sale"},
			{As: "csv", Name: "sales.csv", Query: "SELECT product FROM sale WHERE YEAR(day) = :year ORDER BY amount", Options: `{"header": "none"}`},
		}}
	return db.Run{ID: 3, Job: "weekly-sales", Scheduled: time.Date(2026, 12, 7, 7, 0, 0, 0, time.UTC)}, spec
}

func TestAReport(t *testing.T) {
	s := newSite(t)
	file, place := s.reporting()
	run, spec := weekly()
	m, err := jobs.ReportMail(t.Context(), file, place, run, spec)
	if err != nil || m.State != "" {
		t.Fatal(err, m.State, m.LastError)
	}
	if m.Recipients != "board@acme.example, Eva <eva@acme.example>" || m.Subject != "Sales, week 50" || m.Account != "system" || m.Template != "" || m.Identity == [16]byte{} {
		t.Errorf("%+v", m)
	}
	wantParts(t, m.Text, "The sales up to 2026-12-07: Q4, 12/2026.\nA {brace} stays.\n", "By product, week 50", "1\u00a0234,50", "Káva <b>1 kg</b>")
	wantParts(t, m.HTML, "By product, week 50", "1\u00a0234,50", "Káva &lt;b&gt;1 kg&lt;/b&gt;", "Čaj &amp; med", "A {brace} stays.")
	if strings.Contains(m.HTML, "<b>1 kg") || strings.Count(m.HTML, "<html") != 1 || strings.Index(m.HTML, "</body>") < strings.Index(m.HTML, "</table>") {
		t.Errorf("HTML %s", m.HTML)
	}
	if len(m.Attachments) != 2 || m.Attachments[0].Name != "sales-50.xlsx" || !bytes.HasPrefix(m.Attachments[0].Content, []byte("PK")) || string(m.Attachments[1].Content) != "Čaj & med\r\nKáva <b>1 kg</b>\r\n" {
		t.Errorf("%d attachments: %q", len(m.Attachments), m.Attachments[len(m.Attachments)-1].Content)
	}
	again, err := jobs.ReportMail(t.Context(), file, place, run, spec)
	if err != nil || again.HTML != m.HTML || again.Identity != m.Identity {
		t.Errorf("made again it differs: %v", err)
	}
}

func TestAReportThatHasNothingToSay(t *testing.T) {
	s := newSite(t)
	file, place := s.reporting()
	run, spec := weekly()
	full := spec.Attach[1]
	for i := range spec.Attach {
		spec.Attach[i].Query = "SELECT product FROM sale WHERE 1 = 0"
	}
	for ifEmpty, want := range map[string]db.State{"": "", "send": "", "skip": db.Skipped} {
		spec.IfEmpty = ifEmpty
		m, err := jobs.ReportMail(t.Context(), file, place, run, spec)
		if err != nil || m.State != want || (want == db.Skipped) != strings.Contains(m.LastError, "if_empty") || (len(m.Attachments) == 0) != (want == db.Skipped) || m.Recipients == "" {
			t.Errorf("%q: %v %s %s, %d files", ifEmpty, err, m.State, m.LastError, len(m.Attachments))
		}
	}
	spec.IfEmpty = "fail"
	if _, err := jobs.ReportMail(t.Context(), file, place, run, spec); err == nil || !jobs.IsFault(err) || !strings.Contains(err.Error(), "this is an error") {
		t.Errorf("fail: %v", err)
	}
	spec.Attach = append(spec.Attach, full) // one of its queries has found something
	if m, err := jobs.ReportMail(t.Context(), file, place, run, spec); err != nil || m.State != "" {
		t.Errorf("%v %s", err, m.State)
	}
	spec.Attach[0].Options = `{"if_empty": "skip"}`
	if m, err := jobs.ReportMail(t.Context(), file, place, run, spec); err != nil || m.State != db.Skipped || !strings.Contains(m.LastError, "By product") {
		t.Errorf("%v %s %s", err, m.State, m.LastError)
	}
}

func TestAReportWithATemplate(t *testing.T) {
	s := newSite(t)
	dir := folder(t, map[string]string{"weekly/subject.txt": "Predaj, {{.week}}. týždeň", "weekly/body.html": `<html><body><img src="cid:logo.png"><p>{{(query "best" "fail").Rows | len}} in {{.year}}</p></BODY ></html>`,
		"weekly/best.sql": "SELECT product FROM sale WHERE YEAR(day) = :year", "weekly/logo.png": "\x89PNG\r\n\x1a\nlogo"})
	files := folder(t, map[string]string{"terms-50.pdf": "%PDF"})
	file, place := s.reporting("templates: "+dir, "attachments: "+files)
	run, spec := weekly()
	spec.Template, spec.Subject, spec.Text = "weekly", "", ""
	spec.Attach = append(spec.Attach[:1], mailing.Attach{File: "terms-{week}.pdf"})
	m, err := jobs.ReportMail(t.Context(), file, place, run, spec)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "Predaj, 50. týždeň" || m.Text != "" || len(m.Attachments) != 2 || m.Attachments[0].ContentID != "logo.png" || m.Attachments[1].Name != "terms-50.pdf" {
		t.Errorf("%+v", m)
	}
	if i := strings.Index(m.HTML, "</BODY >"); !strings.Contains(m.HTML, "2 in 2026") || i < strings.Index(m.HTML, "</table>") {
		t.Errorf("HTML %s", m.HTML)
	}
	if err := os.WriteFile(filepath.Join(dir, "weekly", "best.sql"), []byte("SELECT 1 FROM nowhere"), 0o640); err != nil {
		t.Fatal(err)
	}
	text := s.with("  main: "+s.account(unlimited), "", "templates: "+dir, "attachments: "+files, reader)
	w, later := s.world(text)
	if _, err := jobs.ReportMail(t.Context(), w.File, later, run, spec); err == nil || !jobs.IsFault(err) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a query that is wrong: %v", err)
	}
}

// TestASampleOfAReport is all of it, in a plan too.
func TestASampleOfAReport(t *testing.T) {
	s := newSite(t)
	file, place := s.reporting()
	run, spec := weekly()
	m, err := jobs.ReportMail(t.Context(), file, place, run, spec)
	if err != nil {
		t.Fatal(err)
	}
	run.ID = 0
	made, err := jobs.SampleMails(t.Context(), file, place, time.Now, run, spec, []db.NewMail{m})
	if err != nil || made[0].Trouble != "" || made[0].Account != "system" || made[0].Subject != "Sales, week 50" {
		t.Fatalf("%v %+v", err, made)
	}
	shown := page.Read(made[0].Message)
	if got := fileOf(t, shown, "sales.csv"); got != string(m.Attachments[1].Content) || !strings.Contains(shown.HTML, "By product") {
		t.Errorf("%q %s", got, shown.HTML)
	}
}

// TestAReportIsSentAsItWasMade: its row has all that it says.
func TestAReportIsSentAsItWasMade(t *testing.T) {
	s := newSite(t)
	file, place := s.reporting()
	_, spec := weekly()
	run := s.sendingRun(place, spec)
	m, err := jobs.ReportMail(t.Context(), file, place, run, spec)
	if err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text, body_html, account, run_id) VALUES (?, ?, ?, ?, ?, ?)`, m.Recipients, m.Subject, m.Text, m.HTML, m.Account, run.ID)
	s.db.Exec(t, `DROP TABLE {db}.sale`)
	s.start(s.with("  main: "+s.account(unlimited)+"\n  system: "+accountOn("localhost", s.smtp, unlimited), "", "timezone: Europe/Bratislava", reader), "one")
	s.awaitRows("1 sent 1")
	sent := page.Read(s.smtp.Messages()[0].Data)
	if sent.Get("Subject") != "Sales, week 49" || len(sent.Faults) > 0 || !strings.Contains(sent.HTML, "Čaj &amp; med") {
		t.Errorf("%q %q %s", sent.Get("Subject"), sent.Faults, sent.HTML)
	}
}

// TestAReportOfTheFirstWeekOfAYear, which may begin in December: the year beside a week is the week's.
func TestAReportOfTheFirstWeekOfAYear(t *testing.T) {
	s := newSite(t)
	file, place := s.reporting()
	run, spec := weekly()
	run.Scheduled = time.Date(2030, 12, 30, 7, 0, 0, 0, time.UTC)
	spec.Subject, spec.Text, spec.Attach = "Sales, week {week} of { year }", "Until {month}/{year}", []mailing.Attach{{As: "csv", Name: "sales {year}-{week}.csv", Query: "SELECT :year AS year"}}
	m, err := jobs.ReportMail(t.Context(), file, place, run, spec)
	if err != nil || m.Subject != "Sales, week 1 of 2031" || m.Text != "Until 12/2030" || m.Attachments[0].Name != "sales 2031-1.csv" || string(m.Attachments[0].Content) != "year\r\n2030\r\n" {
		t.Errorf("%v: %q %q %q %q", err, m.Subject, m.Text, m.Attachments[0].Name, m.Attachments[0].Content)
	}
}
