package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// people is a jobs.yaml of a company with the general account, and with eva's and jan's own on another server.
func (s *site) people(own *smtptest.Server, system string) string {
	person := func(name string) string {
		return fmt.Sprintf("\n  %[1]s: {host: localhost, port: %[2]d, encryption: none, username: %[1]s, password: {file: %[3]s}, from: %[1]s@acme.example, sender_addresses: [%[1]s@acme.example], %[4]s}",
			name, own.Port(), s.secret("x"), unlimited)
	}
	return s.file("  system: "+s.account(system)+person("eva")+person("jan"), "")
}

// everybody may log in to the server of people's own accounts.
var everybody = smtptest.Users(map[string]string{"eva": "x", "jan": "x"})

// from inserts n rows of a sender.
func (s *site) from(n int, sender string) {
	s.t.Helper()
	s.mailing(n, "kunde.example")
	s.db.Exec(s.t, `UPDATE {db}.outbox SET from_address = ? WHERE from_address IS NULL`, sender)
}

// TestPeoplesOwnAccounts: each person's mail goes by the own account, all others of the domain by the general one.
func TestPeoplesOwnAccounts(t *testing.T) {
	t.Parallel()
	for name, job := range map[string]string{"one job": "send: {kind: deliver, poll: 100ms}",
		"two jobs": "send: {kind: deliver, poll: 100ms, accounts: [system]}\npeople: {kind: deliver, poll: 100ms, accounts: [eva, jan]}"} {
		t.Run(name, func(t *testing.T) { peoplesOwnAccounts(t, job) })
	}
}

func peoplesOwnAccounts(t *testing.T, job string) {
	s, own := newSite(t), smtptest.New(t, everybody)
	for _, sender := range []string{"eva@acme.example", "Ida <ida@acme.example>", "Jan <JAN@acme.example>", "ida@other.example", "Eva <eva@acme.example>"} {
		s.from(20, sender)
	}
	s.start(strings.Replace(s.people(own, unlimited), "send: {kind: deliver, poll: 100ms, }", strings.ReplaceAll(job, "\n", "\n      "), 1), "one")
	s.await("100", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	const by = `SELECT GROUP_CONCAT(DISTINCT from_address, ' ', sent_via ORDER BY from_address SEPARATOR ', ') FROM {db}.outbox`
	if got := s.db.Read(t, by); got != "Eva <eva@acme.example> eva, eva@acme.example eva, Ida <ida@acme.example> system, ida@other.example system, Jan <JAN@acme.example> jan" {
		t.Errorf("sent by %s", got)
	}
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox_lane`)
}

// TestP4_PeopleDoNotWaitForTheGeneralAccount: it is down, or slow with a long mailing; and nobody waits for a person's account.
func TestP4_PeopleDoNotWaitForTheGeneralAccount(t *testing.T) {
	for name, c := range map[string]struct {
		system string
		down   bool
	}{"down": {unlimited, true}, "slow": {"rate: 100/hour", false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, own := newSite(t), smtptest.New(t, everybody)
			if c.down {
				s.smtp.Down()
			}
			s.from(3000, "ida@acme.example")
			s.from(2, "eva@acme.example")
			s.start(s.people(own, c.system), "one")
			s.await("2", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND sent_via = 'eva'`)
			s.from(1, "eva@acme.example")
			s.await("3", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND sent_via = 'eva'`)
			if n := s.db.Read(t, `SELECT COUNT(*) < 20 FROM {db}.outbox WHERE state = 'sent' AND sent_via = 'system'`); n != "1" {
				t.Error("the mailing had to go first")
			}
		})
	}
	t.Run("an ill person's", func(t *testing.T) {
		t.Parallel()
		s, own := newSite(t), smtptest.New(t, everybody)
		own.Down()
		s.from(500, "eva@acme.example")
		s.from(2, "ida@acme.example")
		s.start(s.people(own, unlimited), "one")
		s.await("2", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND sent_via = 'system'`)
		s.await("500", `SELECT COUNT(*) FROM {db}.outbox o JOIN {db}.outbox_lane l ON l.id = o.lane WHERE state = 'queued' AND l.name = 'account:eva'`)
		if status, err := s.engine.Desk().Status(t.Context(), jobs.StatusRequest{}); err != nil || status.Companies[0].Due != 500 {
			t.Errorf("status tells %+v, %v", status.Companies, err)
		}
		s.why("500", "499 rows of the company go before it.")
		// Her account is taken out of the file: her mail goes by the general account.
		text := s.people(own, unlimited)
		before, _, _ := strings.Cut(text, "\n  eva: ")
		_, after, _ := strings.Cut(text, "\n  jan: ")
		s.reload(before + "\n  jan: " + after)
		s.await("502", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND sent_via = 'system'`)
	})
}
