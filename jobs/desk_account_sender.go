package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"outboxd/jobs/jobfile"
	"outboxd/mail"
)

// errAsked ends a transaction whose sender and recipient the server has taken: no more was asked.
var errAsked = errors.New("the sender was asked for, and no mail is sent")

// askSender asks the server whether the account may send as the letter's sender: MAIL and RCPT, then RSET and no mail. A
// recipient that is refused for its own sake says that the sender was taken.
func (t *accountTest) askSender(ctx context.Context, l *testLetter) {
	as := l.from.Addr()
	if fault := t.forbids(l.from); fault != "" {
		t.add(TestStep{Step: "send as", As: as, Result: StepFailed, Text: fault, Cause: string(mail.ClassConfig),
			Remedy: "add it to the account's sender_domains or sender_addresses in " + t.desk.world.File.Path + " and reload, or send as it by another account"})
		return
	}
	r, err := t.transact(ctx, l, func(context.Context) error { return errAsked })
	o := r.Message
	s := TestStep{Step: "send as", As: as, Result: StepOK}
	switch {
	case err != nil:
		s = unreached("send as", as, err)
	case errors.Is(r.Stopped, errAsked):
		s.Text = "the server takes it before DATA; some refuse only after a whole mail" + t.caveat(l)
	case r.Stopped != nil:
		s.Result, s.Text = StepFailed, r.Stopped.Error()
	case o.Step == mail.StepRcpt && !o.PausesAccount():
		s.Text = fmt.Sprintf("the server takes it; the recipient %s it does not: %s%s", l.to.Addr(), o.Reply, t.caveat(l))
	default:
		s = failedAs("send as", as, o)
	}
	l.asked = s.Result == StepOK
	t.add(s)
}

// forbids tells why jobs.yaml lets no row go by this account as the sender, "" when it does.
func (t *accountTest) forbids(from mail.Address) string {
	own, err := mail.ParseAddress(t.account.From)
	if err == nil && own.Addr() == from.Addr() || maySend(t.account, from) {
		return ""
	}
	if len(t.account.SenderAddresses) > 0 {
		return fmt.Sprintf("the account's sender_addresses (%s) do not have %s", strings.Join(t.account.SenderAddresses, ", "), from.Addr())
	}
	return fmt.Sprintf("the account's sender_domains (%s) do not have %s", strings.Join(t.account.SenderDomains, ", "), from.Host)
}

// caveat is what the provider is known to do with a From that is not the account's own, and what the envelope hides.
func (t *accountTest) caveat(l *testLetter) string {
	text := ""
	if l.envelope != l.from.Addr() {
		text = fmt.Sprintf("; it saw the return path %s, not the From address", l.envelope)
	}
	if strings.EqualFold(l.from.Addr(), t.account.Username) {
		return text
	}
	switch p := t.account.Preset(); p.From {
	case jobfile.FromRewritten:
		text += fmt.Sprintf("; %s puts %s in place of this From, unless it is an alias of that mailbox", p.Name, t.account.Username)
	case jobfile.FromRefused:
		text += fmt.Sprintf("; %s refuses this From unless the account was given the right to it", p.Name)
	}
	return text
}
