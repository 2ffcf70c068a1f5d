package template

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"reflect"
	"slices"
	"strings"
	texttemplate "text/template"
	"text/template/parse"
)

// fn is a function that templates have.
type fn struct {
	example string
	bind    func(s *state, html bool) any                                     // to one rendering
	check   func(w *rewriter, c *parse.CommandNode, args []parse.Node) string // what is wrong with values that are written out
}

// functions are ours, beside and, or, not, len, index, slice and call of text/template. Each is told a missing value as nil.
var functions = map[string]fn{
	"money":    {`{{money .total "EUR"}}`, func(s *state, _ bool) any { return s.money }, checkMoney},
	"number":   {`{{number .weight 3}}`, func(s *state, _ bool) any { return s.number }, nil},
	"percent":  {`{{percent .rate}} or {{percent .rate 1}}`, func(s *state, _ bool) any { return s.percent }, nil},
	"date":     {`{{date .due}} or {{date .due "long"}}`, func(s *state, _ bool) any { return s.date }, checkDate},
	"time":     {`{{time .at}}`, func(s *state, _ bool) any { return s.time }, nil},
	"plural":   {`{{plural .n "one" "%d invoice" "other" "%d invoices"}}`, func(s *state, _ bool) any { return s.plural }, checkPlural},
	"language": {`<html lang="{{language}}">`, func(s *state, _ bool) any { return s.language }, nil},
	"default":  {`{{default "unknown" .name}}`, func(*state, bool) any { return fallback }, nil},
	"sum":      {`{{sum .items "amount"}}`, func(*state, bool) any { return sum }, nil},
	"add":      {`{{add .net .vat}}`, func(*state, bool) any { return add }, nil},
	"query":    {`{{query "items" "skip"}}`, func(s *state, _ bool) any { return s.query }, checkQuery},
	"table": {`{{table .items "name=Item" "price=Price|money EUR"}}`, func(s *state, html bool) any {
		if html {
			return s.tableHTML
		}
		return s.tableText
	}, checkTable},
	"eq":      {`{{if eq .kind "credit"}}`, func(*state, bool) any { return equal }, nil},
	"ne":      {`{{if ne .kind "credit"}}`, func(*state, bool) any { return unequal }, nil},
	"lt":      {`{{if lt .total 100}}`, func(*state, bool) any { return ordered(func(c int) bool { return c < 0 }) }, nil},
	"le":      {`{{if le .total 100}}`, func(*state, bool) any { return ordered(func(c int) bool { return c <= 0 }) }, nil},
	"gt":      {`{{if gt .total 100}}`, func(*state, bool) any { return ordered(func(c int) bool { return c > 0 }) }, nil},
	"ge":      {`{{if ge .total 100}}`, func(*state, bool) any { return ordered(func(c int) bool { return c >= 0 }) }, nil},
	"print":   {`{{print .a .b}}`, func(s *state, _ bool) any { return s.printed(fmt.Sprint) }, nil},
	"println": {`{{println .a .b}}`, func(s *state, _ bool) any { return s.printed(fmt.Sprintln) }, nil},
	"printf":  {`{{printf "%05d" .number}}`, func(s *state, _ bool) any { return s.printf }, nil},

	// Those of text/template would also write what is missing, and without a bound.
	"html":     {`{{html .a}}`, func(s *state, _ bool) any { return s.printed(texttemplate.HTMLEscaper) }, nil},
	"js":       {`{{js .a}}`, func(s *state, _ bool) any { return s.printed(texttemplate.JSEscaper) }, nil},
	"urlquery": {`{{urlquery .a}}`, func(s *state, _ bool) any { return s.printed(texttemplate.URLQueryEscaper) }, nil},
}

const functionNames = "money, number, percent, date, time, plural, language, default, sum, add, table, query, print, printf, println, and, or, not, " +
	"eq, ne, lt, le, gt, ge, len, index, slice"

// bind returns all functions bound to one rendering, those too that rewriter writes into templates.
func bind(s *state, html bool) map[string]any {
	all := map[string]any{
		"_given": given, "_shown": shown, "_truth": truth, "_tick": s.tick,
		"_literal": func(text string) htmltemplate.HTML { return htmltemplate.HTML(text) },
	}
	for name, f := range functions {
		all[name] = f.bind(s, html)
	}
	return all
}

// missing says which of a function's values is missing; -1 is the value of the whole pipeline.
type missing struct{ arg int }

func (m missing) Error() string { return "a parameter is missing" }

// given ends every action that prints.
func given(v any) (any, error) {
	if isMissing(v) {
		return nil, missing{-1}
	}
	return v, nil
}

func isMissing(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return r.IsNil() && r.Kind() != reflect.Slice
	}
	return false
}

// firstMissing returns an error for the first value that is missing.
func firstMissing(values []any) error {
	if i := slices.IndexFunc(values, isMissing); i >= 0 {
		return missing{i}
	}
	return nil
}

// truth ends every condition: a number that is zero is false, whatever its decimals.
func truth(v any) any {
	if n, ok := v.(Number); ok {
		if d, valid := parseDecimal(string(n)); valid && d.digits == "" {
			return 0
		}
	}
	return v
}

// fallback is the function default: the first value, unless the second is there. An empty text is there.
func fallback(otherwise any, value any) any {
	if isMissing(value) {
		return otherwise
	}
	return value
}

func add(values ...any) (Number, error) {
	if err := firstMissing(values); err != nil {
		return "", err
	}
	var total decimal
	for _, v := range values {
		d, _, ok := toDecimal(v)
		if !ok {
			return "", notNumber(v)
		}
		total = total.add(d)
	}
	return Number(total.String()), nil
}

// sum adds up a column of a list of objects or of a query's result, or a list of numbers. Where a row has nothing in the
// column, as where it is NULL in SQL, it adds nothing.
func sum(list any, column ...string) (Number, error) {
	if isMissing(list) {
		return "", missing{0}
	}
	if r, ok := list.(*Result); ok {
		if len(column) == 1 && !slices.Contains(r.Columns, column[0]) {
			return "", fmt.Errorf("there is no column %q; there are %s", column[0], strings.Join(r.Columns, ", "))
		}
		list = r.Rows
	}
	rows := reflect.ValueOf(list)
	if rows.Kind() != reflect.Slice || len(column) > 1 {
		return "", fmt.Errorf("sum takes a list and one column, not %s", show(list))
	}
	var total decimal
	_, isResult := list.([]map[string]any)
	found := isResult || rows.Len() == 0 || len(column) == 0
	for i := range rows.Len() {
		v := rows.Index(i).Interface()
		if len(column) == 1 {
			row, ok := v.(map[string]any)
			if !ok {
				return "", fmt.Errorf("row %d of the list is no object but %s", i+1, show(v))
			}
			if v, ok = row[column[0]]; !ok || v == nil {
				continue
			}
			found = true
		}
		d, _, ok := toDecimal(v)
		if !ok {
			return "", fmt.Errorf("row %d of the list: %w", i+1, notNumber(v))
		}
		total = total.add(d)
	}
	if !found {
		return "", fmt.Errorf("no row of the list has a column %q", column[0])
	}
	return Number(total.String()), nil
}

func notNumber(v any) error { return fmt.Errorf("%s is no number", show(v)) }

// show quotes a value for an error: a text in quotes, and cut.
func show(v any) string {
	text, ok := v.(string)
	if !ok {
		switch r := reflect.ValueOf(v); r.Kind() {
		case reflect.Map:
			return "an object"
		case reflect.Slice:
			return "a list"
		case reflect.Pointer:
			return "a query's result"
		}
		return fmt.Sprint(v)
	}
	if runes := []rune(text); len(runes) > 40 {
		text = string(runes[:40]) + "…"
	}
	return fmt.Sprintf("%q", text)
}

func (s *state) printed(f func(...any) string) func(...any) (string, error) {
	return func(values ...any) (string, error) {
		octets, err := printableValues(values)
		if err == nil {
			err = s.makes(octets)
		}
		if err != nil {
			return "", err
		}
		text := f(values...)
		return text, s.makes(max(0, len(text)-octets))
	}
}

// printf refuses what package fmt would print as %!d(string=...).
func (s *state) printf(format string, values ...any) (string, error) {
	if _, err := printableValues(values); err != nil {
		if m, ok := err.(missing); ok {
			return "", missing{m.arg + 1}
		}
		return "", err
	}
	octets, err := formatted(format, values)
	if err == nil {
		err = s.makes(octets)
	}
	if err != nil {
		return "", err
	}
	for i, v := range values {
		if n, ok := v.(Number); ok {
			values[i] = verbatim(n)
		}
	}
	text := fmt.Sprintf(format, values...)
	if strings.Count(text, "%!") > strings.Count(format+fmt.Sprint(values...), "%!") {
		return "", errors.New("the format does not fit the values: " + text)
	}
	return text, nil
}
