package jobfile

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Holidays are days of a company. The zero value has none.
type Holidays struct {
	File string // the .ics file that they come from; "" for dates that stand in jobs.yaml
	Days []Day  // in order, each once
}

// Day is a date of the calendar, in days since 1 January 1970.
type Day int32

// dayOf is the date that t's own clocks show.
func dayOf(t time.Time) Day {
	y, m, d := t.Date()
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / int64(day/time.Second))
}

// On tells whether the date, as clocks of its own zone show it, is a holiday.
func (h Holidays) On(date time.Time) bool {
	_, found := slices.BinarySearch(h.Days, dayOf(date))
	return found
}

// newHolidays sorts the days.
func newHolidays(file string, days []Day) Holidays {
	slices.Sort(days)
	return Holidays{File: file, Days: slices.Compact(days)}
}

// holidays reads the calendar that a company names.
func (c *checker) holidays(s *source, path string, h *Holidays) {
	if !s.has(path) || h.File == "" {
		return
	}
	written, file := h.File, c.resolve(h.File)
	data, err := readFile(file)
	if err == nil && len(data) > maxCalendar {
		err = fmt.Errorf("it is larger than %d MiB", maxCalendar>>20)
	}
	if err != nil {
		s.wrong(path, written, "the calendar cannot be read: "+err.Error(), "a file in iCalendar form (.ics), or a list of dates: [2026-12-24, 2026-12-25]")
		return
	}
	days, timed, err := parseCalendar(data)
	if err == nil && len(days) == 0 {
		err = errors.New("it has no event that lasts a day")
	}
	if err != nil {
		s.wrong(path, written, "the calendar cannot be used: "+err.Error(), "mend the file, or list the dates here: [2026-12-24, 2026-12-25]")
		return
	}
	if timed > 0 {
		s.warn(path, written, fmt.Sprintf("%d of its events do not last whole days and are no holidays", timed), "all-day events, if they should be")
	}
	*h = newHolidays(file, days)
}
