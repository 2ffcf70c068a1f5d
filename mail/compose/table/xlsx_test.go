package table

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

func xlsxFile(t testing.TB, r *Result, o Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteXLSX(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sheetCell is a cell as the file has it.
type sheetCell struct {
	Ref     string  `xml:"r,attr"`
	Type    string  `xml:"t,attr"`
	Formula *string `xml:"f"`
	Value   string  `xml:"v"`
	Text    string  `xml:"is>t"`
}

// part reads a part of the workbook's archive.
func part(t testing.TB, file []byte, name string, into any) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// cells are those of the sheet, by reference: type, value or text, and formula.
func cells(t testing.TB, file []byte) map[string]string {
	t.Helper()
	var sheet struct {
		Cells []sheetCell `xml:"sheetData>row>c"`
	}
	part(t, file, "xl/worksheets/sheet1.xml", &sheet)
	all := map[string]string{}
	for _, c := range sheet.Cells {
		s := c.Type + " " + c.Value + c.Text
		if c.Formula != nil {
			s += " =" + *c.Formula
		}
		all[c.Ref] = s
	}
	return all
}

func TestXLSXCellsAreTyped(t *testing.T) {
	file := xlsxFile(t, all(), Options{Sheet: "Máj 2026", Zone: bratislava, Totals: []string{"amount", "rate", "id"}, TotalsLabel: "=Spolu", Filter: true})
	got := cells(t, file)
	want := map[string]string{
		"A1": "inlineStr customer", "K1": "inlineStr =more",
		"A2": `inlineStr =HYPERLINK("http://x.example")`, "B2": " -17", "C2": " -1234.5", "D2": " 0.1", "E2": "b 1", "F2": " 46348",
		"G2": " 46348.97917", "H2": " 46349.02083", "I2": "inlineStr 08:00:00", "J2": "inlineStr 0x00ff", "K2": `inlineStr {"a": 0.10}`,
		"A3": "inlineStr Nováková; \"Eva\"\nand Jan, 100 %", "B3": "inlineStr 18446744073709551615", "C3": " 0.1", "D3": " 10000000000000000000000", "E3": "b 0", "K4": "inlineStr _x005F_x0041_ <&> \uFFFD",
		"A5": "inlineStr =Spolu", "B5": "inlineStr 18446744073709551598", "C5": " -1234.4 =SUM(C2:C4)", "D5": " 10000000000000000000000 =SUM(D2:D4)",
	}
	for ref, w := range want {
		if g := got[ref]; g != w && !(len(w) > 9 && (ref == "G2" || ref == "H2") && strings.HasPrefix(g, w)) {
			t.Errorf("%s: %q, not %q", ref, g, w)
		}
	}
	formulas := 0
	for _, c := range got {
		if strings.Contains(c, " =SUM") {
			formulas++
		}
	}
	if formulas != 2 || got["E4"] != "" {
		t.Errorf("%d formulas, %q for NULL", formulas, got["E4"])
	}
}

// A program that shows cells shows what the database has.
func TestXLSXIsReadBack(t *testing.T) {
	file, err := excelize.OpenReader(bytes.NewReader(xlsxFile(t, all(), Options{Sheet: "Máj 2026", Filter: true, Totals: []string{"amount"}})))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := file.GetRows("Máj 2026")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`=HYPERLINK("http://x.example")`, "-17", "-1,234.50", "0.1", "TRUE", "2026-11-22", "2026-11-22 23:30:00", "2026-11-22 23:30:00", "08:00:00", "0x00ff", `{"a": 0.10}`}
	if fmt.Sprintf("%q", rows[1]) != fmt.Sprintf("%q", want) {
		t.Errorf("%q", rows[1])
	}
	panes, err := file.GetPanes("Máj 2026")
	if err != nil || !panes.Freeze || panes.YSplit != 1 {
		t.Errorf("%+v, %v", panes, err)
	}
	for column, want := range map[string]float64{"A": 31, "B": 27, "K": 14} {
		if w, err := file.GetColWidth("Máj 2026", column); err != nil || w != want {
			t.Errorf("column %s is %v wide, %v", column, w, err)
		}
	}
	for ref, bold := range map[string]bool{"A1": true, "A2": false, "C5": true} {
		id, err := file.GetCellStyle("Máj 2026", ref)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := file.GetStyle(id); err != nil || (s.Font != nil && s.Font.Bold) != bold {
			t.Errorf("%s: %+v, %v", ref, s, err)
		}
	}
	if got, err := file.CalcCellValue("Máj 2026", "C5", excelize.Options{RawCellValue: true}); err != nil || got != "-1234.4" {
		t.Errorf("the formula gives %s, %v", got, err)
	}
	if names := file.GetDefinedName(); len(names) != 1 || names[0].RefersTo != "'Máj 2026'!$A$1:$K$4" {
		t.Errorf("the filter: %+v", names)
	}
}

func TestSameResultSameOctets(t *testing.T) {
	o := Options{Totals: []string{"rate", "amount", "id"}, Filter: true}
	first := xlsxFile(t, all(), o)
	for range 20 {
		if !bytes.Equal(first, xlsxFile(t, all(), o)) {
			t.Fatal("the same result gave other octets")
		}
	}
}

func TestXLSXOfLittle(t *testing.T) {
	r := &Result{Columns: []Column{{"n", Number}}}
	if got := cells(t, xlsxFile(t, r, Options{Totals: []string{"n"}})); len(got) != 1 || got["A1"] != "inlineStr n" {
		t.Errorf("%q", got)
	}
	r.Rows = [][]any{{int64(1)}, {nil}, {Decimal("2.5")}}
	if got := cells(t, xlsxFile(t, r, Options{Totals: []string{"n"}, Header: NoHeader, Filter: true})); len(got) != 3 || got["A4"] != " 3.5 =SUM(A1:A3)" {
		t.Errorf("%q", got)
	}
}

// A number that a spreadsheet would round is a text, and so is a date that it does not know.
func TestXLSXRoundsNothing(t *testing.T) {
	date := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	values := []any{int64(999999999999999), int64(-9999999999999999), uint64(1e18), Decimal("123456789012345.6"), Decimal("0.0000000000000000001"), Decimal("1000.10"),
		date(1900, 3, 1), date(1900, 2, 28), date(9999, 12, 31), Decimal("00012"), Decimal("NaN"), strings.Repeat("😀", 16383)}
	want := []string{" 999999999999999", "inlineStr -9999999999999999", " 1000000000000000000", "inlineStr 123456789012345.6", " 0.0000000000000000001", " 1000.1",
		" 61", "inlineStr 1900-02-28", " 2958465", " 12", "inlineStr NaN", "inlineStr " + strings.Repeat("😀", 16383)}
	r := &Result{Columns: []Column{{"n", Date}}}
	for _, v := range values {
		r.Rows = append(r.Rows, []any{v})
	}
	got := cells(t, xlsxFile(t, r, Options{}))
	for i, w := range want {
		if g := got[fmt.Sprintf("A%d", i+2)]; g != w {
			t.Errorf("%v: %q, not %q", values[i], g, w)
		}
	}
}

func TestXLSXBeyondItsLimits(t *testing.T) {
	wide := &Result{Columns: make([]Column, 16385)}
	long := &Result{Columns: []Column{{"n", Integer}}, Rows: make([][]any, 1048575)}
	for i := range long.Rows {
		long.Rows[i] = []any{nil}
	}
	text := strings.Repeat("ž", 32768)
	for name, c := range map[string]struct {
		result *Result
		o      Options
		want   string
	}{
		"columns": {wide, Options{}, "16385 columns, and a sheet holds 16384"},
		"rows":    {long, Options{}, "1048575 rows, and a sheet holds 1048574"},
		"cell":    {&Result{Columns: []Column{{"note", Text}}, Rows: [][]any{{text}}}, Options{}, "row 1, column note: 32768 characters, and a cell holds 32767"},
		"emoji":   {&Result{Columns: []Column{{"note", Text}}, Rows: [][]any{{strings.Repeat("😀", 16384)}}}, Options{}, "32768 characters"},
		"header":  {&Result{Columns: []Column{{text, Text}}}, Options{}, "name of column 1: 32768 characters"},
		"label":   {&Result{Columns: []Column{{"a", Text}, {"n", Integer}}, Rows: [][]any{{nil, int64(1)}}}, Options{Totals: []string{"n"}, TotalsLabel: text}, "totals_label: 32768 characters"},
	} {
		if err := WriteXLSX(io.Discard, c.result, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The temporary file that a large sheet is made in does not stay.
func TestXLSXLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	r := &Result{Columns: []Column{{"a", Text}, {"b", Text}}}
	for range 20_000 {
		r.Rows = append(r.Rows, []any{strings.Repeat("a", 500), strings.Repeat("b", 500)})
	}
	xlsxFile(t, r, Options{})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func BenchmarkXLSX(b *testing.B) {
	r := &Result{Columns: all().Columns}
	for range 10_000 {
		r.Rows = append(r.Rows, all().Rows[0])
	}
	for b.Loop() {
		xlsxFile(b, r, Options{Totals: []string{"amount"}})
	}
	b.ReportMetric(float64(10_000*b.N)/b.Elapsed().Seconds(), "rows/s")
}
