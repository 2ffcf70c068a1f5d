package jobfile

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// What a calendar may have. All feasts of a country for a hundred years are less than a tenth of it.
const (
	maxCalendar = 1 << 20 // octets
	maxLine     = 64 << 10
	maxRules    = 50      // rules that repeat an event
	maxDays     = 100_000 // days of all events together, before those that coincide are one
	maxLength   = 366     // days of one event
	firstYear   = 1900
	lastYear    = 2100 // what repeats for ever ends with it
)

// event is what matters of a VEVENT (RFC 5545): the dates.
type event struct {
	line       int // of its BEGIN
	uid        string
	start, end string // DTSTART and DTEND
	duration   string
	rule       string
	more, less []string // RDATE and EXDATE, each a list
	instead    string   // RECURRENCE-ID: it takes the place of that day of the event with its uid
	cancelled  bool
}

// parseCalendar returns the days of all whole-day events of a calendar (RFC 5545), and how many others it has, which last
// for hours and are no holidays. Its errors name a line.
func parseCalendar(data []byte) (days []Day, timed int, err error) {
	events, err := calendarEvents(data)
	if err != nil {
		return nil, 0, err
	}
	replaced := map[string][]Day{}
	for _, e := range events {
		if e.instead == "" {
			continue
		}
		date, _, err := parseDay(e.instead)
		if err != nil {
			return nil, 0, fmt.Errorf("event in line %d: RECURRENCE-ID %w", e.line, err)
		}
		replaced[e.uid] = append(replaced[e.uid], date)
	}
	var out expansion
	for _, e := range events {
		if e.cancelled {
			continue
		}
		first, whole, err := parseDay(e.start)
		if err != nil {
			return nil, 0, fmt.Errorf("event in line %d: DTSTART %w", e.line, err)
		}
		if !whole {
			timed++
			continue
		}
		var instead []Day
		if e.instead == "" {
			instead = replaced[e.uid]
		}
		if err := out.add(e, first, instead); err != nil {
			return nil, 0, fmt.Errorf("event in line %d: %w", e.line, err)
		}
	}
	return out.days, timed, nil
}

// calendarEvents reads the events of a VCALENDAR. What stands within an event or beside it, as alarms and time zones, is passed over.
func calendarEvents(data []byte) ([]event, error) {
	var events []event
	var open []string // components that have begun
	for n, line := range contentLines(data) {
		name, params, value, ok := splitLine(line)
		if len(line) > maxLine || !ok && line != "" {
			return nil, fmt.Errorf("line %d is none of a calendar", n)
		}
		switch {
		case line == "":
		case name == "BEGIN":
			open = append(open, strings.ToUpper(value))
			if slices.Equal(open, []string{"VCALENDAR", "VEVENT"}) {
				events = append(events, event{line: n})
			}
		case len(open) == 0:
			return nil, fmt.Errorf("line %d stands outside of a calendar (BEGIN:VCALENDAR)", n)
		case name == "END":
			if open[len(open)-1] != strings.ToUpper(value) {
				return nil, fmt.Errorf("line %d ends what has not begun", n)
			}
			open = open[:len(open)-1]
		case slices.Equal(open, []string{"VCALENDAR", "VEVENT"}):
			if err := events[len(events)-1].property(name, params, value); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("it ends within %s", open[len(open)-1])
	}
	return events, nil
}

// contentLines walks the unfolded lines, each with the number of its first one.
func contentLines(data []byte) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		lines := strings.Split(string(bytes.TrimPrefix(data, []byte("\ufeff"))), "\n")
		for i := 0; i < len(lines); {
			var b strings.Builder
			b.WriteString(strings.TrimSuffix(lines[i], "\r"))
			first := i + 1
			for i++; i < len(lines) && lines[i] != "" && (lines[i][0] == ' ' || lines[i][0] == '\t'); i++ {
				b.WriteString(strings.TrimSuffix(lines[i][1:], "\r"))
			}
			if !yield(first, b.String()) {
				return
			}
		}
	}
}

// splitLine takes NAME;PARAMETERS:VALUE apart. A colon within quotes belongs to a parameter.
func splitLine(line string) (name, params, value string, ok bool) {
	quoted := false
	for i := range len(line) {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == ':' && !quoted:
			name, params, _ = strings.Cut(line[:i], ";")
			return strings.ToUpper(name), strings.ToUpper(params), strings.TrimSpace(line[i+1:]), name != ""
		}
	}
	return "", "", "", false
}

func (e *event) property(name, params, value string) error {
	switch name {
	case "UID":
		e.uid = value
	case "DTSTART":
		e.start = value
	case "DTEND":
		e.end = value
	case "DURATION":
		e.duration = value
	case "STATUS":
		e.cancelled = strings.EqualFold(value, "CANCELLED")
	case "RECURRENCE-ID":
		e.instead = value
	case "RRULE":
		if e.rule != "" {
			return errors.New("a second RRULE in one event")
		}
		e.rule = strings.ToUpper(value)
	case "EXDATE":
		e.less = append(e.less, value)
	case "RDATE":
		if strings.Contains(params, "VALUE=PERIOD") {
			return errors.New("RDATE has periods; dates can be used")
		}
		e.more = append(e.more, value)
	case "EXRULE":
		return errors.New("EXRULE is not understood; EXDATE is")
	}
	return nil
}

var (
	dayForm    = regexp.MustCompile(`^([0-9]{8})(T[0-9]{6}Z?)?$`)
	lengthForm = regexp.MustCompile(`^\+?P([0-9]{1,4})([DW])$`)
)

// parseDay reads the date of a DATE or DATE-TIME. It is a whole one without a time, and at midnight of local clocks.
func parseDay(text string) (d Day, whole bool, err error) {
	m := dayForm.FindStringSubmatch(text)
	if m == nil {
		return 0, false, errors.New("is no date")
	}
	t, err := time.Parse("20060102", m[1])
	if err != nil {
		return 0, false, errors.New("is a date that does not exist")
	}
	return dayOf(t), m[2] == "" || m[2] == "T000000", nil
}

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
