package jobfile

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	maxCalendar = 1 << 20  // octets; all feasts of a country for a hundred years are less than a tenth of it
	maxLine     = 64 << 10 // octets of an unfolded line
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
