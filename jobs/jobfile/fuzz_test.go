package jobfile

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

// FuzzDecode gives any bytes to everything behind Load but the reading of files. Nothing may panic, every problem has a
// place and stands in one line, and a file without errors is complete.
func FuzzDecode(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml", "testdata/bad/*/jobs.yaml", "../../jobs.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		main := newSource("jobs.yaml")
		var file mainFile
		root := main.parse(data)
		if root == nil {
			if len(main.problems) == 0 {
				t.Fatal("no document and no problem")
			}
			checkProblems(t, main.problems)
			return
		}
		(&decoder{source: main}).document(root, &file)
		c := &checker{main: main, mainFile: &file, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), companies: entriesOf(main, file.Companies)}
		c.all()
		loaded, problems := c.assemble("jobs.yaml", nil)
		checkProblems(t, problems)
		if loaded == nil {
			return
		}
		if loaded.Control == nil && len(loaded.Companies) > 0 || len(loaded.Accounts) == 0 || len(loaded.Servers) == 0 {
			t.Fatalf("incomplete: %+v", loaded)
		}
		if general := loaded.Account(GeneralAccount); general == nil || !general.Active || len(general.Companies)+len(general.SenderDomains)+len(general.SenderAddresses) > 0 {
			t.Fatalf("the general account is %+v", general)
		}
		for _, company := range loaded.Companies {
			if company.Timezone == nil || len(company.Accounts) == 0 || !databaseForm.MatchString(company.Database) || loaded.Server(company.Server) == nil {
				t.Fatalf("company %+v", company)
			}
			checkMailings(t, company)
		}
		for _, a := range loaded.Accounts {
			if a.Port == 0 || a.Host == "" || a.Encryption == "" || a.Auth == "" || a.Connections == 0 || a.Rate == (Rate{}) || a.Username == "" != (a.Password.IsZero() && a.OAuth == nil) {
				t.Fatalf("account %+v", a)
			}
			if o := a.OAuth; o != nil && (a.Auth != XOAuth2 || o.TokenURL == "" || o.DeviceURL == "" && o.AuthorizeURL == "" || a.Provider == Office365 && o.Tenant == "") {
				t.Fatalf("account %s: %+v", a.Name, o)
			}
		}
	})
}

// checkMailings looks at what the engine takes for granted.
func checkMailings(t *testing.T, c *Company) {
	t.Helper()
	for _, p := range c.People {
		if _, addr, err := parseAddress(p.Email); err != nil || addr != p.Email || p.User == "" || p.DatabaseUser == "" {
			t.Fatalf("person %+v", p)
		}
	}
	for _, j := range c.Jobs.Mailing {
		query := find(c.Audiences, func(a *Audience) bool { return a.Name == j.Audience.Name })
		if query == nil || query.Query == "" || c.Reader == nil || j.Template == "" || j.Priority < 1 || j.Priority > 5 {
			t.Fatalf("mailing %+v", j)
		}
		if j.Schedule != nil && j.Schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
			t.Fatalf("mailing %s never comes: %+v", j.Name, j.Schedule)
		}
		for _, a := range j.Attach {
			if (a.File == "") == (a.Query == "") || a.Query != "" && (a.Name == "" || a.As != XLSX && a.As != CSV) {
				t.Fatalf("mailing %s attaches %+v", j.Name, a)
			}
		}
		for _, who := range approvers(j.Approval) {
			if p := find(c.People, func(p *Person) bool { return p.Name == who }); p == nil || !slices.Contains(p.May, Approve) {
				t.Fatalf("%s approves: %+v", who, p)
			}
		}
	}
	for _, j := range c.Jobs.Report {
		if len(j.To) == 0 || j.Subject == "" && j.Template == "" {
			t.Fatalf("report %+v", j)
		}
	}
}

func approvers(a *Approval) []string {
	if a == nil {
		return nil
	}
	return a.By
}

// FuzzAddress checks that what passes for an address is safe in an envelope and a header.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"a@b.example", "A B <a.b@c.example>", `"a b"@c.example`, "g: a@b.example;", "=?utf-8?q?a=0d=0ab?= <a@b.example>", "ú@ú.example", "a@[::1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, addr, err := parseAddress(s)
		if err != nil {
			return
		}
		if strings.ContainsFunc(name, unicode.IsControl) || strings.ContainsFunc(addr, unicode.IsControl) || strings.ContainsAny(addr, " <>\"()[],;:\\") || strings.Count(addr, "@") != 1 {
			t.Errorf("%q: %q, %q", s, name, addr)
		}
		if _, again, err := parseAddress(addr); err != nil || again != addr {
			t.Errorf("%q: %q is read again as %q, %v", s, addr, again, err)
		}
	})
}

func checkProblems(t *testing.T, problems Problems) {
	t.Helper()
	for _, p := range problems {
		line := p.String()
		if p.Line < 1 || p.Column < 1 || p.Message == "" || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%+v: %q", p, line)
		}
	}
}

// TestP9_NoProblemShowsASecret puts a secret under every key of the example that is one, in every shape.
func TestP9_NoProblemShowsASecret(t *testing.T) {
	data, err := os.ReadFile("../../jobs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.Replace(data, []byte("# client_secret: {"), []byte("client_secret: {"), 1)
	shapes := []string{
		"hunter2", "'hunter2'", "\"hunter2\"", "[hunter2]", "{hunter2: x}", "{hunter2}", "{file: [hunter2]}", "{file: {hunter2: hunter2}}", "{flie: hunter2}", "{file: hunter2, env: hunter2}",
		"{env: hunter2 x}", "{credential: /hunter2}", "{file: ' hunter2'}", "{file: \"hunter2\\n\"}", "&hunter2 x", "*hunter2", "!hunter2 x", "!!hunter2 {file: x}", "!hunter2% x", "{file: &hunter2 x}", "{file: *hunter2}",
		"{<<: hunter2}", "{hunter2: 1, hunter2: 2}", "{? [hunter2] : 1}", "hunter2: x", "@hunter2", "%hunter2", "`hunter2", "{hunter2", "[hunter2", "'hunter2", "{password: hunter2}", "{file: !hunter2 x}", "| hunter2", "\"\\hunter2\"",
	}
	for _, shape := range shapes {
		for i, at := range regexp.MustCompile(`(password|client_secret): \{.*?\}`).FindAllIndex(data, -1) {
			key, _, _ := strings.Cut(string(data[at[0]:at[1]]), "{")
			file := filepath.Join(t.TempDir(), "jobs.yaml")
			write(t, file, string(data[:at[0]])+key+shape+string(data[at[1]:]))
			if _, problems := Load(file); len(problems.Errors()) == 0 || strings.Contains(problems.String(), "hunter2") {
				t.Errorf("%s at %d: %v", shape, i, problems)
			}
		}
	}
}
