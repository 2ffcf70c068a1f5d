package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// forms are the ways to write a time, in the zone of who asks unless it is part of it.
var forms = []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}

// parseWhen reads a time, or how long ago: 2h, 45m, 3d. "" is no time.
func parseWhen(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range forms {
		if t, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, &usageError{fmt.Sprintf("--%s %q is no time", flag, text), `write "2026-11-21", "2026-11-21 18:30", or how long ago: 45m, 2h, 3d`}
}
