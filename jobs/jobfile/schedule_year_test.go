package jobfile

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// feasts are holidays of a year: alone, in a row, at the end of a month, and on weekends.
func feasts(year int) []Day {
	var days []Day
	for _, text := range []string{"01-01", "01-06", "02-02", "02-27", "02-28", "04-03", "04-04", "04-05", "04-06", "05-01", "05-31", "06-01", "08-03", "08-04", "08-05", "08-06", "08-07", "08-10", "08-15",
		"09-01", "10-30", "11-01", "12-24", "12-25", "12-26", "12-27", "12-28", "12-31"} {
		date, err := time.Parse(time.DateOnly, fmt.Sprintf("%d-%s", year, text))
		if err != nil {
			panic(err) // the list above is wrong
		}
		days = append(days, dayOf(date))
	}
	return days
}

// almanac is asked what a day is. It knows nothing of schedules.
type almanac struct{ holidays map[time.Time]bool }

func newAlmanac(days []Day) almanac {
	c := almanac{map[time.Time]bool{}}
	for _, d := range days {
		c.holidays[time.Unix(int64(d)*86400, 0).UTC()] = true
	}
	return c
}

func (c almanac) business(d time.Time) bool {
	return d.Weekday() >= time.Monday && d.Weekday() <= time.Friday && !c.holidays[d]
}

// place says the how many-th of its kind a day is among the days of its span, from the front and from the back.
func (c almanac) place(d time.Time, months int, kind func(time.Time) bool) (front, back int) {
	if !kind(d) {
		return 0, 0
	}
	same := func(e time.Time) bool {
		return e.Year() == d.Year() && (int(e.Month())-1)/months == (int(d.Month())-1)/months
	}
	for e := d; same(e); e = e.AddDate(0, 0, -1) {
		if kind(e) {
			front++
		}
	}
	for e := d; same(e); e = e.AddDate(0, 0, 1) {
		if kind(e) {
			back++
		}
	}
	return front, back
}

func weekdayIs(w time.Weekday) func(time.Time) bool {
	return func(d time.Time) bool { return d.Weekday() == w }
}

func anyDay(time.Time) bool { return true }

// planned is a schedule, and by which dates and times of day another computation knows it.
type planned struct {
	text, shift string
	on          func(c almanac, d time.Time) bool
	at          []int // minutes of the day
	every       int   // of these, those that come so many minutes after another, since Monday, 1 January of the year 1
}

func from(first, last, step int) (minutes []int) {
	for m := first; m <= last; m += step {
		minutes = append(minutes, m)
	}
	return minutes
}

func nth(n, months int, kind func(time.Time) bool) func(almanac, time.Time) bool {
	return func(c almanac, d time.Time) bool {
		k := kind
		if k == nil {
			k = c.business
		}
		front, back := c.place(d, months, k)
		return n > 0 && front == n || n < 0 && back == -n
	}
}

func always(almanac, time.Time) bool { return true }

// plans are cron fields, words and every, each as it is and with holidays that move it either way.
func plans() (all []planned) {
	for _, p := range []planned{
		{text: "30 3 * * *", on: always, at: []int{210}},
		{text: "0 8 1 * *", on: func(_ almanac, d time.Time) bool { return d.Day() == 1 }, at: []int{480}},
		{text: "0 0 1 * *", on: func(_ almanac, d time.Time) bool { return d.Day() == 1 }, at: []int{0}},
		{text: "30 2 * * sun", on: func(_ almanac, d time.Time) bool { return d.Weekday() == time.Sunday }, at: []int{150}},
		{text: "*/40 7-18/4 * * mon-fri", on: func(_ almanac, d time.Time) bool { return d.Weekday() != time.Saturday && d.Weekday() != time.Sunday }, at: []int{420, 460, 660, 700, 900, 940}},
		{text: "0 12 31 * *", on: func(_ almanac, d time.Time) bool { return d.Day() == 31 }, at: []int{720}},
		{text: "15 23 5 * fri", on: func(_ almanac, d time.Time) bool { return d.Day() == 5 || d.Weekday() == time.Friday }, at: []int{1395}},
		{text: "*/45 * * * *", on: always, at: slices.Concat(from(0, 1439, 60), from(45, 1439, 60))},
		{text: "first business day at 08:00", on: nth(1, 1, nil), at: []int{480}},
		{text: "last business day at 17:00", on: nth(-1, 1, nil), at: []int{1020}},
		{text: "fourth business day of the month at 00:00", on: nth(4, 1, nil), at: []int{0}},
		{text: "first Monday at 09:00", on: nth(1, 1, weekdayIs(time.Monday)), at: []int{540}},
		{text: "last Sunday of the month at 02:30", on: nth(-1, 1, weekdayIs(time.Sunday)), at: []int{150}},
		{text: "third Wednesday of the quarter at 6:45", on: nth(3, 3, weekdayIs(time.Wednesday)), at: []int{405}},
		{text: "second business day of the quarter at 23:59", on: nth(2, 3, nil), at: []int{1439}},
		{text: "first business day of the year at 12:00", on: nth(1, 12, nil), at: []int{720}},
		{text: "last business day of the year at 12:00", on: nth(-1, 12, nil), at: []int{720}},
		{text: "last day of the quarter at 02:15", on: nth(-1, 3, anyDay), at: []int{135}},
		{text: "10th at 09:00", on: func(_ almanac, d time.Time) bool { return d.Day() == 10 }, at: []int{540}},
		{text: "31st at 09:00", on: func(_ almanac, d time.Time) bool { return d.Day() == 31 }, at: []int{540}},
		{text: "every 6h", on: always, at: from(0, 1439, 360)},
		{text: "every 30m", on: always, at: from(0, 1439, 30)},
		{text: "every 7h", on: always, at: from(0, 1439, 60), every: 420},
		{text: "every 50m", on: always, at: from(0, 1439, 10), every: 50},
		{text: "every 3d", on: func(_ almanac, d time.Time) bool { return (d.Unix()/86400+719162)%3 == 0 }, at: []int{0}},
		{text: "every 1w", on: func(_ almanac, d time.Time) bool { return d.Weekday() == time.Monday }, at: []int{0}},
	} {
		for _, shift := range []string{"", Next, Previous} {
			p.shift = shift
			all = append(all, p)
		}
	}
	return all
}

// expected are the plan's times in a year: each date is looked at, also of the weeks beside the year, and carried off a holiday day by day.
func (p planned) expected(year int, c almanac) []time.Time {
	found := map[time.Time]bool{}
	for d := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -40); d.Year() <= year || d.Month() == 1; d = d.AddDate(0, 0, 1) {
		if !p.on(c, d) {
			continue
		}
		to := d
		if p.shift != "" && c.holidays[d] {
			step := map[string]int{Next: 1, Previous: -1}[p.shift]
			for !c.business(to) {
				to = to.AddDate(0, 0, step)
			}
		}
		for _, m := range p.at {
			if p.every != 0 && (d.Unix()/60+719162*1440+int64(m))%int64(p.every) != 0 {
				continue
			}
			if t := to.Add(time.Duration(m) * time.Minute); t.Year() == year {
				found[t] = true
			}
		}
	}
	var all []time.Time
	for t := range found {
		all = append(all, t)
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// reached says for each step of a span of wall time at which moment clocks first came to it or passed it.
type reached struct {
	from    time.Time
	step    time.Duration
	moments []time.Time
}

// clocks walks through a span in a zone, a step at a time, and looks at what clocks show.
func clocks(zone *time.Location, from, to time.Time, step time.Duration) reached {
	r := reached{from: from, step: step, moments: make([]time.Time, 0, to.Sub(from)/step)}
	next := from
	for moment := At(from, zone).In(zone); next.Before(to); moment = moment.Add(step) {
		y, m, d := moment.Date()
		h, min, sec := moment.Clock()
		for shown := time.Date(y, m, d, h, min, sec, 0, time.UTC); !next.After(shown); next = next.Add(step) {
			r.moments = append(r.moments, moment)
		}
	}
	return r
}

func (r reached) at(wall time.Time) time.Time { return r.moments[wall.Sub(r.from)/r.step] }

// zonesOfTheYear are zones with half an hour's jump, jumps at midnight, two of them in a month, half hours for ever, and a day that
// was left out; the year is one in which it happened.
var zonesOfTheYear = map[string]int{"Europe/Rome": 2026, "Australia/Lord_Howe": 2026, "America/Santiago": 2026, "Asia/Beirut": 2026, "Asia/Kathmandu": 2026, "Africa/Casablanca": 2026,
	"Pacific/Apia": 2011, "Pacific/Chatham": 2026, "America/New_York": 2026, "Asia/Kolkata": 2026, "America/Havana": 2026, "America/Sao_Paulo": 2018, "Antarctica/Troll": 2026}

// P7: in every zone each scheduled time of a year comes once, at the first moment at which clocks show it or have jumped over it.
// The other computation looks at each day of the calendar, and at the clock in each minute of the year.
func TestP7_EachScheduledTimeComesOnceInEveryZone(t *testing.T) {
	days := func(year int) []Day { return slices.Concat(feasts(year-1), feasts(year), feasts(year+1)) }
	want := map[int][][]time.Time{}
	for _, year := range zonesOfTheYear {
		for i, p := range plans() {
			if len(want[year]) == i {
				want[year] = append(want[year], p.expected(year, newAlmanac(days(year))))
			}
		}
	}
	for name, year := range zonesOfTheYear {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
			seen := clocks(zone, begin, begin.AddDate(1, 0, 0), time.Minute)
			for i, p := range plans() {
				s, err := ParseSchedule(p.text)
				if err != nil {
					t.Fatal(err)
				}
				checkYear(t, p.text+" "+p.shift, s.bind(p.shift, newHolidays("", days(year))), zone, year, want[year][i], seen)
			}
		})
	}
}

func checkYear(t *testing.T, what string, s Schedule, zone *time.Location, year int, want []time.Time, seen reached) {
	t.Helper()
	n := 0
	for wall := s.Next(time.Date(year, 1, 1, 0, 0, 0, -1, time.UTC)); wall.Year() == year; wall = s.Next(wall) {
		if n == len(want) || !want[n].Equal(wall) {
			t.Errorf("%s: %s comes as the %d. of %d times", what, wall.Format("Mon 2006-01-02 15:04:05"), n+1, len(want))
			return
		}
		if got := At(wall, zone); !got.Equal(seen.at(wall)) {
			t.Errorf("%s: clocks come to %s at %s, computed %s", what, wall.Format(time.DateTime), seen.at(wall), got)
			return
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%s: %d times, want %d", what, n, len(want))
	}
}

// TestP7_SchedulesBySeconds looks at each second of the days around each change of the clocks.
func TestP7_SchedulesBySecondsComeOnceAroundEachChangeOfTheClocks(t *testing.T) {
	changes := 0
	for name, year := range zonesOfTheYear {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		_, change := time.Date(year, 1, 1, 0, 0, 0, 0, zone).ZoneBounds()
		for ; !change.IsZero() && change.In(zone).Year() == year; _, change = change.ZoneBounds() {
			changes++
			begin := Wall(change, zone).Truncate(day).Add(-day)
			seen := clocks(zone, begin, begin.Add(3*day), 10*time.Second)
			for text, step := range map[string]int{"every 10s": 10, "every 20s": 20, "every 90s": 90, "every 1m": 60, "every 50m": 3000, "* * * * *": 60} {
				s, err := ParseSchedule(text)
				if err != nil {
					t.Fatal(err)
				}
				var want []time.Time
				for wall := begin; wall.Before(begin.Add(2 * day)); wall = wall.Add(10 * time.Second) {
					if (wall.Unix()+62135596800)%int64(step) == 0 { // seconds since Monday, 1 January of the year 1
						want = append(want, wall)
					}
				}
				n := 0
				for wall := s.Next(begin.Add(-time.Nanosecond)); n < len(want); wall = s.Next(wall) {
					if !wall.Equal(want[n]) || !At(wall, zone).Equal(seen.at(wall)) {
						t.Fatalf("%s, %s: %s comes at %s, want %s at %s", name, text, wall, At(wall, zone), want[n], seen.at(want[n]))
					}
					n++
				}
			}
		}
	}
	if changes < 20 {
		t.Errorf("only %d changes of clocks", changes)
	}
}
