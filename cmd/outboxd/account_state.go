package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"outboxd/jobs"
)

// printAccounts lists how accounts do: the state of each, what goes, and when its server last took a mail.
func printAccounts(w io.Writer, all []jobs.AccountStatus) error {
	t := newTable(w, "ACCOUNT", "STATE", "SENT 1H", "LIMITS", "SENT 24H", "NEXT", "LAST SUCCESS")
	for _, a := range all {
		day, next := strconv.Itoa(a.UsedDay), "at once"
		if a.LimitHour == 0 {
			day = "-"
		}
		if a.NextAt != nil || a.State != jobs.AccountOK && a.State != jobs.AccountSlowed {
			next = clockOf(a.NextAt)
		}
		t.row(a.Account, stateText(a), a.UsedHour, strings.Join(a.Limits, ", "), day, next, clockOf(a.LastSuccess))
	}
	return t.end()
}

// stateText is an account's state, with the pace where it is not that of the limits.
func stateText(a jobs.AccountStatus) string {
	switch {
	case a.Pace > 0 && a.State == jobs.AccountSlowed:
		return fmt.Sprintf("slowed to %d/hour", a.Pace)
	case a.Warm > 0 && a.State == jobs.AccountOK:
		return fmt.Sprintf("ok, warm-up at %d/hour", a.Warm)
	}
	return a.State
}

// printAccountTroubles says of each account what is wrong, with what to do, and what its last error was, if that was after
// a time.
func printAccountTroubles(w io.Writer, all []jobs.AccountStatus, errorsAfter time.Time) {
	for _, a := range all {
		name, reason := clean(a.Account), clean(a.Reason)
		switch a.State {
		case jobs.AccountHeld:
			fmt.Fprintf(w, "\nAccount %s was paused by %s%s%s\n  What to do: outboxd account resume %s, when it may send again\n", name, clean(a.HeldBy), until(a), after(": ", reason), name)
		case jobs.AccountLoginRefused:
			fmt.Fprintf(w, "\nAccount %s cannot log in, and waits%s: %s\n", name, until(a)+clean(jobs.CauseText(a.Class)), reason)
		case jobs.AccountPaused, jobs.AccountFull, jobs.AccountSlowed:
			fmt.Fprintf(w, "\nAccount %s is %s%s: %s\n", name, clean(stateText(a)), until(a)+clean(jobs.CauseText(a.Class)), reason)
		case jobs.AccountUnknown, jobs.AccountUnusable:
			fmt.Fprintf(w, "\nAccount %s sends nothing: %s\n", name, reason)
		case jobs.AccountOK:
			if reason != "" {
				fmt.Fprintf(w, "\nAccount %s was in trouble and tries again%s: %s\n", name, clean(jobs.CauseText(a.Class)), reason)
			}
		}
		if a.LastErrorAt != nil && a.LastErrorAt.After(errorsAfter) && a.LastError != a.Reason {
			fmt.Fprintf(w, "\nAccount %s had its last error at %s%s: %s\n", name, clockOf(a.LastErrorAt), clean(jobs.CauseText(a.ErrorClass)), clean(a.LastError))
		}
	}
}

// until is the end of an account's state, where it is known.
func until(a jobs.AccountStatus) string {
	if a.PausedUntil == nil {
		return ""
	}
	return " until " + clockOf(a.PausedUntil)
}

// after puts something before a text that is there.
func after(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}
