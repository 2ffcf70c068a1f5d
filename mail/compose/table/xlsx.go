package table

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/xuri/excelize/v2"
)

// Limits of a sheet.
const (
	maxRows    = excelize.TotalRows
	maxColumns = excelize.MaxColumns
	maxCell    = excelize.TotalCellChars // in units of UTF-16
)

const (
	defaultSheet = "Sheet1"
	author       = "outboxd"
	fixedTime    = "2000-01-01T00:00:00Z" // of every file: the same result gives the same octets
)

// WriteXLSX writes a result as a workbook of one sheet: numbers, dates and booleans as such, all else as text that is no formula. Numbers of
// more than 15 digits, which a spreadsheet would round, are texts.
func WriteXLSX(w io.Writer, r *Result, o Options) (err error) {
	if err := r.check(); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	if len(r.Columns) > maxColumns {
		return fmt.Errorf("%d columns, and a sheet holds %d; let the query return fewer, or write csv", len(r.Columns), maxColumns)
	}
	if len(r.Rows) > maxRows-2 { // header and totals
		return fmt.Errorf("%d rows, and a sheet holds %d; let the query return fewer, or write csv", len(r.Rows), maxRows-2)
	}
	b := &book{file: excelize.NewFile(), result: r, options: o, styles: map[style]int{}}
	defer func() { err = errors.Join(err, b.file.Close()) }()
	if err := b.fill(); err != nil {
		return err
	}
	return b.file.Write(w)
}

// book is a workbook in the making.
type book struct {
	file    *excelize.File
	sheet   *excelize.StreamWriter
	result  *Result
	options Options
	styles  map[style]int
	row     int // the last one written
}

// fill writes the whole sheet.
func (b *book) fill() error {
	if err := b.open(); err != nil {
		return err
	}
	filter := func() error { return b.filter(len(b.result.Rows)) }
	for _, step := range []func() error{b.widths, b.freeze, b.header, b.rows, b.totals, filter, b.sheet.Flush} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// open begins the sheet.
func (b *book) open() error {
	name := b.options.Sheet
	if name == "" {
		name = defaultSheet
	}
	if err := b.file.SetSheetName(defaultSheet, name); err != nil {
		return err
	}
	err := b.file.SetDocProps(&excelize.DocProperties{Creator: author, LastModifiedBy: author, Created: fixedTime, Modified: fixedTime})
	if err != nil {
		return err
	}
	b.sheet, err = b.file.NewStreamWriter(name)
	return err
}

// freeze keeps the header in sight.
func (b *book) freeze() error {
	if b.options.Header == NoHeader {
		return nil
	}
	return b.sheet.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
}

func (b *book) header() error {
	if b.options.Header == NoHeader {
		return nil
	}
	cells := make([]any, len(b.result.Columns))
	for i, c := range b.result.Columns {
		cell, err := b.text(c.Name, style{format: textFormat, bold: b.options.Header != Plain, right: isRight(c.Kind)})
		if err != nil {
			return fmt.Errorf("name of column %d: %w", i+1, err)
		}
		cells[i] = cell
	}
	return b.write(cells)
}

func (b *book) rows() error {
	for n, row := range b.result.Rows {
		if err := b.values(n+1, row); err != nil {
			return err
		}
	}
	return nil
}

// values writes the row of a number, for people counted from 1.
func (b *book) values(n int, row []any) error {
	cells := make([]any, len(row))
	for i, v := range row {
		if v == nil {
			continue
		}
		cell, err := b.cell(v, b.result.Columns[i].Kind, false)
		if err != nil {
			return fmt.Errorf("row %d, column %s: %w", n, b.result.Columns[i].Name, err)
		}
		cells[i] = cell
	}
	return b.write(cells)
}

// totals writes the sums as formulas, with their values beside them for programs that do not calculate. A column in which a number is a
// text cannot be added up by the spreadsheet: there the exact sum stands.
func (b *book) totals() error {
	sums, err := totals(b.result, b.options)
	if err != nil || len(sums) == 0 {
		return err
	}
	cells := make([]any, len(b.result.Columns))
	if _, ok := sums[0]; !ok && b.options.TotalsLabel != "" {
		if cells[0], err = b.text(b.options.TotalsLabel, style{format: textFormat, bold: true}); err != nil {
			return fmt.Errorf("totals_label: %w", err)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(sums)) {
		if cells[i], err = b.total(i, sums[i]); err != nil {
			return fmt.Errorf("totals of column %s: %w", b.result.Columns[i].Name, err)
		}
	}
	return b.write(cells)
}

// total makes the cell of a column's sum.
func (b *book) total(column int, exact Decimal) (excelize.Cell, error) {
	kind, sum := b.result.Columns[column].Kind, any(exact)
	if f, err := exact.Float64(); err == nil && kind == Float {
		sum = f
	}
	cell, err := b.cell(sum, kind, true)
	if err == nil && b.calculable(column, sum) {
		cell.Formula, err = b.formula(column)
	}
	return cell, err
}

// formula is the one that adds up the rows of a column.
func (b *book) formula(column int) (string, error) {
	first, err := excelize.CoordinatesToCellName(column+1, b.row-len(b.result.Rows)+1)
	if err != nil {
		return "", err
	}
	last, err := excelize.CoordinatesToCellName(column+1, b.row)
	return "SUM(" + first + ":" + last + ")", err
}

// calculable tells whether all numbers of a column are numbers in the sheet, and so is their sum.
func (b *book) calculable(column int, sum any) bool {
	for _, row := range b.result.Rows {
		if _, ok := exactFloat(row[column]); !ok && row[column] != nil {
			return false
		}
	}
	_, ok := exactFloat(sum)
	return ok
}

// filter puts the buttons into the header of so many rows.
func (b *book) filter(rows int) error {
	if !b.options.Filter || b.options.Header == NoHeader {
		return nil
	}
	last, err := excelize.CoordinatesToCellName(len(b.result.Columns), 1+rows)
	if err != nil {
		return err
	}
	return b.file.AutoFilter(b.sheet.Sheet, "A1:"+last, nil)
}

// write writes the next row.
func (b *book) write(cells []any) error {
	b.row++
	return b.sheet.SetRow("A"+strconv.Itoa(b.row), cells)
}
