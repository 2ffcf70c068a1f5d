package jobs_test

import (
	"bytes"
	"fmt"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"outboxd/jobs"
	"outboxd/mail/compose/dkim"
	"outboxd/mail/compose/dkim/dkimtest"
	"outboxd/mail/smtptest"
)

// sentAs tells as whom a message went: envelope sender, From, Reply-To, and the domains of Message-ID and signature.
func sentAs(t *testing.T, m smtptest.Message, records map[string]string) string {
	t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Data))
	if err != nil {
		t.Fatal(err)
	}
	h := parsed.Header
	signed := "unsigned"
	for _, part := range strings.Split(h.Get("DKIM-Signature"), ";") {
		if domain, ok := strings.CutPrefix(strings.TrimSpace(part), "d="); ok {
			signed = domain
			want(t, dkimtest.Verify(t, dkimtest.Case{Message: m.Data, Records: records}), "")
		}
	}
	_, id, _ := strings.Cut(strings.Trim(m.MessageID, "<>"), "@")
	decoded := func(name string) string {
		text, err := new(mime.WordDecoder).DecodeHeader(h.Get(name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	return fmt.Sprintf("%s; %s; %s; %s; %s; %s", m.From, decoded("From"), decoded("Reply-To"), id, signed, h.Get("X-Outboxd-From"))
}

// TestSendAsOnTheWire: what receivers see of a person's mail by the general account.
func TestSendAsOnTheWire(t *testing.T) {
	const person = "Eva Nová <eva@acme.example>"
	s := newSite(t)
	records := s.dkimKey("acme.example", dkim.Ed25519)
	text := func(sendAs, from string) string {
		account := strings.Replace(s.account(unlimited), "Acme <noreply@acme.example>", from, 1)
		return s.with("  system: "+account, "", "send_as: "+sendAs) + signedBy("acme.example", "")
	}
	insert := func(columns, values string) {
		s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, from_address, subject`+columns+`) VALUES ('a@kunde.example', ?, 'x'`+values+`)`, person)
	}
	s.start(text("own", "Mailer <noreply@mailer.example>"), "one")
	insert("", "")
	s.messages(1)
	s.reload(text("system", "Mailer <noreply@mailer.example>"))
	insert("", "")
	s.messages(2)
	insert(", reply_to", ", 'team@acme.example'")
	s.messages(3)
	s.reload(text("system", "Acme <noreply@acme.example>"))
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, from_address, subject) VALUES ('a@kunde.example', 'ida@elsewhere.example', 'x')`)
	s.messages(4)
	for i, wanted := range []string{
		"eva@acme.example; Eva Nová <eva@acme.example>; ; acme.example; acme.example; ",
		"noreply@mailer.example; Eva Nová via Mailer <noreply@mailer.example>; Eva Nová <eva@acme.example>; acme.example; unsigned; eva@acme.example",
		"noreply@mailer.example; Eva Nová via Mailer <noreply@mailer.example>; team@acme.example; acme.example; unsigned; eva@acme.example",
		"noreply@acme.example; ida via Acme <noreply@acme.example>; ida@elsewhere.example; elsewhere.example; acme.example; ida@elsewhere.example",
	} {
		if got := sentAs(t, s.smtp.Messages()[i], records); got != wanted {
			t.Errorf("mail %d went as %s\nwant %s", i+1, got, wanted)
		}
	}
	if e := s.logs.FilterMessage("sent").All(); e[0].ContextMap()["as"] != nil || e[1].ContextMap()["as"] != "Eva Nová via Mailer <noreply@mailer.example>" {
		t.Errorf("the log says %v and %v", e[0].ContextMap(), e[1].ContextMap())
	}
}

// TestSendAsNeverChangesAFinishedMessage: under send_as: system one with a person's From fails, and one with the account's goes.
func TestSendAsNeverChangesAFinishedMessage(t *testing.T) {
	s := newSite(t)
	s.start(s.with("  system: "+s.account(unlimited), "", "send_as: system"), "one")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, from_address, raw) VALUES
		('a@kunde.example', 'eva@acme.example', 'From: Eva <eva@acme.example>\nTo: a@kunde.example\nSubject: x\n\nx\n'),
		('b@kunde.example', NULL, 'From: Eva <eva@acme.example>\nTo: a@kunde.example\nSubject: x\n\nx\n'),
		('c@kunde.example', NULL, 'From: Acme <noreply@acme.example>\nTo: a@kunde.example\nSubject: x\n\nx\n')`)
	s.awaitRows("1 failed 1", "2 failed 1", "3 sent 1")
	for id := 1; id <= 2; id++ {
		if got := s.lastError(id); !strings.Contains(got, "its From is eva@acme.example, and send_as: system of the company lets account system send as itself alone") {
			t.Errorf("row %d: %s", id, got)
		}
	}
}

// TestSendAsIsSeenBeforehand in the preview and in the reasons of a row that waits.
func TestSendAsIsSeenBeforehand(t *testing.T) {
	s := newSite(t)
	s.smtp.Down()
	s.start(s.with("  system: "+s.account(unlimited), "", "send_as: system"), "one")
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, from_address) VALUES ('a@kunde.example', 'Eva <eva@acme.example>')`)
	const goes = "It goes out as Eva via Acme <noreply@acme.example>, and answers go to Eva <eva@acme.example> (send_as: system of the company)."
	s.why("1", goes)
	look, err := s.engine.Desk().Preview(t.Context(), jobs.PreviewRequest{Row: "1"})
	if err != nil || !slices.Contains(look.Warnings, goes) || !strings.Contains(string(look.Message), "From: Eva via Acme <noreply@acme.example>\r\n") {
		t.Errorf("the preview is %q with %v, %v", look.Message, look.Warnings, err)
	}
}
