package jobfile

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

func mustWindow(t *testing.T, text string) *Window {
	t.Helper()
	w, err := parseWindow(text)
	if err != nil {
		t.Fatal(text, err)
	}
	return &w
}

func TestParseWindow(t *testing.T) {
	for text, want := range map[string][]span{
		"Mon 08:00-18:00":                   {{1, 480, 1080}},
		"mon-tue 8:00 - 18:00":              {{1, 480, 1080}, {2, 480, 1080}},
		"Sat-Mon 00:00-24:00":               {{0, 0, 1440}, {1, 0, 1440}, {6, 0, 1440}},
		"Sat 08:00-12:00,Fri 07:00-20:00":   {{5, 420, 1200}, {6, 480, 720}},
		"Sun 13:00-14:00, Sun 08:00-12:00":  {{0, 480, 720}, {0, 780, 840}},
		"Sun 08:00-12:00, Sun 12:00-14:00":  {{0, 480, 720}, {0, 720, 840}},
		"Mon 22:00-24:00, Tue 00:00-06:00":  {{1, 1320, 1440}, {2, 0, 360}},
		"Sun 00:00-00:01, Mon  23:59-24:00": {{0, 0, 1}, {1, 1439, 1440}},
	} {
		if w := mustWindow(t, text); !slices.Equal(w.spans, want) || w.Text != text {
			t.Errorf("%s: %v, want %v", text, w.spans, want)
		}
	}
	if w := mustWindow(t, "00:30-24:00"); len(w.spans) != 7 {
		t.Errorf("daily: %v", w.spans)
	}
	for _, text := range []string{"", ",", "Mon", "08:00", "Mon 08:00-18:00,", "Mon-Fri-Sun 08:00-18:00", "Montag 08:00-18:00", "Mon 8-18", "Mon 08:00-18:60", "Mon 24:00-24:00", "Mon 25:00-26:00",
		"Mon08:00-18:00", "Mon 08:00–18:00", "Mon 18:00-08:00", "Mon 008:00-18:00", "Mon -08:00-18:00", "00:00-12:00, Sun 11:59-13:00"} {
		if w, err := parseWindow(text); err == nil {
			t.Errorf("%q is read as %v", text, w.spans)
		}
	}
}

func TestAlwaysOpen(t *testing.T) {
	var w *Window
	now := time.Now()
	christmas := newHolidays("", []Day{dayOf(now)})
	if !w.Open(now, christmas) || !w.Next(now, christmas).Equal(now) {
		t.Error("no window, and not open")
	}
}

// TestWindowsAgainstClocks walks over the days on which clocks are put forward and back, quarter by quarter of an hour, and
// compares with what a person would say who looks at the clock.
func TestWindowsAgainstClocks(t *testing.T) {
	for zone, days := range map[string][]string{
		"Europe/Rome":         {"2026-03-29", "2026-10-25"}, // 2:00 to 3:00 and back
		"Australia/Lord_Howe": {"2026-04-05", "2026-10-04"}, // by half an hour
		"America/Santiago":    {"2026-04-04", "2026-09-06"}, // at midnight: 24:00 comes twice, 0:00 never
		"Asia/Beirut":         {"2026-03-29", "2026-10-24"}, // at midnight
		"UTC":                 {"2026-03-29"},
	} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"02:15-02:45", "00:00-00:30", "00:30-01:15", "23:30-24:00", "00:00-24:00", "01:45-02:00", "Sun 02:00-03:00", "Sat 23:00-24:00, Sun 00:15-01:00", "Mon-Fri 08:00-18:00"} {
			w := mustWindow(t, text)
			for _, d := range days {
				day, err := time.Parse(time.DateOnly, d)
				if err != nil {
					t.Fatal(err)
				}
				t.Run(zone+" "+d+" "+text, func(t *testing.T) { walkWindow(t, w, At(day.Add(-24*time.Hour), loc)) })
			}
		}
	}
}

func walkWindow(t *testing.T, w *Window, from time.Time) {
	const step = 15 * time.Minute
	holiday := newHolidays("", []Day{dayOf(from) + 2})
	shown := func(at time.Time) bool {
		h, m, _ := at.Clock()
		return dayOf(at) != dayOf(from)+2 && slices.ContainsFunc(w.spans, func(s span) bool { return s.day == at.Weekday() && s.from <= h*60+m && h*60+m < s.to })
	}
	var opens time.Time // seen from behind
	for at := from.Add(10 * 24 * time.Hour); !at.Before(from); at = at.Add(-step) {
		if shown(at) {
			opens = at
		}
		if w.Open(at, holiday) != shown(at) {
			t.Fatalf("at %s: open is %v", at, !shown(at))
		}
		if got := w.Next(at, holiday); !opens.IsZero() && !got.Equal(opens) {
			t.Fatalf("at %s: opens %s, want %s", at, got, opens)
		}
		if got := w.Next(at.Add(-time.Second-time.Millisecond), holiday); !opens.IsZero() && !shown(at.Add(-step)) && !got.Equal(opens) {
			t.Fatalf("a second before %s: opens %s, want %s", at, got, opens)
		}
	}
}

func TestWindowThatIsSkipped(t *testing.T) {
	rome, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		m, err := time.Parse("2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return At(m, rome)
	}
	for _, c := range []struct{ window, from, want string }{
		{"02:15-02:45", "2026-03-28 12:00", "2026-03-30 02:15"},         // clocks of the 29th do not show it
		{"02:30-03:30", "2026-03-29 01:00", "2026-03-29 03:00"},         // half of it
		{"02:00-02:30", "2026-10-25 00:00", "2026-10-25 02:00"},         // the first of the two
		{"Mon-Fri 08:00-18:00", "2026-12-23 18:00", "2026-12-28 08:00"}, // over the holidays and the weekend
		{"Mon-Fri 08:00-18:00", "2026-12-23 17:59", "2026-12-23 17:59"}, // its last minute
		{"Mon-Fri 08:00-18:00", "2026-12-24 09:00", "2026-12-28 08:00"}, // on a holiday
		{"Thu 00:00-24:00", "2026-12-24 00:00", "2027-01-07 00:00"},     // the 31st is one too
		{"Sat 08:00-12:00, Mon 09:00-10:00", "2026-11-21 12:00", "2026-11-23 09:00"},
	} {
		holidays := newHolidays("", []Day{dayOf(at("2026-12-25 00:00")), dayOf(at("2026-12-24 00:00")), dayOf(at("2026-12-31 00:00"))})
		if got := mustWindow(t, c.window).Next(at(c.from), holidays); !got.Equal(at(c.want)) {
			t.Errorf("%s after %s: %s, want %s", c.window, c.from, got, c.want)
		}
	}
}

// TestWindowThatNeverOpens: every day is a holiday.
func TestWindowThatNeverOpens(t *testing.T) {
	rome, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	for _, zone := range []*time.Location{time.UTC, rome} {
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, zone)
		var all []Day
		for i := range 3 * horizon {
			all = append(all, dayOf(now)+Day(i))
		}
		if got := mustWindow(t, "08:00-18:00").Next(now, newHolidays("", all)); got.Sub(now) < (horizon-1)*day || got.Sub(now) > (horizon+2)*day {
			t.Errorf("opens %s", got)
		}
	}
}

// TestReloadSeesWindowsAndHolidays: what a reload compares is the JSON of an account and a company.
func TestReloadSeesWindowsAndHolidays(t *testing.T) {
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	seen := map[string]string{}
	for _, v := range []any{Account{}, Account{Window: mustWindow(t, "08:00-18:00")}, Account{Window: mustWindow(t, "08:00-18:01")}, Account{Warmup: &Warmup{Days: 1}},
		Account{PerDomain: []DomainRate{{Name: "*"}}}, Account{OAuth: &OAuth{Tenant: "x"}}, Account{Overflow: true}, Account{SenderAddresses: []string{"a@b.example"}},
		Company{}, Company{Holidays: newHolidays("", []Day{1})}, Company{Holidays: newHolidays("", []Day{2})}, Company{Holidays: newHolidays("f", []Day{2})}, Company{SendAs: Both}} {
		what := fmt.Sprintf("%T %+v", v, v)
		if other, again := seen[text(v)]; again {
			t.Errorf("%s and %s are one", what, other)
		}
		seen[text(v)] = what
	}
}
