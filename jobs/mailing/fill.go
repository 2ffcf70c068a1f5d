package mailing

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Dates are the placeholders that the scheduled time of a run gives: week, date, month, quarter, year.
func Dates(scheduled time.Time) map[string]any {
	_, week := scheduled.ISOWeek()
	return map[string]any{"week": strconv.Itoa(week), "date": scheduled.Format(time.DateOnly), "month": scheduled.Format("01"),
		"quarter": strconv.Itoa(quarter(scheduled)), "year": scheduled.Format("2006")}
}

// FillAt fills a text with the dates of a run's time and a row's values, which go first. {year} beside {week} is the year of that week: the
// first one may begin in December.
func FillAt(text string, scheduled time.Time, row map[string]any) (string, error) {
	values := Dates(scheduled)
	if strings.Contains(strings.ReplaceAll(text, " ", ""), "{week}") {
		year, _ := scheduled.ISOWeek()
		values["year"] = strconv.Itoa(year)
	}
	maps.Copy(values, row)
	return Fill(text, values)
}

// Fill puts values in the place of their names in braces: invoices/{pdf}. Two braces stand for one. A name that there is not, or whose
// value is null, is an error.
func Fill(text string, values map[string]any) (string, error) {
	var b strings.Builder
	for text != "" {
		i := strings.IndexAny(text, "{}")
		if i < 0 {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:i])
		sign, rest := text[i], text[i+1:]
		switch end := strings.IndexByte(rest, '}'); {
		case rest != "" && rest[0] == sign:
			b.WriteByte(sign)
			text = rest[1:]
		case sign == '}':
			return "", fmt.Errorf("%q: there is a } without a { before it; write }} for a brace", cut(text, 40))
		case end < 0:
			return "", fmt.Errorf("%q: the { has no }; write {{ for a brace", cut(text[i:], 40))
		default:
			value, err := filled(strings.TrimSpace(rest[:end]), values)
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			text = rest[end+1:]
		}
	}
	return b.String(), nil
}

func filled(name string, values map[string]any) (string, error) {
	value, ok := values[name]
	switch {
	case !ok:
		return "", fmt.Errorf("{%s}: there is no such value; there are %s", cut(name, 40), strings.Join(slices.Sorted(maps.Keys(values)), ", "))
	case value == nil:
		return "", fmt.Errorf("{%s}: the value is NULL", cut(name, 40))
	}
	return fmt.Sprint(value), nil
}
