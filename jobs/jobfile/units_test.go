package jobfile

import (
	"testing"
	"time"
)

func TestParseRate(t *testing.T) {
	tests := []struct {
		text string
		want Rate
		err  string
	}{
		{"1200/hour", Rate{N: 1200, Per: time.Hour}, ""},
		{"30/minute", Rate{N: 30, Per: time.Minute}, ""},
		{"500 mails / day", Rate{N: 500, Per: day}, ""},
		{"10000 recipients/day", Rate{N: 10000, Per: day, Recipients: true}, ""},
		{"unlimited", Rate{Unlimited: true}, ""},
		{"10000000/hour", Rate{N: 10000000, Per: time.Hour}, ""},
		{"10000001/hour", Rate{}, "is more than 10000000"},
		{"1200", Rate{}, "has no window, such as /hour"},
		{"1200/h", Rate{}, "has a window that is none of minute, hour, day"},
		{"1 200/hour", Rate{}, "is no rate, such as 1200/hour"},
		{"1.5/hour", Rate{}, "is no rate, such as 1200/hour"},
		{"/hour", Rate{}, "is no rate, such as 1200/hour"},
		{"", Rate{}, "is no rate, such as 1200/hour"},
		{"0/day", Rate{}, "must be at least 1"},
		{"-1/day", Rate{}, "must be at least 1"},
		{"0100/hour", Rate{}, "has a leading zero"},
	}
	for _, test := range tests {
		got, err := parseRate(test.text)
		if got != test.want || text(err) != test.err {
			t.Errorf("%s: %+v, %v", test.text, got, err)
		}
	}
}

func TestRateString(t *testing.T) {
	for _, want := range []string{"1200/hour", "30/minute", "500/day", "10000 recipients/day", "unlimited"} {
		r, err := parseRate(want)
		if err != nil || r.String() != want {
			t.Errorf("%s: %s, %v", want, r, err)
		}
	}
	if got := (Rate{N: 5, Per: time.Second}).String(); got != "5/1s" {
		t.Errorf("a window of its own: %s", got)
	}
}

func TestParseDuration(t *testing.T) {
	good := map[string]time.Duration{
		"100ms": 100 * time.Millisecond, "2s": 2 * time.Second, "5m": 5 * time.Minute, "4h": 4 * time.Hour, "3d": 72 * time.Hour,
		"2w": 336 * time.Hour, "1h30m": 90 * time.Minute, "1d12h": 36 * time.Hour, "1s500ms": 1500 * time.Millisecond, "0s": 0,
	}
	for s, want := range good {
		if got, err := parseDuration(s); got != want || err != nil {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "2", "s", "1.5h", "-2s", "1 h", "30m1h", "1h1h", "2S", "1y", "99999999999w", "106751d24h", "9223372036854775807ms"} {
		if got, err := parseDuration(s); err == nil {
			t.Errorf("%s is taken as %v", s, got)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for _, want := range []string{"0s", "100ms", "2s", "1m30s", "4h", "3d", "2w", "30d", "1d12h"} {
		d, err := parseDuration(want)
		if got := formatDuration(d); err != nil || got != want {
			t.Errorf("%s: %s, %v", want, got, err)
		}
	}
}

func TestParseSize(t *testing.T) {
	good := map[string]int64{"0": 0, "36700160": 36700160, "10 B": 10, "64KB": 64000, "25MB": 25000000, "25 mb": 25000000, "1GB": 1000000000, "1KiB": 1024, "35MiB": 36700160, "1GiB": 1 << 30}
	for s, want := range good {
		if got, err := parseSize(s); got != want || err != nil {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "MB", "1.5MB", "-1", "025MB", "25M", "25TB", "25MB!", "99999999999999999999", "9999999999999GB"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("%s is taken as %v", s, got)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
