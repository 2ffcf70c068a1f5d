package template

import (
	"errors"
	"fmt"
	"strconv"
	"text/template/parse"
	gotime "time"

	"outboxd/mail/compose/table"
)

// Result is what a query found, for templates: {{range $r.Rows}}{{.amount}}{{end}}. What is NULL counts as missing.
type Result struct {
	Columns []string
	Rows    []map[string]any
	numeric map[string]bool // columns of numbers
}

// query runs a query of the template with the mail's parameters; once a mail, however often it is named.
func (s *state) query(name, ifEmpty string) (*Result, error) {
	if message := wrongIfEmpty(ifEmpty); message != "" {
		return nil, errors.New(message)
	}
	r, err := s.result(name)
	if err != nil {
		return nil, err
	}
	if len(r.Rows) == 0 {
		switch table.IfEmpty(ifEmpty) {
		case table.Skip:
			return nil, &SkipError{name}
		case table.Fail:
			return nil, fmt.Errorf("the query %q found nothing", name)
		}
	}
	return r, nil
}

func (s *state) result(name string) (*Result, error) {
	if r := s.results[name]; r != nil {
		return r, nil
	}
	statement, ok := s.variant.queries[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("there is no query %q", name)
	case s.ask == nil:
		return nil, errors.New("queries cannot be run here")
	}
	found, err := s.ask(s.ctx, statement)
	if err != nil {
		return nil, &queryError{name, err}
	}
	r := newResult(found)
	if s.results == nil {
		s.results = map[string]*Result{}
	}
	s.results[name] = r
	return r, nil
}

func newResult(found *table.Result) *Result {
	r := &Result{numeric: map[string]bool{}}
	for _, c := range found.Columns {
		r.Columns = append(r.Columns, c.Name)
		r.numeric[c.Name] = c.Kind == table.Integer || c.Kind == table.Number || c.Kind == table.Float
	}
	for _, values := range found.Rows {
		row := make(map[string]any, len(values))
		for i, v := range values {
			if v = own(v, found.Columns[i].Kind); v != nil {
				row[found.Columns[i].Name] = v
			}
		}
		r.Rows = append(r.Rows, row)
	}
	return r
}

// own makes a value of a result one that templates know.
func own(v any, kind table.Kind) any {
	switch v := v.(type) {
	case int64:
		return Number(strconv.FormatInt(v, 10))
	case uint64:
		return Number(strconv.FormatUint(v, 10))
	case float64:
		return Number(strconv.FormatFloat(v, 'f', -1, 64))
	case []byte:
		return string(v)
	case gotime.Time:
		if kind != table.Timestamp { // what has no zone is shown as it is
			return wallTime(v)
		}
	}
	return v
}

func wrongIfEmpty(s string) string {
	switch table.IfEmpty(s) {
	case table.Send, table.Skip, table.Fail:
		return ""
	}
	return fmt.Sprintf("%q does not say what an empty result means: send, skip or fail", s)
}

func checkQuery(w *rewriter, c *parse.CommandNode, args []parse.Node) string {
	if name, ok := args[0].(*parse.StringNode); ok {
		w.refer(toQuery, name.Text, int(name.Position()))
	}
	if len(args) == 2 {
		if ifEmpty, ok := args[1].(*parse.StringNode); ok {
			return wrongIfEmpty(ifEmpty.Text)
		}
	}
	return ""
}
