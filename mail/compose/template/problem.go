package template

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Problem is one thing that is wrong with a template, in one line.
type Problem struct {
	File         string // below the templates' folder; outbox_template/NAME... for a row of that table; params
	Line, Column int    // from 1, the column in characters; 0 is unknown
	Message      string
	Hint         string // what to do; may be empty
}

// String is the problem in one line: place, message and hint.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(": " + p.Hint)
	}
	return printable(b.String())
}

// maxLine is how many characters a problem has at most: it may quote what a row holds.
const maxLine = 1000

// printable keeps a problem one line.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	if runes := []rune(s); len(runes) > maxLine {
		s = string(runes[:maxLine]) + "…"
	}
	return s
}

// Error is why a row could not be rendered. Trying again without changing row, template or data never helps.
type Error struct{ Problem }

// Error is the problem.
func (e *Error) Error() string { return e.String() }

// SkipError says that a query found nothing and that the mail is not to be sent then. The row ends as skipped.
type SkipError struct{ Query string }

// Error names the query.
func (e *SkipError) Error() string {
	return fmt.Sprintf("the query %q found nothing, and the template says to send no mail then", e.Query)
}

// position returns line and column of a byte offset.
func position(text string, offset int) (line, column int) {
	offset = max(0, min(offset, len(text)))
	before := text[:offset]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

// at makes a problem at a byte offset of a source.
func (s source) at(offset int, message, hint string) Problem {
	line, column := position(s.text, offset)
	return Problem{s.file, line, column, message, hint}
}
