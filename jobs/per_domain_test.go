package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
)

// perDomain is an account with limits by recipient domain, and none of its own.
func (s *site) perDomain(limits string) string {
	return "  main: " + s.account(unlimited+", connections: 4, per_domain: {"+limits+"}")
}

// aside counts the rows that are seen to wait for a domain with a limit of 1/hour.
const aside = `SELECT COUNT(*) FROM {db}.outbox o JOIN {db}.outbox_lane l ON l.id = o.lane WHERE l.name = 'account:main to gmail.example'
	AND l.wait_until > UTC_TIMESTAMP(6) AND l.reason = 'account main sends 1/hour to it'`

// sentTo counts what was sent to a domain.
func (s *site) sentTo(domain string) string {
	return s.db.Read(s.t, `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND recipients LIKE ?`, "%@"+domain)
}

// TestP4_FullDomainDelaysNobody: behind very many rows of a domain whose limit is used up, others go at once; its own rows are put
// aside once, and are seen to wait.
func TestP4_FullDomainDelaysNobody(t *testing.T) {
	t.Parallel()
	const many = 3000
	s, beta := newSite(t), newSite(t)
	s.mailing(many, "gmail.example")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients) VALUES ('first@kunde.example')`)
	beta.mail("b@kunde.example")
	text := s.two(s.perDomain("gmail.example: 1/hour"), "    server: main\n    database: "+beta.db.Name, "")
	s.start(text, "one")
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND recipients = 'first@kunde.example'`)
	beta.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.await(fmt.Sprint(many-1), aside)
	if n := s.sentTo("gmail.example"); n != "1" {
		t.Errorf("%s mails to the domain", n)
	}
	// What comes later goes at once, and costs what it would cost without the others; what waits is not touched again.
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending'`)
	touched := s.db.Read(t, `SELECT MAX(updated_at) FROM {db}.outbox WHERE lane <> 0`)
	s.mailing(200, "kunde.example")
	s.await("201", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND recipients LIKE '%@kunde.example'`)
	if again := s.db.Read(t, `SELECT MAX(updated_at) FROM {db}.outbox WHERE lane <> 0`); again != touched {
		t.Errorf("rows that wait were touched again at %s, after %s", again, touched)
	}
	s.why("acme/500", "It waits with others for the recipient's domain gmail.example: account main sends 1/hour to it. The next of them goes at")
	s.why("acme/500", "498 rows of the company go before it at unlimited, to gmail.example 1/hour: its turn is about")
	later := s.mail("later@kunde.example, a@gmail.example")
	s.why("acme/"+later, "The limit of account main for gmail.example (1/hour) is used up for the moment.")
	status, err := s.engine.Desk().Status(t.Context(), jobs.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if w := status.Companies[0].Waits; len(w) != 1 || w[0].What != "mails to gmail.example by account main" || w[0].Until == nil || w[0].Reason != "account main sends 1/hour to it" {
		t.Errorf("status tells %+v", w)
	}
}

// why checks that one of the reasons of a row begins like that.
func (s *site) why(row, want string) {
	s.t.Helper()
	why, err := s.engine.Desk().QueueWhy(s.t.Context(), jobs.RowRequest{Row: row})
	if err != nil {
		s.t.Fatal(err)
	}
	if !slices.ContainsFunc(why.Reasons, func(r jobs.Reason) bool { return strings.HasPrefix(r.Text, want) }) {
		s.t.Errorf("row %s waits for %+v, not %q", row, why.Reasons, want)
	}
}

// TestPerDomainOfRowsInALaneThatIsGone: a lane is dropped when no row is seen in it, also while one is on its way there. Such rows
// are put with the others that wait, and the rest of them goes.
func TestPerDomainOfRowsInALaneThatIsGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mailing(6, "gmail.example")
	s.mailing(1, "kunde.example")
	s.db.Exec(t, `UPDATE {db}.outbox SET lane = 77 WHERE id > 3`)
	s.start(s.file(s.perDomain("gmail.example: 1/hour"), ""), "one")
	s.await("5", aside)
	s.await("2", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.why("acme/6", "It waits with others for the recipient's domain gmail.example: account main sends 1/hour to it. The next of them goes at")
}

// TestP3_PerDomainOverTwoDaemons: the limit of a domain holds over two daemons, and those of others for themselves.
func TestP3_PerDomainOverTwoDaemons(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, domain := range []string{"a.example", "b.example", "free.example", "gmail.example"} {
		s.mailing(60, domain)
	}
	text := s.file(s.perDomain(`"*": 3000/hour, gmail.example: 100/hour, free.example: unlimited`), "")
	s.start(text, "one")
	s.start(text, "two")
	s.await("60", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND recipients LIKE '%@free.example'`)
	s.await("14 14", `SELECT CONCAT(LEAST(14, SUM(recipients LIKE '%@a.example')), ' ', LEAST(14, SUM(recipients LIKE '%@b.example'))) FROM {db}.outbox WHERE state = 'sent'`)
	s.end()
	times := map[string][]time.Time{}
	for _, m := range s.smtp.Messages() {
		_, domain, _ := strings.Cut(m.To[0], "@")
		times[domain] = append(times[domain], m.Time)
	}
	paced(t, times["a.example"])
	paced(t, times["b.example"])
	if n := len(times["gmail.example"]); n != 1 {
		t.Errorf("%d mails to gmail.example", n)
	}
}

// TestPerDomainOfARowToSeveral: it goes when all its domains let it, and takes from all of them or from none.
func TestPerDomainOfARowToSeveral(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, to := range []string{"a@one.example", "b@one.example, b@two.example, b@three.example", "c@two.example", "d@three.example"} {
		s.mail(to)
	}
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = available_at + INTERVAL id * 200000 MICROSECOND`)
	s.start(s.file(s.perDomain("one.example: 1/hour, two.example: 1/hour"), ""), "one")
	s.awaitRows("1 sent 1", "2 queued 0", "3 sent 1", "4 sent 1")
	s.await("account:main to one.example", `SELECT l.name FROM {db}.outbox o JOIN {db}.outbox_lane l ON l.id = o.lane WHERE o.id = 2`)
	s.await("1", `SELECT SUM(mails) FROM {db}.outbox_usage WHERE name LIKE '% to two.example'`)
}

// TestPerDomainOfADivertedCompany: all its mail goes to one domain.
func TestPerDomainOfADivertedCompany(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, to := range []string{"a@one.example", "b@one.example", "c@two.example", "d@three.example"} {
		s.mail(to)
	}
	s.start(s.with(s.perDomain("test.example: 1/hour, one.example: 1/hour"), "", "divert: eva@test.example"), "one")
	s.await("queued 3, sent 1", `SELECT GROUP_CONCAT(x ORDER BY x SEPARATOR ', ') FROM (SELECT CONCAT(state, ' ', COUNT(*)) AS x FROM {db}.outbox GROUP BY state) n`)
	s.reload(s.with(s.perDomain("one.example: 2/hour"), "", "divert: eva@test.example"))
	s.awaitRows("1 sent 1", "2 sent 1", "3 sent 1", "4 sent 1")
}

// TestPerDomainThatIsLifted: rows that wait go when a reload lifts the limit, whatever time was seen on them.
func TestPerDomainThatIsLifted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mailing(50, "gmail.example")
	s.start(s.file(s.perDomain("gmail.example: 1/hour"), ""), "one")
	s.await("49", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND lane <> 0`)
	s.reload(s.file("  main: "+s.account(unlimited), ""))
	s.await("50", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox_lane`)
}
