package jobfile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// dates writes days as in jobs.yaml.
func dates(days []Day) []string {
	var out []string
	for _, d := range days {
		out = append(out, time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly))
	}
	return out
}

func TestCalendarOfFeasts(t *testing.T) {
	data, err := os.ReadFile("testdata/holidays/feasts.ics")
	if err != nil {
		t.Fatal(err)
	}
	days, timed, err := parseCalendar(data)
	if err != nil || timed != 0 {
		t.Fatal(timed, err)
	}
	all := dates(newHolidays("", days).Days)
	in := func(year string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(d string) bool { return !strings.HasPrefix(d, year) })
	}
	for year, want := range map[string]string{
		"2019": "",
		"2020": "2020-01-01 2020-12-24 2020-12-25 2020-12-26",
		"2026": "2026-01-01 2026-04-03 2026-04-06 2026-06-12 2026-06-13 2026-07-06 2026-09-07 2026-12-24 2026-12-25 2026-12-26",
		"2027": "2027-01-01 2027-03-26 2027-03-29 2027-07-05 2027-12-24 2027-12-25 2027-12-26",
		"2028": "2028-01-01 2028-07-06 2028-12-24 2028-12-25 2028-12-26",
		"2029": "2029-01-01 2029-09-03 2029-12-24 2029-12-25 2029-12-26",
		"2100": "2100-01-01 2100-12-24 2100-12-25 2100-12-26",
		"2101": "",
	} {
		if got := strings.Join(in(year), " "); got != want {
			t.Errorf("%s: %s, want %s", year, got, want)
		}
	}
}

// calendar wraps the lines of events.
func calendar(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteString("BEGIN:VEVENT\n" + strings.ReplaceAll(e, "|", "\n") + "\nEND:VEVENT\n")
	}
	return "BEGIN:VCALENDAR\n" + b.String() + "END:VCALENDAR\n"
}

func TestEvents(t *testing.T) {
	for _, c := range []struct{ event, want string }{
		{"DTSTART:20261224", "2026-12-24"},
		{"dtstart;value=date:20261224|dtend;value=date:20261226", "2026-12-24 2026-12-25"},
		{"DTSTART:20261224|DTEND:20261224", "2026-12-24"},
		{"DTSTART:20261224|DURATION:P1W", "2026-12-24 2026-12-25 2026-12-26 2026-12-27 2026-12-28 2026-12-29 2026-12-30"},
		{"DTSTART:20261231|DURATION:P2D", "2026-12-31 2027-01-01"},
		{"DTSTART:20240229|RRULE:FREQ=YEARLY;UNTIL=20330101", "2024-02-29 2028-02-29 2032-02-29"},
		{"DTSTART:20261126|RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=3", "2026-11-26 2027-11-25 2028-11-23"},
		{"DTSTART:20260525|RRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO;COUNT=2", "2026-05-25 2027-05-31"},
		{"DTSTART:20260130|RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=3", "2026-01-30 2026-02-27 2026-03-31"},
		{"DTSTART:20261221|RRULE:FREQ=DAILY;INTERVAL=2;COUNT=3|EXDATE;VALUE=DATE:20261223", "2026-12-21 2026-12-25"},
		{"DTSTART:20261221T000000|RRULE:FREQ=WEEKLY;COUNT=2|EXDATE:20261228T000000", "2026-12-21"},
		{"DTSTART:20261221|RRULE:FREQ=WEEKLY;BYDAY=MO,FR;COUNT=3", "2026-12-21 2026-12-25 2026-12-28"},
		{"DTSTART:20260101|RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "2026-01-01"}, // and never again, until the year 9999
	} {
		days, timed, err := parseCalendar([]byte(calendar(c.event)))
		if got := strings.Join(dates(newHolidays("", days).Days), " "); got != c.want || timed != 0 || err != nil {
			t.Errorf("%s: %s, %d, %v; want %s", c.event, got, timed, err, c.want)
		}
	}
}

func TestBrokenCalendars(t *testing.T) {
	many := make([]string, maxRules+1)
	for i := range many {
		many[i] = "DTSTART:20260101|RRULE:FREQ=YEARLY"
	}
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"DTSTART:20260101\n", "line 1 stands outside of a calendar (BEGIN:VCALENDAR)"},
		{"<html>", "line 1 is none of a calendar"},
		{"BEGIN:VCALENDAR\nX;Y=\"a:b\n", "line 2 is none of a calendar"},
		{"BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "it ends within VEVENT"},
		{"BEGIN:VCALENDAR\nEND:VEVENT\n", "line 2 ends what has not begun"},
		{"BEGIN:VCALENDAR\nX:" + strings.Repeat("x", maxLine) + "\n", "line 2 is none of a calendar"},
		{"BEGIN:VCALENDAR\nX:" + strings.Repeat("\n x", maxLine) + "\n", "line 2 is none of a calendar"},
		{calendar("UID:1"), "event in line 2: DTSTART is no date"},
		{calendar("DTSTART:20261345"), "event in line 2: DTSTART is a date that does not exist"},
		{calendar("DTSTART:16010101|RRULE:FREQ=DAILY"), "event in line 2: begins in 1601; 1900 to 2100 are possible"},
		{calendar("DTSTART:20260101|DTEND:tomorrow"), "event in line 2: DTEND is no date"},
		{calendar("DTSTART:20260101|DTEND:20290101"), "event in line 2: has 1096 days; 1 to 366 are possible"},
		{calendar("DTSTART:20260101|DURATION:P0D"), "event in line 2: has 0 days; 1 to 366 are possible"},
		{calendar("DTSTART:20260101|RRULE:FREQ=YEARLY;BYMONTH=x"), "event in line 2: RRULE cannot be read: strconv.Atoi: parsing \"X\": invalid syntax"},
		{calendar("DTSTART:20260101|DURATION:PT5H"), "event in line 2: DURATION is no number of days, such as P1D"},
		{calendar("DTSTART:20260101|EXDATE:20261201,x"), "event in line 2: EXDATE is no date"},
		{calendar("DTSTART:20260101|RDATE:x"), "event in line 2: RDATE is no date"},
		{calendar("DTSTART:20260101|RDATE;VALUE=PERIOD:20260101T000000Z/P1D"), "line 4: RDATE has periods; dates can be used"},
		{calendar("DTSTART:20260101|EXRULE:FREQ=YEARLY"), "line 4: EXRULE is not understood; EXDATE is"},
		{calendar("DTSTART:20260101|RECURRENCE-ID:x"), "event in line 2: RECURRENCE-ID is no date"},
		{calendar("DTSTART:20260101|RRULE:FREQ=YEARLY|RRULE:FREQ=YEARLY"), "line 5: a second RRULE in one event"},
		{calendar("DTSTART:20260101|RRULE:FREQ=SECONDLY"), "event in line 2: RRULE repeats neither yearly, monthly, weekly nor daily"},
		{calendar("DTSTART:20260101|RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "event in line 2: RRULE has BYMONTH, which is not understood with FREQ=DAILY|RRULE has BYMONTHDAY, which is not understood with FREQ=DAILY"},
		{calendar("DTSTART:20260101|RRULE:FREQ=YEARLY;BYSECOND=1"), "event in line 2: RRULE has BYSECOND, which is not understood with FREQ=YEARLY"},
		{calendar("DTSTART:20260101|RRULE:FREQ=MONTHLY;INTERVAL=9223372036854775807"), "event in line 2: RRULE has an INTERVAL that is none, 1 to 1000"},
		{calendar("DTSTART:20260101|RRULE:FREQ=YEARLY;BYMONTH=13"), "event in line 2: RRULE cannot be read: bymonth must be between 1 and 12"},
		{calendar("DTSTART:20260101|RRULE:FREQ=YEARLY;BYMONTHDAY=" + strings.Repeat("1,", 300)), "event in line 2: RRULE is too long"},
		{calendar(many...), fmt.Sprintf("event in line %d: is the 51th that repeats; 50 are possible", 2+4*maxRules)},
		{calendar("DTSTART:19000101|DURATION:P366D|RRULE:FREQ=DAILY"), "event in line 2: with it the calendar has more than 100000 days"},
	} {
		_, _, err := parseCalendar([]byte(c.text))
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && !slices.ContainsFunc(strings.Split(c.want, "|"), func(w string) bool { return strings.HasSuffix(got, w) }) {
			t.Errorf("%.80q: %s, want %s", c.text, got, c.want)
		}
	}
}

func FuzzCalendar(f *testing.F) {
	data, err := os.ReadFile("testdata/holidays/feasts.ics")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(calendar("DTSTART:20260101|DURATION:P2D|RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYSETPOS=1;WKST=SU")))
	f.Fuzz(func(t *testing.T, data []byte) {
		days, _, err := parseCalendar(data)
		if err == nil && len(days) > maxDays {
			t.Errorf("%d days", len(days))
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
		for _, d := range days {
			if y := time.Unix(int64(d)*86400, 0).UTC().Year(); y < 1 || y > 9999 {
				t.Errorf("a day in the year %d", y)
			}
		}
	})
}

// TestHolidaysOfACompany covers the two forms and that all of them is plain data, so that a reload sees a change.
func TestHolidaysOfACompany(t *testing.T) {
	dir := t.TempDir()
	load := func(holidays, ics string) (*File, Problems) {
		write(t, filepath.Join(dir, "cal", "sk.ics"), ics)
		file := filepath.Join(dir, "jobs.yaml")
		write(t, file, strings.Replace(shortest(t), "database: acme,", "database: acme, holidays: "+holidays+",", 1))
		return Load(file)
	}
	f, problems := load("[2026-12-25, 2026-12-24]", "")
	if f == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	if h := f.Company("acme").Holidays; strings.Join(dates(h.Days), " ") != "2026-12-24 2026-12-25" || h.File != "" {
		t.Errorf("%+v", h)
	}
	f, problems = load("cal/sk.ics", calendar("DTSTART:20261224", "DTSTART:20261225T080000Z"))
	if f == nil || len(problems) != 1 || !strings.Contains(problems[0].Message, "1 of its events do not last whole days") {
		t.Fatal(problems)
	}
	h := f.Company("acme").Holidays
	late := time.Date(2026, 12, 24, 23, 59, 0, 0, time.FixedZone("", 3600))
	if !h.On(late) || h.On(late.Add(time.Minute)) || h.File != filepath.Join(dir, "cal", "sk.ics") {
		t.Errorf("%+v", h)
	}
	for ics, want := range map[string]string{
		"": "the calendar cannot be used: it has no event that lasts a day", "x": "the calendar cannot be used: line 1 is none of a calendar",
		strings.Repeat("\n", maxCalendar+1): "the calendar cannot be read: it is larger than 1 MiB",
	} {
		if f, problems = load("cal/sk.ics", ics); f != nil || !strings.Contains(problems.String(), want) {
			t.Errorf("%.10q: %v", ics, problems)
		}
	}
}
