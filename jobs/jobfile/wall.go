package jobfile

import "time"

// Wall is what clocks in the zone show at a moment.
func Wall(moment time.Time, zone *time.Location) time.Time {
	y, m, d := moment.In(zone).Date()
	h, min, sec := moment.In(zone).Clock()
	return time.Date(y, m, d, h, min, sec, 0, time.UTC)
}

// At is the moment at which clocks in the zone show a wall time: the first one where they show it twice, and the moment of
// the jump where they skip it.
func At(wall time.Time, zone *time.Location) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	start, end := t.ZoneBounds()
	switch shown := Wall(t, zone); {
	case shown.After(wall): // skipped, and t lies behind the jump
		return start
	case shown.Before(wall): // skipped, and t lies before the jump
		return end
	case start.IsZero():
		return t
	}
	_, before := start.Add(-time.Nanosecond).Zone()
	if first := wall.Add(-time.Duration(before) * time.Second); first.Before(start) {
		return first.In(zone)
	}
	return t
}
