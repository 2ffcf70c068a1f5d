package jobfile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// What the events of a calendar may come to.
const (
	maxRules  = 50      // rules that repeat an event
	maxDays   = 100_000 // days of all events together, before those that coincide are one
	maxLength = 366     // days of one event
	firstYear = 1900
	lastYear  = 2100 // what repeats for ever ends with it
)

// length is how many days each occurrence of the event has.
func (e *event) length(first Day) (int, error) {
	n := 1
	if e.end != "" {
		last, whole, err := parseDay(e.end)
		if err != nil {
			return 0, fmt.Errorf("DTEND %w", err)
		}
		if !whole {
			last++ // within that day
		}
		n = max(int(last-first), 1) // DTEND is the day after the last one
	} else if m := lengthForm.FindStringSubmatch(strings.ToUpper(e.duration)); m != nil {
		n, _ = strconv.Atoi(m[1])
		if m[2] == "W" {
			n *= 7
		}
	} else if e.duration != "" {
		return 0, errors.New("DURATION is no number of days, such as P1D")
	}
	if n < 1 || n > maxLength {
		return 0, fmt.Errorf("has %d days; 1 to %d are possible", n, maxLength)
	}
	return n, nil
}

// expansion collects the days of events.
type expansion struct {
	days  []Day
	rules int
}

// add adds all days of an event, but for those on which another event takes its place.
func (x *expansion) add(e event, first Day, replaced []Day) error {
	length, err := e.length(first)
	if err != nil {
		return err
	}
	starts, err := x.starts(e, first)
	if err != nil {
		return err
	}
	more, err := dateList(e.more)
	if err != nil {
		return fmt.Errorf("RDATE %w", err)
	}
	less, err := dateList(e.less)
	if err != nil {
		return fmt.Errorf("EXDATE %w", err)
	}
	less = append(less, replaced...)
	slices.Sort(less)
	for _, start := range append(starts, more...) {
		if _, gone := slices.BinarySearch(less, start); gone {
			continue
		}
		if len(x.days)+length > maxDays {
			return fmt.Errorf("with it the calendar has more than %d days", maxDays)
		}
		for i := range length {
			x.days = append(x.days, start+Day(i))
		}
	}
	return nil
}

// starts are the first days of the event's occurrences, those of its rule until the end of lastYear.
func (x *expansion) starts(e event, first Day) ([]Day, error) {
	from := time.Unix(int64(first)*int64(day/time.Second), 0).UTC()
	if from.Year() < firstYear || from.Year() > lastYear {
		return nil, fmt.Errorf("begins in %d; %d to %d are possible", from.Year(), firstYear, lastYear)
	}
	starts := []Day{first}
	if e.rule == "" {
		return starts, nil
	}
	if x.rules++; x.rules > maxRules {
		return nil, fmt.Errorf("is the %dth that repeats; %d are possible", x.rules, maxRules)
	}
	rule, err := parseRule(e.rule, from)
	if err != nil {
		return nil, fmt.Errorf("RRULE %w", err)
	}
	next := rule.Iterator()
	for t, ok := next(); ok && t.Year() <= lastYear; t, ok = next() {
		starts = append(starts, dayOf(t))
	}
	return starts, nil
}

// ruleParts are what a rule may have, by its frequency: what takes the library little time also where nothing ever matches.
var ruleParts = map[string]string{
	"YEARLY":  "INTERVAL COUNT UNTIL WKST BYMONTH BYMONTHDAY BYDAY BYYEARDAY BYSETPOS",
	"MONTHLY": "INTERVAL COUNT UNTIL WKST BYMONTH BYMONTHDAY BYDAY BYSETPOS",
	"WEEKLY":  "INTERVAL COUNT UNTIL WKST BYDAY",
	"DAILY":   "INTERVAL COUNT UNTIL WKST",
}

func parseRule(text string, from time.Time) (*rrule.RRule, error) {
	if len(text) > 500 {
		return nil, errors.New("is too long")
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		key, value, _ := strings.Cut(part, "=")
		parts[key] = value
	}
	known, ok := ruleParts[parts["FREQ"]]
	if !ok {
		return nil, errors.New("repeats neither yearly, monthly, weekly nor daily")
	}
	for key := range parts {
		if key != "FREQ" && !slices.Contains(strings.Fields(known), key) {
			return nil, fmt.Errorf("has %s, which is not understood with FREQ=%s", short(key, 20), parts["FREQ"])
		}
	}
	if n, err := strconv.Atoi(parts["INTERVAL"]); parts["INTERVAL"] != "" && (err != nil || n < 1 || n > 1000) {
		return nil, errors.New("has an INTERVAL that is none, 1 to 1000")
	}
	option, err := rrule.StrToROption(text)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	option.Dtstart = from
	rule, err := rrule.NewRRule(*option)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return rule, nil
}

// dateList reads lists of dates; of a DATE-TIME the date counts.
func dateList(lists []string) ([]Day, error) {
	var days []Day
	for _, list := range lists {
		for text := range strings.SplitSeq(list, ",") {
			d, _, err := parseDay(strings.TrimSpace(text))
			if err != nil {
				return nil, err
			}
			days = append(days, d)
		}
	}
	return days, nil
}
