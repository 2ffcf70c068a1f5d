package jobs

import (
	"fmt"
	"strings"
	"time"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
)

// runWaits says in a sentence what a run waits for, or what became of it, and what a person can do.
func runWaits(p *Place, i RunInfo, spec mailing.Spec) (waits, next string) {
	name := i.RunName
	switch i.State {
	case db.RunAsked:
		return "It waits to be told whether it is to run" + because(i.Note) + ".",
			fmt.Sprintf("outboxd mailing resume %s; or, if it is not to run: outboxd mailing stop %s --cancel", name, name)
	case db.RunRunning:
		if i.Kind == kindSQL {
			return "Its statement runs" + because(i.LastError) + ".", ""
		}
		return fmt.Sprintf("Its mails are being made: %s so far%s.", countOf(int(i.Enqueued), "row"), because(whyNotMade(i))), ""
	case db.RunHeld:
		return approvalText(p, i, spec),
			fmt.Sprintf("look at the proof, then: outboxd mailing approve %s; or end it: outboxd mailing stop %s --cancel", name, name)
	case db.RunSending:
		if strings.Contains(i.Note, doesNotAddUp) {
			return "It cannot end" + because(i.Note) + ".", fmt.Sprintf("outboxd mailing report %s shows the mails that are there; to end the run: outboxd mailing stop %s --cancel", name, name)
		}
		text, next := uncertainText(i)
		return strings.TrimSpace(canaryText(i, spec) + " " + text), next
	case db.RunStopped:
		why, says := strings.CutPrefix(strings.TrimRight(i.Note, "."), "stopped") // by whom, or by its canary
		if !says {
			why = because(i.Note)
		}
		return "It is stopped" + why + ".",
			fmt.Sprintf("to have it go on: outboxd mailing resume %s; to end it: outboxd mailing stop %s --cancel", name, name)
	case db.RunCancelling:
		text, next := uncertainText(i)
		return strings.TrimSpace("What has not gone is being cancelled" + because(i.Note) + ". " + text), next
	}
	if i.WriteBacks > 0 {
		return fmt.Sprintf("%s into the company's tables %s tried again by itself%s.", countOf(int(i.WriteBacks), "write-back"), isOrAre(i.WriteBacks), because(i.WriteError)),
			"look why the statement fails; nothing else is to be done, and no mail waits for it"
	}
	if i.Note == "" {
		return i.LastError, ""
	}
	return i.Note, ""
}

func isOrAre(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// approvalText says for whom a held run waits, and until when.
func approvalText(p *Place, i RunInfo, spec mailing.Spec) string {
	text := "It waits for approval"
	if a := spec.Approval; a != nil {
		text += " by " + approvers(a, i.StartedBy)
		if i.DecideUntil != nil {
			text += fmt.Sprintf(" until %s; then %s", timeText(*i.DecideUntil, p.Company.Timezone), otherwise(a))
		}
	}
	return text + "."
}

// whyNotMade is what keeps the rows of a run from being made at the moment; "" when nothing is known.
func whyNotMade(i RunInfo) string {
	if why, waits := strings.CutPrefix(i.Note, waitsNote); waits {
		return strings.TrimRight(why, ".?")
	}
	return i.LastError
}

// uncertainText says of a run that it does not end by itself, and what ends it.
func uncertainText(i RunInfo) (waits, next string) {
	if i.Uncertain == 0 {
		return "", ""
	}
	return fmt.Sprintf("Nobody knows of %s whether it went (uncertain): until somebody has said so the run does not end.", countOf(i.Uncertain, "mail")),
		fmt.Sprintf("outboxd mailing report %s --failed shows which, and how to find out; then: outboxd queue settle ROW --as sent (or failed) --reason TEXT", i.RunName)
}

// canaryText says on what the others of a run wait of which the first mails go alone.
func canaryText(i RunInfo, spec mailing.Spec) string {
	c := spec.Canary
	if c == nil || i.Allowed == nil {
		return ""
	}
	first := min(*i.Allowed, valueOr(i.Audience, *i.Allowed))
	return fmt.Sprintf("The first %d go; the others follow %s after they all have ended, unless more than %s of them fail or come back.", first, lengthText(c.Wait), jobfile.Percent(c.StopAbove))
}

func valueOr(n *int64, otherwise int64) int64 {
	if n == nil {
		return otherwise
	}
	return *n
}

// lengthText is a length of time as jobs.yaml has it: 8h, and not 8h0m0s.
func lengthText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
