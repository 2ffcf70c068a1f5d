package mail

// Recall makes the outcome of an attempt anew from what was written down of it: the step's name, and code, enhanced code
// and text of the reply as Reply.String joins them. It is false where that does not tell the cause: for what never came
// from a server, and for a lost connection, of which only the network's own words were kept.
func Recall(step string, code int, enhanced, reply string) (Outcome, bool) {
	for i, name := range stepNames {
		if name != step {
			continue
		}
		if s := Step(i); code != 0 {
			r := ParseReply(code, reply)
			if r.Enhanced == "" {
				r.Enhanced = enhanced
			}
			return Classify(s, r), true
		} else if s == StepDot {
			return uncertain(s, Reply{Text: oneLine(reply, maxText)}), true
		}
	}
	return Outcome{}, false
}
