package jobfile

import (
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
