package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

const overflowing = "sender_domains: [acme.example], reply_to: accounts@acme.example, overflow: yes, "

// overflow is a jobs.yaml of a company whose first account is on a server of its own, and the general one on the site's.
func (s *site) overflow(first *smtptest.Server, more, system, job string) string {
	account := strings.Replace(accountOn("localhost", first, overflowing+more), "Acme <noreply@acme.example>", "Invoices <invoices@acme.example>", 1)
	return s.with("  invoices: "+account+"\n  system: "+strings.Replace(s.account(system), "acme.example", "mailer.example", 1), job, "accounts: [invoices, system]")
}

// unnamed inserts n rows that name neither account nor sender.
func (s *site) unnamed(n int) { s.mailsVia(n, "") }

const viaCount = `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND sent_via = ?`

// TestOverflowWhileDown: mails that name no account go by the next one, as the same sender; those that name it wait; and it takes over
// when it is back.
func TestOverflowWhileDown(t *testing.T) {
	t.Parallel()
	s, first := newSite(t), smtptest.New(t)
	first.Down()
	s.start(s.overflow(first, unlimited, unlimited, ""), "one")
	s.mailsVia(2, "invoices")
	s.unnamed(5)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, from_address) VALUES ('a@kunde.example', 'Eva <eva@acme.example>')`)
	s.await("6", viaCount, "system")
	s.awaitEvent("overflow", 1)
	seen := map[string]int{}
	for _, m := range s.smtp.Messages() {
		seen[sentAs(t, m, nil)]++
	}
	const as = "invoices@acme.example; Invoices <invoices@acme.example>; accounts@acme.example; acme.example; unsigned; "
	if seen[as] != 5 || seen["eva@acme.example; Eva <eva@acme.example>; accounts@acme.example; acme.example; unsigned; "] != 1 {
		t.Errorf("sent as %v", seen)
	}
	for _, e := range s.logs.FilterMessage("sent").All() {
		if f := e.ContextMap(); f["account"] != "system" || f["overflow_of"] != "invoices" {
			t.Errorf("the log says %v", f)
		}
	}
	if n := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'invoices' AND state = 'queued' AND attempts = 0`); n != "2" {
		t.Errorf("%s of the rows that name the account wait", n)
	}
	s.why("1", "Account system stands in for it meanwhile, but this row names account invoices, and waits for it.")
	if all := s.engine.Live().Companies["acme"].Overflow; len(all) != 1 || all[0] != (jobs.Overflow{Job: "send", Account: "invoices", By: "system"}) {
		t.Errorf("status tells %v", all)
	}
	if err := first.Up(); err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_bucket SET paused_until = NULL`)
	s.await("2", viaCount, "invoices")
	s.awaitEvent("overflow_over", 1)
	s.unnamed(3)
	s.await("5", viaCount, "invoices")
	s.await("6", viaCount, "system")
}

// TestOverflowWhenTheBudgetIsUsedUp, and not before.
func TestOverflowWhenTheBudgetIsUsedUp(t *testing.T) {
	t.Parallel()
	s, first := newSite(t), smtptest.New(t)
	s.unnamed(6)
	s.start(s.overflow(first, "rate: 3000/hour, limits: [2/day]", unlimited, ""), "one")
	s.await("2", viaCount, "invoices")
	s.await("4", viaCount, "system")
	s.reload(s.overflow(first, "rate: 3000/hour, limits: [100/day]", unlimited, ""))
	s.unnamed(3)
	s.await("5", viaCount, "invoices")
	s.await("4", viaCount, "system")
}

// TestOverflowOfAFinishedMessage keeps its From; one that the other account may not send waits for its own.
func TestOverflowOfAFinishedMessage(t *testing.T) {
	t.Parallel()
	s, first, relay := newSite(t), smtptest.New(t), smtptest.New(t)
	first.Down()
	text := s.overflow(first, unlimited, unlimited, "")
	text = strings.Replace(text, "  system: ", "  relay: "+accountOn("127.0.0.1", relay, unlimited+", sender_domains: [acme.example, other.example]")+"\n  system: ", 1)
	text = strings.Replace(text, "[invoices, system]", "[invoices, relay]", 1)
	text = strings.Replace(text, "sender_domains: [acme.example], reply_to", "sender_domains: [acme.example, beta.example], reply_to", 1)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, raw) VALUES
		('a@kunde.example', 'From: Eva <eva@acme.example>\nSubject: x\n\nx\n'), ('b@kunde.example', 'From: Ida <ida@beta.example>\nSubject: x\n\nx\n')`)
	s.start(text, "one")
	s.await("1", viaCount, "relay")
	if got := sentAs(t, relay.Messages()[0], nil); !strings.HasPrefix(got, "eva@acme.example; Eva <eva@acme.example>; ;") {
		t.Errorf("it went as %s", got)
	}
	s.await("queued 0 its From is ida@beta.example, so it waits for account invoices: relay may not send it in its place",
		`SELECT CONCAT_WS(' ', state, attempts, last_error) FROM {db}.outbox WHERE id = 2`)
}

// TestOverflowNeedsOneThatMay: nobody stands in that would change the sender, that the job does not take, that names other senders,
// or that is the same account to the provider; nor where overflow says no.
func TestOverflowNeedsOneThatMay(t *testing.T) {
	for name, change := range map[string]func(text string) string{
		"provider refuses": func(text string) string {
			return strings.Replace(text, "from: Acme", "provider: exchange, from: Acme", 1)
		},
		"job takes the first": func(text string) string {
			return strings.Replace(text, "poll: 100ms", "poll: 100ms, accounts: [invoices]", 1)
		},
		"send_as keeps it": func(text string) string {
			return strings.Replace(text, "    jobs:\n", "    send_as: system\n    jobs:\n", 1)
		},
		"overflow is off": func(text string) string { return strings.Replace(text, "overflow: yes", "overflow: no", 1) },
		"window is closed": func(text string) string {
			return strings.Replace(text, "from: Acme", "window: Sun 00:00-00:01, from: Acme", 1)
		},
		"not of the company's": func(text string) string {
			return strings.Replace(text, "accounts: [invoices, system]", "accounts: [invoices]", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, first := newSite(t), smtptest.New(t)
			clock := &wallClock{}
			clock.set(t, "2026-11-23 10:00:00")
			s.now = clock.now
			first.Down()
			text := s.overflow(first, unlimited, unlimited, "")
			if changed := change(text); changed == text {
				t.Fatal("nothing is changed")
			} else {
				text = changed
			}
			s.unnamed(3)
			s.start(text, "one")
			s.awaitEvent("account_paused", 1)
			if s.mailsVia(1, "system"); name != "job takes the first" && name != "window is closed" && name != "not of the company's" {
				s.await("1", viaCount, "system")
			}
			s.await("3", `SELECT COUNT(*) FROM {db}.outbox WHERE COALESCE(account, '') = '' AND state = 'queued' AND attempts = 0`)
			if slices.Contains([]string{"provider refuses", "send_as keeps it", "not of the company's"}, name) {
				s.why("1", "No other account of the company may send as invoices@acme.example in its place (overflow of account invoices).")
			}
			if n := s.events("overflow"); n != 0 {
				t.Errorf("%d accounts were stood in for", n)
			}
		})
	}
}

// TestOverflowEndsByReload: what waits then waits for its own account.
func TestOverflowEndsByReload(t *testing.T) {
	t.Parallel()
	s, first := newSite(t), smtptest.New(t)
	first.Down()
	text := s.overflow(first, unlimited, unlimited, "")
	s.unnamed(1)
	s.start(text, "one")
	s.await("1", viaCount, "system")
	s.reload(strings.Replace(text, "overflow: yes", "overflow: no", 1))
	s.unnamed(2)
	s.mailsVia(1, "system")
	s.await("2", viaCount, "system")
	s.await("2", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued'`)
	if err := first.Up(); err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_bucket SET paused_until = NULL`)
	s.await("2", viaCount, "invoices")
}

// TestOverflowKeepsDomainLimits: the account that stands in has its own limits by recipient domain, and what waits for them goes by
// its own account once that is back.
func TestOverflowKeepsDomainLimits(t *testing.T) {
	t.Parallel()
	s, first := newSite(t), smtptest.New(t)
	first.Down()
	s.unnamed(20)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients) VALUES ('a@free.example')`)
	s.start(s.overflow(first, unlimited, unlimited+`, per_domain: {kunde.example: 1/hour}`, ""), "one")
	s.await("2", viaCount, "system")
	s.await("19", fmt.Sprintf(`SELECT COUNT(*) FROM {db}.outbox o JOIN {db}.outbox_lane l ON l.id = o.lane WHERE l.name = '%s' AND state = 'queued'`, "account:invoices to kunde.example"))
	if err := first.Up(); err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_bucket SET paused_until = NULL`)
	s.await("19", viaCount, "invoices")
}
