package jobs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/jobs/mailing"
)

// enclosing is a company with files and items, ready for a run of these attachments.
func (s *site) enclosing(files string, attach ...mailing.Attach) func(context.Context, *db.NewMail) error {
	s.t.Helper()
	w, place := s.world(s.with("  main: "+s.account(unlimited+", max_size: 200KB"), "forbidden_types: [.exe, image/*]", "attachments: "+files, reader))
	spec := letterSpec()
	spec.Attach = attach
	return jobs.Encloser(w.File, place, db.Run{ID: 1, Job: "letters", Scheduled: scheduled, Period: "2026-12"}, spec)
}

func (s *site) items() {
	s.t.Helper()
	s.db.Exec(s.t, `CREATE TABLE {db}.item (customer BIGINT, name VARCHAR(50), price DECIMAL(10,2)) CHARACTER SET utf8mb4`)
	s.db.Exec(s.t, `INSERT INTO {db}.item VALUES (9007199254740993, 'Káva', 12.30), (9007199254740993, 'Čaj', 0.10)`)
}

func TestWhatGoesWithAMail(t *testing.T) {
	s := newSite(t)
	s.items()
	files := folder(t, map[string]string{"2026/4711.pdf": "%PDF-1.7 4711", "terms.pdf": "%PDF-1.7 terms"})
	enclose := s.enclosing(files, mailing.Attach{File: "{year}/{number}.pdf", Name: "Faktúra {number}.pdf"}, mailing.Attach{File: "terms.pdf"},
		mailing.Attach{Query: "SELECT name, price FROM item WHERE customer = :customer ORDER BY price", As: "csv", Name: "items-{month}.csv", Options: `{"decimal": ","}`},
		mailing.Attach{Query: "SELECT :period AS period, DATE(:scheduled_at) AS day", As: "csv", Name: "about.csv"})
	m := db.NewMail{Recipients: "eva@kunde.example", Params: `{"number": 4711, "customer": 9007199254740993}`}
	if err := enclose(t.Context(), &m); err != nil || m.State != "" {
		t.Fatal(err, m.State, m.LastError)
	}
	var got []string
	for _, a := range m.Attachments {
		got = append(got, a.Name+" "+a.Type+" "+string(a.Content))
	}
	want := []string{"Faktúra 4711.pdf application/pdf %PDF-1.7 4711", "terms.pdf application/pdf %PDF-1.7 terms", "items-12.csv text/csv name;price\r\nČaj;0,10\r\nKáva;12,30\r\n",
		"about.csv text/csv period,day\r\n2026-12,2026-12-01\r\n"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	// What is the same for all is read once: another mail has it as it was, several at a time.
	if err := os.WriteFile(filepath.Join(files, "terms.pdf"), []byte("changed"), 0o640); err != nil {
		t.Fatal(err)
	}
	var several sync.WaitGroup
	for range 4 {
		several.Go(func() {
			m := db.NewMail{Recipients: "ida@kunde.example", Params: `{"number": 4711, "customer": 1}`}
			if err := enclose(t.Context(), &m); err != nil || len(m.Attachments) != 4 || string(m.Attachments[1].Content) != "%PDF-1.7 terms" {
				t.Errorf("%v: %+v", err, m)
			}
		})
	}
	several.Wait()
	skipped := db.NewMail{State: db.Skipped, LastError: "no address"}
	if err := enclose(t.Context(), &skipped); err != nil || len(skipped.Attachments) != 0 || skipped.LastError != "no address" {
		t.Errorf("%v: %+v", err, skipped)
	}
}

// TestAMailThatCannotHaveItsFilesEndsAlone: with the reason, and the run goes on.
func TestAMailThatCannotHaveItsFilesEndsAlone(t *testing.T) {
	s := newSite(t)
	s.items()
	files := folder(t, map[string]string{"a.pdf": "%PDF", "run.exe": "MZ", "logo": "\x89PNG\r\n\x1a\nx", "large.pdf": strings.Repeat("x", 200_001), "encoded.pdf": strings.Repeat("x", 160_000), "sub/b.pdf": "%PDF"})
	if err := os.Symlink("/etc/hostname", filepath.Join(files, "link.pdf")); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("mkfifo", filepath.Join(files, "pipe.pdf")).Run(); err != nil {
		t.Fatal(err)
	}
	file := mailing.Attach{File: "{pdf}"}
	for name, c := range map[string]struct {
		attach mailing.Attach
		params string
		state  db.State
		want   string
	}{
		"not there":              {file, `{"pdf": "gone.pdf"}`, db.Failed, `file "gone.pdf" is not in the company's attachments folder`},
		"no name":                {file, `{"pdf": ""}`, db.Failed, "not below"},
		"NULL":                   {file, `{"pdf": null}`, db.Failed, "attach: file: {pdf}: the value is NULL"},
		"no such column":         {file, `{"other": "x"}`, db.Failed, "{pdf}: there is no such value; there are"},
		"above the folder":       {file, `{"pdf": "../letter"}`, db.Failed, "not below"},
		"absolute":               {file, `{"pdf": "/etc/hostname"}`, db.Failed, "not below"},
		"a link out of it":       {file, `{"pdf": "link.pdf"}`, db.Failed, "leads out"},
		"a pipe":                 {file, `{"pdf": "pipe.pdf"}`, db.Failed, "not a regular file"},
		"a NUL":                  {file, `{"pdf": "a\u0000.pdf"}`, db.Failed, "not below"},
		"too large":              {file, `{"pdf": "large.pdf"}`, db.Failed, "max_size of account main is 200000"},
		"too large once encoded": {file, `{"pdf": "encoded.pdf"}`, db.Failed, "octets, the max_size of account main is 200000"},
		"forbidden by name":      {file, `{"pdf": "run.exe"}`, db.Failed, ".exe is among the job's forbidden_types"},
		"forbidden by content":   {file, `{"pdf": "logo"}`, db.Failed, "image/* is among"},
		"a name with a folder":   {mailing.Attach{File: "a.pdf", Name: "{pdf}"}, `{"pdf": "../x.pdf"}`, db.Failed, "path separator"},
		"a name that turns":      {mailing.Attach{File: "a.pdf", Name: "{pdf}"}, `{"pdf": "a\u202efdp.exe"}`, db.Failed, "U+202E"},
		"a query that writes":    {mailing.Attach{Query: "DELETE FROM item", As: "csv", Name: "a.csv"}, `{}`, db.Failed, "query refused"},
		"a query of what is not": {mailing.Attach{Query: "SELECT * FROM nowhere WHERE x = :pdf", As: "csv", Name: "a.csv"}, `{"pdf": 1}`, db.Failed, "nowhere"},
		"nothing, which fails":   {mailing.Attach{Query: "SELECT name FROM item WHERE customer = :c", As: "xlsx", Name: "a.xlsx", Options: `{"if_empty": "fail"}`}, `{"c": 1}`, db.Failed, "found nothing"},
		"nothing, which skips":   {mailing.Attach{Query: "SELECT name FROM item WHERE customer = :c", As: "xlsx", Name: "a.xlsx", Options: `{"if_empty": "skip"}`}, `{"c": 1}`, db.Skipped, "found nothing"},
		"nothing, for everybody": {mailing.Attach{Query: "SELECT name FROM item WHERE customer = 1", As: "xlsx", Name: "a.xlsx", Options: `{"if_empty": "skip"}`}, `{"c": 1}`, db.Skipped, "found nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			enclose := s.enclosing(files, mailing.Attach{File: "a.pdf"}, c.attach)
			for range 2 { // what is the same for all ends the next one too
				m := db.NewMail{Recipients: "eva@kunde.example", Params: c.params}
				if err := enclose(t.Context(), &m); err != nil {
					t.Fatal(err)
				}
				if m.State != c.state || !strings.Contains(m.LastError, c.want) || len(m.Attachments) != 0 {
					t.Errorf("%s: %s (%d files)", m.State, m.LastError, len(m.Attachments))
				}
			}
		})
	}
	enclose := s.enclosing(files, file)
	m := db.NewMail{Recipients: "eva@kunde.example", Account: "nobody", Params: `{"pdf": "a.pdf"}`}
	if err := enclose(t.Context(), &m); err != nil || m.State != db.Failed || !strings.Contains(m.LastError, `account "nobody"`) {
		t.Errorf("%v: %s %s", err, m.State, m.LastError)
	}
}

// TestARunWaitsForItsFolder: nobody is failed because a disk is not mounted.
func TestARunWaitsForItsFolder(t *testing.T) {
	s := newSite(t)
	for name, files := range map[string]string{"missing": filepath.Join(t.TempDir(), "away"), "empty": t.TempDir()} {
		enclose := s.enclosing(files, mailing.Attach{File: "{pdf}"})
		m := db.NewMail{Recipients: "eva@kunde.example", Params: `{"pdf": "a.pdf"}`}
		err := enclose(t.Context(), &m)
		if err == nil || !jobs.IsWait(err) || m.State != "" || !strings.Contains(err.Error(), "mounted") {
			t.Errorf("%s: %v %s", name, err, m.State)
		}
	}
	w, place := s.world(strings.Replace(s.with("  main: "+s.account(unlimited), "", reader), "username: root, time", "username: nobody, time", 1))
	spec := letterSpec()
	spec.Attach = []mailing.Attach{{Query: "SELECT :c", As: "csv", Name: "a.csv"}}
	m := db.NewMail{Recipients: "eva@kunde.example", Params: `{"c": 1}`}
	if err := jobs.Encloser(w.File, place, db.Run{ID: 1, Scheduled: scheduled}, spec)(t.Context(), &m); err == nil || !jobs.IsWait(err) || m.State != "" {
		t.Errorf("a reader that cannot log in: %v %s %s", err, m.State, m.LastError)
	}
}
