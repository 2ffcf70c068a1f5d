package mail

// cause is what a rule concludes: everything of an Outcome but the verdict, which follows from it and the code.
type cause struct {
	class  Class
	scope  Scope
	hard   Retry // after a 5xx
	soft   Retry // after a 4xx; never RetryNo
	remedy string
}

// facts is a reply made ready for the rules.
type facts struct {
	step    Step
	code    int
	digit   int    // 4 or 5
	subject int    // of the enhanced code, -1 without one
	detail  int    // of the enhanced code
	words   string // the text as plainWords gives it
}

// Classify says what a reply means: for whom, and when another try makes sense. Rules are asked in this order: key
// phrases, the enhanced status code, the reply code, the step. A 2xx is Accepted at every step; what it accepts is the
// step's matter. A code that is no SMTP reply is Temporary, but Uncertain after the final dot: nobody can tell whether
// the server took the message.
func Classify(step Step, r Reply) Outcome {
	switch r.Code / 100 {
	case 2:
		return Outcome{Verdict: Accepted, Scope: ScopeMessage, Retry: RetryNo, Step: step, Reply: r}
	case 4, 5:
		f := factsOf(step, r)
		c, _ := causeOf(f)
		return outcomeOf(f, c, r)
	}
	if step >= StepDot {
		return uncertain(step, r)
	}
	c := temporaryAt(step)
	return Outcome{Verdict: Temporary, Scope: c.scope, Retry: c.soft, Class: c.class, Step: step, Reply: r, Remedy: remedyGarbage}
}

// uncertain is the outcome when the dot may have gone out and no readable reply came back (promise P2).
func uncertain(step Step, r Reply) Outcome {
	return Outcome{
		Verdict: Uncertain, Scope: ScopeMessage, Retry: RetryNo, Class: ClassConnection,
		Step: step, Reply: r, Remedy: remedyUncertain,
	}
}

// outcomeOf puts the verdict and the closest remedy to a cause. RetryLater is a quota however it is worded, so it counts as throttled.
func outcomeOf(f facts, c cause, r Reply) Outcome {
	o := Outcome{Scope: c.scope, Retry: c.hard, Class: c.class, Step: f.step, Reply: r, Remedy: adviceFor(&f, c.remedy)}
	if f.digit == 4 {
		o.Retry = c.soft
	}
	switch {
	case o.Retry == RetryStop || o.Retry == RetryNo:
		o.Verdict = Permanent
	case o.Retry == RetryLater || o.Class == ClassThrottled:
		o.Verdict = Throttled
	default:
		o.Verdict = Temporary
	}
	return o
}

// causeOf finds the first rule that fits. The name of the rule is for tests.
func causeOf(f facts) (cause, string) {
	for i := range phraseRules {
		if r := &phraseRules[i]; r.fits(&f) {
			return r.cause, r.name
		}
	}
	for i := range statusRules {
		if r := &statusRules[i]; r.fits(&f) {
			return r.cause, "status " + r.name
		}
	}
	for i := range codeRules {
		if r := &codeRules[i]; r.code == f.code && r.at.has(f.step) {
			return r.cause, "code " + r.name
		}
	}
	if f.digit == 4 {
		return temporaryAt(f.step), "step"
	}
	return permanentAt(f.step, f.subject), "step"
}

// temporaryAt is what a 4xx means that says no more than that.
func temporaryAt(step Step) cause {
	switch step {
	case StepConnect, StepTLS, StepHello, StepMail:
		return serverTrouble
	case StepAuth:
		return cause{ClassTemporary, ScopeAccount, RetryStop, RetryBackoff, remedyAuthTemporary}
	case StepRcpt:
		return cause{ClassTemporary, ScopeRecipient, RetryNo, RetryBackoff, remedyTemporaryRecipient}
	default:
		return cause{ClassTemporary, ScopeMessage, RetryNo, RetryBackoff, remedyTemporaryMessage}
	}
}

// permanentAt is what a 5xx means that says no more than that. Subject 7 of an enhanced code is security and policy.
func permanentAt(step Step, subject int) cause {
	class := ClassRejected
	if subject == 7 {
		class = ClassPolicy
	}
	switch step {
	case StepConnect, StepTLS, StepHello:
		return cause{class, ScopeServer, RetryStop, RetryBackoff, remedyRejectedServer}
	case StepAuth:
		return cause{ClassAuth, ScopeAccount, RetryStop, RetryBackoff, remedyLogin}
	case StepMail:
		return cause{class, ScopeAccount, RetryStop, RetryBackoff, remedyRejectedSender}
	case StepRcpt:
		return cause{class, ScopeRecipient, RetryNo, RetryBackoff, remedyRejectedRecipient}
	default:
		return cause{class, ScopeMessage, RetryNo, RetryBackoff, remedyRejectedMessage}
	}
}

// ByToken is what a refused login means where it was made with an OAuth token: the remedies for passwords do not help there.
func ByToken(o Outcome) Outcome {
	switch c, _ := causeOf(factsOf(o.Step, o.Reply)); c.remedy {
	case remedyLogin, remedyAppPassword, remedyOAuth:
		o.Remedy = remedyToken
	}
	return o
}
