package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"outboxd/db/dbtest"
	"outboxd/mail/smtptest"
)

// sharers are companies that share an account. Company 0 sends to c0.example, and so on.
type sharers struct {
	*site
	text string
	each []*site // with a database of their own each
}

func newSharers(t *testing.T, account string, weights ...int) *sharers {
	t.Helper()
	s := newSite(t)
	return s.sharers("main: "+s.account(account), weights...)
}

// sharers makes companies that share accounts; the site's own database is the control database.
func (s *site) sharers(accounts string, weights ...int) *sharers {
	s.t.Helper()
	all := &sharers{site: s}
	var companies strings.Builder
	for i, weight := range weights {
		d := dbtest.New(s.t)
		all.each = append(all.each, &site{t: s.t, db: d})
		fmt.Fprintf(&companies, "  c%d: {server: main, database: %s, weight: %d, jobs: {send: {kind: deliver, poll: 100ms}}}\n", i, d.Name, weight)
	}
	all.text = s.servers("") + fmt.Sprintf("control: {server: main, database: %s}\naccounts:\n  %s\ncompanies:\n%s", s.db.Name, accounts, companies.String())
	return all
}

// mailing inserts n rows for a company.
func (s *sharers) mailing(company, n int) {
	s.t.Helper()
	s.each[company].mailing(n, fmt.Sprintf("c%d.example", company))
}

// mailing inserts up to 10,000 rows to a domain.
func (s *site) mailing(n int, domain string) {
	s.t.Helper()
	s.db.Exec(s.t, `INSERT INTO {db}.outbox (recipients, subject)
		WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 99)
		SELECT CONCAT('r', 100 * a.i + b.i, '@', ?), 'x' FROM n a JOIN n b WHERE 100 * a.i + b.i < ? ORDER BY a.i, b.i`, domain, n)
}

// order has the company of each mail, in the order of the server's ledger.
func order(server *smtptest.Server) []int {
	var all []int
	for _, m := range server.Messages() {
		company := -1
		if _, err := fmt.Sscanf(m.To[0][strings.IndexByte(m.To[0], '@'):], "@c%d.example", &company); err != nil {
			company = -1
		}
		all = append(all, company)
	}
	return all
}

// TestP4_SharesOfTheLedger: companies with a mass mailing each share by weight, from the moment that all of them send.
func TestP4_SharesOfTheLedger(t *testing.T) {
	const limited, one = "rate: 36000/hour, own_relay: true", unlimited + ", connections: 1"
	for _, test := range []struct {
		name, account string
		weights       []int
		off           int // mails: a company that is slow to come again, on a busy computer, loses turns of an unlimited account
	}{
		{"two alike, limited", limited, []int{1, 1}, 4},
		{"three to one, limited", limited, []int{3, 1}, 4},
		{"three to one, unlimited", one, []int{3, 1}, 12},
		{"three companies, unlimited", one, []int{1, 2, 5}, 12},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, sum := newSharers(t, test.account, test.weights...), 0
			for i, weight := range test.weights {
				s.mailing(i, 1200)
				sum += weight
			}
			s.start(s.text, "one")
			const sample = 80
			var got []int
			if !until(waitMost, func() bool { got = sinceAll(order(s.smtp), len(test.weights)); return len(got) >= sample }) {
				t.Fatalf("%d mails since all of them send", len(got))
			}
			for i, weight := range test.weights {
				n := len(slices.DeleteFunc(slices.Clone(got[:sample]), func(c int) bool { return c != i }))
				if want := sample * weight / sum; n < want-test.off || n > want+test.off {
					t.Errorf("weight %d of %d: %d of %d mails", weight, sum, n, sample)
				}
				t.Logf("weight %d of %d: %d of %d mails", weight, sum, n, sample)
			}
		})
	}
}

// sinceAll is what was sent after the first mail of the company that began last.
func sinceAll(order []int, companies int) []int {
	last := 0
	for c := range companies {
		i := slices.Index(order, c)
		if i < 0 {
			return nil
		}
		last = max(last, i)
	}
	return order[last+1:]
}

// TestP4_MailingDoesNotStarveATrickle: single mails of a light company leave while a heavy one's mailing has hardly begun.
func TestP4_MailingDoesNotStarveATrickle(t *testing.T) {
	t.Parallel()
	s := newSharers(t, unlimited+", connections: 2", 100, 1)
	s.mailing(0, 5000)
	s.start(s.text, "one")
	s.messages(20)
	for i := range 5 {
		s.mailing(1, 1)
		s.each[1].await(fmt.Sprint(i+1), `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	}
	if n := s.each[0].db.Read(t, `SELECT COUNT(*) > 2500 FROM {db}.outbox WHERE state = 'queued'`); n != "1" {
		t.Error("the mailing had to end first")
	}
}

// TestP4_Priority1OvertakesAMailing: a row of priority 1 leaves before every row that was not on a session when it was
// seen, whether one job sends all or it has a job of its own.
func TestP4_Priority1OvertakesAMailing(t *testing.T) {
	for name, jobs := range map[string]string{
		"one job":  "send: {kind: deliver, poll: 100ms}",
		"two jobs": "urgent: {kind: deliver, poll: 100ms, priority: [1]}\nsend: {kind: deliver, poll: 100ms, priority: [2, 3, 4, 5]}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const sessions = 4
			s, other := newSite(t), smtptest.New(t)
			s.mailing(3000, "kunde.example")
			s.start(s.company("  main: "+s.account(fmt.Sprintf("%s, connections: %d", unlimited, sessions))+"\n  other: "+accountOn("localhost", other, unlimited), jobs), "one")
			s.messages(100)
			// Every session stands before its dot: nothing else is on its way.
			hold, open := s.gate()
			dots := s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Times: sessions, Do: smtptest.Action{Wait: hold}})
			if !until(waitMost, func() bool { return dots.Count() == sessions }) {
				t.Fatalf("%d sessions stand", dots.Count())
			}
			before := s.smtp.Counts().Data
			// Once the other account's row has left, both were seen.
			s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, priority, account) VALUES ('first@kunde.example', 1, 'main'), ('o@kunde.example', 1, 'other')`)
			s.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE account = 'other' AND state = 'sent'`)
			open()
			s.await("sent", `SELECT state FROM {db}.outbox WHERE account = 'main' AND priority = 1`)
			first, n := s.smtp.RecipientLedger()["first@kunde.example"].Began[0], 0
			for _, began := range s.smtp.DataTimes()[before:] {
				if began.Before(first) {
					n++
				}
			}
			// The claim that took it may have taken rows for the other sessions too.
			if n >= sessions {
				t.Errorf("%d mails went before it", n)
			}
		})
	}
}

// TestP4_LowPrioritiesAdvance: while there is always something more urgent, every tenth mail is the one that waits longest.
func TestP4_LowPrioritiesAdvance(t *testing.T) {
	t.Parallel()
	const low = 15
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, priority)
		WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT CONCAT('low', i, '@kunde.example'), 5 FROM n`, low)
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = available_at - INTERVAL 1 MINUTE`)
	s.mails(1000)
	s.start(s.file("  main: "+s.account(unlimited+", connections: 1"), ""), "one")
	s.await(fmt.Sprint(low), `SELECT COUNT(*) FROM {db}.outbox WHERE priority = 5 AND state = 'sent'`)
	var at []int
	for i, m := range s.smtp.Messages() {
		if strings.HasPrefix(m.To[0], "low") {
			at = append(at, i+1)
		}
	}
	for i, n := range at {
		if want := 10 * (i + 1); n < want-3 || n > want+3 {
			t.Errorf("mail %d of priority 5 was number %d of all, want about %d: %v", i+1, n, want, at)
			break
		}
	}
	t.Logf("the mails of priority 5 were numbers %v", at)
}
