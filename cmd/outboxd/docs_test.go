package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"outboxd/jobs/jobfile"
)

const (
	operationsPage = "../../docs/operations.md"
	accountsPage   = "../../docs/accounts.md"
	mailingsPage   = "../../docs/mailings.md"
)

// blocks returns the fenced blocks of a page that are in a language.
func blocks(t *testing.T, path, language string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no block in %q", path, language)
	}
	return found
}

func TestDocumentedConfiguration(t *testing.T) {
	for _, text := range blocks(t, operationsPage, "yaml") {
		path := filepath.Join(t.TempDir(), "jobs.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, problems := jobfile.Load(path); len(problems) > 0 {
			t.Error(problems)
		}
	}
}

var words = regexp.MustCompile(`"[^"]*"|\S+`)

// Every command that the pages show is one that the program understands.
func TestDocumentedCommands(t *testing.T) {
	for page, least := range map[string]int{operationsPage: 20, accountsPage: 10, mailingsPage: 20, accountantsPage: 15} {
		all := documentedCommands(t, page)
		if len(all) < least {
			t.Errorf("only %d commands found in %s", len(all), page)
		}
		for _, command := range all {
			k, err := kong.New(&commands{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := k.Parse(command); err != nil {
				t.Errorf("%s: %q: %v", page, command, err)
			}
		}
	}
}

// documentedCommands finds the commands of a page, each as its words behind outboxd.
func documentedCommands(t *testing.T, page string) (found [][]string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.Join(blocks(t, page, ""), ""), "\n")
	for _, m := range regexp.MustCompile("`(sudo [^`]*outboxd [^`]*|outboxd [^`]*)`").FindAllStringSubmatch(string(text), -1) {
		lines = append(lines, m[1])
	}
	for _, line := range lines {
		for command := range strings.SplitSeq(strings.TrimPrefix(line, "$ "), "&&") {
			command, _, _ = strings.Cut(command, " > ")
			all := words.FindAllString(command, -1)
			if at := slices.Index(all, "outboxd"); at >= 0 && len(all) > at+1 && all[at+1] == "outboxd" { // sudo -u outboxd outboxd
				all = all[at+2:]
			} else if at >= 0 && !slices.ContainsFunc(all[:at], func(w string) bool { return w != "sudo" && !strings.Contains(w, "=") }) {
				all = all[at+1:]
			} else {
				continue
			}
			for n := range all {
				all[n] = strings.Trim(all[n], `"`)
			}
			found = append(found, all)
		}
	}
	return found
}

// events returns the values of the constants named event… in a file.
func events(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "event") && len(v.Values) == 1 {
			value, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, value)
		}
		return true
	})
	return all
}

// The table of events names all that there are, and no others.
func TestDocumentedEvents(t *testing.T) {
	text, err := os.ReadFile(operationsPage)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| Event |")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		documented = append(documented, m[1])
	}
	var real []string
	for _, file := range []string{"run.go", "../../jobs/maillog.go", "../../jobs/alerts/alerts.go", "../../jobs/fence/fence.go"} {
		real = append(real, events(t, file)...)
	}
	slices.Sort(documented)
	slices.Sort(real)
	real = slices.Compact(real) // packages name the events that they share each on its own
	if !slices.Equal(documented, real) {
		t.Errorf("documented: %v\nreal:       %v", documented, real)
	}
}

// What docs/reliability.md names as a proof is there.
func TestProofsAreThere(t *testing.T) {
	page, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	files, err := filepath.Glob("../../*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("../../*/*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, deeper...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	for _, name := range regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(page), -1) {
		if !strings.Contains(code.String(), "func "+name[1]+"(") {
			t.Errorf("there is no %s", name[1])
		}
	}
	for _, link := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(string(page), -1) {
		if _, err := os.Stat(filepath.Join("../../docs", link[1])); err != nil {
			t.Errorf("%s leads nowhere", link[1])
		}
	}
}
