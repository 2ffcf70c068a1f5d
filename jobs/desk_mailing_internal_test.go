package jobs

import (
	"testing"
	"time"

	"outboxd/db"
)

// The rate is of mails that went: one that ended without, at the start, would make the expected end too early.
func TestRateIsOfMailsThatWent(t *testing.T) {
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	approved := now.Add(-time.Hour)
	r := db.Run{StartedAt: now.Add(-3 * time.Hour), RunCounts: db.RunCounts{Sent: 100, Partial: 10, Failed: 5, Skipped: 9000, Suppressed: 70, Cancelled: 20, Expired: 3, Gone: 1}}
	if got := rateOf(r, now); got != 38 {
		t.Errorf("%d an hour since it began", got)
	}
	if r.ApprovedAt = &approved; rateOf(r, now) != 115 {
		t.Errorf("%d an hour since it was approved", rateOf(r, now))
	}
}

func TestLengthText(t *testing.T) {
	for d, want := range map[time.Duration]string{8 * time.Hour: "8h", 90 * time.Minute: "1h30m", 30 * time.Minute: "30m", 90 * time.Second: "1m30s", 10 * time.Second: "10s",
		0: "0s", 24*time.Hour + 10*time.Minute: "24h10m", 10 * time.Hour: "10h", 20 * time.Minute: "20m", time.Hour + time.Second: "1h0m1s"} {
		if got := lengthText(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
}

func TestWallAt(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{"": now, "2026-12-01 08:00": time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC), "2026-12-01T08:00": time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC),
		"2026-12-01 08:00:07": time.Date(2026, 12, 1, 8, 0, 7, 0, time.UTC)} {
		if got, err := wallAt(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"2026-12-01", "tomorrow", "2026-02-30 08:00", "08:00", "2026-12-01 25:00"} {
		if _, err := wallAt(text, now); err == nil || !err.(*AskError).Usage {
			t.Errorf("%q: %v", text, err)
		}
	}
}
