package jobfile

import (
	"testing"
	"time"
)

func TestParseSchedule(t *testing.T) {
	checkSchedules(t, map[string]string{
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
	})
}

func TestParseScheduleInWords(t *testing.T) {
	checkSchedules(t, map[string]string{
		"first business day at 08:00":           "",
		"Last  Business day at 17:00":           "",
		"second Tuesday of the quarter at 9:30": "",
		"last day of the year at 23:59":         "",
		"fourth sunday of the month at 00:00":   "",
		"10th at 09:00":                         "",
		"31st of the month at 09:00":            "",
		"every 6h":                              "",
		"every 1h30m":                           "",
		"every 10s":                             "",
		"every 2w":                              "",
		"every":                                 "has no length of time after every, such as every 6h",
		"every day":                             "has no length of time after every, such as every 6h",
		"every 5":                               "has no length of time after every, such as every 6h",
		"every 6h at 08:00":                     "has no length of time after every, such as every 6h",
		"every 9s":                              "has a length of time that is none of 10s to 52w, in whole seconds",
		"every 0s":                              "has a length of time that is none of 10s to 52w, in whole seconds",
		"every 10s500ms":                        "has a length of time that is none of 10s to 52w, in whole seconds",
		"every 53w":                             "has a length of time that is none of 10s to 52w, in whole seconds",
		"daily at 08:00":                        "is neither five cron fields nor words that are known",
		"fist business day at 08:00":            "is neither five cron fields nor words that are known",
		"fifth Monday at 08:00":                 "is neither five cron fields nor words that are known",
		"first business day":                    "is not said as first business day at 08:00, last Friday of the quarter at 17:00 or 10th at 09:00",
		"first business day at 8":               "is not said as first business day at 08:00, last Friday of the quarter at 17:00 or 10th at 09:00",
		"10th of the quarter at 09:00":          "is not said as first business day at 08:00, last Friday of the quarter at 17:00 or 10th at 09:00",
		"first workday at 08:00":                "has a day that is none of business day, day, Monday to Sunday",
		"first mon at 08:00":                    "has a day that is none of business day, day, Monday to Sunday",
		"first Monday of the week at 08:00":     "has a span that is none of month, quarter, year",
		"first business day at 25:00":           "has a time that no clock shows",
		"first business day at 08:60":           "has a time that no clock shows",
		"first business day at 24:00":           "has 24:00; the next day begins at 00:00",
		"10th at 24:00":                         "has 24:00; the next day begins at 00:00",
		"32nd at 09:00":                         "has a date that no month has",
		"0th at 09:00":                          "has a date that no month has",
		"01st at 09:00":                         "has a date that no month has",
		"2th at 09:00":                          "has 2th where 2nd is meant",
		"11st at 09:00":                         "has 11st where 11th is meant",
	})
}

// checkSchedules parses texts and compares what is said against them; "" means that they are taken, and come.
func checkSchedules(t *testing.T, texts map[string]string) {
	t.Helper()
	for s, want := range texts {
		schedule, err := ParseSchedule(s)
		if got := text(err); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
		if err == nil && schedule.Next(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)).IsZero() {
			t.Errorf("%q never comes", s)
		}
	}
}

// FuzzParseSchedule: no text makes the library panic, or a schedule that never comes, comes without end in one minute, or goes back;
// with holidays and without.
func FuzzParseSchedule(f *testing.F) {
	for _, text := range []string{"30 3 * * *", "TZ=", "TZ=Europe/Rome", "@every 0s", "*/90 * * * *", "0 0 30 2 *", ", * * * *", "1-2/3 * * jan sun", "first business day at 08:00",
		"last Friday of the quarter at 17:00", "fourth sunday of the year at 0:00", "31st at 09:00", "every 6h", "every 10s", "every 52w", "every 9999999999h", "10th at 24:00", "last  day at 99:99"} {
		f.Add(text)
	}
	holidays := newHolidays("", feasts(2026))
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := ParseSchedule(text)
		if err != nil {
			if err.Error() == "" || scheduleHint(text) == "" {
				t.Fatalf("%q is refused without a word", text)
			}
			return
		}
		for _, shift := range []string{"", Next, Previous} {
			s := parsed.bind(shift, holidays)
			last := time.Date(2026, 11, 21, 3, 30, 0, 0, time.UTC)
			for range 5 {
				next := s.Next(last)
				if next.IsZero() {
					break
				}
				if _, every := s.rule.(everyRule); !next.After(last) || !every && (next.Sub(last) < time.Minute || next.Second() != 0) || every && next.Sub(last) < leastEvery && next.Sub(last) < time.Second {
					t.Fatalf("%q %s: %s, then %s", text, shift, last, next)
				}
				if again := s.Next(next.Add(-time.Nanosecond)); !again.Equal(next) {
					t.Fatalf("%q %s: %s comes, but right before it %s", text, shift, next, again)
				}
				if meant := s.Meant(next); shift != "" && holidays.On(next) || shift == "" && meant != next {
					t.Fatalf("%q %s: %s, meant %s", text, shift, next, meant)
				}
				last = next
			}
		}
	})
}
