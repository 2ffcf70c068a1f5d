package jobs_test

import (
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
)

func TestRowsThatWait(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, send_after) VALUES ('a@kunde.example', NOW() + INTERVAL 1 HOUR)`)
	s.mail("b@kunde.example")
	s.db.Exec(t, `UPDATE {db}.outbox SET held = 1 WHERE id = 2`)
	s.mail("c@kunde.example")
	s.db.Exec(t, `UPDATE {db}.outbox SET state = 'cancelled' WHERE id = 3`)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, account) VALUES ('d@kunde.example', 'resting')`)
	s.mail("e@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited)+"\n  resting: "+s.account(unlimited+", active: false"), ""), "one")
	s.awaitRows("1 queued 0", "2 queued 0", "3 cancelled 0", "4 queued 0", "5 sent 1")
	s.db.Exec(t, `UPDATE {db}.outbox SET send_after = NULL, available_at = UTC_TIMESTAMP(6), held = 0 WHERE id < 3`)
	s.awaitRows("1 sent 1", "2 sent 1", "3 cancelled 0", "4 queued 0", "5 sent 1")
	s.reload(s.file("  main: "+s.account(unlimited)+"\n  resting: "+s.account(unlimited), ""))
	s.awaitRows("1 sent 1", "2 sent 1", "3 cancelled 0", "4 sent 1", "5 sent 1")
}

// TestExpired: also while the account is ill, and also rows that come after their time.
func TestExpired(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.smtp.Down()
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, expires_at) VALUES ('a@kunde.example', NOW() - INTERVAL 1 MINUTE), ('b@kunde.example', NOW() + INTERVAL 1 HOUR)`)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 expired 0", "2 queued 0")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, expires_at) VALUES ('c@kunde.example', NOW() - INTERVAL 10 MINUTE)`)
	s.awaitRows("1 expired 0", "2 queued 0", "3 expired 0")
	if text := s.db.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = 3`); !strings.Contains(text, "expires_at") {
		t.Errorf("last_error: %s", text)
	}
}

// TestP4_PoisonousRows: each fails with its reason, and the next one goes on.
func TestP4_PoisonousRows(t *testing.T) {
	s := newSite(t)
	const to = "'a@kunde.example'"
	bad := []struct{ columns, values, want string }{
		{"recipients", "'a@kunde.example\x00'", "recipients"},
		{"recipients", "REPEAT('a', 60000)", "recipients"},
		{"recipients", "''", "recipients"},
		{"recipients, cc", to + ", 'b@kunde.example\x01'", "cc"},
		{"recipients, bcc", to + ", '<<>>'", "bcc"},
		{"recipients, reply_to", to + ", 'x\r\nBcc: y@kunde.example'", "reply_to"},
		{"recipients, from_address", to + ", 'x@acme.example\r\nX: y'", "from_address"},
		{"recipients, from_address", to + ", 'nobody'", "from_address"},
		{"recipients, from_address", to + ", 'x@elsewhere.example'", "may send as @elsewhere.example"},
		{"recipients, account", to + ", 'nobody'", `account "nobody"`},
		{"recipients, account", to + ", 'ma\x00in'", "account"},
		{"recipients, subject", to + ", REPEAT('x', 60000)", "subject"},
		{"recipients, headers", to + `, '{"Bcc": "y@kunde.example"}'`, "headers"},
		{"recipients, headers", to + `, '{"X-A": "b\\r\\nBcc: y@kunde.example"}'`, "headers"},
		{"recipients, headers", to + `, '[1]'`, "headers"},
	}
	for _, b := range bad {
		s.db.Exec(t, `INSERT INTO {db}.outbox (`+b.columns+`) VALUES (`+b.values+`)`)
	}
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, body_text, body_html) VALUES ('a@kunde.example', REPEAT('x', 15000000), REPEAT('<p>y</p>', 1800000))`)
	s.mails(5)
	s.start(s.with("  main: "+s.account(unlimited+", sender_domains: [acme.example], max_size: 20MB"), "", "accounts: [main]"), "one")
	s.await("5", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent'`)
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state IN ('queued', 'sending')`)
	for i, b := range bad {
		got := s.db.Read(t, `SELECT CONCAT_WS(' ', state, attempts, last_error) FROM {db}.outbox WHERE id = ?`, i+1)
		if !strings.HasPrefix(got, "failed 1 ") || !strings.Contains(got, b.want) {
			t.Errorf("%s %.60q: %.200s", b.columns, b.values, got)
		}
	}
	if got := s.db.Read(t, `SELECT CONCAT_WS(' ', state, last_error) FROM {db}.outbox WHERE size > 1000000`); !strings.HasPrefix(got, "failed ") || !strings.Contains(got, "max_size") {
		t.Errorf("the large row: %.200s", got)
	}
	if n := s.smtp.Counts().Transactions; n != 5 {
		t.Errorf("%d transactions, want 5", n)
	}
}

// TestP4_LargeRows: bodies that are together larger than a packet of the database still go.
func TestP4_LargeRows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, body_text, body_html) VALUES ('a@kunde.example', REPEAT(REPEAT('x', 60), 150000), REPEAT('<p>y</p>', 1100000))`)
	s.mails(5)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.await("6", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1`)
}

// TestP4_OneBadSenderInARoute: rows that may go stand in the same route as one that may not.
func TestP4_OneBadSenderInARoute(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, account, from_address) VALUES ('a@kunde.example', 'main', 'x@elsewhere.example')`)
	s.mailsVia(250, "main")
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE id = 1`)
	s.start(s.file("  main: "+s.account(unlimited+", sender_domains: [acme.example]"), ""), "one")
	s.await("250", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND attempts = 1 AND claims = 1`)
	s.await("failed", `SELECT state FROM {db}.outbox WHERE id = 1`)
}

// TestRoutesOfOneHash: two accounts whose names the route cannot tell apart.
func TestRoutesOfOneHash(t *testing.T) {
	s := newSite(t)
	a, b := namesOfOneHash()
	s.mailsVia(3, a)
	s.mailsVia(3, b)
	other := newSite(t)
	s.start(s.file("  "+a+": "+s.account(unlimited)+"\n  "+b+": "+accountOn("localhost", other.smtp, unlimited), ""), "one")
	s.await("6", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND sent_via = account`)
	if n, m := len(s.smtp.Messages()), len(other.smtp.Messages()); n != 3 || m != 3 {
		t.Errorf("%d and %d messages", n, m)
	}
}

// namesOfOneHash finds two names that have the same CRC-32.
func namesOfOneHash() (a, b string) {
	seen := map[uint32]string{}
	for i := 0; ; i++ {
		name := fmt.Sprintf("a%dz%d", i, i*7919)
		hash := crc32.ChecksumIEEE([]byte(name))
		if other, ok := seen[hash]; ok {
			return other, name
		}
		seen[hash] = name
	}
}
