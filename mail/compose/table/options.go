package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// Options say how a result is written. The zero value is good for either format.
type Options struct {
	Separator   string   // of CSV: , ; or a tab; "" means , and where Decimal is a comma ;
	Decimal     string   // decimal sign in CSV: . or a comma; "" means .
	BOM         bool     // CSV begins with a byte order mark, by which Excel knows UTF-8
	Header      Header   // "" means bold
	Sheet       string   // name of the sheet in XLSX; "" means Sheet1
	Totals      []string // columns that a last row adds up
	TotalsLabel string   // stands in that row's first column, if that is not added up
	Filter      bool     // XLSX: buttons to filter in the header
	IfEmpty     IfEmpty  // "" means send

	Zone *time.Location // of timestamps; nil means UTC. It is the company's, and no key of the options' text
}

// Header is how the column names are written.
type Header string

// The headers. But for none the header stays in sight when the sheet is scrolled.
const (
	Bold     Header = "bold"
	Plain    Header = "plain"
	NoHeader Header = "none"
)

// IfEmpty is what becomes of a mail when the result has no rows.
type IfEmpty string

// What can become of it.
const (
	Send IfEmpty = "send"
	Skip IfEmpty = "skip"
	Fail IfEmpty = "fail"
)

// keys are the names of the options, each with where it is read to.
func (o *Options) keys() map[string]any {
	return map[string]any{"separator": &o.Separator, "decimal": &o.Decimal, "bom": &o.BOM, "header": &o.Header, "sheet": &o.Sheet,
		"totals": &o.Totals, "totals_label": &o.TotalsLabel, "filter": &o.Filter, "if_empty": &o.IfEmpty}
}

var keyNames = []string{"separator", "decimal", "bom", "header", "sheet", "totals", "totals_label", "filter", "if_empty"}

// ParseOptions reads options from a JSON object; "" is none. Unknown and repeated keys, and impossible values, are errors that say
// what is possible.
func ParseOptions(text string) (Options, error) {
	var o Options
	if strings.TrimSpace(text) != "" {
		if err := o.parse(text); err != nil {
			return Options{}, fmt.Errorf("options: %w", err)
		}
	}
	if o.Separator == "tab" {
		o.Separator = "\t"
	}
	if err := o.check(); err != nil {
		return Options{}, fmt.Errorf("options: %w", err)
	}
	return o, nil
}

func (o *Options) parse(text string) error {
	d := json.NewDecoder(strings.NewReader(text))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return errors.New(`this is no JSON object; write as {"separator": ";"}`)
	}
	targets, seen := o.keys(), map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		key := name.(string) // the decoder takes nothing else for a key
		target := targets[key]
		switch {
		case target == nil:
			return fmt.Errorf("unknown key %q; known are %s", key, strings.Join(keyNames, ", "))
		case seen[key]:
			return fmt.Errorf("%s stands twice", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("%s: not JSON: %w", key, err)
		}
		if json.Unmarshal(value, target) != nil || string(value) == "null" {
			return fmt.Errorf("%s: %s", key, wanted(target))
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something stands after the object")
	}
	return nil
}

// wanted says what kind of value belongs to a key.
func wanted(target any) string {
	switch target.(type) {
	case *bool:
		return "write true or false"
	case *[]string:
		return `write a list of columns, as ["amount"]`
	}
	return "write a text"
}

// check finds values that are impossible, however they came here.
func (o Options) check() error {
	for _, c := range []struct {
		key, value string
		possible   []string
	}{
		{"separator", o.Separator, []string{",", ";", "\t"}},
		{"decimal", o.Decimal, []string{".", ","}},
		{"header", string(o.Header), []string{string(Bold), string(Plain), string(NoHeader)}},
		{"if_empty", string(o.IfEmpty), []string{string(Send), string(Skip), string(Fail)}},
	} {
		if c.value != "" && !slices.Contains(c.possible, c.value) {
			return fmt.Errorf("%s: %q is not possible; write %s", c.key, c.value, strings.ReplaceAll(strings.Join(c.possible, " or "), "\t", "tab"))
		}
	}
	return checkSheet(o.Sheet)
}

const maxSheet = 31

// checkSheet finds names that spreadsheets refuse.
func checkSheet(name string) error {
	switch {
	case len(utf16.Encode([]rune(name))) > maxSheet:
		return fmt.Errorf("sheet: the name has more than %d characters", maxSheet)
	case strings.ContainsAny(name, `:\/?*[]`), strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }):
		return fmt.Errorf(`sheet: %q has a character that cannot stand in the name of a sheet, as : \ / ? * [ ]`, name)
	case strings.HasPrefix(name, "'"), strings.HasSuffix(name, "'"):
		return fmt.Errorf("sheet: the name %q begins or ends with an apostrophe", name)
	case strings.EqualFold(name, "History"):
		return errors.New("sheet: spreadsheets keep the name History for themselves")
	case name != "" && strings.TrimSpace(name) == "":
		return errors.New("sheet: the name is blank")
	}
	return nil
}
