package jobs_test

import (
	"bytes"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"outboxd/mail/smtptest"
)

// diverting is the site's jobs.yaml with a company that diverts.
func (s *site) diverting(job string) string {
	return strings.Replace(s.file("  main: "+s.account(unlimited+", reply_to: help@acme.example"), job), "    jobs:", "    divert: test@acme.example\n    jobs:", 1)
}

func TestDivertedMailReachesNobodyElse(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, cc, bcc, subject, body_text, headers) VALUES
		('Eva Müller <eva@kunde.example>', 'jan@kunde.example; ida@kunde.example', 'boss@acme.example', 'Invoice', 'x',
		'{"Mail-Followup-To": "eva@kunde.example", "List-Unsubscribe": "<mailto:off@kunde.example>", "X-Invoice": "4711"}')`)
	s.mail("solo@kunde.example")
	s.start(s.diverting(""), "one")
	s.awaitRows("1 sent 1", "2 sent 1")
	for _, to := range s.envelopes() {
		if to != "test@acme.example" {
			t.Errorf("an envelope has %s", to)
		}
	}
	s.await("accepted accepted accepted accepted", `SELECT GROUP_CONCAT(state ORDER BY position SEPARATOR ' ') FROM {db}.outbox_recipient`)
	if n := s.events("diverts"); n != 1 {
		t.Errorf("the log says %d times that the company diverts", n)
	}
	i := slices.IndexFunc(s.smtp.Messages(), func(m smtptest.Message) bool { return bytes.Contains(m.Data, []byte("X-Invoice")) })
	m, err := mail.ReadMessage(bytes.NewReader(s.smtp.Messages()[i].Data))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"To": "test@acme.example", "Reply-To": "test@acme.example", "Cc": "", "Mail-Followup-To": "", "List-Unsubscribe": "",
		"X-Outboxd-Cc": "jan@kunde.example, ida@kunde.example", "X-Outboxd-Bcc": "boss@acme.example", "X-Outboxd-Reply-To": "help@acme.example",
		"X-Invoice": "4711", "Subject": "Invoice"} {
		if got := strings.Trim(m.Header.Get(name), "<>"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := m.Header.Get("X-Outboxd-To"); !strings.Contains(got, "eva@kunde.example") && !strings.Contains(got, "=?") {
		t.Errorf("X-Outboxd-To is %q", got)
	}
}

// What happens at the divert address is the outcome of every recipient.
func TestDivertedMailThatIsRefused(t *testing.T) {
	s := newSite(t)
	s.smtp.On(smtptest.Rule{Step: smtptest.StepRcpt, Times: 1, Do: smtptest.Reply("450 4.2.0 later")})
	s.mail("a@kunde.example, b@kunde.example")
	s.start(s.diverting("retry: {first: 1s}"), "one")
	s.awaitRows("1 sent 2")
	if got := s.envelopes(); !slices.Equal(got, []string{"test@acme.example"}) {
		t.Errorf("sent to %q", got)
	}
}
