package jobfile

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what Load reports into the headers of testdata/bad")

const wantMark = "# want: "

// TestBadFiles loads each file of testdata/bad and compares every problem with the lines "# want: " at its head.
// A folder there is a main file, jobs.yaml, with files that it includes.
func TestBadFiles(t *testing.T) {
	files := badFiles(t)
	if len(files) < 75 {
		t.Errorf("%d files of problems, want at least 75", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/bad/"), ".yaml"), func(t *testing.T) {
			if *update {
				writeWants(t, file)
			}
			want := readWants(t, file)
			got := loadLines(file)
			if len(want) == 0 || !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for _, line := range got {
				if strings.Contains(line, "hunter2") {
					t.Errorf("the secret is shown: %s", line)
				}
			}
		})
	}
}

func badFiles(t *testing.T) []string {
	t.Helper()
	single, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	folders, err := filepath.Glob("testdata/bad/*/jobs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return append(single, folders...)
}

// loadLines loads a file and returns its problems: those of the main file without its name, the others with names
// relative to its folder.
func loadLines(file string) []string {
	_, problems := Load(file)
	var lines []string
	for _, p := range problems {
		line := p.String()
		if p.File == file {
			line = strings.TrimPrefix(line, file+":")
		}
		line = strings.ReplaceAll(line, filepath.Dir(file)+string(filepath.Separator), "")
		lines = append(lines, filepath.ToSlash(line))
	}
	return lines
}

func readWants(t *testing.T, file string) (wants []string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if want, ok := strings.CutPrefix(line, wantMark); ok {
			wants = append(wants, strings.TrimRight(want, "\r\n"))
		}
	}
	return wants
}

// writeWants puts the problems at the head of the file, where they move the lines below: hence the second round.
func writeWants(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var body []byte
	for line := range bytes.Lines(data) {
		if !bytes.HasPrefix(line, []byte(wantMark)) {
			body = append(body, line...)
		}
	}
	lines := loadLines(file)
	for range 2 {
		head := ""
		for _, line := range lines {
			head += wantMark + line + "\n"
		}
		if err := os.WriteFile(file, append([]byte(head), body...), 0o644); err != nil {
			t.Fatal(err)
		}
		lines = loadLines(file)
	}
}

func TestGoodFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("good files: %v, %v", files, err)
	}
	for _, file := range append(files, "testdata/good/includes/jobs.yaml", "../../jobs.yaml") {
		if f, problems := Load(file); f == nil || len(problems) > 0 {
			t.Errorf("%s: %v", file, problems)
		}
	}
}

func TestDefaultsOfTheShortestFile(t *testing.T) {
	f := loadGood(t, "testdata/good/shortest.yaml")
	s, a, c := f.Server("main"), f.Account("system"), f.Company("acme")
	if s.Port != 3306 || s.Encryption != TLS {
		t.Errorf("server %+v", s)
	}
	if a.Port != 587 || a.Encryption != StartTLS || a.Auth != "auto" || a.Connections != 2 || !a.Active || a.MaxSize != 0 || a.OwnRelay {
		t.Errorf("account %+v", a)
	}
	if *f.Control != (Control{Server: "main", Database: "acme"}) || f.Alerts != nil || c.Login != nil || c.Timezone != time.UTC {
		t.Errorf("control %+v, alerts %+v, company %+v", f.Control, f.Alerts, c)
	}
	if !slices.Equal(c.Accounts, []string{"system"}) {
		t.Errorf("accounts %v", c.Accounts)
	}
	j := c.Jobs.Deliver[0]
	want := Retry{Attempts: 8, First: time.Minute, Max: 4 * time.Hour, GiveUpAfter: 3 * day}
	if j.Name != "send" || j.Poll != 2*time.Second || j.Rate != nil || j.OnUncertain != Ask || j.Retry != want || j.Accounts != nil || j.Priority != nil {
		t.Errorf("job %+v", j)
	}
}

// TestP6_AUserOfSeveralCompaniesIsNotLentToQueries: without a reader a company's queries run as its own user, where that works for it alone.
func TestP6_AUserOfSeveralCompaniesIsNotLentToQueries(t *testing.T) {
	for _, c := range []struct{ companies, more, want string }{
		{"acme: {server: main, database: acme, JOBS}", "", "outboxd"},
		{"acme: {server: main, database: acme, login: {username: own}, JOBS}", "", "own"},
		{"acme: {server: main, database: acme, reader: {username: ro}, JOBS}", "", "ro"},
		{"acme: {server: main, database: acme, JOBS}", "control: {server: main, database: outboxd}", ""},
		{"acme: {server: main, database: acme, login: {username: own}, JOBS}", "control: {server: main, database: outboxd}", "own"},
		{"acme: {server: main, database: acme, JOBS}", "control: {server: other, database: outboxd}", "outboxd"},
		{"acme: {server: main, database: acme, JOBS}, beta: {server: main, database: beta, JOBS}", "control: {server: other, database: outboxd}", ""},
		{"acme: {server: main, database: acme, JOBS}, beta: {server: again, database: beta, JOBS}", "control: {server: other, database: outboxd}", ""},
		{"acme: {server: main, database: acme, login: {username: own}, JOBS}, beta: {server: main, database: beta, JOBS}", "control: {server: other, database: outboxd}", "own"},
	} {
		companies := strings.ReplaceAll(c.companies, "JOBS", "jobs: {send: {kind: deliver}}")
		file := filepath.Join(t.TempDir(), "jobs.yaml")
		write(t, file, "version: 1\n"+c.more+`
servers: {main: {host: localhost, username: outboxd}, again: {host: localhost, username: outboxd}, other: {host: 127.0.0.2, username: outboxd}}
accounts: {system: {host: smtp.acme.example, from: mail@acme.example, rate: 300/hour}}
companies: {`+companies+"}\n")
		r := loadGood(t, file).Company("acme").Reader
		if r == nil {
			r = &Reader{}
		} else if r.Time != 30*time.Second || r.Rows != 100_000 {
			t.Errorf("%s: limits %v, %d", c.companies, r.Time, r.Rows)
		}
		if r.Username != c.want {
			t.Errorf("%s, %s: queries run as %q, want %q", c.companies, c.more, r.Username, c.want)
		}
	}
}

func TestHostsOfACluster(t *testing.T) {
	s := loadGood(t, "testdata/good/cluster.yaml").Server("main")
	if want := []string{"db1:3310", "db2:3307", "[::1]:3310", "[2001:db8::1]:3308"}; !slices.Equal(s.Hosts, want) || !slices.Equal(s.Addresses(), want) || s.Encryption != TLS {
		t.Errorf("server %+v", s)
	}
}

func TestValuesOfTheExample(t *testing.T) {
	f := loadGood(t, "../../jobs.yaml")
	a := f.Account("invoices")
	if a.MaxSize != 25_000_000 || a.Rate != (Rate{N: 1200, Per: time.Hour}) || !slices.Equal(a.Limits, []Rate{{N: 30, Per: time.Minute}, {N: 10000, Per: day, Recipients: true}}) {
		t.Errorf("account %+v", a)
	}
	if got, want := a.Password.File, filepath.Join("..", "..", "secrets", "invoices"); got != want {
		t.Errorf("secret in %s, want %s", got, want)
	}
	if d := a.PerDomain; !slices.Equal(d, []DomainRate{{"gmail.com", Rate{N: 300, Per: time.Hour}}, {"*", Rate{N: 1000, Per: time.Hour}}}) || *a.Warmup != (Warmup{Rate{N: 100, Per: time.Hour}, 14}) ||
		len(a.Window.spans) != 6 || !a.Overflow || a.SPFInclude != "relay.example" {
		t.Errorf("account %+v", a)
	}
	if s, e := f.Account("system"), f.Account("eva"); s.Host != "smtp-relay.gmail.com" || s.Overflow || s.Window != nil || !slices.Equal(e.SenderAddresses, []string{"eva@acme.example"}) || e.OAuth.Tenant != "acme.example" || e.Auth != XOAuth2 {
		t.Errorf("accounts %+v, %+v", s, e)
	}
	if got := f.Account("relay"); !got.Rate.Unlimited || got.Auth != None || got.Port != 25 {
		t.Errorf("relay %+v", got)
	}
	c := f.Company("acme")
	if c.Timezone.String() != "Europe/Bratislava" || c.Login.Password.Env != "ACME_DB_PASSWORD" || c.Jobs.Deliver[0].Poll != 500*time.Millisecond {
		t.Errorf("company %+v", c)
	}
	if c.SendAs != Both || !c.Holidays.On(time.Date(2026, 12, 25, 13, 0, 0, 0, c.Timezone)) || f.Company("beta").SendAs != Own || len(f.Company("beta").Holidays.Days) != 0 {
		t.Errorf("send as %s, holidays %+v", c.SendAs, c.Holidays)
	}
	if d := f.DKIM; len(d) != 1 || d[0].Name != "acme.example" || d[0].Selector != "outboxd" || filepath.Base(d[0].Key.File) != "dkim-acme" || !d[0].Serves("acme") || d[0].Serves("beta") {
		t.Errorf("dkim %+v", d)
	}
	if d := c.Jobs.Deliver[1].DSN; !slices.Equal(d.Notify, []string{Failure, Delay}) || d.Return != Headers || c.Jobs.Deliver[0].DSN != nil {
		t.Errorf("dsn %+v", d)
	}
	if r := c.Reader; c.Language != "sk" || r.Username != "acme_read" || r.Time != 30*time.Second || r.Rows != 100000 || f.Company("beta").Reader != nil {
		t.Errorf("language %s, reader %+v", c.Language, c.Reader)
	}
	if got, want := c.Jobs.Deliver[1].ForbiddenTypes, []string{".exe", ".js", "application/x-msdownload"}; !slices.Equal(got, want) {
		t.Errorf("forbidden types %q", got)
	}
	if got := f.Company("beta").Accounts; !slices.Equal(got, []string{"system", "relay"}) {
		t.Errorf("accounts of beta: %v", got)
	}
	if f.Server("none") != nil || f.Account("none") != nil || f.Company("none") != nil {
		t.Error("a lookup of an unknown name is not nil")
	}
}

// TestP6_ABrokenIncludeLeavesOutItsOwnCompaniesOnly has three included files, of which one is broken.
func TestP6_ABrokenIncludeLeavesOutItsOwnCompaniesOnly(t *testing.T) {
	f, problems := Load("testdata/bad/include-error/jobs.yaml")
	if f == nil {
		t.Fatalf("the main file is refused: %v", problems)
	}
	var names []string
	for _, c := range f.Companies {
		names = append(names, c.Name)
	}
	if !slices.Equal(names, []string{"main", "alpha", "gamma"}) {
		t.Errorf("companies %v", names)
	}
	if len(f.LeftOut) != 1 || !slices.Equal(f.LeftOut[0].Companies, []string{"beta", "beta2"}) || len(f.LeftOut[0].Problems) != 1 {
		t.Errorf("left out: %+v", f.LeftOut)
	}
}

func TestOneErrorInTheMainFileIsFatal(t *testing.T) {
	for _, file := range []string{"testdata/bad/port-range.yaml", "testdata/bad/no-such-file.yaml", "testdata"} {
		f, problems := Load(file)
		if f != nil || len(problems.Errors()) != 1 || problems[0].Line < 1 || problems[0].File != file {
			t.Errorf("%s: %v, %v", file, f, problems)
		}
	}
}

func TestWarningsAloneAreNotFatal(t *testing.T) {
	f, problems := Load("testdata/bad/minute-limit-below-rate.yaml")
	if f == nil || len(problems.Errors()) != 0 || len(problems.Warnings()) != 1 {
		t.Errorf("%v, %v", f, problems)
	}
}

// TestIncludePatterns covers what depends on the file system: hidden files, a folder with pattern characters in its
// name, two patterns that match one file, a file that cannot be read.
func TestIncludePatterns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b")
	write(t, filepath.Join(dir, "jobs.yaml"), strings.Replace(shortest(t), "version: 1\n",
		"version: 1\ninclude: [companies/*.yaml, \"companies/x.*\"]\ncontrol: {server: main, database: control}\n", 1))
	company := func(name string) string {
		return "companies: {" + name + ": {server: main, database: " + name + ", jobs: {send: {kind: deliver}}}}\n"
	}
	write(t, filepath.Join(dir, "companies", "x.yaml"), company("x"))
	write(t, filepath.Join(dir, "companies", ".#y.yaml"), company("y"))
	write(t, filepath.Join(dir, "companies", "z.yaml", "deeper.yaml"), company("z"))
	f, problems := Load(filepath.Join(dir, "jobs.yaml"))
	if f == nil || f.Company("x") == nil || len(f.Companies) != 2 {
		t.Fatalf("%+v, %v", f, problems)
	}
	if len(f.LeftOut) != 1 || len(problems) != 1 || !strings.HasSuffix(problems[0].String(), "z.yaml:1:1: cannot be read: it is not a regular file") {
		t.Errorf("%v, %v", f.LeftOut, problems)
	}
}

func TestOddBytes(t *testing.T) {
	good := shortest(t)
	tests := []struct{ name, content, want string }{
		{"byte order mark", "\ufeff" + good, ""},
		{"carriage returns", strings.ReplaceAll(good, "\n", "\r\n"), ""},
		{"empty", "", "1:1: the file is empty; begin with version: 1"},
		{"latin 1", good + "# caf\xe9\n", "5:6: a byte that is not UTF-8; save the file as UTF-8"},
		{"utf-16", "\xff\xfev\x00", "1:1: a byte that is not UTF-8; save the file as UTF-8"},
		{"control character", good + "# é\x01\n", "5:4: a control character; remove it"},
		{"too large", good + "# " + strings.Repeat("x", maxFile), "1:1: cannot be read: it is larger than 4 MiB"},
		{"deep", strings.Repeat("[", 20000), "1:10001: not valid YAML: exceeded max depth of 10000; look at the brackets, quotes and indentation here and in the line above"},
	}
	for _, test := range tests {
		file := filepath.Join(t.TempDir(), "jobs.yaml")
		write(t, file, test.content)
		if got := strings.Join(loadLines(file), "\n"); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jobs.yaml")
	var b strings.Builder
	b.WriteString(shortest(t))
	for i := range 3000 {
		b.WriteString("x" + strings.Repeat("y", i%50) + strings.Repeat("z", i/50) + ": 1\n")
	}
	write(t, file, b.String())
	_, problems := Load(file)
	if len(problems) != maxProblems+1 {
		t.Errorf("%d problems", len(problems))
	}
}

func loadGood(t *testing.T, file string) *File {
	t.Helper()
	f, problems := Load(file)
	if f == nil || len(problems) > 0 {
		t.Fatalf("%s: %v", file, problems)
	}
	return f
}

func shortest(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("testdata/good/shortest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
