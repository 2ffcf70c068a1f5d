package jobfile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Problem is one thing that is wrong, or questionable, in one place of one file.
type Problem struct {
	File         string // as the main file was named to Load, or found by `include`
	Line, Column int    // from 1; columns count characters
	Path         string // the key, as accounts.invoices.rate or accounts.invoices.limits[1]; "" for the file itself
	Value        string // what stands there; "" when nothing does, or when it could be a secret
	Message      string // what is wrong
	Hint         string // what to do; may be ""
	Warning      bool   // true when the file can be used all the same
}

// String returns the problem in one line: file:line:column: path: message (value); hint.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	fmt.Fprintf(&b, "%d:%d: ", p.Line, p.Column)
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Value != "" {
		b.WriteString(" (" + p.Value + ")")
	}
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// Problems is what Load found: those of the main file first, then file by file, each sorted by place.
type Problems []Problem

// Errors returns those that are not warnings.
func (ps Problems) Errors() Problems { return ps.filter(false) }

// Warnings returns the warnings.
func (ps Problems) Warnings() Problems { return ps.filter(true) }

// String returns one problem a line.
func (ps Problems) String() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) filter(warning bool) Problems {
	var out Problems
	for _, p := range ps {
		if p.Warning == warning {
			out = append(out, p)
		}
	}
	return out
}

func (ps Problems) sortByPlace() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

const (
	maxShown = 60  // characters of a value in a problem
	maxPath  = 250 // characters of a path; only a broken name makes it that long
)

// shown returns a value as a problem may print it: one line, short, and nothing that looks like a secret that was
// folded into it or written into a URL.
func shown(value string) string {
	if lower := strings.ToLower(value); strings.Contains(lower, "password") || strings.Contains(lower, "private key") || hasUserinfo(value) {
		return ""
	}
	return printable(value)
}

func hasUserinfo(value string) bool {
	before, _, found := strings.Cut(value, "@")
	return found && strings.Contains(before, ":")
}

func printable(s string) string {
	s = short(s, maxShown)
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func short(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// clean keeps a broken name, which a text may quote, from breaking the line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
