package table

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/xuri/excelize/v2"
)

// Stream takes a result row by row, so that memory stays flat however many rows there are. What it writes is what WriteCSV and
// WriteXLSX write; it has no totals. Close ends the file: without it there is none. A stream that has returned an error is only to be closed.
type Stream interface {
	Row(values []any) error
	Close() error
}

// NewCSV begins a stream of CSV.
func NewCSV(w io.Writer, columns []Column, o Options) (Stream, error) {
	if _, err := streamed(columns, o); err != nil {
		return nil, err
	}
	s := &csvStream{csvWriter: newCSV(w, o), columns: columns, fields: make([]string, len(columns))}
	return s, s.begin(columns, s.fields)
}

// NewXLSX begins a stream of a workbook with one sheet. widths are those of the columns, in characters: nobody knows yet what will stand in
// them. The rows wait in a temporary file; w gets the workbook when the stream is closed.
func NewXLSX(w io.Writer, columns []Column, widths []int, o Options) (Stream, error) {
	r, err := streamed(columns, o)
	if err != nil {
		return nil, err
	}
	if len(columns) > maxColumns || len(widths) != len(columns) {
		return nil, fmt.Errorf("%d columns and %d widths; a sheet holds %d columns", len(columns), len(widths), maxColumns)
	}
	s := &sheetStream{book: &book{file: excelize.NewFile(), result: r, options: o, styles: map[style]int{}}, to: w}
	err = s.open()
	for i, width := range widths {
		if err == nil {
			err = s.sheet.SetColWidth(i+1, i+1, float64(width))
		}
	}
	for _, step := range []func() error{s.freeze, s.header} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	return s, nil
}

// streamed is a result that has no rows yet.
func streamed(columns []Column, o Options) (*Result, error) {
	r := &Result{Columns: columns}
	if len(o.Totals) > 0 {
		return nil, errors.New("totals: a stream has none")
	}
	return r, cmp.Or(r.check(), o.check())
}

type csvStream struct {
	*csvWriter
	columns []Column
	fields  []string
	rows    int
}

// Row writes one row.
func (s *csvStream) Row(values []any) error {
	s.rows++
	return s.row(s.rows, values, s.columns, s.fields)
}

// Close writes what is left.
func (s *csvStream) Close() error { return s.end() }

type sheetStream struct {
	*book
	to     io.Writer
	rows   int
	failed bool
}

// Row writes one row.
func (s *sheetStream) Row(values []any) (err error) {
	defer func() { s.failed = s.failed || err != nil }()
	s.rows++
	switch {
	case len(values) != len(s.result.Columns):
		return fmt.Errorf("row %d has %d values, and there are %d columns", s.rows, len(values), len(s.result.Columns))
	case s.row >= maxRows:
		return fmt.Errorf("more than %d rows, and a sheet holds no more; write csv", maxRows)
	}
	return s.values(s.rows, values)
}

// Close writes the workbook, unless a row could not be written.
func (s *sheetStream) Close() (err error) {
	defer func() { err = errors.Join(err, s.file.Close()) }()
	if s.failed {
		return nil
	}
	if err := s.filter(s.rows); err != nil {
		return err
	}
	if err := s.sheet.Flush(); err != nil {
		return err
	}
	return s.file.Write(s.to)
}
