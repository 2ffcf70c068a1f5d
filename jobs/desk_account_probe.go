package jobs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/oauth"
	"outboxd/mail/smtpout"
)

// AccountTestRequest names an account to test. With SendAs it is also asked whether it may send as that address. With To a
// real mail of each sender is sent there, within the account's limits.
type AccountTestRequest struct {
	By
	Account string `json:"account"`
	SendAs  string `json:"send_as,omitempty"`
	To      string `json:"to,omitempty"`
}

// AccountTestReply tells of each step how it went. Nothing in it is a secret.
type AccountTestReply struct {
	Account string     `json:"account"`
	OK      bool       `json:"ok"`
	Steps   []TestStep `json:"steps"`
	Offers  []string   `json:"offers"`          // what the server announced, as it wrote it
	Mails   []TestMail `json:"mails,omitempty"` // those that the server took

	CertificateUntil *time.Time `json:"certificate_until,omitempty"` // when the server's certificate ends
}

// The results of a step.
const (
	StepOK       = "ok"
	StepFailed   = "failed"
	StepNotTried = "not tried" // an earlier one failed
	StepNone     = "none"      // the account's settings want no such step
)

// StepSignIn is the step of a test at which an account that logs in by OAuth gets its token.
const StepSignIn = "sign-in"

// TestStep is one step of a test.
type TestStep struct {
	Step   string `json:"step"`
	As     string `json:"as,omitempty"` // the sender that it is about
	Result string `json:"result"`
	At     string `json:"at,omitempty"`     // the point of the SMTP dialogue where it failed
	Text   string `json:"text,omitempty"`   // what was found, or the server's words
	Cause  string `json:"cause,omitempty"`  // in one word, as in logs
	Remedy string `json:"remedy,omitempty"` // what to do
}

// TestMail is a mail that a test has sent.
type TestMail struct {
	As        string `json:"as"`
	To        string `json:"to"`
	MessageID string `json:"message_id"` // with its angle brackets
}

// testTimeouts are shorter than those for real mail: a person is waiting.
var testTimeouts = smtpout.Timeouts{Connect: 15 * time.Second, TLS: 15 * time.Second, Command: 20 * time.Second,
	Data: 30 * time.Second, Body: 30 * time.Second, Dot: time.Minute}

// AccountTest connects, logs in, asks whether the account may send as itself and as SendAs, and with To sends a mail of each.
// A pause of the account does not stop it; a mail that was accepted ends the pause, as any mail would. A test that fails
// is a reply, not an error.
func (d *Desk) AccountTest(ctx context.Context, q AccountTestRequest) (AccountTestReply, error) {
	a, err := d.account(q.Account)
	if err != nil {
		return AccountTestReply{}, err
	}
	t := newAccountTest(d, d.state, a)
	letters, err := t.writeAll(q, d.now())
	if err != nil {
		return AccountTestReply{}, err
	}
	if q.To != "" {
		if err := d.audit(ctx, q.By, "account test", "account "+a.Name, letters.String()); err != nil {
			return AccountTestReply{}, err
		}
	}
	if t.connect(ctx) {
		for _, l := range letters {
			t.askSender(ctx, l)
		}
		for _, l := range letters {
			if q.To != "" {
				t.send(ctx, l)
			}
		}
		t.close()
	}
	return t.reply, nil
}

// TestLogin connects and logs in to an account as AccountTest does, without any database.
func TestLogin(ctx context.Context, state *State, a *jobfile.Account) AccountTestReply {
	t := newAccountTest(nil, state, a)
	if t.connect(ctx) {
		t.close()
	}
	return t.reply
}

type accountTest struct {
	desk    *Desk
	state   *State
	account *jobfile.Account
	conf    smtpout.Config
	session *smtpout.Session
	reply   AccountTestReply
}

func newAccountTest(d *Desk, state *State, a *jobfile.Account) *accountTest {
	return &accountTest{desk: d, state: state, account: a, reply: AccountTestReply{Account: a.Name, OK: true, Steps: []TestStep{}, Offers: []string{}}}
}

func (t *accountTest) add(s TestStep) { t.reply.Add(s) }

// Add adds a step; one that failed fails the test.
func (r *AccountTestReply) Add(s TestStep) {
	r.Steps = append(r.Steps, s)
	r.OK = r.OK && s.Result != StepFailed
}

// failedAs is a step that failed with an outcome: the server's words as they are, what they mean and what to do.
func failedAs(step, as string, o mail.Outcome) TestStep {
	return TestStep{Step: step, As: as, Result: StepFailed, At: o.Step.String(), Text: o.Reply.String(), Cause: string(o.Class), Remedy: o.Remedy}
}

// secretHint is what to do about a secret that cannot be read.
const secretHint = "the file must exist and be readable for the user that outboxd runs as, and for nobody outside its group"

// connect goes through the steps up to the login, and tells whether there is a session.
func (t *accountTest) connect(ctx context.Context) bool {
	to, err := t.state.access(t.account)
	if t.conf = to.Config; err != nil {
		t.add(TestStep{Step: "settings", Result: StepFailed, Text: err.Error(), Cause: string(mail.ClassConfig), Remedy: secretHint})
		return false
	}
	t.add(TestStep{Step: "settings", Result: StepOK, Text: t.conf.String()})
	if to.signIn != nil && !t.token(ctx, to.signIn) {
		return false
	}
	t.conf.Timeouts = testTimeouts
	t.session, err = smtpout.Dial(ctx, t.conf)
	var failed *smtpout.Error
	if err != nil && !errors.As(err, &failed) {
		t.add(TestStep{Step: mail.StepConnect.String(), Result: StepFailed, Text: err.Error()})
		return false
	}
	t.steps(t.conf, t.session, failed)
	return t.session != nil
}

// token is the step of an account that logs in by OAuth: without a token there is nothing to say to the mail server.
func (t *accountTest) token(ctx context.Context, source *oauth.Source) bool {
	_, err := source.Token(ctx, "")
	var why *oauth.Error
	switch {
	case errors.As(err, &why):
		t.add(failedAs(StepSignIn, "", why.TokenOutcome()))
	case err != nil:
		t.add(TestStep{Step: StepSignIn, Result: StepFailed, Text: err.Error()})
	default:
		state := source.State()
		t.add(TestStep{Step: StepSignIn, Result: StepOK, Text: fmt.Sprintf("since %s, renewed %s", state.Since.UTC().Format(time.DateOnly), state.Renewed.UTC().Format(time.DateTime))})
	}
	return err == nil
}

// ready sees to it that there is a session for another transaction; the server may have ended the last one.
func (t *accountTest) ready(ctx context.Context) error {
	if t.session.Usable() {
		return nil
	}
	t.close()
	session, err := smtpout.Dial(ctx, t.conf)
	if err == nil {
		t.session = session
	}
	return err
}

// close ends the session. The mails are through or refused by then; how the goodbye goes changes nothing.
func (t *accountTest) close() { _ = t.session.Close() }

// steps tells of each step of the dialogue how far it went, in the order that the encryption gives them.
func (t *accountTest) steps(conf smtpout.Config, session *smtpout.Session, failed *smtpout.Error) {
	order := []mail.Step{mail.StepConnect, mail.StepTLS, mail.StepHello, mail.StepAuth}
	if conf.Encryption == smtpout.StartTLS {
		// EHLO is said before and after; told once, so that a refusal before is not mistaken for one after.
		order = []mail.Step{mail.StepConnect, mail.StepHello, mail.StepTLS, mail.StepAuth}
	}
	reached := true
	if failed != nil && !slices.Contains(order, failed.Outcome.Step) {
		order = append(order, failed.Outcome.Step)
	}
	for _, step := range order {
		s := TestStep{Step: step.String(), Result: StepOK}
		switch {
		case failed != nil && failed.Outcome.Step == step:
			s, reached = failedAs(step.String(), "", failed.Outcome), false
		case step == mail.StepTLS && conf.Encryption == smtpout.None, step == mail.StepAuth && (conf.Username == "" || conf.Auth == smtpout.AuthNone):
			s.Result = StepNone
		case !reached:
			s.Result = StepNotTried
		case session != nil:
			s.Text = t.found(step, session)
		}
		t.add(s)
	}
	t.server(session, failed)
}

// server notes what the server showed of itself, also to a login that it refused.
func (t *accountTest) server(session *smtpout.Session, failed *smtpout.Error) {
	var state *tls.ConnectionState
	switch {
	case session != nil:
		t.reply.Offers = append(t.reply.Offers, session.Extensions()...)
		if s, ok := session.TLS(); ok {
			state = &s
		}
	case failed != nil:
		t.reply.Offers = append(t.reply.Offers, failed.Offers...)
		state = failed.TLS
	}
	if state != nil && len(state.PeerCertificates) > 0 {
		t.reply.CertificateUntil = &state.PeerCertificates[0].NotAfter
	}
}

// found describes a step that went well.
func (t *accountTest) found(step mail.Step, s *smtpout.Session) string {
	switch step {
	case mail.StepTLS:
		if state, ok := s.TLS(); ok {
			return fmt.Sprintf("%s, certificate valid until %s", tls.VersionName(state.Version), state.PeerCertificates[0].NotAfter.UTC().Format("2006-01-02"))
		}
	case mail.StepHello:
		if n := s.MaxSize(); n > 0 {
			return fmt.Sprintf("takes mails up to %d octets", n)
		}
	case mail.StepAuth:
		return fmt.Sprintf("%s as %s", s.Mechanism(), t.account.Username)
	}
	return ""
}

// FailedStep returns the step that failed, and false when none did.
func (r AccountTestReply) FailedStep() (TestStep, bool) {
	for _, s := range r.Steps {
		if s.Result == StepFailed {
			return s, true
		}
	}
	return TestStep{}, false
}

// String sums the test up in a line.
func (r AccountTestReply) String() string {
	if s, failed := r.FailedStep(); failed {
		return strings.TrimSuffix(fmt.Sprintf("%s: %s. %s", s.Step, s.Text, s.Remedy), ". ")
	}
	return "logged in"
}
