package template

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// Row is a row of outbox_template: one template, or one part of templates (its name begins with _), in one language.
type Row struct{ Name, Language, Subject, Text, HTML, Queries string }

// tableFile stands in front of the names of what comes from outbox_template.
const tableFile = "outbox_template/"

// maxCompiled is how many templates of outbox_template are kept at once, by content.
const maxCompiled = 500

// compiled is a template of outbox_template, or why it is none.
type compiled struct {
	template *Template
	err      error
}

// Compile makes a template of the rows called name and those of parts, on top of the files in _shared: the row _footer is what
// _shared/footer.html and footer.txt are. What was compiled before is found by its content. The error is an *Error.
func (s *Set) Compile(name string, rows []Row) (*Template, error) {
	key := fingerprint(name, rows)
	s.mu.Lock()
	c := s.compiled[key]
	s.mu.Unlock()
	if c != nil {
		return c.template, c.err
	}
	c = &compiled{}
	if t, problems := s.compile(name, rows); len(problems) > 0 {
		c.err = &Error{Problem: problems[0]}
	} else {
		c.template = t
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.compiled) >= maxCompiled {
		clear(s.compiled)
	}
	s.compiled[key] = c
	return c.template, c.err
}

func fingerprint(name string, rows []Row) (sum [32]byte) {
	h := sha256.New()
	fmt.Fprintf(h, "%q", name)
	for _, r := range rows {
		fmt.Fprintf(h, "%d %d %d %d %d %d ", len(r.Name), len(r.Language), len(r.Subject), len(r.Text), len(r.HTML), len(r.Queries))
		for _, text := range []string{r.Name, r.Language, r.Subject, r.Text, r.HTML, r.Queries} {
			_, _ = h.Write([]byte(text))
		}
	}
	return [32]byte(h.Sum(nil))
}

func (s *Set) compile(name string, rows []Row) (*Template, []Problem) {
	own, shared := newFolder(), s.shared.copy()
	own.table = true
	var problems []Problem
	found := false
	for _, row := range rows {
		f := own
		switch {
		case strings.HasPrefix(row.Name, "_"):
			f = shared
		case row.Name != name:
			continue
		default:
			found = true
		}
		problems = append(problems, f.takeRow(row)...)
	}
	if !found {
		_, err := s.Template(name)
		if e, ok := err.(*Error); ok {
			return nil, []Problem{e.Problem}
		}
	}
	own.collect()
	t, more := s.build(name, own, shared, fileCache{})
	return t, sorted(append(problems, more...))
}

// takeRow puts a row's texts where those of a file would be.
func (f *folder) takeRow(row Row) (problems []Problem) {
	file := tableFile + row.Name
	lang, err := canonical(row.Language)
	if err != nil {
		return []Problem{{File: file, Message: fmt.Sprintf("%q is no language", row.Language), Hint: "write it like sk or pt-BR, or '' for any"}}
	}
	if lang != "" {
		file += "." + lang
	}
	part, isPart := strings.CutPrefix(row.Name, "_")
	for _, column := range []struct{ name, ext, text string }{{"subject", ".txt", row.Subject}, {"text", ".txt", row.Text}, {"html", ".html", row.HTML}} {
		if column.text == "" {
			continue
		}
		src := source{file + "." + column.name, strings.ReplaceAll(column.text, "\r\n", "\n")}
		stem := "body"
		if column.name == "subject" {
			stem = "subject"
		}
		if isPart && stem == "subject" {
			continue // a part has none
		}
		if isPart {
			stem = part
		}
		if !isText(column.text) || len(column.text) > maxText {
			problems = append(problems, Problem{File: src.file, Message: fmt.Sprintf("is not UTF-8, or is larger than %d MB", maxText>>20)})
			continue
		}
		f.place(stem, column.ext, isPart)[lang] = src
	}
	queries, err := parseQueries(row.Queries)
	if err != nil {
		problems = append(problems, Problem{File: file + ".queries", Message: err.Error(), Hint: `write it like {"items": "SELECT ..."}`})
	}
	for name, statement := range queries {
		f.queries[name] = source{file + ".queries", statement}
	}
	return problems
}

// copy lets rows be added to the shared files of one template.
func (f *folder) copy() *folder {
	c := newFolder()
	for _, parts := range []struct{ from, to map[string]versions }{{f.textParts, c.textParts}, {f.htmlParts, c.htmlParts}} {
		for name, all := range parts.from {
			parts.to[name] = versions{}
			for lang, src := range all {
				parts.to[name][lang] = src
			}
		}
	}
	for name, src := range f.queries {
		c.queries[name] = src
	}
	for name, a := range f.images {
		c.images[name] = a
	}
	return c
}
