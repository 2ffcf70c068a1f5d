package jobs

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"outboxd/jobs/mailing"
	"outboxd/mail/compose/template"
)

// A run's mails are made, for as long as it lasts, of the template as it was when the run enqueued them: its folder and _shared, or its rows
// of outbox_template and those of parts, and the language and the zone in which it writes. They stand as a zip archive in outbox_pin, by
// the SHA-256 of it: the same templates always give the same archive, so that runs share one.

const (
	// maxPin is how large what a run keeps may be, in octets. Servers take it in one statement.
	maxPin = 16_000_000
	// maxPinned bounds rows that are read from an archive that somebody else has made.
	maxPinned = 64 << 20
	maxLocale = 4 << 10 // the same of language and zone
	// pinsKept is how many runs' templates are kept parsed.
	pinsKept = 16

	pinnedFiles  = "templates"    // folder within the archive
	pinnedRows   = "rows.json"    // of outbox_template, or what a person gave in place of a template
	pinnedLocale = "company.json" // language and zone
)

// locale is what templates need to know of their company.
type locale struct {
	Language string `json:"language"`
	Zone     string `json:"zone"`
}

// pin is what a run keeps.
type pin struct {
	locale locale
	files  []templateFile
	rows   []template.Row
}

// pinTemplates keeps what the run's mails are made of, and returns the hash by which they find it. Templates that are not there, have an
// error or are too large are the run's own fault: see isRowError.
func pinTemplates(ctx context.Context, p *Place, spec mailing.Spec) (hash string, err error) {
	if spec.Kind == mailing.KindReport {
		return "", nil
	}
	content, err := pinNow(ctx, p, spec)
	if err != nil {
		return "", err
	}
	return p.Store.Pin(ctx, content)
}

// pinNow is the archive of a run that would enqueue now.
func pinNow(ctx context.Context, p *Place, spec mailing.Spec) ([]byte, error) {
	made, err := gatherPin(ctx, p, spec)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	size := 0
	for _, f := range made.files {
		size += len(f.content)
	}
	if size > maxPin {
		return nil, &rowError{fmt.Sprintf("template: the files of %s and of _shared have %d octets, and a run keeps at most %d: make the images smaller", spec.TemplateName(), size, maxPin)}
	}
	content, err := made.archive()
	if err == nil && len(content) > maxPin {
		err = &rowError{fmt.Sprintf("template: what a run of %s has to keep is %d octets, at most %d are possible: remove what no template uses", spec.TemplateName(), len(content), maxPin)}
	}
	if err != nil {
		return nil, err
	}
	kept, err := openPin(content)
	if err == nil {
		_, err = kept.template(spec.TemplateName())
	}
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	return content, nil
}

// gatherPin collects what the run's template is made of.
func gatherPin(ctx context.Context, p *Place, spec mailing.Spec) (pin, error) {
	c, name := p.Company, spec.TemplateName()
	made := pin{locale: locale{Language: c.Language, Zone: c.Timezone.String()}}
	all, err := p.templates()
	if err != nil {
		return made, err
	}
	inFolder := all.set.Has(name)
	for _, f := range all.files {
		folder, _, _ := strings.Cut(f.path, "/")
		if (folder == sharedTemplates || inFolder && folder == name) && !leftBehind(path.Base(f.path)) {
			made.files = append(made.files, f)
		}
	}
	if inFolder {
		return made, nil
	}
	found, err := p.Store.Templates(ctx, name)
	if err != nil {
		return made, err
	}
	made.rows = templateRows(found)
	if name == mailing.BodyTemplate {
		made.rows = slices.DeleteFunc(made.rows, func(r template.Row) bool { return r.Name == name })
		made.rows = append(made.rows, template.Row{Name: name, Subject: spec.Subject, Text: spec.Text, HTML: spec.HTML})
	}
	slices.SortFunc(made.rows, func(a, b template.Row) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Language, b.Language))
	})
	return made, nil
}

// sharedTemplates is the folder of what all templates share.
const sharedTemplates = "_shared"

// leftBehind tells what editors and file managers leave behind: templates do not see it.
func leftBehind(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasPrefix(name, "#")
}

// archive writes it. Nothing in it tells of the time at which it is made.
func (p pin) archive() ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	add := func(name string, content []byte, err error) error {
		if err != nil {
			return err
		}
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err == nil {
			_, err = f.Write(content)
		}
		return err
	}
	about, err := json.Marshal(p.locale)
	err = add(pinnedLocale, about, err)
	for _, f := range p.files {
		err = add(pinnedFiles+"/"+f.path, f.content, err)
	}
	if len(p.rows) > 0 {
		rows, rowsErr := json.Marshal(p.rows)
		err = add(pinnedRows, rows, errors.Join(err, rowsErr))
	}
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

// pinned are the templates of a run, ready to be rendered.
type pinned struct {
	set  *template.Set
	rows []template.Row
}

// openPin reads an archive.
func openPin(content []byte) (*pinned, error) {
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, pinError(err)
	}
	var l locale
	about, err := archive.Open(pinnedLocale)
	if err == nil {
		err = errors.Join(json.NewDecoder(io.LimitReader(about, maxLocale)).Decode(&l), about.Close())
	}
	var zone *time.Location
	if err == nil {
		zone, err = time.LoadLocation(l.Zone)
	}
	if err != nil {
		return nil, pinError(err)
	}
	p := &pinned{}
	rows, err := archive.Open(pinnedRows)
	if err == nil {
		err = errors.Join(json.NewDecoder(io.LimitReader(rows, maxPinned)).Decode(&p.rows), rows.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, pinError(err)
	}
	var files fs.FS
	if _, err := fs.Stat(archive, pinnedFiles); err == nil {
		if files, err = fs.Sub(archive, pinnedFiles); err != nil {
			return nil, pinError(err)
		}
	}
	// What is wrong with one that is not used does not matter, and what is wrong with the run's own template shows when it is.
	p.set, _ = template.Load(files, template.Options{Language: l.Language, Zone: zone})
	return p, nil
}

func pinError(err error) error {
	return &rowError{"what the run has kept of its templates (outbox_pin) cannot be read: " + err.Error() + ": cancel the run and start it anew"}
}

// template finds one of them.
func (p *pinned) template(name string) (*template.Template, error) {
	if p.set.Has(name) {
		return p.set.Template(name)
	}
	return p.set.Compile(name, p.rows)
}

// hashOf is the name by which a content is kept.
func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// pins are the templates of a company's runs, each archive parsed once.
type pins struct {
	fetch func(ctx context.Context, hash string) ([]byte, error)

	mu    sync.Mutex
	known map[string]*pinned
	order []string // the one that was fetched first comes first
}

// get returns the templates that a run has kept.
func (s *pins) get(ctx context.Context, hash string) (*pinned, error) {
	s.mu.Lock()
	found := s.known[hash]
	s.mu.Unlock()
	if found != nil {
		return found, nil
	}
	content, err := s.fetch(ctx, hash)
	if err == nil && hashOf(content) != hash {
		err = &rowError{"what the run has kept of its templates (outbox_pin) is not what it was: somebody has changed it. Cancel the run and start it anew"}
	}
	if err == nil {
		found, err = openPin(content)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[hash] == nil {
		if len(s.order) == pinsKept {
			delete(s.known, s.order[0])
			s.order = s.order[1:]
		}
		s.order = append(s.order, hash)
	}
	s.known[hash] = found
	return found, nil
}
