package template

import (
	"context"
	"errors"
	htmltemplate "html/template"
	"io"
	"maps"
	"slices"
	"strings"
	texttemplate "text/template"
	"text/template/parse"
)

// program is one part of a mail, ready to run: HTML or plain text. It is never run itself, only its clones, each of which belongs
// to one rendering at a time.
type program struct {
	html *htmltemplate.Template
	text *texttemplate.Template
}

// main is the template that a program begins with. No file can be called so.
const main = "/"

// run is a clone that has been bound to a state.
type run func(w io.Writer, data any) error

func (p *program) clone(s *state) (run, error) {
	if p.html != nil {
		t, err := p.html.Clone()
		if err != nil {
			return nil, err
		}
		t.Funcs(bind(s, true))
		return func(w io.Writer, data any) error { return t.ExecuteTemplate(w, main, data) }, nil
	}
	t, err := p.text.Clone()
	if err != nil {
		return nil, err
	}
	t.Funcs(bind(s, false))
	return func(w io.Writer, data any) error { return t.ExecuteTemplate(w, main, data) }, nil
}

// defined is one named template and the file it stands in.
type defined struct {
	tree *parse.Tree
	file *parsed
	name string // of the tree in its file
}

// linker puts the files of one part of a mail together.
type linker struct {
	html     bool
	language string
	own      *folder
	shared   *folder
	parse    func(src source, html bool) *parsed
	problems []Problem
	sites    map[string]site
	texts    map[string]string // of the files, by name
}

// link returns the program of a part, or nil when there is a problem.
func (l *linker) link(body source) *program {
	before := len(l.problems)
	all := map[string]defined{}
	for _, f := range []*folder{l.shared, l.own} {
		parts := f.textParts
		if l.html {
			parts = f.htmlParts
		}
		for _, name := range slices.Sorted(maps.Keys(parts)) {
			if src, ok := parts[name].pick(l.language); ok {
				l.add(all, name, src)
			}
		}
	}
	l.add(all, main, body)
	used := l.reach(all)
	if len(l.problems) > before {
		return nil
	}
	p := l.assemble(all, used)
	if l.html {
		l.escapes(p, all)
	}
	if len(l.problems) > before {
		return nil
	}
	return p
}

// add takes in a file's trees. Later ones replace those of the same name: a body says what a layout's {{block}} holds.
func (l *linker) add(all map[string]defined, name string, src source) {
	p := l.parse(src, l.html)
	maps.Copy(l.sites, p.sites)
	l.texts[src.file] = src.text
	all[name] = defined{file: p}
	for own, tree := range p.trees {
		as := own
		if own == src.file {
			as = name
		} else if parse.IsEmptyTree(tree.Root) && all[own].tree != nil { // as in text/template
			continue
		}
		all[as] = defined{tree, p, own}
	}
}

// reach walks from the body to all that it uses, and reports what is not there.
func (l *linker) reach(all map[string]defined) map[string]bool {
	used := map[string]bool{}
	next := []string{main}
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		d, ok := all[name]
		if used[name] || !ok {
			continue
		}
		used[name] = true
		l.problems = append(l.problems, d.file.problems...)
		for _, r := range d.file.refs[d.name] {
			message, hint := l.dangling(r, all)
			if message != "" {
				l.problems = append(l.problems, d.file.src.at(r.offset, message, hint))
			}
			if r.kind == toTemplate {
				next = append(next, r.name)
			}
		}
	}
	return used
}

// dangling says what is wrong with a reference, or "".
func (l *linker) dangling(r ref, all map[string]defined) (message, hint string) {
	switch r.kind {
	case toTemplate:
		if _, ok := all[r.name]; !ok {
			ext := ".txt"
			if l.html {
				ext = ".html"
			}
			return `there is no template "` + r.name + `"`, "write {{define \"" + r.name + "\"}}, or a file " + sharedFolder + "/" + r.name + ext + among(slices.Sorted(maps.Keys(all)))
		}
	case toQuery:
		if _, ok := query(l.own, l.shared, r.name); !ok {
			names := slices.Concat(slices.Collect(maps.Keys(l.own.queries)), slices.Collect(maps.Keys(l.shared.queries)))
			return `there is no query "` + r.name + `"`, "its SQL stands in " + r.name + ".sql in the template's folder" + among(names)
		}
	case toImage:
		if _, ok := image(l.own, l.shared, r.name); !ok {
			names := slices.Concat(slices.Collect(maps.Keys(l.own.images)), slices.Collect(maps.Keys(l.shared.images)))
			return `there is no image "` + r.name + `"`, "put the file into the template's folder or into " + sharedFolder + among(names)
		}
	}
	return "", ""
}

// among lists what there is.
func among(names []string) string {
	names = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(names))), func(s string) bool { return s == main })
	if len(names) == 0 {
		return ""
	}
	return "; there are " + strings.Join(names, ", ")
}

func (l *linker) assemble(all map[string]defined, used map[string]bool) *program {
	s := &state{}
	p := &program{}
	if l.html {
		p.html = htmltemplate.New("").Funcs(bind(s, true))
	} else {
		p.text = texttemplate.New("").Funcs(bind(s, false))
	}
	for name := range used {
		var err error
		if l.html {
			_, err = p.html.AddParseTree(name, all[name].tree.Copy())
		} else {
			_, err = p.text.AddParseTree(name, all[name].tree.Copy())
		}
		if err != nil {
			l.problems = append(l.problems, all[name].file.src.at(0, err.Error(), ""))
		}
	}
	return p
}

// escapes finds what html/template cannot make safe. Nothing runs: what every template begins with ends it, as the context has ended.
func (l *linker) escapes(p *program, all map[string]defined) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	execute, err := p.clone(&state{ctx: ended})
	if err == nil {
		err = execute(io.Discard, nil)
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	var e *htmltemplate.Error
	if !errors.As(err, &e) {
		l.problems = append(l.problems, all[main].file.src.at(0, err.Error(), ""))
		return
	}
	name, _, _ := strings.Cut(e.Name, "$htmltemplate_")
	d, ok := all[name]
	if !ok {
		d = all[main]
	}
	offset := lineStart(d.file.src.text, e.Line)
	switch {
	case e.Node != nil:
		offset = int(e.Node.Position())
	case e.ErrorCode == htmltemplate.ErrEndContext:
		offset = openTag(d.file.src.text)
	}
	what, _, _ := strings.Cut(e.Description, ": {state") // what follows is html/template's own business
	l.problems = append(l.problems, d.file.src.at(offset, what, escapeHint(e.ErrorCode)))
}

func escapeHint(code htmltemplate.ErrorCode) string {
	switch code {
	case htmltemplate.ErrBranchEnd:
		return "open and close a tag or a quote within the same branch"
	case htmltemplate.ErrEndContext:
		return "a tag, a quote or a comment is not closed"
	case htmltemplate.ErrBadHTML:
		return "put attributes into double quotes"
	case htmltemplate.ErrPredefinedEscaper:
		return "leave the function out: everything is escaped by itself"
	case htmltemplate.ErrAmbigContext:
		return "write the address in one action"
	case htmltemplate.ErrRangeLoopReentry:
		return "a tag or a quote that is opened in a loop is closed in it"
	}
	return ""
}

// pick returns the version for a language: the language's, its base's, the one without a language.
func (v versions) pick(lang string) (source, bool) {
	for _, l := range chain(lang) {
		if src, ok := v[l]; ok {
			return src, true
		}
	}
	src, ok := v[""]
	return src, ok
}

// chain returns a language and those that it falls back to: sk-SK, sk.
func chain(lang string) []string {
	if lang == "" {
		return nil
	}
	base, _, regional := strings.Cut(lang, "-")
	if !regional {
		return []string{lang}
	}
	return []string{lang, base}
}
