package jobfile

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Rate is a number of mails, or of recipients, in any window of a length.
type Rate struct {
	N          int           // at least 1, but 0 when Unlimited
	Per        time.Duration // time.Minute, time.Hour or 24 hours; 0 when Unlimited
	Recipients bool          // N counts recipients, not mails
	Unlimited  bool
}

// Percent is a share in hundredths: 5 of a hundred are 5.
type Percent float64

const (
	day  = 24 * time.Hour
	week = 7 * day

	maxRate = 10_000_000
)

var (
	rateForm     = regexp.MustCompile(`^(-?[0-9]+) ?(recipients|mails)? ?/ ?([a-z]+)$`)
	durationPart = regexp.MustCompile(`^([0-9]+)(ms|s|m|h|d|w)`)
	percentForm  = regexp.MustCompile(`^([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%$`)
	sizeForm     = regexp.MustCompile(`^([0-9]+) ?([A-Za-z]*)$`)

	rateUnits     = map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": day}
	durationUnits = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": day, "w": week}
	sizeUnits     = map[string]int64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
)

// parseRate reads 1200/hour, 30/minute, 10000 recipients/day or unlimited.
func parseRate(s string) (Rate, error) {
	if s == "unlimited" {
		return Rate{Unlimited: true}, nil
	}
	m := rateForm.FindStringSubmatch(s)
	if m == nil {
		if _, err := strconv.Atoi(s); err == nil {
			return Rate{}, errors.New("has no window, such as /hour")
		}
		return Rate{}, errors.New("is no rate, such as 1200/hour")
	}
	per, ok := rateUnits[m[3]]
	if !ok {
		return Rate{}, errors.New("has a window that is none of minute, hour, day")
	}
	n, err := strconv.Atoi(m[1])
	switch {
	case err != nil || n > maxRate:
		return Rate{}, fmt.Errorf("is more than %d", maxRate)
	case n < 1:
		return Rate{}, errors.New("must be at least 1")
	case m[1][0] == '0':
		return Rate{}, errors.New("has a leading zero")
	}
	return Rate{N: n, Per: per, Recipients: m[2] == "recipients"}, nil
}

// String returns the rate as it is written in jobs.yaml.
func (r Rate) String() string {
	if r.Unlimited {
		return "unlimited"
	}
	what := ""
	if r.Recipients {
		what = " recipients"
	}
	return fmt.Sprintf("%d%s/%s", r.N, what, r.window())
}

func (r Rate) window() string {
	for name, d := range rateUnits {
		if d == r.Per {
			return name
		}
	}
	return r.Per.String()
}

// parseDuration reads 100ms, 2s, 5m, 4h, 3d, 2w and sums such as 1h30m, largest unit first. A day has 24 hours.
func parseDuration(s string) (time.Duration, error) {
	bad := errors.New("is no length of time, such as 30s, 5m, 4h or 1h30m")
	var sum time.Duration
	last := time.Duration(math.MaxInt64)
	for rest := s; rest != ""; {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, bad
		}
		unit := durationUnits[m[2]]
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil || unit >= last || n > int64((math.MaxInt64-sum)/unit) {
			return 0, bad
		}
		sum += time.Duration(n) * unit
		last, rest = unit, rest[len(m[0]):]
	}
	if s == "" {
		return 0, bad
	}
	return sum, nil
}

// formatDuration is the inverse of parseDuration.
func formatDuration(d time.Duration) string {
	var b strings.Builder
	for _, unit := range []string{"w", "d", "h", "m", "s", "ms"} {
		u := durationUnits[unit]
		if unit == "w" && d%week != 0 { // 30d reads better than 4w2d
			continue
		}
		if n := d / u; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, unit)
			d -= n * u
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// parseSize reads a number of octets: 36700160, 25MB (a million each), 35MiB (1,048,576 each); K, M and G likewise.
func parseSize(s string) (int64, error) {
	bad := errors.New("is no size, such as 25MB")
	m := sizeForm.FindStringSubmatch(s)
	if m == nil || (m[1][0] == '0' && m[1] != "0") {
		return 0, bad
	}
	unit, ok := sizeUnits[strings.ToUpper(m[2])]
	n, err := strconv.ParseInt(m[1], 10, 64)
	if !ok || err != nil || n > math.MaxInt64/unit {
		return 0, bad
	}
	return n * unit, nil
}

// parsePercent reads 5% or 0.5%.
func parsePercent(s string) (Percent, error) {
	m := percentForm.FindStringSubmatch(s)
	if m == nil {
		return 0, errors.New("is no percentage, such as 5%")
	}
	p, err := strconv.ParseFloat(m[1], 64)
	if err != nil || p > 100 {
		return 0, errors.New("must be from 0% to 100%")
	}
	return Percent(p), nil
}

// String returns the percentage as it is written in jobs.yaml.
func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%" }
