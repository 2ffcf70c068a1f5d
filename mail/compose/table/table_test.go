package table

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

var bratislava = time.FixedZone("CET", 3600)

// all is a result with every kind of column, hostile texts among them.
func all() *Result {
	at := time.Date(2026, 11, 22, 23, 30, 0, 500_000_000, time.UTC)
	return &Result{
		Columns: []Column{{"customer", Text}, {"id", Integer}, {"amount", Number}, {"rate", Float}, {"paid", Boolean}, {"due", Date}, {"seen", DateTime},
			{"sent", Timestamp}, {"took", Time}, {"hash", Bytes}, {"=more", JSON}},
		Rows: [][]any{
			{"=HYPERLINK(\"http://x.example\")", int64(-17), Decimal("-1234.50"), 0.1, true, at.Truncate(24 * time.Hour), at, at, "08:00:00", []byte{0, 255}, `{"a": 0.10}`},
			{"Nováková; \"Eva\"\nand Jan, 100 %", uint64(18446744073709551615), Decimal("0.10"), 1e22, false, nil, nil, nil, nil, nil, nil},
			{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, "_x0041_ <&> \x01"},
		},
	}
}

func csvText(t *testing.T, r *Result, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteCSV(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCSV(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
		want    []string
	}{
		{"as it comes", Options{}, []string{
			"customer,id,amount,rate,paid,due,seen,sent,took,hash,'=more",
			`"'=HYPERLINK(""http://x.example"")",-17,-1234.50,0.1,true,2026-11-22,2026-11-22 23:30:00.5,2026-11-22 23:30:00.5,08:00:00,0x00ff,"{""a"": 0.10}"`,
			"\"Nováková; \"\"Eva\"\"\r\nand Jan, 100 %\",18446744073709551615,0.10,1e+22,false,,,,,,",
			",,,,,,,,,,_x0041_ <&> \x01", ""}},
		{"for a Slovak Excel", Options{Decimal: ",", BOM: true, Zone: bratislava, Totals: []string{"amount"}, TotalsLabel: "=Spolu"}, []string{
			bom + "customer;id;amount;rate;paid;due;seen;sent;took;hash;'=more",
			`"'=HYPERLINK(""http://x.example"")";-17;-1234,50;0,1;true;2026-11-22;2026-11-22 23:30:00.5;2026-11-23 00:30:00.5;08:00:00;0x00ff;"{""a"": 0.10}"`,
			"\"Nováková; \"\"Eva\"\"\r\nand Jan, 100 %\";18446744073709551615;0,10;1e+22;false;;;;;;",
			";;;;;;;;;;_x0041_ <&> \x01", "'=Spolu;;-1234,40;;;;;;;;", ""}},
	} {
		if got := csvText(t, all(), c.options); got != strings.Join(c.want, "\r\n") {
			t.Errorf("%s:\n%q\nnot\n%q", c.name, got, strings.Join(c.want, "\r\n"))
		}
	}
	if got := csvText(t, all(), Options{Separator: "\t", Header: NoHeader}); !strings.HasPrefix(got, "\"'=HYPER") || strings.Count(got, "\t") != 30 {
		t.Errorf("%q", got)
	}
}

func TestCSVOfLittle(t *testing.T) {
	one := &Result{Columns: []Column{{"a", Text}}, Rows: [][]any{{nil}, {""}, {"b"}}}
	if got := csvText(t, one, Options{}); got != "a\r\n\"\"\r\n\"\"\r\nb\r\n" {
		t.Errorf("%q: empty lines are lost when it is read", got)
	}
	one.Rows = nil
	if got := csvText(t, one, Options{Totals: []string{"a"}}); got != "a\r\n" {
		t.Errorf("%q", got)
	}
}

func TestFormulasAreDefused(t *testing.T) {
	for _, text := range []string{"=1+1", "+421", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"} {
		if defuse(text) != "'"+text {
			t.Errorf("%q is not defused", text)
		}
	}
	for _, text := range []string{"", "a=1", " =1", "'=1", "1-1"} {
		if defuse(text) != text {
			t.Errorf("%q is changed", text)
		}
	}
	got := csvText(t, &Result{Columns: []Column{{"n", Number}}, Rows: [][]any{{int64(-1)}, {Decimal("-0.5")}, {-0.5}, {Decimal("-1+cmd|' /C calc'!A0")}}}, Options{})
	if got != "n\r\n-1\r\n-0.5\r\n-0.5\r\n'-1+cmd|' /C calc'!A0\r\n" {
		t.Errorf("%q", got)
	}
}

func TestSumsAreExact(t *testing.T) {
	r := &Result{Columns: []Column{{"n", Number}, {"x", Text}}, Rows: [][]any{{Decimal("0.10"), "1"}, {Decimal("0.2"), nil}, {uint64(18446744073709551615), nil}, {nil, nil}, {int64(-1), nil}, {0.125, nil}}}
	if sum, err := r.Sum("n"); err != nil || sum != "18446744073709551614.425" {
		t.Errorf("%s, %v", sum, err)
	}
	if _, err := r.Sum("x"); err == nil || !strings.Contains(err.Error(), "row 1, column x: only numbers") {
		t.Error(err)
	}
	if _, err := r.Sum("y"); err == nil || !strings.Contains(err.Error(), "no column y: known are n, x") {
		t.Error(err)
	}
}

// full is a disk that takes no more.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errors.New("no room")
	}
	return len(p), nil
}

func TestWhatCannotBeWritten(t *testing.T) {
	wrong := all()
	wrong.Rows[1] = wrong.Rows[1][1:]
	unknown := all()
	unknown.Rows[2][3] = struct{}{}
	for _, c := range []struct {
		name   string
		result *Result
		o      Options
		want   string
	}{
		{"no columns", &Result{}, Options{}, "without columns"},
		{"short row", wrong, Options{}, "row 2 has 10 values, and there are 11 columns"},
		{"unknown type", unknown, Options{}, "row 3, column rate: a value of type struct {}"},
		{"impossible option", all(), Options{Decimal: "x"}, `decimal: "x" is not possible; write . or ,`},
		{"unknown total", all(), Options{Totals: []string{"total"}}, "totals: there is no column total: known are customer"},
		{"total of texts", all(), Options{Totals: []string{"customer"}}, "totals: row 1, column customer: only numbers"},
	} {
		var b bytes.Buffer
		if err := WriteCSV(&b, c.result, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("csv, %s: %v", c.name, err)
		}
		if err := WriteXLSX(&b, c.result, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("xlsx, %s: %v", c.name, err)
		}
	}
	blank := &Result{Columns: []Column{{"a", Text}}, Rows: [][]any{{nil}}}
	for _, room := range []int{0, 1, 4} {
		if err := WriteCSV(&full{room}, blank, Options{}); err == nil {
			t.Errorf("csv into %d octets", room)
		}
	}
	if err := WriteXLSX(&full{100}, blank, Options{}); err == nil {
		t.Error("xlsx into 100 octets")
	}
}
