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

// Schedule is when a job runs, by clocks in the company's time zone: five cron fields, minute to day of week, or words for what
// those cannot say. Of a company's job it knows the holidays, and where a time goes that falls on one.
//
// It works with wall times: what a clock in that zone shows, as a time.Time in UTC. There each scheduled time stands
// once, however clocks are put back or forward; At makes it a moment.
type Schedule struct {
	Text     string
	rule     rule
	shift    string // Next, Previous, or "" where a holiday is a day as others
	holidays Holidays
}

// rule is when a schedule comes, before holidays move it.
type rule interface {
	// next is the first time after another one, or zero when none comes in the years that are looked at.
	next(after time.Time) time.Time
}

// scheduleYears is how far a schedule looks ahead. Nothing comes as seldom as 29 February over the turn of a century.
const scheduleYears = 10

// Next returns the first scheduled wall time after another, or zero when none comes in the next years.
func (s Schedule) Next(after time.Time) time.Time {
	switch {
	case s.rule == nil:
		return time.Time{}
	case !s.moves():
		return s.rule.next(after)
	}
	return s.nextMoved(after)
}

// bind returns the schedule of a company's job.
func (s Schedule) bind(shift string, h Holidays) Schedule {
	s.shift, s.holidays = shift, h
	if r, ok := s.rule.(nthRule); ok {
		r.holidays = h
		s.rule = r
	}
	return s
}

// ParseSchedule reads five cron fields, or words. It knows no holidays: those are the company's.
func ParseSchedule(text string) (Schedule, error) {
	fields := strings.Fields(text)
	text = strings.Join(fields, " ")
	var r rule
	var err error
	if len(fields) > 0 && inWords(fields) {
		r, err = parseWords(text)
	} else {
		r, err = parseCron(fields)
	}
	if err == nil && r.next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		err = errors.New("never comes")
	}
	if err != nil {
		return Schedule{}, err
	}
	return Schedule{Text: text, rule: r}, nil
}

// cronRule is five cron fields.
type cronRule struct{ spec cron.Schedule }

func (r cronRule) next(after time.Time) time.Time { return r.spec.Next(after) }

// cronFields are the five fields with the largest number of each.
var cronFields = []struct {
	name string
	most int
}{{"minute", 59}, {"hour", 23}, {"day of month", 31}, {"month", 12}, {"day of week", 6}}

var cronItem = regexp.MustCompile(`^(\*|[0-9]{1,2}|[A-Za-z]{3})(-([0-9]{1,2}|[A-Za-z]{3}))?(/([0-9]{1,2}))?$`)

// parseCron lets through only what the library reads as it is meant: no other zone, no word in place of fields, no step that is
// silently something else.
func parseCron(fields []string) (rule, error) {
	text := strings.Join(fields, " ")
	switch {
	case strings.HasPrefix(text, "@"):
		return nil, errors.New("is a word where five fields are expected")
	case strings.Contains(text, "="):
		return nil, errors.New("has a time zone; the company's own is the one that counts")
	case len(fields) != len(cronFields):
		return nil, fmt.Errorf("has %d fields where five are expected", len(fields))
	}
	for i, field := range fields {
		for item := range strings.SplitSeq(field, ",") {
			if err := checkCronItem(item, cronFields[i].most, cronFields[i].name); err != nil {
				return nil, err
			}
		}
	}
	spec, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return cronRule{spec}, nil
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
	_, isCron := s.rule.(cronRule)
	return isCron && f[2] != "*" && f[4] != "*"
}
