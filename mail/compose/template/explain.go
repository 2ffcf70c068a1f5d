package template

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// queryError is the error of whoever ran a query.
type queryError struct {
	name string
	err  error
}

func (e *queryError) Error() string { return e.err.Error() }
func (e *queryError) Unwrap() error { return e.err }

// missing names what is missing at a place, and the two remedies.
func (s site) missing(m missing) (message, hint string) {
	text := s.text
	if m.arg >= 0 && m.arg < len(s.args) {
		text = s.args[m.arg]
	}
	where := ""
	if s.within != "" {
		where = " (within " + s.within + ")"
	}
	name, plain := strings.CutPrefix(text, ".")
	name, global := strings.CutPrefix(name, "$.")
	if (plain || global) && parameter.MatchString(name) {
		return "parameter " + name + " is missing" + where, fmt.Sprintf(`add it to params, or write {{default "…" %s}}`, text)
	}
	return fmt.Sprintf("%s gives nothing%s", text, where), fmt.Sprintf(`a parameter is missing; add it to params, or write {{default "…" (%s)}}`, text)
}

var parameter = regexp.MustCompile(`^[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*$`)

// column makes characters of octets.
func (v *variant) column(file string, line, octets int) int {
	text, ok := v.texts[file]
	if !ok {
		return octets + 1
	}
	rest := text[lineStart(text, line):]
	return utf8.RuneCountInString(rest[:min(octets, len(rest))]) + 1
}

// What text/template says about types is about Go's; a template's author knows JSON's.
var plainWords = strings.NewReplacer("json.Number", "a number", "map[string]interface {}", "an object", "[]interface {}", "a list",
	"interface {}", "a value", "*template.Result", "a query's result", "type string", "a text", "in type ", "in ")

func plainMessage(s, place string) string {
	if i := strings.Index(s, "error calling "); i >= 0 {
		s = s[i+len("error calling "):]
	}
	if m := wrongField.FindStringSubmatch(s); m != nil {
		return place + ": this is no object, so it has no field " + m[1]
	}
	return plainWords.Replace(s)
}

var wrongField = regexp.MustCompile(`^can't evaluate field (\S+) in type (.*)$`)
