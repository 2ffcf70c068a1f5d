package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

var streamColumns = []Column{{"name", Text}, {"amount", Number}, {"at", Timestamp}}

func streamRows() [][]any {
	return [][]any{{"=evil", Decimal("0.10"), time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}, {nil, nil, nil}, {"č", Decimal("-3"), nil}}
}

// A stream writes what the whole result is written as, octet by octet.
func TestStreamsAreTheFilesOfWholeResults(t *testing.T) {
	widths := []int{9, 9, 20}
	for name, o := range map[string]Options{"zero": {}, "all": {BOM: true, Decimal: ",", Sheet: "Run", Filter: true}, "bare": {Header: NoHeader}} {
		var want, got bytes.Buffer
		if err := WriteCSV(&want, &Result{streamColumns, streamRows()}, o); err != nil {
			t.Fatal(err)
		}
		s, err := NewCSV(&got, streamColumns, o)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, s, streamRows())
		if want.String() != got.String() {
			t.Errorf("%s: csv %q, want %q", name, &got, &want)
		}
		want.Reset()
		got.Reset()
		if err := WriteXLSX(&want, &Result{streamColumns, streamRows()}, o); err != nil {
			t.Fatal(err)
		}
		if s, err = NewXLSX(&got, streamColumns, widths, o); err != nil {
			t.Fatal(err)
		}
		fill(t, s, streamRows())
		if a, b := cellsOf(t, &want), cellsOf(t, &got); a != b {
			t.Errorf("%s: xlsx\n%s\nwant\n%s", name, b, a)
		}
	}
}

func fill(t *testing.T, s Stream, rows [][]any) {
	t.Helper()
	for _, row := range rows {
		if err := s.Row(row); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// cellsOf are the cells of the only sheet with their formats.
func cellsOf(t *testing.T, from io.Reader) string {
	t.Helper()
	f, err := excelize.OpenReader(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b strings.Builder
	sheet := f.GetSheetName(0)
	rows, err := f.GetRows(sheet)
	if err != nil {
		t.Fatal(err)
	}
	for y, row := range rows {
		for x, v := range row {
			cell, _ := excelize.CoordinatesToCellName(x+1, y+1)
			style, err := f.GetCellStyle(sheet, cell)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s %s %q %d\n", sheet, cell, v, style)
		}
	}
	return b.String()
}

func TestStreamsRefuse(t *testing.T) {
	if _, err := NewCSV(io.Discard, nil, Options{}); err == nil {
		t.Error("no columns")
	}
	if _, err := NewXLSX(io.Discard, streamColumns, nil, Options{}); err == nil {
		t.Error("no widths")
	}
	if _, err := NewCSV(io.Discard, streamColumns, Options{Totals: []string{"amount"}}); err == nil {
		t.Error("totals")
	}
	full := errors.New("disk full")
	c, err := NewCSV(failing{full}, streamColumns, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Row([]any{"x"}); err == nil || !strings.Contains(err.Error(), "row 1 has 1 values") {
		t.Errorf("short row: %v", err)
	}
	if err := c.Close(); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
	var out bytes.Buffer
	x, err := NewXLSX(&out, streamColumns, []int{9, 9, 9}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Row([]any{struct{}{}, nil, nil}); err == nil || !strings.Contains(err.Error(), "row 1, column name") {
		t.Errorf("what cannot be written: %v", err)
	}
	if err := x.Close(); err != nil || out.Len() > 0 {
		t.Errorf("%v, and %d octets of a broken workbook", err, out.Len())
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Two hundred thousand rows take no more memory than a few thousand: they wait in a file.
func TestStreamKeepsMemoryFlat(t *testing.T) {
	peak := func(rows int) uint64 {
		s, err := NewXLSX(io.Discard, streamColumns, []int{20, 9, 20}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var most, before runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for n := range rows {
			if err := s.Row([]any{fmt.Sprintf("recipient-%07d@kunde.example", n), Decimal("1.50"), time.Unix(int64(n), 0)}); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&most)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if most.HeapAlloc < before.HeapAlloc {
			return 0
		}
		return most.HeapAlloc - before.HeapAlloc
	}
	if got := peak(200_000); got > 40<<20 {
		t.Errorf("200,000 rows hold %d MiB", got>>20)
	}
}
