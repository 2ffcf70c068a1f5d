package jobfile

import "time"

// maxShift is how many days away the business day may be to which a holiday's times go. A company that is closed for longer
// does without them.
const maxShift = 366

// business tells whether a date is a business day: Monday to Friday, and no holiday.
func (h Holidays) business(date time.Time) bool {
	return date.Weekday() != time.Saturday && date.Weekday() != time.Sunday && !h.On(date)
}

func (s Schedule) moves() bool { return s.shift != "" && len(s.holidays.Days) > 0 }

// toward is one day in the direction in which holidays are left.
func (s Schedule) toward() time.Duration {
	if s.shift == Previous {
		return -day
	}
	return day
}

// sources are the days whose times come on a date: the date itself, and holidays next to it that are moved to it, the nearest
// first. A holiday has none.
func (s Schedule) sources(date time.Time) []time.Time {
	if s.holidays.On(date) {
		return nil
	}
	all := []time.Time{date}
	if !s.holidays.business(date) {
		return all
	}
	from := date
	for range maxShift {
		if from = from.Add(-s.toward()); s.holidays.business(from) {
			break
		}
		if s.holidays.On(from) {
			all = append(all, from)
		}
	}
	return all
}

// nextMoved is Next where holidays move times: it looks at the days on which times can come, one after the other, and on each at
// the times that come there. So it is quick also where each minute of a long holiday lands on one day.
func (s Schedule) nextMoved(after time.Time) time.Time {
	date := after.Truncate(day)
	end := date.AddDate(scheduleYears, 0, 0)
	for ; !date.IsZero() && date.Before(end); date = s.nextDate(date) {
		since := max(after.Sub(date), -time.Nanosecond)
		var first time.Time
		for _, source := range s.sources(date) {
			t := s.rule.next(source.Add(since))
			if t.IsZero() || !t.Before(source.Add(day)) {
				continue
			}
			if t = date.Add(t.Sub(source)); first.IsZero() || t.Before(first) {
				first = t
			}
		}
		if !first.IsZero() {
			return first
		}
	}
	return time.Time{}
}

// nextDate returns a later day before which no time comes, or zero when none comes at all.
func (s Schedule) nextDate(date time.Time) time.Time {
	if s.shift == Next && !s.holidays.business(date) {
		return date.Add(day) // there may be times that have not landed yet
	}
	t := s.rule.next(date.Add(day - time.Nanosecond))
	if t.IsZero() {
		return t
	}
	to := t.Truncate(day)
	if s.shift == Previous {
		for range maxShift {
			if s.holidays.business(to) {
				break
			}
			to = to.Add(-day)
		}
	}
	return later(to, date.Add(day))
}

// Meant is the time that a scheduled wall time had before a holiday moved it: the one whose day, week or month it stands for. Of
// several it is its own, else that of the nearest holiday.
func (s Schedule) Meant(wall time.Time) time.Time {
	if s.rule == nil || !s.moves() {
		return wall
	}
	date := wall.Truncate(day)
	for _, source := range s.sources(date) {
		t := source.Add(wall.Sub(date))
		if s.rule.next(t.Add(-time.Nanosecond)).Equal(t) {
			return t
		}
	}
	return wall
}
