package db

import (
	"fmt"
	"testing"
	"time"
)

func TestP3_DowntimeIsNoAllowance(t *testing.T) {
	k := Bucket{Windows: []Window{{N: 100, Per: time.Hour}}}
	var tat tats
	k.advance(&tat, 1e15, 1)
	later := int64(1e15) + (10 * time.Hour).Microseconds()
	burst := 0
	for k.wait(tat, later) == 0 {
		k.advance(&tat, later, 1)
		burst++
	}
	if burst != 1 {
		t.Errorf("%d mails at once after ten hours", burst)
	}
}

func TestIntervalAndHold(t *testing.T) {
	for _, c := range []struct {
		window Window
		want   time.Duration
	}{
		{Window{N: 100, Per: time.Hour}, 36_097_200 * time.Microsecond},
		{Window{N: 30, Per: time.Minute}, 2_012_067 * time.Microsecond}, // rounded up
		{Window{N: 100, Per: time.Minute, Recipients: true}, 603_620 * time.Microsecond},
	} {
		if got := c.window.interval(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.window, got, c.want)
		}
		if used := float64(c.window.Per) / float64(c.window.interval()*time.Duration(c.window.N)); used < 0.994 {
			t.Errorf("%+v: at most %.2f%% can be used", c.window, 100*used)
		}
	}
	if got := (Bucket{}).Hold(); got != 4*time.Second {
		t.Errorf("without windows: hold %s", got) // a throttled account is counted all the same
	}
	for want, windows := range map[time.Duration][]Window{
		4 * time.Second:        {{N: 1, Per: time.Hour}, {N: 1, Per: day}},
		250 * time.Millisecond: {{N: 1, Per: time.Hour}, {N: 1, Per: time.Minute}},
	} {
		if got := (Bucket{Windows: windows}).Hold(); got != want {
			t.Errorf("%v: hold %s, want %s", windows, got, want)
		}
	}
}

func TestRecipientsArePaidForAndNoMoreThanAWindow(t *testing.T) {
	k := Bucket{Windows: []Window{{N: 100, Per: time.Minute, Recipients: true}}}
	for recipients, paid := range map[int]int{0: 1, 40: 40, 100: 100, 150: 100} {
		var tat tats
		k.advance(&tat, 1e15, recipients)
		if got, want := k.wait(tat, 1e15), time.Duration(paid)*k.Windows[0].interval()-5*time.Second; got != max(0, want) {
			t.Errorf("after %d recipients the next waits %s, want %s", recipients, got, want)
		}
		if got := fmt.Sprint(tat.HourMails, tat.MinuteMails); got != "0 0" {
			t.Errorf("windows that are not limited moved: %s", got)
		}
	}
}

func TestP3_ArrivalTimesOfAWrongClockAreBroughtDown(t *testing.T) {
	k := Bucket{Windows: []Window{{N: 100, Per: time.Hour}, {N: 50, Per: time.Minute, Recipients: true}}}
	now := int64(1e15)
	wrong := tats{HourMails: now + day.Microseconds(), MinuteRecipients: now + day.Microseconds()}
	k.latest(&wrong, now)
	var right tats
	for range 2 { // as early as it can be, and once more
		k.advance(&right, now-14e6, 50)
	}
	if got := k.wait(wrong, now); got > time.Minute+time.Second {
		t.Errorf("the next waits %s", got)
	}
	if got := wrong.HourMails; got < now+(36*time.Second).Microseconds() {
		t.Errorf("a mail that has just gone is forgotten: %d", got-now)
	}
}
