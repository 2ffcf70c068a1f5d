package mail

import (
	"fmt"
)

// Step is the point of the SMTP dialogue (RFC 5321) that something happened at.
type Step uint8

// The steps in the order of a dialogue.
const (
	StepConnect Step = iota // TCP connection and the server's greeting
	StepTLS                 // STARTTLS and the TLS handshake
	StepHello               // EHLO
	StepAuth                // AUTH
	StepMail                // MAIL FROM
	StepRcpt                // RCPT TO
	StepData                // the DATA command and its 354
	StepBody                // the content, before its last line
	StepDot                 // the final dot may have gone out
)

var stepNames = [...]string{"connect", "tls", "hello", "auth", "mail", "rcpt", "data", "body", "dot"}

// String returns the name used in logs and in outbox_attempt.step.
func (s Step) String() string { return nameOf(stepNames[:], uint8(s)) }

// Verdict says what became of a message or of one of its recipients.
type Verdict uint8

// The verdicts. Unknown replies are Temporary.
const (
	Temporary Verdict = iota // not now; try again
	Accepted                 // the server took responsibility (250 after the dot)
	Permanent                // never in this form
	Throttled                // too much; later
	Uncertain                // the dot may have gone and no reply came back
)

var verdictNames = [...]string{"temporary", "accepted", "permanent", "throttled", "uncertain"}

// String returns the verdict's name as it stands in logs.
func (v Verdict) String() string { return nameOf(verdictNames[:], uint8(v)) }

// Scope says whose matter an outcome is: who has to change for the next try to go better.
type Scope uint8

// The scopes. Account and Server matters pause the account and spend no attempt of a row, unless their Retry is
// RetryNo: see Outcome.PausesAccount.
const (
	ScopeMessage Scope = iota
	ScopeRecipient
	ScopeAccount
	ScopeServer
)

var scopeNames = [...]string{"message", "recipient", "account", "server"}

// String returns the scope's name as it stands in logs.
func (s Scope) String() string { return nameOf(scopeNames[:], uint8(s)) }

// Retry says when another try makes sense.
type Retry uint8

// The ways to try again.
const (
	RetryBackoff Retry = iota // soon, with growing pauses
	RetryNo                   // never
	RetryLater                // when a quota window has slid: an hour or more
	RetryStop                 // when a person has mended the account; probed rarely
	RetrySplit                // at once, with fewer recipients in a transaction
)

var retryNames = [...]string{"backoff", "no", "later", "stop", "split"}

// String returns the retry's name.
func (r Retry) String() string { return nameOf(retryNames[:], uint8(r)) }

// Class names the cause of a refusal in one word, for listings and statistics.
type Class string

// The classes.
const (
	ClassNone              Class = ""
	ClassAuth              Class = "auth"
	ClassSendAsDenied      Class = "send_as_denied"
	ClassAccountBlocked    Class = "account_blocked"
	ClassSenderQuota       Class = "sender_quota"
	ClassRelayDenied       Class = "relay_denied"
	ClassConfig            Class = "config"
	ClassPolicy            Class = "policy"
	ClassBlockedReputation Class = "blocked_reputation"
	ClassThrottled         Class = "throttled"
	ClassTemporary         Class = "temporary"
	ClassUnknownUser       Class = "unknown_user"
	ClassUnknownDomain     Class = "unknown_domain"
	ClassDisabledMailbox   Class = "disabled_mailbox"
	ClassMailboxFull       Class = "mailbox_full"
	ClassSize              Class = "size"
	ClassConnection        Class = "connection" // no reply: dial, TLS, reset, stall
	ClassRejected          Class = "rejected"   // a refusal that says no more
)

// Reply is one SMTP reply (RFC 5321 4.2) with its enhanced status code (RFC 3463), lines joined by blanks.
type Reply struct {
	Code     int    // 0 when there was no reply
	Enhanced string // "5.7.1", or "" when the server sends none
	Text     string
}

// String returns the reply as the server wrote it, in one line without control characters.
func (r Reply) String() string {
	if r.Code == 0 {
		return oneLine(r.Text, maxText)
	}
	return oneLine(fmt.Sprintf("%d %s %s", r.Code, r.Enhanced, r.Text), maxText)
}

// Outcome is what one reply, or the lack of one, means. An Accepted or Uncertain outcome has RetryNo: nothing more is
// sent unless a person or the job says so.
type Outcome struct {
	Verdict Verdict
	Scope   Scope
	Retry   Retry
	Class   Class
	Step    Step
	Reply   Reply
	Remedy  string // what a person should do, in plain language; "" when nothing
}

// PausesAccount says that the account has to pause and that rows spend no attempt on this outcome. A mail lost on the
// route behind the server (a loop, an expiry there) is the server's matter too, but ends only that mail.
func (o Outcome) PausesAccount() bool {
	return (o.Scope == ScopeAccount || o.Scope == ScopeServer) && o.Retry != RetryNo
}

// String returns the outcome in one line for a row's last_error: what the server said and at which step.
func (o Outcome) String() string {
	return fmt.Sprintf("%s at %s: %s", o.Verdict, o.Step, o.Reply)
}

func nameOf(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}
