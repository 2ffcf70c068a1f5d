// Package table writes the result of a query as CSV or XLSX.
//
// What it promises: numbers, dates and texts are in the file what they were in the database, to the last digit; nothing that stands in the
// data is ever a formula; and the same result gives the same octets. What does not fit into a format is an error that names row and
// column, never a file that is cut or broken.
package table

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what the values of a column are. All may be nil for NULL.
type Kind string

// The kinds of columns.
const (
	Text      Kind = "text"      // string
	Integer   Kind = "integer"   // int64, uint64
	Number    Kind = "decimal"   // Decimal
	Float     Kind = "float"     // float64
	Boolean   Kind = "boolean"   // bool
	Date      Kind = "date"      // time.Time at midnight UTC
	DateTime  Kind = "datetime"  // time.Time in UTC: what a calendar and a clock show somewhere
	Timestamp Kind = "timestamp" // time.Time: a moment, shown in Options.Zone
	Time      Kind = "time"      // string: a time of day or a duration
	JSON      Kind = "json"      // string
	Bytes     Kind = "bytes"     // []byte, written as 0x and hexadecimal digits
)

// Decimal is a number by its digits, as 0.10: nothing is rounded.
type Decimal = json.Number

// Column is a column of a result.
type Column struct {
	Name string
	Kind Kind
}

// Result is what a query returned. Values are nil, bool, int64, uint64, Decimal, float64, string, []byte and time.Time, whatever
// the kind of their column; the kind tells the times apart.
type Result struct {
	Columns []Column
	Rows    [][]any
}

// Sum adds up a column exactly, NULL as nothing. A column that has anything else than numbers is an error.
func (r *Result) Sum(column string) (Decimal, error) {
	i, err := r.index(column)
	if err != nil {
		return "", err
	}
	sum, scale := new(big.Rat), 0
	for n, row := range r.Rows {
		if row[i] == nil {
			continue
		}
		text, ok := digits(row[i])
		if !ok {
			return "", fmt.Errorf("row %d, column %s: only numbers can be added up", n+1, column)
		}
		_, fraction, _ := strings.Cut(text, ".")
		scale = max(scale, len(fraction))
		value, _ := new(big.Rat).SetString(text) // digits has looked at it
		sum.Add(sum, value)
	}
	return Decimal(sum.FloatString(scale)), nil
}

// index finds a column by its name.
func (r *Result) index(name string) (int, error) {
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name
	}
	i := slices.Index(names, name)
	if i < 0 {
		return 0, fmt.Errorf("there is no column %s: known are %s", name, strings.Join(names, ", "))
	}
	return i, nil
}

// check finds rows that do not fit the columns.
func (r *Result) check() error {
	if len(r.Columns) == 0 {
		return fmt.Errorf("a result without columns")
	}
	for i, row := range r.Rows {
		if len(row) != len(r.Columns) {
			return fmt.Errorf("row %d has %d values, and there are %d columns", i+1, len(row), len(r.Columns))
		}
	}
	return nil
}

// digits is a number as -12.30, without exponent; not ok for anything else.
func digits(v any) (text string, ok bool) {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10), true
	case uint64:
		return strconv.FormatUint(v, 10), true
	case Decimal:
		return string(v), isPlainNumber(string(v))
	case float64:
		text = strconv.FormatFloat(v, 'f', -1, 64)
		return text, isPlainNumber(text)
	}
	return "", false
}

// isPlainNumber: -12.30 with digits on both sides of a point. A Decimal may come from anywhere.
func isPlainNumber(s string) bool {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	return whole != "" && allDigits(whole) && (fraction != "") == point && allDigits(fraction)
}

func allDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// timeText is a time as ISO 8601 has it, with a space: spreadsheets know that form.
func timeText(t time.Time, kind Kind, zone *time.Location) string {
	switch {
	case kind == Date:
		return t.Format(time.DateOnly)
	case kind != DateTime && zone != nil:
		t = t.In(zone)
	}
	return t.Format("2006-01-02 15:04:05.999999")
}
