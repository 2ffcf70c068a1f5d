package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"outboxd/jobs/jobfile"
	"outboxd/mail/compose/template"
)

// templates are those of a company's folder.
type templates struct {
	set   *template.Set
	files []templateFile // all that is in the folder, in the order of the paths: what a run keeps of it
	sum   string         // of all of it: a reload tells by it whether anything has changed
}

// templateFile is a file below the templates' folder.
type templateFile struct {
	path    string // with slashes
	content []byte
}

// TemplateError lists all that is wrong with a company's templates.
type TemplateError struct{ Problems jobfile.Problems }

// Error lists them, a line each.
func (e *TemplateError) Error() string { return "its templates have errors:\n" + e.Problems.String() }

// loadTemplates reads a company's templates. What is wrong with them is a *TemplateError.
func loadTemplates(c *jobfile.Company) (*templates, error) {
	o := template.Options{Language: c.Language, Zone: c.Timezone}
	if c.Templates == "" {
		set, problems := template.Load(nil, o)
		return &templates{set: set}, templateError(c.Templates, problems)
	}
	root, err := os.OpenRoot(c.Templates)
	if err != nil {
		return nil, templateError(c.Templates, []template.Problem{{Message: "cannot be opened: " + err.Error(), Hint: "the user that outboxd runs as must be allowed to read it"}})
	}
	defer root.Close()
	set, problems := template.Load(root.FS(), o)
	if err := templateError(c.Templates, problems); err != nil {
		return nil, err
	}
	files, sum, err := readTemplates(root.FS())
	return &templates{set, files, sum}, err
}

// templateError makes the problems of a folder's files those of a jobs.yaml.
func templateError(folder string, problems []template.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	e := &TemplateError{}
	for _, p := range problems {
		e.Problems = append(e.Problems, jobfile.Problem{File: filepath.Join(folder, filepath.FromSlash(p.File)), Line: max(p.Line, 1), Column: max(p.Column, 1),
			Message: p.Message, Hint: p.Hint})
	}
	return e
}

// readTemplates returns all files, and a hash of them with their names.
func readTemplates(tree fs.FS) (files []templateFile, sum string, err error) {
	h := sha256.New()
	err = fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, path)
		files = append(files, templateFile{path, content})
		fmt.Fprintf(h, "%q %d ", path, len(content))
		_, writeErr := h.Write(content)
		return errors.Join(err, writeErr)
	})
	return files, hex.EncodeToString(h.Sum(nil)), err
}

// CheckTemplates reads the templates of companies, and returns all that is wrong with them.
func CheckTemplates(companies []*jobfile.Company) (all jobfile.Problems) {
	for _, c := range companies {
		_, err := loadTemplates(c)
		var wrong *TemplateError
		switch {
		case errors.As(err, &wrong):
			all = append(all, wrong.Problems...)
		case err != nil:
			all = append(all, jobfile.Problem{File: c.Templates, Line: 1, Column: 1, Message: err.Error()})
		}
	}
	return all
}

// loadTemplates reads the templates of all companies before they are needed. At the start a company whose templates have
// errors is left out; afterwards that is an error, and all are reported together.
func (w *World) loadTemplates(start bool) error {
	var errs []error
	var sound []*Place
	for _, p := range w.Companies {
		switch _, err := p.templates(); {
		case err == nil:
			sound = append(sound, p)
		case start:
			w.leaveOut(p.Company.Name, err)
		default:
			errs = append(errs, fmt.Errorf("company %s: %w", p.Company.Name, err))
		}
	}
	if len(errs) == 0 {
		w.Companies = sound
	}
	return errors.Join(errs...)
}
