package table

import (
	"cmp"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

const bom = "\uFEFF"

// WriteCSV writes a result as RFC 4180 has it, in UTF-8 with CRLF. NULL is an empty field.
func WriteCSV(w io.Writer, r *Result, o Options) error {
	if err := r.check(); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	c := newCSV(w, o)
	fields := make([]string, len(r.Columns))
	if err := c.begin(r.Columns, fields); err != nil {
		return err
	}
	for n, row := range r.Rows {
		if err := c.row(n+1, row, r.Columns, fields); err != nil {
			return err
		}
	}
	if err := c.totals(r, fields); err != nil {
		return err
	}
	return c.end()
}

// csvWriter keeps the first error for the end, as the writer of the standard library does.
type csvWriter struct {
	csv     *csv.Writer
	out     io.Writer
	err     error // of out
	options Options
}

func newCSV(w io.Writer, o Options) *csvWriter {
	c := &csvWriter{csv: csv.NewWriter(w), out: w, options: o}
	c.csv.UseCRLF = true
	switch {
	case o.Separator != "":
		c.csv.Comma = rune(o.Separator[0])
	case o.Decimal == ",":
		c.csv.Comma = ';'
	}
	return c
}

// begin writes what stands before the rows.
func (c *csvWriter) begin(columns []Column, fields []string) error {
	if c.options.BOM {
		if _, err := io.WriteString(c.out, bom); err != nil {
			return err
		}
	}
	if c.options.Header != NoHeader {
		for i, column := range columns {
			fields[i] = defuse(column.Name)
		}
		c.write(fields)
	}
	return nil
}

// row writes the row of a number, for people counted from 1.
func (c *csvWriter) row(n int, values []any, columns []Column, fields []string) error {
	if len(values) != len(columns) {
		return fmt.Errorf("row %d has %d values, and there are %d columns", n, len(values), len(columns))
	}
	for i, v := range values {
		text, err := c.field(v, columns[i].Kind)
		if err != nil {
			return fmt.Errorf("row %d, column %s: %w", n, columns[i].Name, err)
		}
		fields[i] = text
	}
	c.write(fields)
	return nil
}

// end writes what is left.
func (c *csvWriter) end() error {
	c.csv.Flush()
	return cmp.Or(c.err, c.csv.Error())
}

// write writes a record. A single empty field would be an empty line, which readers leave out.
func (c *csvWriter) write(fields []string) {
	if len(fields) == 1 && fields[0] == "" {
		c.csv.Flush()
		_, err := io.WriteString(c.out, "\"\"\r\n")
		c.err = cmp.Or(c.err, err)
		return
	}
	_ = c.csv.Write(fields) // the writer keeps the error
}

// totals writes the last row, if there is to be one.
func (c *csvWriter) totals(r *Result, fields []string) error {
	sums, err := totals(r, c.options)
	if err != nil || len(sums) == 0 {
		return err
	}
	for i := range fields {
		fields[i] = c.number(string(sums[i]))
	}
	if sums[0] == "" {
		fields[0] = defuse(c.options.TotalsLabel)
	}
	c.write(fields)
	return nil
}

// totals are the sums of the columns that are to be added up, "" for the others; nothing where there is nothing to add up.
func totals(r *Result, o Options) (map[int]Decimal, error) {
	sums := map[int]Decimal{}
	for _, name := range o.Totals {
		i, err := r.index(name)
		if err == nil && len(r.Rows) > 0 {
			sums[i], err = r.Sum(name)
		}
		if err != nil {
			return nil, fmt.Errorf("totals: %w", err)
		}
	}
	return sums, nil
}

// field is a value as CSV has it.
func (c *csvWriter) field(v any, kind Kind) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return c.number(floatText(v)), nil
	case string:
		return defuse(v), nil
	}
	if text, ok := digits(v); ok {
		return c.number(text), nil
	}
	text, err := plainText(v, kind, c.options.Zone)
	return defuse(text), err
}

// number writes the decimal sign.
func (c *csvWriter) number(text string) string {
	if c.options.Decimal == "," {
		return strings.Replace(text, ".", ",", 1)
	}
	return text
}

// floatText is the shortest text that is this number, with an exponent where it would have many zeros.
func floatText(v float64) string {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// plainText is what neither is a number nor came as a text.
func plainText(v any, kind Kind, zone *time.Location) (string, error) {
	switch v := v.(type) {
	case time.Time:
		return timeText(v, kind, zone), nil
	case []byte:
		if len(v) == 0 {
			return "", nil
		}
		return "0x" + hex.EncodeToString(v), nil
	case Decimal: // of whoever did not take it from a number
		return string(v), nil
	}
	return "", fmt.Errorf("a value of type %T cannot be written", v)
}

// defuse keeps spreadsheets from taking a text for a formula, as OWASP advises: an apostrophe goes before what could begin one.
func defuse(text string) string {
	for _, begin := range []string{"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(text, begin) {
			return "'" + text
		}
	}
	return text
}
