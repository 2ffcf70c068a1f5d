package jobs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"outboxd/mail/smtptest"
)

// envelopes lists the recipients of each accepted message.
func (s *site) envelopes() []string {
	var all []string
	for _, m := range s.smtp.Messages() {
		all = append(all, strings.Join(m.To, " "))
	}
	return all
}

func TestPartialRefusalRetriesTheRest(t *testing.T) {
	s := newSite(t)
	later := rcpt("b@kunde.example", "450 4.2.0 greylisted")
	later.Times = 1
	s.smtp.On(later)
	s.smtp.On(rcpt("gone@kunde.example", "550 5.1.1 no such user"))
	s.mail("a@kunde.example, b@kunde.example, gone@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 queued 1")
	states := `SELECT GROUP_CONCAT(state ORDER BY position) FROM {db}.outbox_recipient`
	if got := s.db.Read(t, states); got != "accepted,open,failed" {
		t.Errorf("recipients are %s", got)
	}
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6)`)
	s.awaitRows("1 partial 2")
	if got := s.db.Read(t, states); got != "accepted,accepted,failed" {
		t.Errorf("recipients are %s", got)
	}
	if got := s.envelopes(); !slices.Equal(got, []string{"a@kunde.example", "b@kunde.example"}) {
		t.Errorf("sent to %q", got)
	}
}

// What cannot be made any more when it is tried again has been sent to those who have it.
func TestMailThatSomeHaveFailsForTheRest(t *testing.T) {
	s := newSite(t)
	s.smtp.On(rcpt("b@kunde.example", "450 4.2.0 greylisted"))
	s.mail("a@kunde.example, b@kunde.example")
	s.mail("b@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 queued 1", "2 queued 1")
	s.db.Exec(t, `INSERT INTO {db}.outbox_attachment (outbox_id, name, hash) SELECT id, 'terms.pdf', REPEAT('0', 64) FROM {db}.outbox`)
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6)`)
	s.awaitRows("1 partial 2", "2 failed 2")
	if got := s.db.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', r.address, r.state, r.last_error = o.last_error) ORDER BY position) FROM {db}.outbox_recipient r JOIN {db}.outbox o ON o.id = r.outbox_id`); got != "a@kunde.example accepted,b@kunde.example failed 1" {
		t.Errorf("recipients are %s", got)
	}
}

func TestAllRecipientsRefused(t *testing.T) {
	s := newSite(t)
	s.smtp.On(smtptest.Rule{Step: smtptest.StepRcpt, Do: smtptest.Reply("550 5.1.1 no such user")})
	s.mail("a@kunde.example, b@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 failed 1")
	if text := s.db.Read(t, `SELECT last_error FROM {db}.outbox`); !strings.HasPrefix(text, "2 of 2 recipients, first a@kunde.example") {
		t.Errorf("last_error: %s", text)
	}
	if n := s.smtp.Counts().Data; n != 0 {
		t.Errorf("%d DATA", n)
	}
}

func TestToCcBcc(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, cc, bcc, subject, body_text)
		VALUES ('Eva <eva@kunde.example>, EVA@Kunde.example', 'jan@kunde.example; eva@kunde.example', 'boss@acme.example', 'x', 'x')`)
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 sent 1")
	m := s.smtp.Messages()[0]
	if want := []string{"eva@kunde.example", "EVA@kunde.example", "jan@kunde.example", "boss@acme.example"}; !slices.Equal(m.To, want) {
		t.Errorf("sent to %q, want %q", m.To, want)
	}
	data := string(m.Data)
	if strings.Contains(data, "boss") || strings.Contains(strings.ToLower(data), "bcc") {
		t.Errorf("the hidden recipient shows:\n%s", data)
	}
	if !strings.Contains(data, "jan@kunde.example") {
		t.Errorf("the copy's recipient does not show:\n%s", data)
	}
}

func TestTooManyRecipients(t *testing.T) {
	s := newSite(t)
	var list []string
	for i := range 101 {
		list = append(list, fmt.Sprintf("r%d@kunde.example", i))
	}
	s.mail(strings.Join(list, "\n"))
	s.mail(strings.Join(list[1:], "\n"))
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 failed 1", "2 sent 1")
	if text := s.db.Read(t, `SELECT last_error FROM {db}.outbox WHERE id = 1`); !strings.Contains(text, "101 addresses") || !strings.Contains(text, "at most 100") {
		t.Errorf("last_error: %s", text)
	}
}

// TestServerTakesFewRecipients: what is over the server's own limit goes in further transactions, at once.
func TestServerTakesFewRecipients(t *testing.T) {
	s := newSite(t)
	for transaction := range 3 {
		s.smtp.On(smtptest.Rule{Step: smtptest.StepRcpt, Transaction: transaction + 1, Skip: 2, Do: smtptest.Reply("452 4.5.3 too many recipients")})
	}
	s.mail("a@kunde.example, b@kunde.example, c@kunde.example, d@kunde.example, e@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 sent 3")
	want := []string{"a@kunde.example b@kunde.example", "c@kunde.example d@kunde.example", "e@kunde.example"}
	if got := s.envelopes(); !slices.Equal(got, want) {
		t.Errorf("sent to %q, want %q", got, want)
	}
	if n := len(s.smtp.Ledger()); n != 1 {
		t.Errorf("%d Message-IDs, want 1", n)
	}
}

// TestP2_UncertainRecipientIsNotTriedWithTheOthers: one recipient waits for the server's own trouble, the other may have the
// mail. The next try is for the first alone.
func TestP2_UncertainRecipientIsNotTriedWithTheOthers(t *testing.T) {
	s := newSite(t)
	busy := rcpt("busy@kunde.example", "451 4.7.500 Server busy. Please try again later")
	busy.Times = 1
	s.smtp.On(busy)
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Times: 1, Do: smtptest.LoseReply()})
	s.mail("a@kunde.example, busy@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	states := `SELECT GROUP_CONCAT(state ORDER BY position) FROM {db}.outbox_recipient`
	s.await("uncertain,open", states)
	s.awaitRows("1 queued 1")
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = UTC_TIMESTAMP(6)`)
	s.db.Exec(t, `UPDATE {db}.outbox_bucket SET paused_until = NULL`)
	s.awaitRows("1 uncertain 2")
	if got := s.db.Read(t, states); got != "uncertain,accepted" {
		t.Errorf("recipients are %s", got)
	}
	if got := len(s.smtp.RecipientLedger()["a@kunde.example"].Began); got != 1 {
		t.Errorf("a@kunde.example was sent to %d times", got)
	}
}

// TestP2_RetryByHandKeepsWhoHasIt: a person's retry begins the counters anew, not the recipients that have the mail.
func TestP2_RetryByHandKeepsWhoHasIt(t *testing.T) {
	s := newSite(t)
	gone := rcpt("b@kunde.example", "550 5.1.1 no such user")
	gone.Times = 1
	s.smtp.On(gone)
	s.mail("a@kunde.example, b@kunde.example")
	s.start(s.file("  main: "+s.account(unlimited), ""), "one")
	s.awaitRows("1 partial 1")
	if err := s.db.Store.Retry(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	s.awaitRows("1 sent 1")
	if got := s.envelopes(); !slices.Equal(got, []string{"a@kunde.example", "b@kunde.example"}) {
		t.Errorf("sent to %q", got)
	}
}
