package jobfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func boundSchedule(t testing.TB, text, shift string, dates ...string) Schedule {
	t.Helper()
	s, err := ParseSchedule(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var days []Day
	for _, d := range dates {
		date, err := parseDate(d)
		if err != nil {
			t.Fatal(err)
		}
		days = append(days, dayOf(date))
	}
	return s.bind(shift, newHolidays("", days))
}

// TestP7_TimesOffHolidays: where they go, what they stand for, and that two which land on one are one.
func TestP7_TimesOffHolidays(t *testing.T) {
	for _, test := range []struct{ text, shift, holidays, want string }{
		{"0 8 * * *", Next, "2026-12-24 2026-12-25", "12-22 12-23 12-26 12-27 12-28 12-29"},
		{"0 8 24 * *", Next, "2026-12-24 2026-12-25", "12-28(12-24) 01-24 02-24"},
		{"0 8 24 * *", Previous, "2026-12-24 2026-12-23", "12-22(12-24) 01-24 02-24"},
		{"0 8 1 * *", Previous, "2027-01-01 2027-02-01", "12-31(01-01) 01-29(02-01) 03-01"},
		{"0 8 24,25,28 * *", Next, "2026-12-24 2026-12-25", "12-28 01-24 01-25"},
		{"0 8 24,25 * *", Next, "2026-12-24 2026-12-25", "12-28(12-25) 01-24 01-25"},
		{"0 8 26 * *", Next, "2026-12-26", "12-28(12-26) 01-26 02-26"},
		{"0 8 26 * *", Next, "2026-12-24", "12-26 01-26 02-26"},
		{"0 8 26 * *", Previous, "2026-12-26 2026-12-25", "12-24(12-26) 01-26 02-26"},
		{"first business day at 08:00", "", "2027-01-01", "01-04 02-01 03-01"},
		{"last business day of the year at 08:00", "", "2026-12-31 2026-12-30", "12-29 12-31 12-29"},
	} {
		s := boundSchedule(t, test.text, test.shift, strings.Fields(test.holidays)...)
		var got []string
		last := time.Date(2026, 12, 21, 12, 0, 0, 0, time.UTC)
		for range len(strings.Fields(test.want)) {
			last = s.Next(last)
			text := last.Format("01-02")
			if meant := s.Meant(last); !meant.Equal(last) {
				text += meant.Format("(01-02)")
			}
			got = append(got, text)
		}
		if have := strings.Join(got, " "); have != test.want {
			t.Errorf("%s %s: %s, want %s", test.text, test.shift, have, test.want)
		}
	}
}

// TestP7_ACompanyThatIsAlwaysClosed is found out, and soon; one that is closed for years goes on after them, and what cannot go
// to a business day within a year is left out.
func TestP7_ACompanyThatIsAlwaysClosed(t *testing.T) {
	days := func(from string, n int) (list []string) {
		first, err := parseDate(from)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			list = append(list, first.AddDate(0, 0, i).Format(time.DateOnly))
		}
		return list
	}
	ever, years := days("2026-01-01", 366*30), days("2026-01-01", 365*3+1)
	for _, test := range []struct {
		text, shift string
		closed      []string
		want        string
	}{
		{"* * * * *", Next, ever, "0001-01-01 00:00"},
		{"* * * * *", Previous, ever, "0001-01-01 00:00"},
		{"* * * * *", "", ever, "2026-06-01 00:01"},
		{"first business day at 08:00", "", ever, "0001-01-01 00:00"},
		{"last business day of the year at 08:00", Previous, ever, "0001-01-01 00:00"},
		{"* * * * *", Next, years, "2029-01-01 00:00"},
		{"0 8 1 6 *", Next, years, "2029-01-01 08:00"},
		{"0 8 1 6 *", Previous, years, "2029-06-01 08:00"},
		{"first business day at 08:00", "", years, "2029-01-01 08:00"},
	} {
		s := boundSchedule(t, test.text, test.shift, test.closed...)
		begun := time.Now()
		got := s.Next(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
		if took := time.Since(begun); took > time.Second {
			t.Errorf("%s %s took %s", test.text, test.shift, took)
		}
		if text := got.Format("2006-01-02 15:04"); text != test.want {
			t.Errorf("%s %s: %s, want %s", test.text, test.shift, text, test.want)
		}
	}
}

// TestNextAndMeantAreAboutTheSameTimes: what is meant comes by the fields themselves, and nothing else comes.
func TestNextAndMeantAreAboutTheSameTimes(t *testing.T) {
	for _, shift := range []string{Next, Previous} {
		plain, err := ParseSchedule("15 6-18/4 * * *")
		if err != nil {
			t.Fatal(err)
		}
		s := plain.bind(shift, newHolidays("", slices.Concat(feasts(2025), feasts(2026), feasts(2027))))
		last := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for n := range 1000 {
			last = s.Next(last)
			meant := s.Meant(last)
			if got := plain.Next(meant.Add(-time.Second)); !got.Equal(meant) {
				t.Fatalf("%s: the %d. time %s is meant for %s, which is none", shift, n, last, meant)
			}
		}
	}
}

func TestZeroSchedule(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	if got := (Schedule{}).Next(now); !got.IsZero() || (Schedule{}).Meant(now) != now || (Schedule{}).eitherDay() {
		t.Errorf("a schedule of nothing comes at %s", got)
	}
}

func BenchmarkScheduleNext(b *testing.B) {
	for _, text := range []string{"* * * * *", "30 3 * * *", "first business day at 08:00", "every 20s"} {
		for _, shift := range []string{"", Next, Previous} {
			parsed, err := ParseSchedule(text)
			if err != nil {
				b.Fatal(err)
			}
			s := parsed.bind(shift, newHolidays("", slices.Concat(feasts(2025), feasts(2026), feasts(2027))))
			b.Run(fmt.Sprintf("%s %s", text, shift), func(b *testing.B) {
				wall := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
				for b.Loop() {
					if wall = s.Next(wall); wall.Year() > 2027 {
						wall = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
					}
				}
			})
		}
	}
}
