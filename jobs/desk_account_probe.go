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
	"outboxd/mail/smtpout"
)

// AccountTestRequest names an account to test. With To a real mail is sent there, within the account's limits.
type AccountTestRequest struct {
	By
	Account string `json:"account"`
	To      string `json:"to,omitempty"`
}

// AccountTestReply tells of each step how it went. Nothing in it is a secret.
type AccountTestReply struct {
	Account string     `json:"account"`
	OK      bool       `json:"ok"`
	Steps   []TestStep `json:"steps"`
	Offers  []string   `json:"offers"` // what the server announced, as it wrote it

	CertificateUntil *time.Time `json:"certificate_until,omitempty"` // when the server's certificate ends
}

// The results of a step.
const (
	StepOK       = "ok"
	StepFailed   = "failed"
	StepNotTried = "not tried" // an earlier one failed
	StepNone     = "none"      // the account's settings want no such step
)

// TestStep is one step of a test.
type TestStep struct {
	Step   string `json:"step"`
	Result string `json:"result"`
	Text   string `json:"text,omitempty"`   // what was found, or the server's words
	Cause  string `json:"cause,omitempty"`  // in one word, as in logs
	Remedy string `json:"remedy,omitempty"` // what to do
}

// testTimeouts are shorter than those for real mail: a person is waiting.
var testTimeouts = smtpout.Timeouts{Connect: 15 * time.Second, TLS: 15 * time.Second, Command: 20 * time.Second,
	Data: 30 * time.Second, Body: 30 * time.Second, Dot: time.Minute}

// AccountTest connects and logs in, and with To sends one mail. A pause of the account does not stop it; a mail that was
// accepted ends the pause, as any mail would. A test that fails is a reply, not an error.
func (d *Desk) AccountTest(ctx context.Context, q AccountTestRequest) (AccountTestReply, error) {
	a, err := d.account(q.Account)
	if err != nil {
		return AccountTestReply{}, err
	}
	t := &accountTest{desk: d, account: a, reply: AccountTestReply{Account: a.Name, OK: true, Steps: []TestStep{}, Offers: []string{}}}
	var letter *testLetter
	if q.To != "" {
		if letter, err = t.write(q.To, d.now()); err != nil {
			return AccountTestReply{}, err
		}
		if err := d.audit(ctx, q.By, "account test", "account "+a.Name, "mail to "+letter.to.Addr()); err != nil {
			return AccountTestReply{}, err
		}
	}
	if session := t.connect(ctx); session != nil {
		if letter != nil {
			t.send(ctx, session, letter)
		}
		// The mail is through or refused by now; how the goodbye goes changes nothing.
		_ = session.Close()
	}
	return t.reply, nil
}

// TestLogin connects and logs in to an account as AccountTest does, without any database.
func TestLogin(ctx context.Context, a *jobfile.Account) AccountTestReply {
	t := &accountTest{account: a, reply: AccountTestReply{Account: a.Name, OK: true, Steps: []TestStep{}, Offers: []string{}}}
	if session := t.connect(ctx); session != nil {
		_ = session.Close()
	}
	return t.reply
}

type accountTest struct {
	desk    *Desk
	account *jobfile.Account
	reply   AccountTestReply
}

func (t *accountTest) add(s TestStep) {
	t.reply.Steps = append(t.reply.Steps, s)
	t.reply.OK = t.reply.OK && s.Result != StepFailed
}

// connect goes through the steps up to the login; nil when one failed.
func (t *accountTest) connect(ctx context.Context) *smtpout.Session {
	conf, err := smtpConfig(t.account)
	if err != nil {
		t.add(TestStep{Step: "settings", Result: StepFailed, Text: err.Error(), Cause: string(mail.ClassConfig),
			Remedy: "the file must exist and be readable for the user that outboxd runs as, and for nobody outside its group"})
		return nil
	}
	t.add(TestStep{Step: "settings", Result: StepOK, Text: conf.String()})
	conf.Timeouts = testTimeouts
	session, err := smtpout.Dial(ctx, conf)
	var failed *smtpout.Error
	if err != nil && !errors.As(err, &failed) {
		t.add(TestStep{Step: mail.StepConnect.String(), Result: StepFailed, Text: err.Error()})
		return nil
	}
	t.steps(conf, session, failed)
	return session
}

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
			o := failed.Outcome
			s.Result, s.Text, s.Cause, s.Remedy = StepFailed, o.Reply.String(), string(o.Class), o.Remedy
			reached = false
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
