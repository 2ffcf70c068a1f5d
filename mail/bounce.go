package mail

import (
	"regexp"
	"strconv"
)

// remedyBounced is for a bounce that says no more than that others had tried for a while, or that has its own reasons.
const remedyBounced = "The mail was handed over, and a server further on could not deliver it. Read what it says; check the address, or reach the recipient in another way."

// ClassifyBounce says what a report of non-delivery means, by the text that stands in it: the server's reply (550 5.1.1 no such user), with or
// without its codes, also as Diagnostic-Code has it (smtp; 550 ...) or within a sentence (host mx said: 550 ...). Whatever it says, the
// mail has ended: what a reply to ourselves would have had tried again, nobody tries again here. Reply has the text alone, in one line.
func ClassifyBounce(text string) Outcome {
	shown := Reply{Text: oneLine(text, maxText)}
	r := bounceReply(shown.Text)
	o := Outcome{Verdict: Permanent, Scope: ScopeRecipient, Retry: RetryNo, Class: ClassRejected, Step: StepRcpt, Reply: shown, Remedy: remedyBounced}
	for _, step := range []Step{StepRcpt, StepDot} {
		f := factsOf(step, r)
		c, rule := causeOf(f)
		if rule == "step" {
			continue
		}
		o.Step, o.Scope, o.Class, o.Remedy = step, c.scope, c.class, adviceFor(&f, c.remedy)
		if c.hard == RetryLater || c.hard == RetryBackoff { // its remedy is to wait
			o.Remedy = remedyBounced
		}
		return o
	}
	if c := permanentAt(StepRcpt, factsOf(StepRcpt, r).subject); r.Code/100 == 5 && r.Text != "" {
		o.Class, o.Remedy = c.class, c.remedy
	}
	return o
}

var (
	bounceCode   = regexp.MustCompile(`(?:^|[\s;:(])([45][0-9]{2})[ -]`)
	bounceStatus = regexp.MustCompile(`(?:^|[\s;:#(-])([45]\.[0-9]{1,3}\.[0-9]{1,3})(?:$|[^0-9.])`)
)

// bounceReply finds the reply within a bounce's text. Without a code it is one for good.
func bounceReply(text string) Reply {
	r := Reply{Code: 550, Text: text}
	if m := bounceStatus.FindStringSubmatch(text); m != nil {
		if r.Enhanced = m[1]; r.Enhanced[0] == '4' {
			r.Code = 450
		}
	}
	if m := bounceCode.FindStringSubmatch(text); m != nil {
		if code, err := strconv.Atoi(m[1]); err == nil {
			r.Code = code
		}
	}
	return r
}
