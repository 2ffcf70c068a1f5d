package jobfile

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a schedule in words is made of.
var (
	ordinals  = []string{"first", "second", "third", "fourth", "last"}
	unitNames = []string{"business day", "day", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
	periods   = map[string]int{"": 1, "month": 1, "quarter": 3, "year": 12} // months

	nthForm   = regexp.MustCompile(`^([a-z]+) ([a-z ]+?)(?: of the ([a-z]+))? at ([0-9]{1,2}:[0-9]{2})$`)
	dateForm  = regexp.MustCompile(`^([0-9]{1,2})(st|nd|rd|th)(?: of the month)? at ([0-9]{1,2}:[0-9]{2})$`)
	everyForm = regexp.MustCompile(`^every ([0-9a-z]+)$`)
	dateWord  = regexp.MustCompile(`^[0-9]+(st|nd|rd|th)$`)
)

// Bounds of every.
const (
	leastEvery = 10 * time.Second
	mostEvery  = 52 * week
)

// inWords tells a schedule that is meant to be words: it begins with one of theirs, or with what may be one misspelt.
func inWords(fields []string) bool {
	word := strings.ToLower(fields[0])
	if slices.Contains(ordinals, word) || word == "every" || dateWord.MatchString(word) {
		return true
	}
	return len(word) > 3 && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == ""
}

// parseWords reads: first business day at 08:00, last Friday of the quarter at 17:00, 10th at 09:00, every 6h.
func parseWords(text string) (rule, error) {
	text = strings.ToLower(text)
	if m := everyForm.FindStringSubmatch(text); m != nil {
		return parseEvery(m[1])
	}
	if m := dateForm.FindStringSubmatch(text); m != nil {
		return parseDateOfMonth(m[1], m[2], m[3])
	}
	m := nthForm.FindStringSubmatch(text)
	first, _, _ := strings.Cut(text, " ")
	switch {
	case first == "every":
		return nil, errors.New("has no length of time after every, such as every 6h")
	case !slices.Contains(ordinals, first) && !dateWord.MatchString(first):
		return nil, errors.New("is neither five cron fields nor words that are known")
	case m == nil:
		return nil, errors.New("is not said as first business day at 08:00, last Friday of the quarter at 17:00 or 10th at 09:00")
	case !slices.Contains(unitNames, m[2]):
		return nil, errors.New("has a day that is none of business day, day, Monday to Sunday")
	}
	months, ok := periods[m[3]]
	if !ok {
		return nil, errors.New("has a span that is none of month, quarter, year")
	}
	clock, err := parseTimeOfDay(m[4])
	if err != nil {
		return nil, err
	}
	n := slices.Index(ordinals, m[1]) + 1
	if m[1] == "last" {
		n = -1
	}
	return nthRule{n: n, unit: m[2], months: months, clock: clock}, nil
}

// scheduleHint helps with a schedule that cannot be read.
func scheduleHint(text string) string {
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 0 || !inWords(words) {
		return `five cron fields in quotes, "30 3 * * *", or words: first business day at 08:00`
	}
	starts := append([]string{"every"}, ordinals...)
	if near := nearest(words[0], starts); near != "" && near != words[0] {
		return "did you mean " + near + "?"
	}
	switch {
	case words[0] == "every":
		return "for example every 20s, every 30m or every 6h"
	case dateWord.MatchString(words[0]):
		return "for example 10th at 09:00"
	}
	known := slices.Concat(strings.Fields("business day month quarter year of the at"), unitNames[2:])
	for _, word := range words[1:] {
		if near := nearest(word, known); near != "" && near != word {
			return "did you mean " + near + "?"
		}
	}
	return "for example first business day at 08:00, last Friday of the quarter at 17:00, 10th at 09:00, every 6h"
}

func parseDateOfMonth(digits, suffix, clockText string) (rule, error) {
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > 31 || digits[0] == '0' {
		return nil, errors.New("has a date that no month has")
	}
	if want := suffixOf(n); suffix != want {
		return nil, fmt.Errorf("has %d%s where %d%s is meant", n, suffix, n, want)
	}
	clock, err := parseTimeOfDay(clockText)
	return nthRule{n: n, unit: "day", months: 1, clock: clock}, err
}

// suffixOf is what a number has in English when it is a date.
func suffixOf(n int) string {
	if n/10 != 1 && n%10 >= 1 && n%10 <= 3 {
		return []string{"st", "nd", "rd"}[n%10-1]
	}
	return "th"
}

func parseTimeOfDay(text string) (time.Duration, error) {
	minutes, err := parseClock(text)
	if err == nil && minutes == dayMinutes {
		err = errors.New("has 24:00; the next day begins at 00:00")
	}
	return time.Duration(minutes) * time.Minute, err
}

func parseEvery(text string) (rule, error) {
	step, err := parseDuration(text)
	switch {
	case err != nil:
		return nil, errors.New("has no length of time after every, such as every 6h")
	case step < leastEvery || step > mostEvery || step%time.Second != 0:
		return nil, errors.New("has a length of time that is none of 10s to 52w, in whole seconds")
	}
	return everyRule{step}, nil
}

// everyRule is every so often, by the clock: counted from a midnight before a Monday long ago, so that what divides a day
// counts from each midnight, and weeks from Monday.
type everyRule struct{ step time.Duration }

func (r everyRule) next(after time.Time) time.Time { return after.Truncate(r.step).Add(r.step) }

// nthRule is one day of each month, quarter or year.
type nthRule struct {
	n        int // from 1; -1 is the last
	unit     string
	months   int // of a span
	clock    time.Duration
	holidays Holidays
}

func (r nthRule) next(after time.Time) time.Time {
	y, m, _ := after.Date()
	begin := time.Date(y, (m-1)/time.Month(r.months)*time.Month(r.months)+1, 1, 0, 0, 0, 0, time.UTC)
	for range scheduleYears*12/r.months + 1 {
		if t, ok := r.within(begin); ok && t.After(after) {
			return t
		}
		begin = begin.AddDate(0, r.months, 0)
	}
	return time.Time{}
}

// within returns the time in the span that begins on a day; not every span has one.
func (r nthRule) within(begin time.Time) (time.Time, bool) {
	date, end, step := begin, begin.AddDate(0, r.months, 0), day
	if r.n < 0 {
		date, step = end.Add(-day), -day
	}
	for left := max(r.n, 1); !date.Before(begin) && date.Before(end); date = date.Add(step) {
		if !r.counts(date) {
			continue
		}
		if left--; left == 0 {
			return date.Add(r.clock), true
		}
	}
	return time.Time{}, false
}

// counts tells whether a day is of the kind that is counted.
func (r nthRule) counts(date time.Time) bool {
	switch r.unit {
	case "business day":
		return r.holidays.business(date)
	case "day":
		return true
	}
	return strings.EqualFold(date.Weekday().String(), r.unit)
}
