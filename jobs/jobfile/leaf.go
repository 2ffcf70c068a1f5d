package jobfile

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a zone is known on any computer, also where none are installed

	"go.yaml.in/yaml/v4"
)

var (
	secretType   = reflect.TypeFor[Secret]()
	rateType     = reflect.TypeFor[Rate]()
	durationType = reflect.TypeFor[time.Duration]()
	zoneType     = reflect.TypeFor[*time.Location]()
	scheduleType = reflect.TypeFor[Schedule]()
	windowType   = reflect.TypeFor[Window]()
	percentType  = reflect.TypeFor[Percent]()
	dateType     = reflect.TypeFor[time.Time]()

	wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
)

// isLeaf tells whether values of this type are written as one word or line.
func isLeaf(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		return true
	}
	return t == rateType || t == zoneType || t == scheduleType || t == windowType || t == percentType || t == dateType
}

// preset sets the default of an absent key.
func (d *decoder) preset(v reflect.Value, tag reflect.StructTag) {
	if v.Type() != secretType && !isLeaf(v.Type()) && v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			d.preset(v.Field(i), v.Type().Field(i).Tag)
		}
	}
	if text, ok := tag.Lookup("default"); ok {
		if x, err := parseLeaf(text, v.Type(), tag); err == nil { // a test parses every default
			v.Set(x)
		}
	}
}

func (d *decoder) leaf(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) {
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
	switch {
	case n.Kind != yaml.ScalarNode:
		d.fail(path, "", kindOf(n)+" where "+wanted(v.Type())+" is expected", example(tag))
		return
	case v.Kind() == reflect.String && n.ShortTag() == "!!bool":
		d.failLeaf(path, n.Value, "true or false where text is expected", "put text into quotes")
		return
	case quoted && v.Kind() != reflect.String && wholeNumber.MatchString(n.Value):
		d.failLeaf(path, n.Value, "text where "+wanted(v.Type())+" is expected", "remove the quotes")
		return
	}
	x, err := parseLeaf(n.Value, v.Type(), tag)
	if err != nil {
		hint := tag.Get("hint")
		if hint == "" {
			hint = leafHint(n.Value, v.Type(), tag)
		}
		d.failLeaf(path, n.Value, err.Error(), hint)
		return
	}
	v.Set(x)
}

// failLeaf is fail for a value that may be shown unless a secret stands there.
func (d *decoder) failLeaf(path, value, message, hint string) {
	if d.secretAt(parent(path)) {
		value = ""
	}
	d.fail(path, value, message, hint)
}

func wanted(t reflect.Type) string {
	switch {
	case t == rateType:
		return "a rate"
	case t == durationType:
		return "a length of time"
	case t == zoneType:
		return "a time zone"
	case t == scheduleType:
		return "a schedule"
	case t == windowType:
		return "a sending window"
	case t == percentType:
		return "a percentage"
	case t == dateType:
		return "a date"
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Int64:
		return "a size"
	case t.Kind() == reflect.Bool:
		return "true or false"
	}
	return "text"
}

// leafHint helps with the mistakes that are made often.
func leafHint(value string, t reflect.Type, tag reflect.StructTag) string {
	if words := tag.Get("oneof"); words != "" {
		if near := nearest(value, strings.Split(words, "|")); near != "" {
			return "did you mean " + near + "?"
		}
		return ""
	}
	if t == scheduleType {
		return scheduleHint(value)
	}
	if t.Kind() == reflect.Int && strings.HasPrefix(value, "0") && !wholeNumber.MatchString(value) {
		return "digits only; a number with a leading zero means one thing to some programs and another to others"
	}
	return example(tag)
}

// parseLeaf turns text into a value of the type and checks it against the tag's oneof and range.
func parseLeaf(text string, t reflect.Type, tag reflect.StructTag) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	var err error
	switch {
	case t == rateType:
		var r Rate
		r, err = parseRate(text)
		v.Set(reflect.ValueOf(r))
	case t == scheduleType:
		var s Schedule
		s, err = ParseSchedule(text)
		v.Set(reflect.ValueOf(s))
	case t == zoneType:
		var zone *time.Location
		zone, err = parseZone(text)
		v.Set(reflect.ValueOf(zone))
	case t == windowType:
		var w Window
		w, err = parseWindow(text)
		v.Set(reflect.ValueOf(w))
	case t == percentType:
		var p Percent
		p, err = parsePercent(text)
		v.Set(reflect.ValueOf(p))
	case t == dateType:
		var date time.Time
		date, err = parseDate(text)
		v.Set(reflect.ValueOf(date))
	case t.Kind() == reflect.String && tag.Get("text") == "long":
		text = strings.TrimSpace(text)
		err = checkLong(text)
		v.SetString(text)
	case t.Kind() == reflect.String:
		err = checkText(text, tag)
		v.SetString(text)
	case t.Kind() == reflect.Bool:
		yes := text == "yes" && tag.Get("oneof") != ""
		if no := text == "no" && tag.Get("oneof") != ""; !yes && !no && text != "true" && text != "false" {
			return v, errors.New("must be " + oneOf(cmp.Or(tag.Get("oneof"), "true|false")))
		}
		v.SetBool(yes || text == "true")
	default:
		var n int64
		if n, err = parseNumber(text, t); err == nil {
			err = checkRange(n, t, tag)
		}
		v.SetInt(n)
	}
	return v, err
}

func checkText(text string, tag reflect.StructTag) error {
	words := tag.Get("oneof")
	switch {
	case words != "" && !slices.Contains(strings.Split(words, "|"), text):
		return errors.New("must be " + oneOf(words))
	case strings.TrimSpace(text) == "":
		return errors.New("is empty")
	case strings.TrimSpace(text) != text:
		return errors.New("begins or ends with a blank")
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("has a line break or another control character")
	}
	return nil
}

// checkLong is checkText for what may have several lines.
func checkLong(text string) error {
	switch {
	case text == "":
		return errors.New("is empty")
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }):
		return errors.New("has a control character")
	}
	return nil
}

// oneOf writes a|b|c for people.
func oneOf(words string) string {
	list := strings.Split(words, "|")
	if len(list) == 1 {
		return list[0]
	}
	return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
}

func parseZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" { // the standard library takes both, and neither names a zone
		return nil, errors.New("is no time zone")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, errors.New("is no known time zone")
	}
	return zone, nil
}

func parseDate(text string) (time.Time, error) {
	date, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, errors.New("is no date, such as 2026-12-24")
	}
	return date, nil
}

func parseNumber(text string, t reflect.Type) (int64, error) {
	switch {
	case t == durationType:
		d, err := parseDuration(text)
		return int64(d), err
	case t.Kind() == reflect.Int64:
		return parseSize(text)
	case !wholeNumber.MatchString(text):
		return 0, errors.New("must be a whole number")
	}
	n, err := strconv.ParseInt(text, 10, strconv.IntSize)
	if err != nil {
		return 0, errors.New("is too large a number")
	}
	return n, nil
}

func checkRange(n int64, t reflect.Type, tag reflect.StructTag) error {
	low, high, found := strings.Cut(tag.Get("range"), "..")
	if !found {
		return nil
	}
	least, err1 := parseNumber(low, t)
	most, err2 := parseNumber(high, t)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if n < least || n > most {
		return fmt.Errorf("must be from %s to %s", low, high)
	}
	return nil
}
