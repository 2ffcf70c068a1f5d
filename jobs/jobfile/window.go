package jobfile

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Window is when an account sends: spans of the week by the clocks of a company. No span crosses midnight. A nil *Window is
// always open.
type Window struct {
	Text  string // as in jobs.yaml: all that the window is
	spans []span // by day and start, without overlaps
}

// span is a part of a day of the week: minutes since midnight, from is in it and to is not.
type span struct {
	day      time.Weekday
	from, to int
}

const (
	dayMinutes = 24 * 60
	horizon    = 400 // days that are searched for the next opening
)

var (
	weekdays   = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	windowForm = regexp.MustCompile(`^(?:([A-Za-z]+)(?:-([A-Za-z]+))? +)?([0-9]{1,2}:[0-9]{2}) ?- ?([0-9]{1,2}:[0-9]{2})$`)
)

// parseWindow reads Mon-Fri 07:00-20:00, Sat 08:00-12:00. Without days a span is daily; Fri-Mon goes over the week's end.
func parseWindow(text string) (Window, error) {
	w := Window{Text: text}
	for part := range strings.SplitSeq(text, ",") {
		spans, err := parseSpans(strings.TrimSpace(part))
		if err != nil {
			return Window{}, err
		}
		w.spans = append(w.spans, spans...)
	}
	slices.SortFunc(w.spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.from, b.from)) })
	for i := 1; i < len(w.spans); i++ {
		if last := w.spans[i-1]; last.day == w.spans[i].day && w.spans[i].from < last.to {
			return Window{}, fmt.Errorf("has spans that overlap on %s", w.spans[i].day)
		}
	}
	return w, nil
}

func parseSpans(part string) ([]span, error) {
	m := windowForm.FindStringSubmatch(part)
	if m == nil {
		return nil, errors.New("is no sending window, such as Mon-Fri 08:00-18:00")
	}
	from, err := parseClock(m[3])
	if err != nil {
		return nil, err
	}
	to, err := parseClock(m[4])
	switch {
	case err != nil:
		return nil, err
	case from == dayMinutes || to == from:
		return nil, errors.New("has a span without length")
	case to < from:
		return nil, errors.New("crosses midnight; write two, as Mon 22:00-24:00, Tue 00:00-06:00")
	}
	first, last, err := parseDays(m[1], m[2])
	if err != nil {
		return nil, err
	}
	var spans []span
	for d := first; ; d = (d + 1) % 7 {
		spans = append(spans, span{time.Weekday(d), from, to})
		if d == last {
			return spans, nil
		}
	}
}

func parseClock(text string) (minutes int, err error) {
	hour, minute, _ := strings.Cut(text, ":")
	h, err1 := strconv.Atoi(hour)
	m, err2 := strconv.Atoi(minute)
	if err := errors.Join(err1, err2); err != nil || m > 59 || h*60+m > dayMinutes {
		return 0, errors.New("has a time that no clock shows")
	}
	return h*60 + m, nil
}

// parseDays reads one day, or the first and the last; every day where there is none.
func parseDays(from, to string) (first, last int, err error) {
	if from == "" {
		return 0, 6, nil
	}
	first = slices.Index(weekdays, strings.ToLower(from))
	last = first
	if to != "" {
		last = slices.Index(weekdays, strings.ToLower(to))
	}
	if first < 0 || last < 0 {
		return 0, 0, errors.New("has a day that is none of Mon, Tue, Wed, Thu, Fri, Sat, Sun")
	}
	return first, last, nil
}

// parts returns the spans; none for a window that is always open.
func (w *Window) parts() []span {
	if w == nil {
		return nil
	}
	return w.spans
}

// Open tells whether mails may go at t, by the clocks of t's own zone.
func (w *Window) Open(t time.Time, holidays Holidays) bool {
	if w == nil {
		return true
	}
	wall := Wall(t, t.Location())
	return w.next(wall, holidays).Equal(wall)
}

// Next returns when the window is open: t itself, or the first moment after it, in t's zone; after 400 days without one, that
// far on. Clocks that are put forward or back while it waits change nothing: the window opens when they show a time within it.
func (w *Window) Next(t time.Time, holidays Holidays) time.Time {
	if w.Open(t, holidays) {
		return t
	}
	zone, end := t.Location(), t.AddDate(0, 0, horizon)
	for at := t.Truncate(time.Second); at.Before(end); { // from one change of the clocks to the next
		wall := Wall(at, zone)
		opens := at.Add(w.next(wall, holidays).Sub(wall))
		_, change := at.ZoneBounds()
		if change.IsZero() || opens.Before(change) {
			return opens
		}
		at = change
	}
	return end
}

// next returns the first wall time at or after another at which the window is open, or one that lies beyond the horizon.
func (w *Window) next(wall time.Time, holidays Holidays) time.Time {
	midnight := wall.Truncate(day)
	for range horizon + 1 {
		if !holidays.On(midnight) {
			for _, s := range w.spans {
				from, to := midnight.Add(time.Duration(s.from)*time.Minute), midnight.Add(time.Duration(s.to)*time.Minute)
				if s.day == midnight.Weekday() && wall.Before(to) {
					return later(wall, from)
				}
			}
		}
		midnight = midnight.Add(day)
	}
	return midnight
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
