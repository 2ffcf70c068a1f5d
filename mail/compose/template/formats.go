package template

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
	gotime "time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// money writes an amount as the language does, with as many decimals as the currency has.
func (s *state) money(amount, code any) (string, error) {
	if err := firstMissing([]any{amount, code}); err != nil {
		return "", err
	}
	d, _, ok := toDecimal(amount)
	if !ok {
		return "", notNumber(amount)
	}
	name, text := code.(string)
	if !text {
		name = fmt.Sprint(code)
	}
	u, ok := s.locale.unit(name)
	if !ok {
		return "", notCurrency(name)
	}
	return s.locale.amount(d.round(u.decimals), u.symbol), nil
}

func notCurrency(code string) error {
	return fmt.Errorf("%q is no currency: three letters like EUR", code)
}

// number writes a number as the language does, with its own decimals or as many as are asked for.
func (s *state) number(n any, decimals ...int) (string, error) {
	d, err := numberOf(n, decimals)
	if err != nil {
		return "", err
	}
	return s.locale.number(d), nil
}

// percent writes 0.2 as 20 %, with as many decimals as it needs or as are asked for.
func (s *state) percent(n any, decimals ...int) (string, error) {
	if isMissing(n) {
		return "", missing{0}
	}
	d, _, ok := toDecimal(n)
	if !ok {
		return "", notNumber(n)
	}
	d, err := numberOf(Number(d.trim().shift(2).String()), decimals)
	if err != nil {
		return "", err
	}
	return s.locale.percent(d), nil
}

func numberOf(n any, decimals []int) (decimal, error) {
	if isMissing(n) {
		return decimal{}, missing{0}
	}
	d, _, ok := toDecimal(n)
	switch {
	case !ok:
		return decimal{}, notNumber(n)
	case len(decimals) > 1 || len(decimals) == 1 && (decimals[0] < 0 || decimals[0] > 20):
		return decimal{}, errors.New("a number has 0 to 20 decimals")
	case len(decimals) == 1:
		d = d.round(decimals[0])
	}
	return d, nil
}

// date writes a day: short, medium (when nothing is said), long or full.
func (s *state) date(when any, style ...string) (string, error) {
	if isMissing(when) {
		return "", missing{0}
	}
	t, err := toTime(when, s.zone)
	if err != nil {
		return "", err
	}
	if len(style) == 0 {
		style = []string{"medium"}
	}
	if t.Year() < 1 || t.Year() > 9999 {
		return "", fmt.Errorf("the year %d is none of ours", t.Year())
	}
	return s.locale.date(t, style[0])
}

// time writes the time of day.
func (s *state) time(when any) (string, error) {
	if isMissing(when) {
		return "", missing{0}
	}
	t, err := toTime(when, s.zone)
	if err != nil {
		return "", err
	}
	return s.locale.clock(t), nil
}

// language is what the HTML's lang says, for programs that read mail aloud.
func (s *state) language() string { return s.locale.tag.String() }

// categories of CLDR, which a language has some of.
var categories = map[plural.Form]string{plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other"}

// plural takes pairs of category and text, and perhaps of a number and text. %d in the text becomes the number.
func (s *state) plural(n any, pairs ...string) (string, error) {
	if isMissing(n) {
		return "", missing{0}
	}
	if message := wrongPairs(pairs); message != "" {
		return "", errors.New(message)
	}
	d, _, ok := toDecimal(n)
	if !ok {
		return "", notNumber(n)
	}
	text := pick(pairs, d.trim().String())
	if text == nil {
		text = pick(pairs, categories[category(s.locale.tag, d)])
	}
	if text == nil {
		text = pick(pairs, "other")
	}
	number := s.locale.number(d)
	if err := s.makes(len(*text) + strings.Count(*text, "%d")*len(number)); err != nil {
		return "", err
	}
	return strings.ReplaceAll(*text, "%d", number), nil
}

func pick(pairs []string, key string) *string {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == key {
			return &pairs[i+1]
		}
	}
	return nil
}

// category is CLDR's cardinal category of a number as it is written: in English 1 is one and 1.0 is other.
func category(tag language.Tag, d decimal) plural.Form {
	whole, fraction := d.split()
	short := strings.TrimRight(fraction, "0")
	return plural.Cardinal.MatchPlural(tag, modulo(whole), len(fraction), len(short), modulo(fraction), modulo(short))
}

// modulo returns the last digits of a number, which is all that the rules look at.
func modulo(digits string) int {
	n, _ := strconv.Atoi(digits[max(0, len(digits)-7):])
	if len(digits) > 7 && n < 1_000_000 {
		n += 1_000_000 // 10000001 is not one
	}
	return n
}

func wrongPairs(pairs []string) string {
	if len(pairs)%2 != 0 {
		return "plural takes pairs of a category and a text"
	}
	for i := 0; i < len(pairs); i += 2 {
		if _, isNumber := parseDecimal(pairs[i]); !isNumber && !slices.Contains([]string{"zero", "one", "two", "few", "many", "other"}, pairs[i]) {
			return fmt.Sprintf("%q is no category: zero, one, two, few, many, other, or a number", pairs[i])
		}
	}
	if pick(pairs, "other") == nil {
		return `plural needs a text for "other"`
	}
	return ""
}

// What can be told from values that are written out in the template.

func checkMoney(_ *rewriter, _ *parse.CommandNode, args []parse.Node) string {
	if len(args) == 0 {
		return ""
	}
	if code, ok := args[len(args)-1].(*parse.StringNode); ok {
		if _, known := newLocale(language.English).unit(code.Text); !known {
			return notCurrency(code.Text).Error()
		}
	}
	return ""
}

func checkDate(_ *rewriter, _ *parse.CommandNode, args []parse.Node) string {
	if len(args) > 1 {
		if style, ok := args[1].(*parse.StringNode); ok {
			if _, err := newLocale(language.English).date(gotime.Time{}, style.Text); err != nil {
				return err.Error()
			}
		}
	}
	return ""
}

func checkPlural(_ *rewriter, _ *parse.CommandNode, args []parse.Node) string {
	if len(args) == 0 {
		return ""
	}
	var pairs []string
	for _, a := range args[1:] {
		text, ok := a.(*parse.StringNode)
		if !ok {
			return ""
		}
		pairs = append(pairs, text.Text)
	}
	return wrongPairs(pairs)
}
