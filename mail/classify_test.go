package mail

import (
	"strings"
	"testing"
)

// replyCase is a reply and what it has to mean. The rule is the one that must decide.
type replyCase struct {
	rule   string
	step   Step
	code   int
	text   string
	want   Verdict
	scope  Scope
	retry  Retry
	class  Class
	remedy string // a word that the remedy must hold; "" for any
}

const (
	toMessage   = ScopeMessage
	toRecipient = ScopeRecipient
	toAccount   = ScopeAccount
	toServer    = ScopeServer
)

var replyCases = []replyCase{
	// The recipient's own limits.
	{"restricted recipient", StepRcpt, 550, "5.7.1 You are not permitted to send to this list", Permanent, toRecipient, RetryNo, ClassPolicy, "allow"},
	{"recipient rate", StepRcpt, 450, "4.2.1 The mailbox is receiving too many mails right now", Throttled, toRecipient, RetryBackoff, ClassThrottled, ""},
	{"greylist", StepRcpt, 451, "You are greylisted for 300 seconds", Temporary, toRecipient, RetryBackoff, ClassTemporary, "Nothing to do"},
	{"greylist", StepRcpt, 550, "Graylisting in effect, retry", Temporary, toRecipient, RetryBackoff, ClassTemporary, ""},

	// The account's quotas.
	{"licence", StepDot, 550, "mailbox without a valid license may not send", Permanent, toAccount, RetryStop, ClassAuth, "licence"},
	{"send as", StepDot, 550, "5.7.1 you may not send as boss@example.org", Permanent, toAccount, RetryStop, ClassSendAsDenied, "send as"},
	{"send as", StepMail, 553, "From must match the authenticated user", Permanent, toAccount, RetryStop, ClassSendAsDenied, ""},
	{"sender's mailbox full", StepDot, 554, "5.2.2 sender mailbox is over quota", Permanent, toAccount, RetryStop, ClassSenderQuota, "Sent Items"},
	{"too many bad recipients", StepRcpt, 550, "too many invalid recipients from you", Permanent, toAccount, RetryStop, ClassBlockedReputation, "clean"},
	{"too many logins", StepAuth, 454, "4.7.0 too many login failures, exceeded", Throttled, toAccount, RetryLater, ClassThrottled, ""},
	{"concurrent connections", StepConnect, 421, "maximum of simultaneous sessions exceeded", Throttled, toAccount, RetryBackoff, ClassThrottled, "connections"},
	{"connections", StepConnect, 421, "4.7.0 too many connections from 192.0.2.9", Throttled, toServer, RetryBackoff, ClassThrottled, ""},
	{"rate by the minute", StepRcpt, 452, "limit of 30 mails per minute exceeded", Throttled, toAccount, RetryBackoff, ClassThrottled, "rate"},
	{"quota in a window", StepDot, 550, "daily sending limit reached", Throttled, toAccount, RetryLater, ClassThrottled, "limit"},
	{"quota in a window", StepRcpt, 451, "quota of 200 mails per hour is used up", Throttled, toAccount, RetryLater, ClassThrottled, ""},
	{"sender throttled", StepDot, 550, "5.2.250 sender throttled", Throttled, toAccount, RetryLater, ClassThrottled, ""},
	{"too many recipients", StepRcpt, 452, "4.5.3 too many recipients", Throttled, toMessage, RetrySplit, ClassThrottled, "parts"},
	{"too many recipients", StepRcpt, 550, "number of recipients above 50", Throttled, toMessage, RetrySplit, ClassThrottled, ""},
	{"flood by address", StepDot, 421, "4.7.28 unusual rate of mail from your IP address", Throttled, toServer, RetryLater, ClassThrottled, ""},
	{"flood", StepDot, 421, "4.7.28 unusual rate of mail from your domain", Throttled, toAccount, RetryLater, ClassThrottled, ""},

	// What guards the sender's domain; encryption.
	{"lookup of SPF, DKIM or DMARC failed for now", StepDot, 451, "4.7.24 SPF temperror", Temporary, toMessage, RetryBackoff, ClassTemporary, ""},
	{"SPF, DKIM, DMARC", StepDot, 550, "5.7.1 DMARC policy says reject", Permanent, toAccount, RetryStop, ClassPolicy, "SPF"},
	{"SPF, DKIM, DMARC", StepDot, 421, "4.7.26 rate limited: mail is unauthenticated", Permanent, toAccount, RetryStop, ClassPolicy, ""},
	{"reverse DNS", StepConnect, 554, "no PTR record for 192.0.2.9", Permanent, toServer, RetryStop, ClassPolicy, "reverse DNS"},
	{"encryption", StepMail, 530, "5.7.0 issue STARTTLS first", Permanent, toAccount, RetryStop, ClassConfig, "encryption"},
	{"server trouble", StepTLS, 454, "4.7.0 TLS not available just now", Temporary, toServer, RetryBackoff, ClassTemporary, ""},

	// The login.
	{"app password", StepAuth, 534, "5.7.9 use an application-specific password", Permanent, toAccount, RetryStop, ClassAuth, "app password"},
	{"web browser", StepAuth, 534, "5.7.14 sign in with your web browser", Permanent, toAccount, RetryStop, ClassAuth, "browser"},
	{"SMTP sign-in off", StepAuth, 535, "5.7.139 SmtpClientAuthentication is disabled here", Permanent, toAccount, RetryStop, ClassAuth, "switched off"},
	{"OAuth", StepAuth, 535, "5.7.3 basic authentication is no longer supported", Permanent, toAccount, RetryStop, ClassAuth, "OAuth"},
	{"login locked", StepAuth, 535, "5.7.139 user is locked by a policy", Permanent, toAccount, RetryStop, ClassAuth, "release"},
	{"relay", StepRcpt, 554, "5.7.1 relaying prohibited", Permanent, toAccount, RetryStop, ClassRelayDenied, "IP address"},
	{"relay", StepRcpt, 553, "sorry, that domain is not in my rcpthosts (#5.7.1)", Permanent, toAccount, RetryStop, ClassRelayDenied, ""},
	{"client not known", StepRcpt, 554, "5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied", Permanent, toAccount, RetryStop, ClassRelayDenied, "login"},
	{"login missing", StepMail, 550, "please authenticate before sending", Permanent, toAccount, RetryStop, ClassAuth, "login first"},
	{"login missing", StepRcpt, 503, "AUTH first", Permanent, toAccount, RetryStop, ClassAuth, ""},
	{"login refused", StepAuth, 535, "authentication failed: bad secret", Permanent, toAccount, RetryStop, ClassAuth, "password"},

	// Blocks and rates.
	{"account blocked", StepMail, 550, "your account has been suspended for abuse", Permanent, toAccount, RetryStop, ClassAccountBlocked, "stolen"},
	{"account blocked", StepMail, 451, "your account is blocked for a while", Throttled, toAccount, RetryLater, ClassAccountBlocked, ""},
	{"address denied by the provider", StepDot, 550, "5.7.606 access denied, mail from this IP is refused", Permanent, toAccount, RetryStop, ClassBlockedReputation, ""},
	{"rate by address", StepDot, 451, "deferred for unexpected volume from 192.0.2.9", Throttled, toServer, RetryBackoff, ClassThrottled, ""},
	{"rate by address", StepConnect, 451, "4.7.500 server busy, come again later from [192.0.2.9]", Throttled, toServer, RetryBackoff, ClassThrottled, ""},
	{"sending quota", StepRcpt, 452, "outgoing limit hit", Throttled, toAccount, RetryLater, ClassThrottled, "rate"},
	{"rate", StepDot, 454, "sending rate too high", Throttled, toAccount, RetryBackoff, ClassThrottled, ""},
	{"rate", StepDot, 550, "you have exceeded what we allow", Throttled, toAccount, RetryLater, ClassThrottled, ""},
	{"listed link", StepDot, 554, "a link in the body is on SURBL", Permanent, toMessage, RetryNo, ClassBlockedReputation, "link"},
	{"domain reputation", StepDot, 550, "5.7.1 reputation of domain too low", Throttled, toAccount, RetryLater, ClassBlockedReputation, ""},
	{"address listed", StepRcpt, 554, "5.7.1 client host [192.0.2.9] blocked using bl.example.net", Permanent, toServer, RetryStop, ClassBlockedReputation, "block list"},
	{"address listed", StepConnect, 421, "192.0.2.9 is listed by a blacklist", Throttled, toServer, RetryLater, ClassBlockedReputation, ""},
	{"address listed", StepConnect, 553, "http://www.spamhaus.org/query/bl?ip=192.0.2.9", Permanent, toServer, RetryStop, ClassBlockedReputation, ""},

	// The message.
	{"size", StepMail, 552, "5.3.4 mail is too big", Permanent, toMessage, RetryNo, ClassSize, "large"},
	{"loop", StepDot, 554, "5.4.6 too many hops", Permanent, toServer, RetryNo, ClassConfig, "circles"},
	{"route expired", StepDot, 550, "5.4.7 delivery time expired", Permanent, toServer, RetryNo, ClassTemporary, "gave up"},
	{"format", StepDot, 554, "malformed header line", Permanent, toMessage, RetryNo, ClassConfig, "form"},
	{"format", StepDot, 554, "Duplicate header DKIM-Signature", Permanent, toMessage, RetryNo, ClassConfig, ""},
	{"international", StepMail, 550, "SMTPUTF8 is needed", Permanent, toMessage, RetryNo, ClassConfig, "plain letters"},

	// The sender's address and our name.
	{"hello", StepMail, 504, "5.5.2 HELO rejected, not fully qualified", Permanent, toAccount, RetryStop, ClassConfig, "host name"},
	{"sender address", StepMail, 450, "4.1.8 sender address rejected: no such domain", Permanent, toAccount, RetryStop, ClassConfig, "From"},
	{"sender address", StepRcpt, 550, "sender verify failed for you@example.org", Permanent, toAccount, RetryStop, ClassConfig, ""},

	// The recipient.
	{"mailbox full", StepRcpt, 550, "5.1.1 mailbox is full", Permanent, toRecipient, RetryNo, ClassMailboxFull, "full"},
	{"mailbox full", StepRcpt, 452, "4.2.2 user over quota", Temporary, toRecipient, RetryBackoff, ClassMailboxFull, ""},
	{"mailbox disabled", StepRcpt, 550, "5.2.1 that account is suspended", Permanent, toRecipient, RetryNo, ClassDisabledMailbox, "switched off"},
	{"unknown domain", StepRcpt, 550, "5.1.2 host unknown", Permanent, toRecipient, RetryNo, ClassUnknownDomain, "domain"},
	{"unknown domain", StepRcpt, 450, "4.1.2 domain not found", Temporary, toRecipient, RetryBackoff, ClassUnknownDomain, ""},
	{"unknown domain by its name", StepDot, 550, "the domain example.test does not exist", Permanent, toRecipient, RetryNo, ClassUnknownDomain, ""},
	{"unknown user", StepRcpt, 550, "<spam@example.org>: no such user", Permanent, toRecipient, RetryNo, ClassUnknownUser, "correct"},
	{"unknown user", StepDot, 550, "5.1.1 RecipientNotFound", Permanent, toRecipient, RetryNo, ClassUnknownUser, ""},

	// Content and policy, by step.
	{"virus", StepDot, 554, "a virus was found", Permanent, toMessage, RetryNo, ClassPolicy, "virus"},
	{"spam", StepDot, 554, "looks like spam", Permanent, toMessage, RetryNo, ClassBlockedReputation, "links"},
	{"spam", StepDot, 451, "spam check: come back", Temporary, toMessage, RetryBackoff, ClassBlockedReputation, ""},
	{"spam at the recipient", StepRcpt, 550, "no spam here", Permanent, toRecipient, RetryNo, ClassBlockedReputation, ""},
	{"spam at the sender", StepMail, 550, "spam source", Permanent, toAccount, RetryStop, ClassBlockedReputation, ""},
	{"spam at the greeting", StepConnect, 554, "no spam here", Permanent, toServer, RetryStop, ClassBlockedReputation, ""},
	{"policy on content", StepDot, 550, "this file type is forbidden", Permanent, toMessage, RetryNo, ClassPolicy, ""},
	{"access of the recipient", StepRcpt, 554, "5.7.1 <a@b.example>: Recipient address rejected: Access denied", Permanent, toRecipient, RetryNo, ClassPolicy, "username"},
	{"access of the recipient", StepRcpt, 454, "4.7.1 <a@b.example>: Recipient address rejected: Access denied", Temporary, toRecipient, RetryBackoff, ClassPolicy, ""},
	{"unknown user", StepRcpt, 550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)", Permanent, toRecipient, RetryNo, ClassUnknownUser, ""},
	{"policy on the recipient", StepRcpt, 554, "5.7.1 access denied", Permanent, toRecipient, RetryNo, ClassPolicy, ""},
	{"policy on the sender", StepMail, 550, "denied by local policy", Permanent, toAccount, RetryStop, ClassPolicy, ""},
	{"policy at the greeting", StepConnect, 554, "5.7.1 access denied", Permanent, toServer, RetryStop, ClassPolicy, ""},

	// The server.
	{"server trouble", StepDot, 451, "4.3.0 queue file write failed", Temporary, toServer, RetryBackoff, ClassTemporary, "Nothing to do"},
	{"server trouble", StepRcpt, 450, "server busy", Temporary, toServer, RetryBackoff, ClassTemporary, ""},

	// No word helps: the enhanced code decides.
	{"status sender address", StepMail, 550, "5.1.1 no", Permanent, toAccount, RetryStop, ClassConfig, ""},
	{"status bad mailbox", StepRcpt, 550, "5.1.1 no", Permanent, toRecipient, RetryNo, ClassUnknownUser, ""},
	{"status mailbox full", StepRcpt, 452, "4.2.2 no", Temporary, toRecipient, RetryBackoff, ClassMailboxFull, ""},
	{"status mail system", StepRcpt, 451, "4.3.0 no", Temporary, toServer, RetryBackoff, ClassTemporary, ""},
	{"status network", StepDot, 451, "4.4.2 no", Temporary, toServer, RetryBackoff, ClassTemporary, ""},
	{"status too many recipients", StepRcpt, 452, "4.5.3 no", Throttled, toMessage, RetrySplit, ClassThrottled, ""},
	{"status sender domain", StepDot, 550, "5.7.23 no", Permanent, toAccount, RetryStop, ClassPolicy, ""},
	{"status credentials", StepMail, 550, "5.7.8 no", Permanent, toAccount, RetryStop, ClassAuth, ""},

	// No enhanced code: the code decides.
	{"code closing", StepRcpt, 421, "bye", Temporary, toServer, RetryBackoff, ClassTemporary, ""},
	{"code closing", StepRcpt, 421, "4.1.1 bye", Temporary, toServer, RetryBackoff, ClassTemporary, ""},
	{"code storage", StepMail, 452, "no", Temporary, toServer, RetryBackoff, ClassTemporary, ""},
	{"code sequence", StepRcpt, 503, "5.5.1 not in that order", Temporary, toServer, RetryBackoff, ClassTemporary, ""},
	{"code account disabled", StepRcpt, 525, "no", Permanent, toRecipient, RetryNo, ClassDisabledMailbox, ""},
	{"code login needed", StepRcpt, 530, "no", Permanent, toAccount, RetryStop, ClassAuth, ""},
	{"code mechanism", StepAuth, 534, "no", Permanent, toAccount, RetryStop, ClassAuth, ""},
	{"code credentials", StepAuth, 535, "no", Permanent, toAccount, RetryStop, ClassAuth, ""},
	{"code encryption needed", StepAuth, 538, "no", Permanent, toAccount, RetryStop, ClassConfig, ""},
	{"code not local", StepRcpt, 551, "no", Permanent, toRecipient, RetryNo, ClassUnknownUser, ""},
	{"code too large", StepDot, 552, "no", Permanent, toMessage, RetryNo, ClassSize, ""},
	{"code storage", StepRcpt, 552, "no", Permanent, toRecipient, RetryNo, ClassMailboxFull, ""},
	{"code sender address", StepMail, 553, "no", Permanent, toAccount, RetryStop, ClassConfig, ""},
	{"code recipient address", StepRcpt, 553, "no", Permanent, toRecipient, RetryNo, ClassUnknownUser, ""},
	{"code no mail here", StepRcpt, 556, "no", Permanent, toRecipient, RetryNo, ClassUnknownDomain, ""},

	// Nothing is known: the step decides.
	{"step", StepConnect, 554, "no", Permanent, toServer, RetryStop, ClassRejected, ""},
	{"step", StepHello, 451, "no", Temporary, toServer, RetryBackoff, ClassTemporary, ""},
	{"step", StepAuth, 500, "no", Permanent, toAccount, RetryStop, ClassAuth, ""},
	{"step", StepAuth, 454, "no", Temporary, toAccount, RetryBackoff, ClassTemporary, ""},
	{"step", StepMail, 550, "no", Permanent, toAccount, RetryStop, ClassRejected, ""},
	{"step", StepMail, 451, "no", Temporary, toServer, RetryBackoff, ClassTemporary, ""},
	{"step", StepRcpt, 599, "no", Permanent, toRecipient, RetryNo, ClassRejected, ""},
	{"step", StepRcpt, 550, "5.7.1 no", Permanent, toRecipient, RetryNo, ClassPolicy, ""},
	{"step", StepRcpt, 450, "no", Temporary, toRecipient, RetryBackoff, ClassTemporary, ""},
	{"step", StepData, 554, "no", Permanent, toMessage, RetryNo, ClassRejected, ""},
	{"step", StepDot, 499, "no", Temporary, toMessage, RetryBackoff, ClassTemporary, ""},
}

func TestClassify(t *testing.T) {
	for _, c := range replyCases {
		reply := ParseReply(c.code, c.text)
		if _, rule := causeOf(factsOf(c.step, reply)); rule != c.rule {
			t.Errorf("%s %s: rule %q decides, want %q", c.step, reply, rule, c.rule)
		}
		got := Classify(c.step, reply)
		want := Outcome{Verdict: c.want, Scope: c.scope, Retry: c.retry, Class: c.class, Step: c.step, Reply: reply, Remedy: got.Remedy}
		if got != want {
			t.Errorf("%s %s\ngot  %+v\nwant %+v", c.step, reply, got, want)
		}
		if got.Remedy == "" || !strings.Contains(got.Remedy, c.remedy) {
			t.Errorf("%s %s: the remedy %q does not speak of %q", c.step, reply, got.Remedy, c.remedy)
		}
	}
}

// TestPhraseRulesAreTested makes every phrase rule and code rule appear in TestClassify: a rule that no case reaches is dead.
func TestPhraseRulesAreTested(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range replyCases {
		tested[c.rule] = true
	}
	for _, r := range phraseRules {
		if !tested[r.name] {
			t.Errorf("no case for the phrase rule %q", r.name)
		}
	}
	for _, r := range codeRules {
		if !tested["code "+r.name] {
			t.Errorf("no case for the code rule %q", r.name)
		}
	}
}

// TestStatusRulesAreReached asks every status rule with a bare enhanced code: an earlier rule must not hide it.
func TestStatusRulesAreReached(t *testing.T) {
	for _, r := range statusRules {
		reached := false
		for step := StepConnect; step <= StepDot; step++ {
			for digit := 4; digit <= 5; digit++ {
				for detail := r.from; detail <= r.to; detail++ {
					f := facts{step: step, code: 100*digit + 50, digit: digit, subject: r.subject, detail: detail, words: " "}
					if c, rule := causeOf(f); rule == "status "+r.name && c == r.cause {
						reached = true
					}
				}
			}
		}
		if !reached {
			t.Errorf("the status rule %q (x.%d.%d) is never reached", r.name, r.subject, r.from)
		}
	}
}

// TestCausesKeepTheContract checks what every cause must hold to, so that no outcome can break it.
func TestCausesKeepTheContract(t *testing.T) {
	causes := map[string]cause{}
	for _, r := range phraseRules {
		causes[r.name] = r.cause
	}
	for _, r := range statusRules {
		causes["status "+r.name] = r.cause
	}
	for _, r := range codeRules {
		causes["code "+r.name] = r.cause
	}
	for step := StepConnect; step <= StepDot; step++ {
		causes["4xx at "+step.String()] = temporaryAt(step)
		causes["5xx at "+step.String()] = permanentAt(step, -1)
	}
	for name, c := range causes {
		ours := c.scope == ScopeAccount || c.scope == ScopeServer
		if c.soft == RetryNo {
			t.Errorf("%s: a 4xx must never be final", name)
		}
		if !ours && (c.soft == RetryStop || c.hard == RetryStop) {
			t.Errorf("%s: only an account or a server can be stopped", name)
		}
		if ours && c.hard == RetryNo && c != mailLoop && c != routeExpired {
			t.Errorf("%s: a matter of the account or the server must not end a mail", name)
		}
		if c.remedy == "" || c.class == ClassNone {
			t.Errorf("%s: no remedy or no class", name)
		}
	}
}

func TestClassifyAccepts(t *testing.T) {
	for step := StepConnect; step <= StepDot; step++ {
		got := Classify(step, ParseReply(250, "2.0.0 queued as 4711"))
		if got.Verdict != Accepted || got.Retry != RetryNo || got.Class != ClassNone || got.Remedy != "" {
			t.Errorf("%s: got %+v", step, got)
		}
	}
}

func TestClassifyGarbage(t *testing.T) {
	for _, code := range []int{-250, 0, 1, 99, 100, 199, 334, 354, 600, 1 << 30} {
		if got := Classify(StepRcpt, Reply{Code: code}); got.Verdict != Temporary || got.Scope != ScopeRecipient || got.Retry != RetryBackoff {
			t.Errorf("%d at rcpt: got %+v", code, got)
		}
		// P2: what cannot be read after the dot may have been a yes.
		if got := Classify(StepDot, Reply{Code: code}); got.Verdict != Uncertain || got.Retry != RetryNo {
			t.Errorf("%d at dot: got %+v", code, got)
		}
	}
}

func TestPausesAccount(t *testing.T) {
	cases := map[string]bool{
		"535 5.7.8 no": true, "421 bye": true, "554 5.4.6 too many hops": false, "550 5.1.1 no such user": false, "250 ok": false,
	}
	for text, want := range cases {
		if got := Classify(StepDot, corpusReply(t, text)); got.PausesAccount() != want {
			t.Errorf("%s: pauses the account: %v, want %v", text, got.PausesAccount(), want)
		}
	}
}
