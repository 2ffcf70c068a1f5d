package template

import (
	"fmt"
	"html"
	htmltemplate "html/template"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
	gotime "time"
	"unicode"
	"unicode/utf8"
)

// column is one column of the function table: NAME, NAME=HEADING, NAME=HEADING|FORMAT.
type column struct {
	name, heading string
	optional      bool     // NAME?: a row need not have it
	format        []string // money EUR, number 2, percent, date long, time, left, right, center
}

// grid is a table that has been written out.
type grid struct {
	columns []column
	right   []bool // columns of numbers
	rows    [][]string
}

const (
	tableStyle = `border-collapse:collapse;width:100%`
	headStyle  = `padding:8px 10px;border-bottom:2px solid #c9d1d9;font-weight:bold;vertical-align:bottom;text-align:`
	cellStyle  = `padding:8px 10px;border-bottom:1px solid #e6e9ed;vertical-align:top;text-align:`
)

// cellOctets is about what a cell takes beside its text.
const cellOctets = 100

// tableHTML writes a list of objects or a query's result as an HTML table. All of it is escaped.
func (s *state) tableHTML(list any, columns ...string) (htmltemplate.HTML, error) {
	g, err := s.grid(list, columns)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(`<table cellpadding="0" cellspacing="0" border="0" style="` + tableStyle + "\">\n<tr>")
	for i, c := range g.columns {
		b.WriteString(`<th style="` + headStyle + g.align(i) + `">` + html.EscapeString(c.heading) + "</th>")
	}
	b.WriteString("</tr>\n")
	for _, row := range g.rows {
		b.WriteString("<tr>")
		for i, cell := range row {
			b.WriteString(`<td style="` + cellStyle + g.align(i) + `">` + html.EscapeString(cell) + "</td>")
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</table>")
	return htmltemplate.HTML(b.String()), nil
}

// tableText writes the same in columns of a plain text.
func (s *state) tableText(list any, columns ...string) (string, error) {
	g, err := s.grid(list, columns)
	if err != nil {
		return "", err
	}
	head := make([]string, len(g.columns))
	widths := make([]int, len(g.columns))
	for i, c := range g.columns {
		head[i] = c.heading
	}
	all := append([][]string{head}, g.rows...)
	for _, row := range all {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	wide := 0
	for _, width := range widths {
		wide += width
	}
	if wide > maxOutput/len(all) {
		return "", errOutput
	}
	var lines []string
	for _, row := range all {
		var cells []string
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if g.align(i) == "right" {
				cells = append(cells, gap+cell)
			} else {
				cells = append(cells, cell+gap)
			}
		}
		lines = append(lines, strings.TrimRight(strings.Join(cells, "  "), " "))
	}
	return strings.Join(lines, "\n"), nil
}

// align: what the column says, else numbers right.
func (g *grid) align(i int) string {
	for _, word := range g.columns[i].format {
		if word == "left" || word == "right" || word == "center" {
			return word
		}
	}
	if g.right[i] {
		return "right"
	}
	return "left"
}

func (s *state) grid(list any, specs []string) (*grid, error) {
	if err := firstMissing([]any{list}); err != nil {
		return nil, err
	}
	rows, result, err := objects(list)
	if err != nil {
		return nil, err
	}
	if len(specs) == 0 {
		if result == nil {
			return nil, fmt.Errorf(`say which columns: {{table .items "name" "price"}}`)
		}
		specs = result.Columns
	}
	g := &grid{right: make([]bool, len(specs))}
	for i, spec := range specs {
		c := parseColumn(spec)
		c.optional = c.optional || result != nil
		if result != nil && !slices.Contains(result.Columns, c.name) {
			return nil, fmt.Errorf("there is no column %q; there are %s", c.name, strings.Join(result.Columns, ", "))
		}
		g.columns = append(g.columns, c)
		g.right[i] = result != nil && result.numeric[c.name] || c.numeric() || len(rows) > 0
	}
	for n, row := range rows {
		if err := s.row(g, n+1, row); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// row writes out the n-th row.
func (s *state) row(g *grid, n int, row map[string]any) (err error) {
	cells := make([]string, len(g.columns))
	for i, c := range g.columns {
		v, ok := row[c.name]
		if !ok && !c.optional {
			return fmt.Errorf(`row %d of the list has no %s; write "%s?" if it need not have one`, n, c.name, c.name)
		}
		if !ok {
			continue
		}
		if cells[i], err = s.cell(c, v, row); err != nil {
			return fmt.Errorf("row %d, column %s: %w", n, c.name, err)
		}
		if err := s.makes(len(cells[i]) + cellOctets); err != nil {
			return err
		}
		_, number := v.(Number)
		g.right[i] = g.right[i] && (number || c.numeric())
	}
	g.rows = append(g.rows, cells)
	return nil
}

// objects takes a list of objects or a query's result.
func objects(list any) ([]map[string]any, *Result, error) {
	switch list := list.(type) {
	case *Result:
		return list.Rows, list, nil
	case []map[string]any:
		return list, nil, nil
	case []any:
		var rows []map[string]any
		for i, v := range list {
			row, ok := v.(map[string]any)
			if !ok {
				return nil, nil, fmt.Errorf("row %d of the list is no object but %s", i+1, show(v))
			}
			rows = append(rows, row)
		}
		return rows, nil, nil
	}
	return nil, nil, fmt.Errorf("a table is made of a list of objects or of a query's result, not of %s", show(list))
}

// parseColumn reads NAME?=HEADING|FORMAT.
func parseColumn(spec string) column {
	spec, format, _ := strings.Cut(spec, "|")
	name, heading, stated := strings.Cut(spec, "=")
	name, optional := strings.CutSuffix(strings.TrimSpace(name), "?")
	if !stated {
		heading = title(name)
	}
	return column{name, strings.TrimSpace(heading), optional, strings.Fields(format)}
}

// title makes a heading of a column's name: due_date is Due date.
func title(name string) string {
	name = strings.ReplaceAll(name, "_", " ")
	r, size := utf8.DecodeRuneInString(name)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + name[size:]
}

func (c column) numeric() bool {
	return len(c.format) > 0 && slices.Contains([]string{"money", "number", "percent"}, c.format[0])
}

// cell writes one value in its column's format.
func (s *state) cell(c column, v any, row map[string]any) (string, error) {
	if len(c.format) == 0 {
		return s.plain(v)
	}
	second := ""
	if len(c.format) > 1 {
		second = c.format[1]
	}
	switch c.format[0] {
	case "money":
		if code, named := row[second]; named {
			return s.money(v, code)
		}
		return s.money(v, second)
	case "number":
		return s.number(v, decimalsOf(second)...)
	case "percent":
		return s.percent(v, decimalsOf(second)...)
	case "date":
		if second != "" {
			return s.date(v, second)
		}
		return s.date(v)
	case "time":
		return s.time(v)
	}
	return s.plain(v)
}

func decimalsOf(word string) []int {
	if n, err := strconv.Atoi(word); err == nil {
		return []int{n}
	}
	return nil
}

// plain writes a value for which no format is stated: numbers with decimals and dates as the language does, the rest as given.
func (s *state) plain(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case Number:
		if strings.Contains(string(v), ".") {
			return s.number(v)
		}
		return string(v), nil
	case gotime.Time, wallTime:
		day, err := s.date(v)
		if w, wall := v.(wallTime); wall && err == nil && len(w.String()) == len(gotime.DateOnly) {
			return day, nil
		}
		clock, _ := s.time(v)
		return day + " " + clock, err
	}
	switch reflect.ValueOf(v).Kind() {
	case reflect.Map, reflect.Slice, reflect.Pointer:
		return "", fmt.Errorf("%s does not fit into a cell", show(v))
	}
	return fmt.Sprint(v), nil
}

// checkTable looks at columns that are written out.
func checkTable(_ *rewriter, _ *parse.CommandNode, args []parse.Node) string {
	for i, a := range args {
		spec, ok := a.(*parse.StringNode)
		if !ok || i == 0 {
			continue
		}
		c := parseColumn(spec.Text)
		if c.name == "" {
			return fmt.Sprintf("the column %q has no name", spec.Text)
		}
		known := []string{"money", "number", "percent", "date", "time", "left", "right", "center"}
		if len(c.format) > 0 && !slices.Contains(known, c.format[0]) {
			return fmt.Sprintf("%q is no format of a column: %s", c.format[0], strings.Join(known, ", "))
		}
		if len(c.format) == 1 && c.format[0] == "money" {
			return "money in a table needs a currency, or the column that holds it: price=Price|money EUR"
		}
	}
	return ""
}
