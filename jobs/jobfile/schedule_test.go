package jobfile

import (
	"testing"
	"time"
)

func TestParseSchedule(t *testing.T) {
	for s, want := range map[string]string{
		"30 3 * * *":             "",
		"  30   3 * *\t*  ":      "",
		"*/10 7-18 * * MON-fri":  "",
		"0 8 1 jan,7 *":          "",
		"0 0 29 2 *":             "",
		"0,30 */2 1-7 * sun,2-4": "",
		"":                       "has 0 fields where five are expected",
		"30 3 * *":               "has 4 fields where five are expected",
		"0 30 3 * * *":           "has 6 fields where five are expected",
		"@daily":                 "is a word where five fields are expected",
		"@every 1h":              "is a word where five fields are expected",
		"@every -1s":             "is a word where five fields are expected",
		"TZ=Europe/Rome":         "has a time zone; the company's own is the one that counts",
		"CRON_TZ=UTC 0 3 * * *":  "has a time zone; the company's own is the one that counts",
		"0 0 30 2 *":             "never comes",
		"0 0 31 4,6,9,11 *":      "never comes",
		", * * * *":              "has no minute that can be read",
		"0 3 L * *":              "has no day of month that can be read",
		"0 3 ? * *":              "has no day of month that can be read",
		"0 3 * * 1#2":            "has no day of week that can be read",
		"0 3 * * 7":              "has 7 as day of week; Sunday is 0 or sun",
		"0 3 * * 5-7":            "has 7 as day of week; Sunday is 0 or sun",
		"*/90 * * * *":           "has a step that no minute has room for",
		"*/0 * * * *":            "has a step that no minute has room for",
		"0 */24 * * *":           "has a step that no hour has room for",
		"0 24 * * *":             "cannot be read: end of range (24) above maximum (23): 24",
		"30-10 * * * *":          "cannot be read: beginning of range (30) beyond end of range (10): 30-10",
		"0 3 * foo *":            "cannot be read: failed to parse int from foo: strconv.Atoi: parsing \"foo\": invalid syntax",
		"0 3 0 * *":              "cannot be read: beginning of range (0) below minimum (1): 0",
	} {
		schedule, err := ParseSchedule(s)
		if got := text(err); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
		if err == nil && schedule.Next(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)).IsZero() {
			t.Errorf("%q never comes", s)
		}
	}
}

// FuzzParseSchedule: no text makes the library panic, or a schedule that never comes or comes without end in one minute.
func FuzzParseSchedule(f *testing.F) {
	for _, text := range []string{"30 3 * * *", "TZ=", "TZ=Europe/Rome", "@every 0s", "*/90 * * * *", "0 0 30 2 *", ", * * * *", "1-2/3 * * jan sun"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(text)
		if err != nil {
			return
		}
		last := time.Date(2026, 11, 21, 3, 30, 0, 0, time.UTC)
		for range 3 {
			next := s.Next(last)
			if next.Sub(last) < time.Minute || next.Second() != 0 {
				t.Fatalf("%q: %s, then %s", text, last, next)
			}
			last = next
		}
	})
}

// P7: in every zone each scheduled time of a year comes once, at the first moment at which clocks show it or have
// jumped over it. The other computation walks along the moments and looks at the clock.
func TestP7_EachScheduledTimeComesOnceInEveryZone(t *testing.T) {
	schedule, err := ParseSchedule("*/15 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	for name, year := range map[string]int{"Europe/Rome": 2026, "Australia/Lord_Howe": 2026, "America/Santiago": 2026, "Asia/Beirut": 2026, "Asia/Kathmandu": 2026,
		"America/Sao_Paulo": 2018, "Africa/Casablanca": 2026, "Antarctica/Troll": 2026, "Pacific/Apia": 2011, "America/New_York": 2026} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		moment := time.Date(year, 1, 1, 0, 0, 0, 0, zone)
		next := schedule.Next(Wall(moment, zone))
		fired := 0
		for ; moment.In(zone).Year() == year; moment = moment.Add(15 * time.Minute) {
			for shown := Wall(moment, zone); !next.After(shown); next = schedule.Next(next) {
				if got := At(next, zone); !got.Equal(moment) {
					t.Fatalf("%s: clocks come to %s at %s, computed %s", name, next.Format(time.DateTime), moment, got)
				}
				fired++
			}
		}
		if days := time.Date(year+1, 1, 1, 0, 0, 0, 0, time.UTC).Sub(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)) / day; fired != int(days)*96-1 {
			t.Errorf("%s: %d times in %d days", name, fired, days)
		}
	}
}
