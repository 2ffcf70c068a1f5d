package jobs

import (
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1500 * time.Millisecond: "2s", 59 * time.Minute: "59m0s", 59*time.Minute + 50*time.Second: "1h00m",
		47 * time.Hour: "47h00m", 90 * time.Minute: "1h30m", 73 * time.Hour: "3 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

func TestLasting(t *testing.T) {
	hour, day := db.Window{N: 300, Per: time.Hour}, db.Window{N: 500, Per: 24 * time.Hour}
	for _, one := range []struct {
		mails   int
		windows []db.Window
		want    time.Duration
	}{
		{0, []db.Window{hour}, 0},
		{2, []db.Window{hour}, 24 * time.Second},
		{2, []db.Window{hour, day}, 24 * time.Second},
		{1200, []db.Window{hour, day}, 48 * time.Hour},
		{5, nil, 0},
	} {
		if got := lasting(one.mails, one.windows); got != one.want {
			t.Errorf("%+v: %s", one, got)
		}
	}
}

func TestDeskWords(t *testing.T) {
	for got, want := range map[string]string{
		because(""): "", because("It is so."): ": It is so",
		countOf(1, "row"): "1 row", countOf(2, "row"): "2 rows", goes(1): "goes", goes(3): "go", orNone(""): "(unknown)", orNone("a"): "a",
		By{}.note("held"): "held by unknown", By{"eva(1)", "why"}.note("held"): "held by eva(1): why",
		joined([]db.State{db.Sent, db.Failed}): "sent, failed",
		limitText(&jobfile.Account{Rate: jobfile.Rate{N: 3, Per: time.Hour}}, &jobfile.Deliver{Name: "send", Rate: &jobfile.Rate{N: 2, Per: time.Hour}}): "3/hour, job send 2/hour",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for asked, want := range map[int]int{-1: usualList, 0: usualList, 7: 7, 5000: mostList} {
		if got := limitOf(asked); got != want {
			t.Errorf("%d: %d", asked, got)
		}
	}
}
