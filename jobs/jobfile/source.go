package jobfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	maxFile     = 4 << 20 // octets
	maxProblems = 1000    // of one file; a file with more of them is not jobs.yaml
)

// source is one file: where its values stand and what is wrong with them.
type source struct {
	file     string
	at       map[string]mark // by path
	bad      map[string]bool // paths whose value could not be read; checks pass over them
	secrets  map[string]bool // paths that are secrets
	problems Problems
}

// mark is where a key and its value stand.
type mark struct{ keyLine, keyColumn, line, column int }

func newSource(file string) *source {
	return &source{file: file, at: map[string]mark{}, bad: map[string]bool{}, secrets: map[string]bool{}}
}

// has tells whether the key is written and its value could be read.
func (s *source) has(path string) bool {
	_, ok := s.at[path]
	return ok && !s.bad[path]
}

// written tells whether the key is there at all.
func (s *source) written(path string) bool {
	_, ok := s.at[path]
	return ok
}

// sound tells whether everything at the path and below it could be read.
func (s *source) sound(path string) bool {
	for at, bad := range s.bad {
		if bad && (at == path || strings.HasPrefix(at, path+".") || strings.HasPrefix(at, path+"[")) {
			return false
		}
	}
	return true
}

// wrong reports an error at the value of path, or at the key above it where there is none.
func (s *source) wrong(path, value, message, hint string) {
	s.report(path, value, message, hint, false)
}

// warn reports a warning in the same way.
func (s *source) warn(path, value, message, hint string) {
	s.report(path, value, message, hint, true)
}

func (s *source) report(path, value, message, hint string, warning bool) {
	line, column := s.place(path)
	s.add(Problem{Line: line, Column: column, Path: path, Value: shown(value), Message: message, Hint: hint, Warning: warning})
}

func (s *source) place(path string) (line, column int) {
	if m, ok := s.at[path]; ok {
		return m.line, m.column
	}
	for path != "" {
		path = parent(path)
		if m, ok := s.at[path]; ok {
			return m.keyLine, m.keyColumn
		}
	}
	return 1, 1
}

func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

func (s *source) add(p Problem) {
	p.File = s.file
	p.Path, p.Message, p.Hint = short(p.Path, maxPath), clean(p.Message), clean(p.Hint)
	switch {
	case len(s.problems) < maxProblems:
		s.problems = append(s.problems, p)
	case len(s.problems) == maxProblems:
		s.problems = append(s.problems, Problem{File: s.file, Line: p.Line, Column: p.Column,
			Message: fmt.Sprintf("more than %d problems; the others are not shown", maxProblems)})
	}
}

func (s *source) failed() bool { return len(s.problems.Errors()) > 0 }

// read loads the file and returns its one document, or nil after reporting why not.
func (s *source) read() *yaml.Node {
	data, err := readFile(s.file)
	if err != nil {
		s.wrong("", "", "cannot be read: "+err.Error(), "")
		return nil
	}
	return s.parse(data)
}

func readFile(path string) (data []byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() { // opening a named pipe would wait for ever
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, cause(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	}
	return data, nil
}

// cause drops the path, which stands at the head of every problem.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

func (s *source) parse(data []byte) *yaml.Node {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if i := firstInvalid(data); i >= 0 {
		line, column := placeOf(data, i)
		s.add(Problem{Line: line, Column: column, Message: "a byte that is not UTF-8", Hint: "save the file as UTF-8"})
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		s.wrong("", "", "cannot be parsed: "+err.Error(), "")
		return nil
	}
	var doc, next yaml.Node
	err = loader.Load(&doc)
	if errors.Is(err, io.EOF) || err == nil && isEmpty(&doc) {
		s.wrong("", "", "the file is empty", "begin with version: 1")
		return nil
	}
	if err != nil {
		s.syntax(data, err)
		return nil
	}
	switch err := loader.Load(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		s.syntax(data, err)
	default:
		s.add(Problem{Line: max(next.Line, 1), Column: max(next.Column, 1), Message: "a second document", Hint: "remove the line --- and merge what follows"})
	}
	return doc.Content[0]
}

func isEmpty(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" && doc.Content[0].Value == ""
}

// syntax reports why the text is no YAML. The library's texts are kept where they cannot quote a secret.
func (s *source) syntax(data []byte, err error) {
	p := Problem{Line: 1, Column: 1, Message: "not valid YAML"}
	var le *yaml.LoadError
	if errors.As(err, &le) {
		line, column := le.Mark.Line, le.Mark.Column
		if line < 1 {
			line, column = placeOf(data, firstControl(data))
		}
		p.Line, p.Column = line, max(column, 1)
		p.Message, p.Hint = syntaxMessage(le, charAt(data, p.Line, p.Column))
	}
	s.add(p)
}

func syntaxMessage(le *yaml.LoadError, at rune) (message, hint string) {
	switch {
	case strings.Contains(le.Message, "anchor"):
		return "an alias to nothing", "aliases are not used in this file; text that begins with * needs quotes"
	case strings.Contains(le.Message, "expected alphabetic or numeric character"):
		return "a * or & without a name", "text that begins with * or & needs quotes"
	case strings.Contains(le.Message, "control characters"):
		return "a control character", "remove it"
	case strings.Contains(le.Message, "YAML tag"):
		return "a broken tag", "tags are not used in this file; text that begins with ! needs quotes"
	case strings.Contains(le.Message, "cannot start any token") && at == '\t':
		return "a tab where a blank is needed", "YAML is indented with blanks"
	case strings.Contains(le.Message, "cannot start any token"):
		return "not valid YAML: " + le.Message, "put the text into quotes"
	case strings.Contains(le.Message, "mapping values are not allowed"):
		return "not valid YAML: a colon where no key can stand", "look at the indentation, also of the line above; text that contains a colon and a blank needs quotes"
	}
	return "not valid YAML: " + le.Message, "look at the brackets, quotes and indentation here and in the line above"
}

func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func firstControl(data []byte) int {
	return max(bytes.IndexFunc(data, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0x7f && r < 0xa0 && r != 0x85 || r == 0xfffe || r == 0xffff
	}), 0)
}

// placeOf returns line and column of an offset.
func placeOf(data []byte, offset int) (line, column int) {
	head := data[:offset]
	start := bytes.LastIndexByte(head, '\n') + 1
	return bytes.Count(head, []byte("\n")) + 1, utf8.RuneCount(head[start:]) + 1
}

func charAt(data []byte, line, column int) rune {
	lines := bytes.SplitN(data, []byte("\n"), line+1)
	if line > len(lines) {
		return 0
	}
	text := []rune(string(lines[line-1]))
	if column > len(text) {
		return 0
	}
	return text[column-1]
}
