package mailing_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// windowed is a sending window and holidays as a jobs.yaml has them.
func windowed(t *testing.T, window string) (*jobfile.Window, jobfile.Holidays) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jobs.yaml")
	must(t, os.WriteFile(path, []byte(`
version: 1
servers: {main: {host: localhost, username: outboxd}}
accounts: {system: {host: smtp.acme.example, from: noreply@acme.example, rate: 300/hour, auth: none, window: "`+window+`"}}
companies: {acme: {server: main, database: acme, holidays: [2026-12-24, 2026-12-25], jobs: {send: {kind: deliver}}}}
`), 0o600))
	f, problems := jobfile.Load(path)
	if f == nil || len(f.Accounts) == 0 || f.Accounts[0].Window == nil {
		t.Fatal(problems)
	}
	return f.Accounts[0].Window, f.Companies[0].Holidays
}

func TestWhenAMailingWouldFinish(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Bratislava")
	must(t, err)
	office, holidays := windowed(t, "Mon-Fri 08:00-18:00")
	hourly := func(n int) []db.Window { return []db.Window{{N: n, Per: time.Hour}} }
	now := time.Date(2026, 12, 1, 8, 0, 0, 0, zone) // a Tuesday
	for name, c := range map[string]struct {
		mails     int64
		windows   []db.Window
		window    *jobfile.Window
		now, want time.Time
	}{
		"nothing":           {0, hourly(100), nil, now, now},
		"evenly":            {300, hourly(300), nil, now, now.Add(time.Hour)},
		"the smallest":      {600, []db.Window{{N: 1200, Per: time.Hour}, {N: 5, Per: time.Minute}, {N: 600, Per: time.Hour}}, nil, now, now.Add(2 * time.Hour)},
		"a part of an hour": {50, hourly(300), nil, now, now.Add(10 * time.Minute)},
		// 1000 by 10:00, then a day's limit: the rest when those of 8:00 to 8:05 are a day old, with their slot.
		"a day's limit":  {1010, []db.Window{{N: 500, Per: time.Hour}, {N: 1000, Per: 24 * time.Hour}}, nil, now, now.Add(24*time.Hour + 5*time.Minute + 72*time.Second)},
		"office hours":   {3500, hourly(300), office, now, time.Date(2026, 12, 2, 9, 40, 0, 0, zone)},
		"over a weekend": {300, hourly(300), office, time.Date(2026, 12, 4, 17, 30, 0, 0, zone), time.Date(2026, 12, 7, 8, 30, 0, 0, zone)},
		"over holidays":  {300, hourly(300), office, time.Date(2026, 12, 23, 17, 30, 0, 0, zone), time.Date(2026, 12, 28, 8, 30, 0, 0, zone)},
		"odd minutes":    {300, hourly(300), office, time.Date(2026, 12, 4, 17, 57, 30, 0, zone), time.Date(2026, 12, 7, 8, 57, 30, 0, zone)},
		"no limits":      {36000, nil, nil, now, now.Add(time.Hour)},
		"clocks go back": {300, hourly(100), nil, time.Date(2026, 10, 25, 1, 0, 0, 0, zone), time.Date(2026, 10, 25, 3, 0, 0, 0, zone)},
		"never":          {100_000_000, hourly(100), nil, now, time.Time{}},
	} {
		got := mailing.Finish(c.now, c.mails, c.windows, c.window, holidays, zone)
		if got.Sub(c.want).Abs() > time.Second {
			t.Errorf("%s: %s, not %s", name, got, c.want)
		}
	}
}

// A long estimate is quick: a plan is asked for by a person who waits.
func TestAnEstimateOfYearsIsQuick(t *testing.T) {
	office, holidays := windowed(t, "Mon-Fri 08:00-18:00")
	begun := time.Now()
	got := mailing.Finish(time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC), 1_000_000, []db.Window{{N: 100, Per: time.Hour}, {N: 900, Per: 24 * time.Hour}}, office, holidays, time.UTC)
	if got.Year() != 2031 {
		t.Error(got)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
