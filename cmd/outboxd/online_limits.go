package main

import (
	"fmt"
	"strings"
	"time"

	"outboxd/jobs/jobfile"
	"outboxd/mail/sendercheck"
)

// limits compares what the account is set to send with what its provider takes.
func (a *account) limits() {
	p := a.Preset()
	if len(p.Limits) == 0 && p.Connections == 0 && p.MaxSize == 0 {
		return
	}
	var takes, at, above []string
	for _, limit := range p.Limits {
		takes = append(takes, limit.String())
		switch most := a.most(limit); {
		case most > limit.N:
			above = append(above, fmt.Sprintf("%s, where it takes %s", jobfile.Rate{N: most, Per: limit.Per, Recipients: limit.Recipients}, limit))
		case most == limit.N:
			at = append(at, limit.String())
		}
	}
	if p.Connections > 0 {
		takes = append(takes, fmt.Sprintf("%d connections", p.Connections))
		if a.Connections > p.Connections {
			above = append(above, fmt.Sprintf("%d connections at once, where it takes %d", a.Connections, p.Connections))
		}
	}
	if p.MaxSize > 0 && a.MaxSize > p.MaxSize {
		above = append(above, fmt.Sprintf("mails of %d octets, where it takes %d", a.MaxSize, p.MaxSize))
	}
	const id = "limits.rate"
	switch {
	case len(above) > 0:
		level, text, remedy := sendercheck.Level(levelFail), "more than the provider takes: "+strings.Join(above, "; "), "lower what jobs.yaml says"
		if p.Raised {
			level, text = levelWarn, "more than the provider takes from a new account: "+strings.Join(above, "; ")
			remedy = "look whether the provider has raised its limits for the account, else lower what jobs.yaml says"
		}
		a.add(id, level, text, remedy)
	case len(at) > 0:
		a.add(id, levelWarn, fmt.Sprintf("may use up all that the provider takes (%s): whoever else sends by this login is then refused", strings.Join(at, ", ")), "state a little less under limits, if anybody else does")
	default:
		a.add(id, levelOK, fmt.Sprintf("%s is within what the provider takes: %s", a.Rate, strings.Join(takes, ", ")), "")
	}
}

// most is the most that the account's rate and limits let go in the window of a limit. A mail counts as one recipient.
func (a *account) most(limit jobfile.Rate) int {
	most := -1
	if !a.Rate.Unlimited {
		most = max(1, int(int64(a.Rate.N)*int64(limit.Per)/int64(time.Hour)))
	}
	for _, own := range a.Limits {
		if own.Per == limit.Per && own.Recipients == limit.Recipients && (most < 0 || own.N < most) {
			most = own.N
		}
	}
	if most < 0 {
		return limit.N + 1
	}
	return most
}
