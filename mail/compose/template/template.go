// Package template renders a company's mails from its templates: the files of a folder, or rows of outbox_template.
//
// Its promise: a template that Load or Compile takes is whole: every file parses, every template, query and image it names is there,
// and the HTML is safe whatever the parameters hold, since html/template escapes each value for its place. A rendered mail has no
// gap: a parameter that is missing, or null, is an error wherever it would be printed or counted. Numbers are never floats: 19 digits
// and 0.10 print as they were given, and money is rounded once, half away from zero. The same template, parameters
// and query results give the same octets.
//
// Its failure rules: Load tells all problems at once, each with file, line and column, and keeps the templates that have none. A row that
// cannot be rendered gets an *Error that says where and what to change; a query that found nothing may end it with a *SkipError;
// an error of the query itself is passed on, with its place, since only who asked knows whose fault it is. Rendering ends with its
// context, and its output is bounded.
//
// A template is a folder:
//
//	invoice/subject.txt      the subject, one line
//	invoice/body.html        the HTML
//	invoice/body.txt         the plain text; without it, it is made from the HTML
//	invoice/body.sk.html     the same in Slovak; so with every text
//	invoice/lines.html       a part that the body uses: {{template "lines" .}}
//	invoice/items.sql        a query: {{query "items" "skip"}}
//	invoice/stamp.png        an image: <img src="cid:stamp.png">
//	_shared/layout.html      parts, queries and images for all templates
package template

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"

	"outboxd/mail/compose"
)

// Options are what templates need to know of their company.
type Options struct {
	Language string         // of texts that state none, as in sk; "" is English
	Zone     *time.Location // in which points in time are shown; nil is UTC
}

// Set is a company's templates. It may be used by many goroutines at once.
type Set struct {
	language  string
	zone      *time.Location
	shared    *folder
	templates map[string]*Template
	broken    map[string]Problem // the first problem of templates that have one
	locales   *localeCache

	mu       sync.Mutex
	compiled map[[32]byte]*compiled // rows of outbox_template, by what they hold
}

// Template is one template in all its languages.
type Template struct {
	name     string
	set      *Set
	variants map[string]*variant // by language; "" is the one that states none
}

// variant is a template in one language.
type variant struct {
	subject    *program
	text, html *program // one of them may be nil
	queries    map[string]string
	images     map[string]compose.Attachment
	sites      map[string]site
	texts      map[string]string // of the files, for columns
	idle       sync.Pool         // of *instance
}

// Load reads the templates of a folder; nil files make an empty set, for rows of outbox_template. A template with a problem is left out
// and the others can be used.
func Load(files fs.FS, o Options) (*Set, []Problem) {
	s := &Set{zone: o.Zone, shared: newFolder(), templates: map[string]*Template{}, broken: map[string]Problem{},
		locales: &localeCache{all: map[string]*locale{}}, compiled: map[[32]byte]*compiled{}}
	if s.zone == nil {
		s.zone = time.UTC
	}
	lang, err := canonical(o.Language)
	if lang == "" {
		lang = "en"
	}
	s.language = lang
	if err != nil {
		return s, []Problem{{Message: fmt.Sprintf("%q is no language", o.Language), Hint: "write it like sk or pt-BR"}}
	}
	if files == nil {
		return s, nil
	}
	r := &reader{files: files, left: maxFolder}
	folders, shared := r.folders()
	s.shared = shared
	problems := r.problems
	cache := fileCache{}
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		t, found := s.build(name, folders[name], shared, cache)
		for _, p := range r.problems {
			if strings.HasPrefix(p.File, name+"/") {
				found = append(found, p)
			}
		}
		if len(found) > 0 {
			s.broken[name] = found[0]
			problems = append(problems, found...)
			continue
		}
		s.templates[name] = t
	}
	problems = append(problems, s.unused(cache)...)
	return s, sorted(problems)
}

// unused reports the problems of shared files that no template uses so far.
func (s *Set) unused(files fileCache) (problems []Problem) {
	for html, parts := range map[bool]map[string]versions{true: s.shared.htmlParts, false: s.shared.textParts} {
		for _, all := range parts {
			for _, src := range all {
				problems = append(problems, files.parse(src, html).problems...)
			}
		}
	}
	return problems
}

// sorted orders problems by place, each once.
func sorted(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return slices.Compact(problems)
}

// fileCache parses each file once, whatever uses it.
type fileCache map[string]*parsed

func (c fileCache) parse(src source, html bool) *parsed {
	p := c[src.file]
	if p == nil {
		p = parseFile(src, html)
		c[src.file] = p
	}
	return p
}

// build links a template in each language of which there is a body.
func (s *Set) build(name string, own, shared *folder, files fileCache) (*Template, []Problem) {
	t := &Template{name: name, set: s, variants: map[string]*variant{}}
	var problems []Problem
	if len(own.languages) == 0 {
		problems = append(problems, Problem{File: own.where(name), Message: "has no body", Hint: "write body.html or body.txt"})
	}
	for _, lang := range own.languages {
		l := &linker{language: lang, own: own, shared: shared, parse: files.parse, sites: map[string]site{}, texts: map[string]string{}}
		if lang == "" {
			l.language = s.language
		}
		v := &variant{sites: l.sites, texts: l.texts, queries: map[string]string{}, images: map[string]compose.Attachment{}}
		if subject, ok := own.subject.pick(l.language); ok {
			v.subject = l.link(subject)
		} else {
			l.problems = append(l.problems, Problem{File: own.where(name), Message: "has no subject" + inLanguage(lang), Hint: "write subject.txt"})
		}
		if src, ok := own.text[lang]; ok {
			v.text = l.link(src)
		}
		if src, ok := own.html[lang]; ok {
			l.html = true
			v.html = l.link(src)
		}
		for _, f := range []*folder{shared, own} {
			maps.Copy(v.images, f.images)
			for name, src := range f.queries {
				v.queries[name] = src.text
			}
		}
		problems = append(problems, l.problems...)
		t.variants[lang] = v
	}
	return t, problems
}

func inLanguage(lang string) string {
	if lang == "" {
		return ""
	}
	return " in " + lang
}

// where names a template that has a problem as a whole.
func (f *folder) where(name string) string {
	if f.table {
		return tableFile + name
	}
	return name
}

// Has reports whether the folder has a template of that name, also a broken one.
func (s *Set) Has(name string) bool {
	_, broken := s.broken[name]
	return broken || s.templates[name] != nil
}

// Names returns the names of the folder's templates that can be used.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.templates)) }

// Template returns a template of the folder.
func (s *Set) Template(name string) (*Template, error) {
	if t := s.templates[name]; t != nil {
		return t, nil
	}
	if p, ok := s.broken[name]; ok {
		return nil, &Error{Problem: p}
	}
	return nil, &Error{Problem: Problem{Message: fmt.Sprintf("there is no template %q", name),
		Hint: "it is a folder of the company's templates, or a row of outbox_template" + among(s.Names())}}
}

// choose returns the variant for a message and the language that its numbers and dates are written in: the language asked for, its base, the
// company's, its base, the files that state none. Those are in the company's language.
func (t *Template) choose(lang string) (*variant, language.Tag) {
	for _, wish := range []string{lang, t.set.language} {
		for _, l := range chain(wish) {
			if v := t.variants[l]; v != nil {
				return v, language.Make(wish)
			}
		}
	}
	if v := t.variants[""]; v != nil {
		return v, language.Make(t.set.language)
	}
	return nil, language.Und
}

func query(own, shared *folder, name string) (source, bool) {
	src, ok := own.queries[name]
	if !ok {
		src, ok = shared.queries[name]
	}
	return src, ok
}

func image(own, shared *folder, name string) (compose.Attachment, bool) {
	a, ok := own.images[name]
	if !ok {
		a, ok = shared.images[name]
	}
	return a, ok
}
