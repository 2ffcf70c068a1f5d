package jobs_test

import (
	"slices"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

const otherSender = "info@acme.example"

// tested asks for a test and returns it with one line a step that is about a sender.
func tested(t *testing.T, d *jobs.Desk, q jobs.AccountTestRequest) (jobs.AccountTestReply, []string) {
	t.Helper()
	q.Account = "main"
	got, err := d.AccountTest(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range got.Steps {
		if s.As != "" {
			lines = append(lines, strings.TrimSpace(strings.Join([]string{s.Step, strings.Split(s.As, "@")[0], s.Result, s.At, s.Cause}, " ")))
		}
	}
	return got, lines
}

func TestAccountTestSendAs(t *testing.T) {
	s := newSite(t)
	d := s.desk(s.file("  main: "+s.account(unlimited), ""), nil)
	refused := smtptest.Reply("553 5.7.1 <info@acme.example>: Sender address rejected: not owned by user noreply")
	for name, c := range map[string]struct {
		rule smtptest.Rule
		to   string
		want []string
		sent int
	}{
		"taken":             {smtptest.Rule{Step: smtptest.StepNoop}, "", []string{"send as noreply ok", "send as info ok"}, 0},
		"refused at MAIL":   {smtptest.Rule{Step: smtptest.StepMail, From: otherSender, Do: refused}, "", []string{"send as noreply ok", "send as info failed mail send_as_denied"}, 0},
		"refused at RCPT":   {smtptest.Rule{Step: smtptest.StepRcpt, From: otherSender, Do: refused}, "", []string{"send as noreply ok", "send as info failed rcpt send_as_denied"}, 0},
		"not tried further": {smtptest.Rule{Step: smtptest.StepMail, From: otherSender, Do: refused}, "it@acme.example", []string{"send as noreply ok", "send as info failed mail send_as_denied", "mail noreply ok", "mail info not tried"}, 1},
		"refused after DATA": {smtptest.Rule{Step: smtptest.StepDot, From: otherSender, Do: refused}, "it@acme.example",
			[]string{"send as noreply ok", "send as info ok", "mail noreply ok", "mail info failed dot send_as_denied"}, 1},
		"the connection ends between": {smtptest.Rule{Step: smtptest.StepMail, From: otherSender, Do: smtptest.ReplyAndHangup("421 4.3.0 restarting")}, "it@acme.example",
			[]string{"send as noreply ok", "send as info failed mail temporary", "mail noreply ok", "mail info not tried"}, 1},
		"the recipient is refused": {smtptest.Rule{Step: smtptest.StepRcpt, From: otherSender, Do: smtptest.Reply("550 5.1.1 no such user")}, "",
			[]string{"send as noreply ok", "send as info ok"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s.smtp.ClearScript()
			s.smtp.On(c.rule)
			before := len(s.smtp.Messages())
			got, lines := tested(t, d, jobs.AccountTestRequest{By: jobs.By{Actor: "eva(1000)"}, SendAs: otherSender, To: c.to})
			if !slices.Equal(lines, c.want) || len(s.smtp.Messages())-before != c.sent || len(got.Mails) != c.sent {
				t.Errorf("%q, want %q; %d messages: %+v", lines, c.want, len(s.smtp.Messages())-before, got)
			}
			f, failed := got.FailedStep()
			if failed == got.OK || failed && (f.Remedy == "" || !strings.HasPrefix(f.Text, "553 5.7.1 ") && !strings.HasPrefix(f.Text, "421 4.3.0 ")) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestAccountTestAsksWithoutMail: what asks for a sender ends in RSET and never reaches DATA.
func TestAccountTestAsksWithoutMail(t *testing.T) {
	s, d := deskSite(t)
	data, reset := s.smtp.On(smtptest.Rule{Step: smtptest.StepData}), s.smtp.On(smtptest.Rule{Step: smtptest.StepReset})
	if _, lines := tested(t, d, jobs.AccountTestRequest{SendAs: otherSender}); len(lines) != 2 || data.Count() != 0 || reset.Count() != 2 {
		t.Errorf("%q: DATA %d times, RSET %d times", lines, data.Count(), reset.Count())
	}
	if _, lines := tested(t, d, jobs.AccountTestRequest{SendAs: "NoReply <noreply@acme.example>"}); len(lines) != 1 {
		t.Errorf("its own sender twice: %q", lines)
	}
	if _, err := d.AccountTest(t.Context(), jobs.AccountTestRequest{Account: "main", SendAs: "nobody"}); !askError(t, err).Usage {
		t.Error(err)
	}
}

func TestAccountTestKnowsSettingsAndProvider(t *testing.T) {
	s := newSite(t, smtptest.Users(map[string]string{"eva": "right"}))
	login := "username: eva, password: {file: " + s.secret("right") + "}, rate: 300/hour"
	d := s.desk(s.file("  main: "+s.account(unlimited+", sender_domains: [acme.example]"), ""), nil)
	got, lines := tested(t, d, jobs.AccountTestRequest{SendAs: "a@beta.example"})
	if want := []string{"send as noreply ok", "send as a failed  config"}; !slices.Equal(lines, want) || !strings.Contains(got.Steps[len(got.Steps)-1].Text, "beta.example") {
		t.Errorf("%q: %+v", lines, got)
	}
	for more, want := range map[string]string{
		"provider: gmail, " + login:                                   "in place of this From",
		"provider: office365, " + login:                               "unless the account was given the right",
		unlimited + ", return_path: bounces@acme.example":             "it saw the return path bounces@acme.example",
		unlimited + ", from: Acme <noreply@acme.example>, auth: none": "",
	} {
		account := s.account(more)
		if strings.Contains(more, "from:") {
			account = strings.Replace(account, "from: Acme <noreply@acme.example>, ", "", 1)
		}
		d := s.desk(s.file("  main: "+account, ""), nil)
		got, _ := tested(t, d, jobs.AccountTestRequest{SendAs: otherSender})
		if text := got.Steps[len(got.Steps)-1].Text; !got.OK || !strings.Contains(text, want) {
			t.Errorf("%s: %+v", more, got)
		}
	}
}
