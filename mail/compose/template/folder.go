package template

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"outboxd/mail/compose"
)

// What a company's templates may hold together, and one file of text.
const (
	maxFolder = 64 << 20
	maxText   = 1 << 20
)

const sharedFolder = "_shared"

// source is a text and where it stands.
type source struct{ file, text string }

// versions are the languages of one text; "" is the one that says none.
type versions map[string]source

// folder is what one template brings: the files of NAME/, those of _shared/, or the same from rows of outbox_template.
type folder struct {
	subject, text, html  versions
	textParts, htmlParts map[string]versions // partials, by name
	queries              map[string]source
	images               map[string]compose.Attachment
	languages            []string // of which there is a body
	table                bool     // from rows of outbox_template
}

func newFolder() *folder {
	return &folder{subject: versions{}, text: versions{}, html: versions{}, textParts: map[string]versions{}, htmlParts: map[string]versions{},
		queries: map[string]source{}, images: map[string]compose.Attachment{}}
}

// templateName is what a template may be called: a folder's name that needs no quoting anywhere.
var templateName = regexp.MustCompile(`^[\pL0-9][\pL0-9_.-]{0,127}$`)

// imageName is a file that HTML can call cid:NAME as it is.
var imageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// reader reads a company's folders within the bounds above.
type reader struct {
	files    fs.FS
	left     int64
	problems []Problem
}

// folders reads every template of the tree and _shared.
func (r *reader) folders() (all map[string]*folder, shared *folder) {
	all, shared = map[string]*folder{}, newFolder()
	for _, entry := range r.list(".") {
		name := entry.Name()
		info, err := fs.Stat(r.files, name)
		switch {
		case err != nil:
			r.report(name, "cannot be read: "+cause(err), linkHint(entry))
		case name == sharedFolder && info.IsDir():
			shared = r.folder(name)
			shared.collect()
		case !info.IsDir(): // a README, for instance
		case !templateName.MatchString(name):
			r.report(name, "is no name for a template", "letters, digits, dots, dashes and underscores, and no underscore first (that is for _shared)")
		default:
			all[name] = r.folder(name)
			all[name].collect()
		}
	}
	return all, shared
}

// list leaves out what editors and file managers leave behind.
func (r *reader) list(dir string) []fs.DirEntry {
	entries, err := fs.ReadDir(r.files, dir)
	if err != nil {
		r.report(dir, "cannot be read: "+cause(err), "")
	}
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), "~") || strings.HasPrefix(e.Name(), "#")
	})
}

func (r *reader) folder(dir string) *folder {
	f := newFolder()
	for _, entry := range r.list(dir) {
		file := path.Join(dir, entry.Name())
		info, err := fs.Stat(r.files, file)
		switch {
		case err != nil:
			r.report(file, "cannot be read: "+cause(err), linkHint(entry))
		case info.Mode().IsRegular():
			r.file(f, dir, entry.Name())
		default:
			r.report(file, "is no file", "a template's folder holds files only")
		}
	}
	return f
}

// file puts one file where its name says it belongs.
func (r *reader) file(f *folder, dir, name string) {
	file := path.Join(dir, name)
	ext := path.Ext(name)
	stem, tag, _ := strings.Cut(strings.TrimSuffix(name, ext), ".")
	switch ext {
	case ".html", ".txt":
		lang, err := canonical(tag)
		if err != nil {
			r.report(file, fmt.Sprintf("%q is no language", tag), "name the file like body.html, body.sk.html or body.pt-BR.html")
			return
		}
		text, ok := r.text(file)
		if shared := dir == sharedFolder; ok || !shared { // a template with a problem is left out anyway
			f.place(stem, ext, shared)[lang] = source{file, text}
		}
	case ".sql":
		if text, ok := r.text(file); ok {
			f.queries[strings.TrimSuffix(name, ext)] = source{file, text}
		}
	default:
		if !imageName.MatchString(name) {
			r.report(file, "cannot be shown as an image", "a file for cid:FILE has a name of letters a to z, digits, dots, dashes and underscores")
			return
		}
		if content, ok := r.read(file, maxFolder); ok {
			f.images[name] = compose.Attachment{Name: name, Content: content, ContentID: name}
		}
	}
}

// place returns the versions that a file or column belongs to: a part of the mail, or a partial.
func (f *folder) place(stem, ext string, shared bool) versions {
	parts, body := f.htmlParts, f.html
	if ext == ".txt" {
		parts, body = f.textParts, f.text
	}
	switch {
	case !shared && stem == "body":
		return body
	case !shared && stem == "subject" && ext == ".txt":
		return f.subject
	}
	if parts[stem] == nil {
		parts[stem] = versions{}
	}
	return parts[stem]
}

// collect notes the languages of which there is a body.
func (f *folder) collect() {
	for lang := range f.html {
		f.languages = append(f.languages, lang)
	}
	for lang := range f.text {
		if _, both := f.html[lang]; !both {
			f.languages = append(f.languages, lang)
		}
	}
	slices.Sort(f.languages)
}

func (r *reader) text(file string) (string, bool) {
	content, ok := r.read(file, maxText)
	text := strings.TrimPrefix(string(content), "\ufeff") // what Windows' editor puts in front
	if ok && !isText(text) {
		r.report(file, "is not UTF-8", "save it as UTF-8")
		return "", false
	}
	return strings.ReplaceAll(text, "\r\n", "\n"), ok
}

// read returns a file's content unless it is too large.
func (r *reader) read(file string, most int64) ([]byte, bool) {
	f, err := r.files.Open(file)
	if err != nil {
		r.report(file, "cannot be read: "+cause(err), "")
		return nil, false
	}
	defer f.Close()
	most = min(most, r.left)
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		r.report(file, "cannot be read: "+cause(err), "")
		return nil, false
	case int64(len(content)) > most:
		r.report(file, fmt.Sprintf("is too large: a text may have %d MB, all templates of a company together %d MB", maxText>>20, maxFolder>>20), "")
		return nil, false
	}
	r.left -= int64(len(content))
	return content, true
}

func (r *reader) report(file, message, hint string) {
	r.problems = append(r.problems, Problem{File: file, Message: message, Hint: hint})
}

// cause leaves out the path, which the problem names itself.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func linkHint(entry fs.DirEntry) string {
	if entry.Type()&fs.ModeSymlink != 0 {
		return "it is a symbolic link; one may not lead out of the templates' folder"
	}
	return ""
}

// canonical writes a language the one way that is compared: sk, pt-BR. The empty one stays empty.
func canonical(tag string) (string, error) {
	if tag == "" {
		return "", nil
	}
	t, err := language.Parse(tag)
	if err != nil {
		return "", err
	}
	return t.String(), nil
}
