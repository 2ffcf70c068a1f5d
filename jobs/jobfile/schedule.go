package jobfile

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is when a job runs: five cron fields, minute to day of week, which mean clocks in the company's time zone.
//
// It works with wall times: what a clock in that zone shows, as a time.Time in UTC. There each scheduled time stands
// once, however clocks are put back or forward; At makes it a moment.
type Schedule struct {
	Text string
	spec cron.Schedule
}

// Next returns the first scheduled wall time after another.
func (s Schedule) Next(after time.Time) time.Time { return s.spec.Next(after) }

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

// cronFields are the five fields with the largest number of each.
var cronFields = []struct {
	name string
	most int
}{{"minute", 59}, {"hour", 23}, {"day of month", 31}, {"month", 12}, {"day of week", 6}}

var cronItem = regexp.MustCompile(`^(\*|[0-9]{1,2}|[A-Za-z]{3})(-([0-9]{1,2}|[A-Za-z]{3}))?(/([0-9]{1,2}))?$`)

// ParseSchedule reads five cron fields. It lets through only what the library reads as it is meant: no other zone, no word
// in place of fields, no step that is silently something else, and nothing that never comes.
func ParseSchedule(text string) (Schedule, error) {
	fields := strings.Fields(text)
	switch {
	case strings.HasPrefix(text, "@"):
		return Schedule{}, errors.New("is a word where five fields are expected")
	case strings.Contains(text, "="):
		return Schedule{}, errors.New("has a time zone; the company's own is the one that counts")
	case len(fields) != len(cronFields):
		return Schedule{}, fmt.Errorf("has %d fields where five are expected", len(fields))
	}
	for i, field := range fields {
		for item := range strings.SplitSeq(field, ",") {
			if err := checkCronItem(item, cronFields[i].most, cronFields[i].name); err != nil {
				return Schedule{}, err
			}
		}
	}
	spec, err := cron.ParseStandard(strings.Join(fields, " "))
	if err != nil {
		return Schedule{}, fmt.Errorf("cannot be read: %w", err)
	}
	if spec.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, errors.New("never comes")
	}
	return Schedule{strings.Join(fields, " "), spec}, nil
}

func checkCronItem(item string, most int, name string) error {
	m := cronItem.FindStringSubmatch(item)
	if m == nil {
		return fmt.Errorf("has no %s that can be read", name)
	}
	if name == "day of week" && (m[1] == "7" || m[3] == "7") {
		return errors.New("has 7 as day of week; Sunday is 0 or sun")
	}
	if m[5] == "" {
		return nil
	}
	if step, err := strconv.Atoi(m[5]); err != nil || step < 1 || step > most {
		return fmt.Errorf("has a step that no %s has room for", name)
	}
	return nil
}

// eitherDay tells whether both fields for days are bound. Then a day counts that matches either of them.
func (s Schedule) eitherDay() bool {
	f := strings.Fields(s.Text)
	return len(f) == len(cronFields) && f[2] != "*" && f[4] != "*"
}
