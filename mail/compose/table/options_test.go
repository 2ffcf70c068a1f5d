package table

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseOptions(t *testing.T) {
	for text, want := range map[string]Options{
		"":   {},
		" ":  {},
		"{}": {},
		`{"separator": "tab", "decimal": ",", "bom": true, "header": "plain", "sheet": "Máj 2026", "totals": ["amount", "vat"], "totals_label": "Spolu", "filter": true, "if_empty": "skip"}`: {
			Separator: "\t", Decimal: ",", BOM: true, Header: Plain, Sheet: "Máj 2026", Totals: []string{"amount", "vat"}, TotalsLabel: "Spolu", Filter: true, IfEmpty: Skip},
		`{"separator": ";"}`:   {Separator: ";"},
		`{"separator": "\t"}`:  {Separator: "\t"},
		`{"if_empty": "fail"}`: {IfEmpty: Fail},
	} {
		if got, err := ParseOptions(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestParseOptionsSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{"seperator": ";"}`:          `options: unknown key "seperator"; known are separator, decimal, bom, header, sheet, totals, totals_label, filter, if_empty`,
		`{"Bom": true}`:               `unknown key "Bom"`,
		`{"bom": "yes"}`:              "bom: write true or false",
		`{"bom": null}`:               "bom: write true or false",
		`{"totals": "x"}`:             `totals: write a list of columns, as ["amount"]`,
		`{"sheet": 1}`:                "sheet: write a text",
		`{"bom": true, "bom": false}`: "bom stands twice",
		`[]`:                          "no JSON object",
		`separator: ;`:                "no JSON object",
		`{"bom": true`:                "not JSON",
		`{"bom": tru}`:                "bom: not JSON",
		`{1: 2}`:                      "not JSON",
		`{"bom": true} {}`:            "something stands after the object",
		`{"separator": "|"}`:          `separator: "|" is not possible; write , or ; or tab`,
		`{"decimal": ";"}`:            "write . or ,",
		`{"header": "big"}`:           "write bold or plain or none",
		`{"if_empty": "maybe"}`:       "write send or skip or fail",
		`{"sheet": "` + strings.Repeat("x", 32) + `"}`: "more than 31 characters",
		`{"sheet": "` + strings.Repeat("😀", 16) + `"}`: "more than 31 characters",
		`{"sheet": "a/b"}`:      "cannot stand in the name",
		`{"sheet": "a\u0001b"}`: "cannot stand in the name",
		`{"sheet": "'a"}`:       "apostrophe",
		`{"sheet": "history"}`:  "keep the name History",
		`{"sheet": " "}`:        "blank",
	} {
		if _, err := ParseOptions(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestOptionsNameAllKeys(t *testing.T) {
	keys := (&Options{}).keys()
	if len(keys) != len(keyNames) || len(keys) != reflect.TypeFor[Options]().NumField()-1 {
		t.Errorf("%d keys, %d names", len(keys), len(keyNames))
	}
	page, err := os.ReadFile("../../../docs/queries.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range keyNames {
		if keys[name] == nil || !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("%s is named and not read, or not explained in docs/queries.md", name)
		}
	}
}

// What is accepted can be written.
func FuzzParseOptions(f *testing.F) {
	for _, s := range []string{"", "{}", `{"separator":"tab","decimal":",","bom":true}`, `{"sheet":"a","totals":["amount"],"header":"none"}`, `{"if_empty":"skip","filter":true}`, `{"bom":`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOptions(text)
		if err != nil {
			return
		}
		o.Totals = slices.DeleteFunc(o.Totals, func(name string) bool { return name != "amount" && name != "id" })
		if err := WriteCSV(&full{1 << 20}, all(), o); err != nil {
			t.Errorf("%q as csv: %v", text, err)
		}
		if err := WriteXLSX(&full{1 << 20}, all(), o); err != nil {
			t.Errorf("%q as xlsx: %v", text, err)
		}
	})
}
