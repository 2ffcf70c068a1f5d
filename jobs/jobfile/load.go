package jobfile

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Load reads the main file and what it includes. The File is nil when the main file has errors; errors of included
// files leave out their companies only. Problems has everything found, warnings too; it is empty when all is well.
func Load(path string) (*File, Problems) {
	file, _, problems := Scan(path)
	return file, problems
}

// Scan is Load that also returns the companies of a file that cannot be run, as far as they could be read: for what is to be
// checked beside it.
func Scan(path string) (*File, []*Company, Problems) {
	main := newSource(path)
	var file mainFile
	root := main.read()
	if root == nil {
		return nil, nil, main.problems
	}
	(&decoder{source: main}).document(root, &file)
	includes := loadIncludes(main, file.Include)

	c := &checker{main: main, mainFile: &file, dir: filepath.Dir(path), now: time.Now()}
	c.companies = entriesOf(main, file.Companies)
	for _, inc := range includes {
		c.companies = append(c.companies, entriesOf(inc.source, inc.Companies)...)
	}
	c.all()
	companies := make([]*Company, len(c.companies))
	for i, e := range c.companies {
		companies[i] = e.Company
	}
	loaded, problems := c.assemble(path, includes)
	return loaded, companies, problems
}

// include is one included file.
type include struct {
	*source
	includedFile
}

// entry is a company and the file it stands in.
type entry struct {
	*Company
	src  *source
	path string
}

func entriesOf(s *source, companies []*Company) []entry {
	var out []entry
	for _, c := range companies {
		out = append(out, entry{Company: c, src: s, path: join("companies", c.Name)})
	}
	return out
}

func loadIncludes(main *source, patterns []string) []*include {
	var out []*include
	for _, file := range expand(main, patterns) {
		inc := &include{source: newSource(file)}
		out = append(out, inc)
		root := inc.read()
		if root == nil {
			continue
		}
		const hint = "an included file holds companies only; this belongs in the main file"
		d := &decoder{source: inc.source, misplaced: map[string]string{"include": hint, "control": hint, "alerts": hint, "public": hint, "dkim": hint, "servers": hint, "accounts": hint}}
		d.document(root, &inc.includedFile)
		if inc.has("version") {
			checkVersion(inc.source, inc.Version)
		}
	}
	return out
}

// expand returns the files that the patterns match, in the order of the patterns, each once.
func expand(main *source, patterns []string) []string {
	var out []string
	dir := filepath.Dir(main.file)
	self, _ := os.Stat(main.file) // it was just read; without it the comparison below is false
	for i, pattern := range patterns {
		path := indexed("include", i)
		if !main.has(path) {
			continue
		}
		files, err := glob(dir, pattern)
		if err != nil {
			main.wrong(path, pattern, "is no file pattern", "for example companies/*.yaml")
			continue
		}
		if len(files) == 0 {
			main.warn(path, pattern, "matches no file that can be seen", "a relative pattern starts at the folder of this file")
		}
		for _, file := range files {
			if info, err := os.Stat(file); err == nil && os.SameFile(self, info) {
				main.wrong(path, pattern, "includes this file itself", "put the companies into a folder of their own")
			} else if !slices.Contains(out, file) {
				out = append(out, file)
			}
		}
	}
	return out
}

// glob is filepath.Glob relative to a folder whose own name is taken as it is, and without hidden files, as in a
// shell: editors keep their drafts there.
func glob(dir, pattern string) ([]string, error) {
	pattern = filepath.FromSlash(pattern)
	if !filepath.IsAbs(pattern) {
		if runtime.GOOS != "windows" {
			dir = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
		}
		pattern = filepath.Join(dir, pattern)
	}
	files, err := filepath.Glob(pattern)
	if !strings.HasPrefix(filepath.Base(pattern), ".") {
		files = slices.DeleteFunc(files, func(f string) bool { return strings.HasPrefix(filepath.Base(f), ".") })
	}
	return files, err
}

// assemble builds the File from what the checks left in order.
func (c *checker) assemble(path string, includes []*include) (*File, Problems) {
	c.main.problems.sortByPlace()
	problems := slices.Clone(c.main.problems)
	for _, inc := range includes {
		inc.problems.sortByPlace()
		problems = append(problems, inc.problems...)
	}
	if c.main.failed() {
		return nil, problems
	}
	f := &File{Path: path, Control: c.Control, Alerts: c.Alerts, Public: c.Public, DKIM: c.DKIM, Servers: c.Servers, Accounts: c.Accounts, Companies: c.mainFile.Companies}
	for _, inc := range includes {
		if !inc.failed() {
			f.Companies = append(f.Companies, inc.Companies...)
			continue
		}
		out := LeftOut{File: inc.file, Problems: inc.problems}
		for _, company := range inc.Companies {
			out.Companies = append(out.Companies, company.Name)
		}
		f.LeftOut = append(f.LeftOut, out)
	}
	return f, problems
}
