package jobs_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// several is a jobs.yaml of acme and of n more companies, each with a database of its own on the same server.
func (s *site) several(n int) (text string, more []*dbtest.Database) {
	s.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%scontrol: {server: main, database: %s}\naccounts:\n  main: %s\ncompanies:\n", s.servers(""), s.db.Name, s.account(unlimited))
	fmt.Fprintf(&b, "  acme: {server: main, database: %s, jobs: {send: {kind: deliver, poll: 100ms}}}\n", s.db.Name)
	for i := range n {
		d := dbtest.New(s.t)
		more = append(more, d)
		fmt.Fprintf(&b, "  c%d: {server: main, database: %s, jobs: {send: {kind: deliver, poll: 100ms}}}\n", i, d.Name)
	}
	return b.String(), more
}

// asleep waits until the engine asks for all of its companies together.
func (s *site) asleep(companies int) {
	s.t.Helper()
	if !until(waitMost, func() bool { return s.engine.Idle() == companies }) {
		s.t.Fatalf("%d of %d companies are idle", s.engine.Idle(), companies)
	}
}

const sendOne = `INSERT INTO {db}.outbox (recipients, subject, body_text) VALUES ('a@kunde.example', 'x', 'x')`

func TestIdleCompaniesAreAskedForTogether(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	text, more := s.several(24) // more than one statement asks for
	s.start(text, "one")
	s.asleep(25)
	for _, d := range more {
		d.Exec(t, sendOne)
	}
	s.messages(24)
	for _, d := range more {
		if !until(waitMost, func() bool { return d.Read(t, `SELECT state FROM {db}.outbox`) == "sent" }) {
			t.Errorf("%s: the mail is not sent", d.Name)
		}
	}
	s.asleep(25)
	// Another daemon's row, whose lease is over.
	more[0].Exec(t, `INSERT INTO {db}.outbox (recipients, state, lease_until, lease_token) VALUES ('b@kunde.example', 'sending', UTC_TIMESTAMP(6), 'aaaaaaaa-1')`)
	s.messages(25)
}

// TestRowsThatWaitForTheirTimeKeepNobodyAwake: and are seen when it comes.
func TestRowsThatWaitForTheirTimeKeepNobodyAwake(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	text, more := s.several(1)
	for _, from := range []string{"a@acme.example", "b@beta.example", "c@gamma.example"} {
		more[0].Exec(t, `INSERT INTO {db}.outbox (recipients, from_address, send_after) VALUES ('r@kunde.example', ?, UTC_TIMESTAMP() + INTERVAL 1 DAY)`, from)
	}
	s.start(text, "one")
	s.asleep(2)
	more[0].Exec(t, sendOne) // a route between or beside the others
	s.messages(1)
	s.asleep(2)
	for i := range 3 { // the lowest, the highest and the one between
		more[0].Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6) WHERE id = ?`, i+1)
		s.messages(i + 2)
		s.asleep(2)
	}
	more[0].Exec(t, `INSERT INTO {db}.outbox (recipients, from_address, send_after) VALUES ('r@kunde.example', 'a@acme.example', UTC_TIMESTAMP(6) + INTERVAL 1 SECOND)`)
	s.messages(5)
	more[0].Exec(t, `INSERT INTO {db}.outbox (recipients, state, lease_until, lease_token) VALUES ('b@kunde.example', 'sending', UTC_TIMESTAMP(6), 'aaaaaaaa-1')`)
	s.messages(6)
}

// TestP6_BrokenCompanyAmongIdleOnes: the statement that asks for all of them fails, and nobody but the broken one notices.
func TestP6_BrokenCompanyAmongIdleOnes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	text, more := s.several(3)
	s.start(text, "one")
	s.asleep(4)
	more[1].Exec(t, `RENAME TABLE {db}.outbox TO {db}.outbox_gone`)
	s.awaitEvent("company_down", 1)
	s.asleep(3)
	s.mail("a@kunde.example")
	more[0].Exec(t, sendOne)
	more[2].Exec(t, sendOne)
	s.messages(3)
	if n := s.events("company_down"); n != 1 {
		t.Errorf("%d companies were down, want 1", n)
	}
	more[1].Exec(t, `RENAME TABLE {db}.outbox_gone TO {db}.outbox`)
	s.awaitEvent("company_up", 1)
	s.asleep(4)
	more[1].Exec(t, sendOne)
	s.messages(4)
}

// TestP6_HangingCompanyAmongIdleOnes: a table that somebody has locked keeps the others for one look at most.
func TestP6_HangingCompanyAmongIdleOnes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	text, more := s.several(2)
	s.start(text, "one")
	s.asleep(3)
	unlock := lockOutbox(t, more[0])
	s.asleep(2)
	s.mail("a@kunde.example")
	more[1].Exec(t, sendOne)
	s.messages(2)
	unlock()
	more[0].Exec(t, sendOne)
	s.messages(3)
	s.asleep(3)
}

// lockOutbox keeps everybody from a company's outbox, as a change of the table does, until unlock or the test's end.
func lockOutbox(t *testing.T, d *dbtest.Database) (unlock func()) {
	t.Helper()
	pool, err := db.Open(d.Server)
	if err != nil {
		t.Fatal(err)
	}
	unlock = sync.OnceFunc(func() { _ = pool.Close() }) // ends the session, and with it the lock
	t.Cleanup(unlock)
	if err := pool.Exec(t.Context(), "LOCK TABLES "+d.Name+".outbox WRITE"); err != nil {
		t.Fatal(err)
	}
	return unlock
}
