package jobs_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/mail"
	"outboxd/mail/repliestest"
	"outboxd/mail/smtptest"
)

// said is a reply that a server gives at a phase of the dialogue, and what it is a case of.
type said struct {
	id, phase, reply, class string
}

// usualReplies are one or more of each phase and scope.
var usualReplies = []said{
	{"greeting", "connect", "554 5.7.1 Client host [192.0.2.9] blocked using bl.example.net", "blocked_reputation"},
	{"busy", "connect", "421 4.7.0 Too many connections", "throttled"},
	{"login", "auth", "535-5.7.8 Username and Password not accepted. For more go to 535 5.7.8 https://support.example - gsmtp", "auth"},
	{"tenant", "auth", "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.", "auth"},
	{"owner", "mail", "553 5.7.1 <noreply@acme.example>: Sender address rejected: not owned by user eva", "send_as_denied"},
	{"user", "rcpt", "550 5.1.1 no such user", "unknown_user"},
	{"full", "rcpt", "452 4.2.2 mailbox is full", "mailbox_full"},
	{"relay", "rcpt", "554 5.7.1 Relay access denied", "relay_denied"},
	{"quota", "data", "550 5.4.5 Daily user sending limit exceeded. - gsmtp", "throttled"},
	{"send-as", "data", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "send_as_denied"},
	{"spam", "data", "554 5.7.1 rejected as spam", "blocked_reputation"},
	{"disk", "data", "452 4.3.1 Insufficient system storage", "temporary"},
}

var phaseSteps = map[string]struct {
	step mail.Step
	at   smtptest.Step
}{
	"connect": {mail.StepConnect, smtptest.StepConnect}, "auth": {mail.StepAuth, smtptest.StepAuth}, "mail": {mail.StepMail, smtptest.StepMail},
	"rcpt": {mail.StepRcpt, smtptest.StepRcpt}, "data": {mail.StepDot, smtptest.StepDot}, "dsn": {mail.StepDot, smtptest.StepDot},
}

// beforeMail: no row is taken yet when it is said.
func (s said) beforeMail() bool { return s.phase == "connect" || s.phase == "auth" }

// rule makes a server give the reply whenever it comes to its phase.
func (s said) rule(t *testing.T) smtptest.Rule {
	t.Helper()
	code, lines := repliestest.Lines(t, s.reply)
	for i := range lines {
		lines[i] = fmt.Sprintf("%d%s%s", code, map[bool]string{true: " ", false: "-"}[i == len(lines)-1], lines[i])
	}
	text := strings.Join(lines, "\n")
	if code == 421 || s.phase == "connect" {
		return smtptest.Rule{Step: phaseSteps[s.phase].at, Do: smtptest.ReplyAndHangup(text)}
	}
	return smtptest.Rule{Step: phaseSteps[s.phase].at, Do: smtptest.Reply(text)}
}

// outcome is what the reply means.
func (s said) outcome(t *testing.T) mail.Outcome {
	t.Helper()
	code, lines := repliestest.Lines(t, s.reply)
	return mail.Classify(phaseSteps[s.phase].step, mail.ParseReply(code, strings.Join(lines, "\n")))
}

// allReplies are the usual ones, and those of the table of real replies.
func allReplies(t *testing.T) []said {
	t.Helper()
	all := slices.Clone(usualReplies)
	for _, r := range repliestest.SMTP(t) {
		all = append(all, said{r["id"], r["phase"], r["reply"], r["class"]})
	}
	return all
}

// TestEveryReplyIsExplained: whatever a server says, at whatever phase, the account's test, the row and the status name its
// words, the cause and the remedy, the same everywhere. Every reply has a server, an account and a row of its own.
func TestEveryReplyIsExplained(t *testing.T) {
	s := newSite(t)
	all, secret := allReplies(t), s.secret("right")
	var accounts strings.Builder
	tried := 0
	for i, r := range all {
		server := smtptest.New(t, smtptest.Users(map[string]string{r.id: "right"}))
		server.On(r.rule(t))
		fmt.Fprintf(&accounts, "  %s: %s\n", r.id, accountOn("127.0.0.1", server, unlimited+", username: "+r.id+", password: {file: "+secret+"}"))
		s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text, account) VALUES (?, 'x', 'x', ?)`, fmt.Sprintf("r@d%d.example", i), r.id)
		if !r.beforeMail() {
			tried++
		}
	}
	text := s.file(strings.TrimSuffix(accounts.String(), "\n"), "")
	s.start(text, "one")
	d := s.engine.Desk()
	s.await(strconv.Itoa(tried), `SELECT COUNT(DISTINCT outbox_id) FROM {db}.outbox_attempt WHERE verdict <> ''`)
	var status jobs.StatusReply
	told := func() bool {
		var err error
		if status, err = d.Status(t.Context(), jobs.StatusRequest{}); err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(all, func(r said) bool { return accountOf(status, r.id).LastErrorAt == nil })
	}
	if !until(waitMost, told) {
		t.Fatalf("not every account has an error: %+v", status.Accounts)
	}
	for i, r := range all {
		want := r.outcome(t)
		if string(want.Class) != r.class || want.Remedy == "" {
			t.Errorf("%s: class %s, want %s", r.id, want.Class, r.class)
		}
		r.inTest(t, d, want)
		r.inWhy(t, d, i+1, want)
		r.inStatus(t, accountOf(status, r.id), want)
	}
}

func accountOf(s jobs.StatusReply, name string) jobs.AccountStatus {
	i := slices.IndexFunc(s.Accounts, func(a jobs.AccountStatus) bool { return a.Account == name })
	return s.Accounts[i]
}

// inTest: the step that fails has the words, the cause and the remedy.
func (s said) inTest(t *testing.T, d *jobs.Desk, want mail.Outcome) {
	got, err := d.AccountTest(t.Context(), jobs.AccountTestRequest{By: jobs.By{Actor: "eva(1000)"}, Account: s.id, To: "it@acme.example"})
	f, failed := got.FailedStep()
	if err != nil || !failed || f.Text != want.Reply.String() || f.Cause != string(want.Class) || f.Remedy != want.Remedy || f.At != want.Step.String() {
		t.Errorf("%s: account test: %+v, %v, want %+v", s.id, f, err, want)
	}
}

// inWhy: a row that was tried tells it of its last try, one that was not of its account.
func (s said) inWhy(t *testing.T, d *jobs.Desk, row int, want mail.Outcome) {
	got, err := d.QueueWhy(t.Context(), jobs.RowRequest{Row: strconv.Itoa(row)})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	cause := ""
	for _, r := range got.Reasons {
		texts = append(texts, r.Text)
		cause = cmp.Or(cause, r.Cause)
	}
	words := strings.Join(texts, "\n")
	if !explained(words, want) {
		t.Errorf("%s: queue why lacks %q or %q: %s", s.id, want.Reply, want.Remedy, words)
	}
	switch {
	case s.beforeMail():
		if cause != string(want.Class) || !strings.Contains(words, "(cause: "+cause+")") {
			t.Errorf("%s: queue why has the cause %q, want %s: %+v", s.id, cause, want.Class, got.Reasons)
		}
	case got.Last == nil || got.Last.Cause != string(want.Class) || got.Last.Remedy != want.Remedy || got.Last.Reply != want.Reply.String() || got.Last.Step != want.Step.String():
		t.Errorf("%s: queue why: %+v, want %+v", s.id, got.Last, want)
	case !strings.Contains(words, ": "+got.Last.Cause+"."):
		t.Errorf("%s: queue why does not say the cause: %s", s.id, words)
	}
}

// inStatus: the account's last error. While it is in trouble the state has it too.
func (s said) inStatus(t *testing.T, got jobs.AccountStatus, want mail.Outcome) {
	if got.ErrorClass != string(want.Class) || !explained(got.LastError, want) || got.LastErrorAt == nil {
		t.Errorf("%s: status: last error %q (%s), want %+v", s.id, got.LastError, got.ErrorClass, want)
	}
	if want.PausesAccount() && (got.Class != string(want.Class) || !explained(got.Reason, want) || got.State == jobs.AccountOK) {
		t.Errorf("%s: status: %+v, want %+v", s.id, got, want)
	}
}

// explained tells whether a text has the words and the remedy.
func explained(text string, o mail.Outcome) bool {
	return strings.Contains(text, strings.TrimSuffix(o.Reply.String(), ".")) && strings.Contains(text, strings.TrimSuffix(o.Remedy, "."))
}
