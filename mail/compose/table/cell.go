package table

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// style is how a cell looks.
type style struct {
	format string // "" means as the program likes
	bold   bool
	right  bool
}

// Formats of cells. What is in the format of a text stays a text also when a person edits the cell.
const (
	textFormat     = "@"
	integerFormat  = "0"
	decimalFormat  = "#,##0."
	dateFormat     = "yyyy-mm-dd"
	dateTimeFormat = "yyyy-mm-dd hh:mm:ss"
)

// style returns the number of a style in the workbook.
func (b *book) style(s style) (int, error) {
	if id, ok := b.styles[s]; ok {
		return id, nil
	}
	e := &excelize.Style{}
	if s.format != "" {
		e.CustomNumFmt = &s.format
	}
	if s.bold {
		e.Font = &excelize.Font{Bold: true}
	}
	if s.right {
		e.Alignment = &excelize.Alignment{Horizontal: "right"}
	}
	id, err := b.file.NewStyle(e)
	if err == nil {
		b.styles[s] = id
	}
	return id, err
}

// cell makes the cell of a value.
func (b *book) cell(v any, kind Kind, bold bool) (excelize.Cell, error) {
	number, isNumber := exactFloat(v)
	switch v := v.(type) {
	case bool:
		return b.styled(v, style{bold: bold})
	case float64:
		if isNumber {
			return b.styled(v, style{bold: bold})
		}
		return b.text(floatText(v), style{format: textFormat, bold: bold, right: true})
	case string:
		return b.text(v, style{format: textFormat, bold: bold})
	case time.Time:
		if serial, ok := serial(v, kind, b.options.Zone); ok && kind == Date {
			return b.styled(serial, style{format: dateFormat, bold: bold})
		} else if ok {
			return b.styled(serial, style{format: dateTimeFormat, bold: bold})
		}
	}
	text, ok := digits(v)
	switch {
	case isNumber:
		return b.styled(number, style{format: numberFormat(text, kind), bold: bold})
	case ok:
		return b.text(text, style{format: textFormat, bold: bold, right: true})
	}
	text, err := plainText(v, kind, b.options.Zone)
	if err != nil {
		return excelize.Cell{}, err
	}
	return b.text(text, style{format: textFormat, bold: bold})
}

func (b *book) styled(v any, s style) (excelize.Cell, error) {
	id, err := b.style(s)
	return excelize.Cell{StyleID: id, Value: v}, err
}

// text makes the cell of a text, which is never cut.
func (b *book) text(text string, s style) (excelize.Cell, error) {
	if n := units(text); n > maxCell {
		return excelize.Cell{}, fmt.Errorf("%d characters, and a cell holds %d; shorten it in the query, or write csv", n, maxCell)
	}
	return b.styled(text, s)
}

// units counts the units of UTF-16 that a text takes.
func units(text string) (n int) {
	for _, r := range text {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// numberFormat shows the digits that the number came with; large amounts are easier to read in groups, numbers of invoices are not.
func numberFormat(text string, kind Kind) string {
	_, fraction, _ := strings.Cut(text, ".")
	switch {
	case kind == Float:
		return ""
	case fraction == "":
		return integerFormat
	}
	return decimalFormat + strings.Repeat("0", min(len(fraction), 30))
}

const exactDigits = 15 // of a number that a float64 keeps, and a spreadsheet shows

// exactFloat is a number that is the same in a spreadsheet: with at most 15 digits between the zeros at its ends. A float64 is what it is.
func exactFloat(v any) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	text, ok := digits(v)
	if !ok {
		return 0, false
	}
	significant := strings.Trim(strings.Replace(text, ".", "", 1), "-0")
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && len(significant) <= exactDigits
}

// serial is a time as spreadsheets count: days since 1899-12-30. Before March 1900 they do not agree on it.
func serial(t time.Time, kind Kind, zone *time.Location) (float64, bool) {
	if kind != Date && kind != DateTime && zone != nil {
		t = t.In(zone)
	}
	day := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).Unix()
	_, offset := t.Zone()
	seconds := t.Unix() + int64(offset) - day
	days := float64(seconds/86400) + (float64(seconds%86400)+float64(t.Nanosecond())/1e9)/86400
	return days, days >= 61 && t.Year() <= 9999
}

// Bounds of a column's width, in characters.
const (
	minWidth = 8
	maxWidth = 60
)

// widths makes each column as wide as what stands in it.
func (b *book) widths() error {
	for i, c := range b.result.Columns {
		width := minWidth
		if b.options.Header != NoHeader {
			width = max(width, lineWidth(c.Name)+1)
		}
		if b.options.Filter {
			width += 2
		}
		for _, row := range b.result.Rows {
			if width = max(width, b.width(row[i], c.Kind)); width >= maxWidth {
				break
			}
		}
		if i == 0 {
			width = max(width, lineWidth(b.options.TotalsLabel))
		}
		if err := b.sheet.SetColWidth(i+1, i+1, float64(min(width, maxWidth)+1)); err != nil {
			return err
		}
	}
	return nil
}

// width is that of a value as the sheet shows it.
func (b *book) width(v any, kind Kind) int {
	switch v := v.(type) {
	case string:
		return lineWidth(v)
	case time.Time:
		return len(timeText(v, kind, b.options.Zone))
	case []byte:
		return 2 + 2*len(v)
	case float64:
		return len(floatText(v))
	}
	text, ok := digits(v)
	if !ok {
		return 0
	}
	whole, _, _ := strings.Cut(text, ".")
	return len(text) + len(whole)/3 // the groups' commas, and a sum is longer than its parts
}

// lineWidth is the length of the longest line, as far as it matters.
func lineWidth(text string) (width int) {
	for line := range strings.SplitSeq(text[:min(len(text), 1000)], "\n") {
		width = max(width, utf8.RuneCountInString(line))
	}
	return width
}

// isRight tells whether a column's values stand on its right side, and so its name.
func isRight(k Kind) bool { return k == Integer || k == Number || k == Float }
