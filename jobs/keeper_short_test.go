package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/jobs"
)

// A run that does not know one of its mails any more finds it in the outbox. One whose mail is nowhere does not end as done: a person is told, and
// ends it by a command.
func TestRunOfWhichARowWasRemoved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(4)
	text := s.mailingFile("approval: {by: [jan], within: 8h}")
	s.begin(text)
	d := s.start(text, "one")
	s.await("held", runState)
	s.db.Exec(t, `DELETE FROM {db}.outbox_run_mail WHERE outbox_id IN (2, 3)`)
	s.db.Exec(t, `DELETE FROM {db}.outbox WHERE id = 3`)
	s.db.Exec(t, `UPDATE {db}.outbox_run SET approved_by = USER()`)
	s.await("1", `SELECT note LIKE 'approved by jan. does not add up: the audience had 4 rows, and 3 mails have an end%' FROM {db}.outbox_run`)
	s.await("sending 4 3 0 0 0", runSum)
	s.awaitEvent("run_refound", 1)
	s.awaitEvent("alert", 1)
	const cancel = "outboxd mailing stop acme/1 --cancel"
	if alert := fmt.Sprint(s.logs.FilterMessage("alert").All()[0].ContextMap()); !strings.Contains(alert, cancel) {
		t.Errorf("told %s", alert)
	}
	info, err := d.engine.Desk().MailingStop(t.Context(), jobs.MailingStopRequest{By: jobs.By{Actor: "jan(1001)"}, Run: "acme/1", Cancel: true})
	if err != nil {
		t.Fatal(info, err)
	}
	s.await("cancelled 4 3 0 0 0", runSum)
	if note := s.db.Read(t, runNote); note != "cancelled by jan. The counts do not add up: 3 sent = 3, and the audience had 4 mails. What became of 1 nobody knows: outbox_run_mail or outbox_run was changed by hand" {
		t.Errorf("note %q", note)
	}
	if n := s.got("c2@kunde.example"); n != 1 {
		t.Errorf("the mail that was found again went %d times", n)
	}
}

// A run that is cancelled, of whose mails some are nowhere, ends at once.
func TestCancelledRunOfWhichARowWasRemoved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	text := s.mailingFile("approval: {by: [jan]}")
	s.begin(text)
	s.start(text, "one")
	s.await("held", runState)
	s.db.Exec(t, `DELETE FROM {db}.outbox_run_mail`)
	s.db.Exec(t, `DELETE FROM {db}.outbox WHERE id = 2`)
	s.change(text, db.RunChange{State: db.RunCancelling, EndsAs: db.RunCancelled, Note: "cancelled by jan"})
	s.await("cancelled 3 0 0 0 2", runSum)
	s.await("1 cancelled 0, 3 cancelled 0", runHeld)
}

// A run is not closed as if all were well when somebody's hand has made it one that does not add up.
func TestRunThatDoesNotAddUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	text := s.mailingFile("approval: {by: [jan]}")
	s.begin(text)
	s.start(text, "one")
	s.await("held", runState)
	s.db.Exec(t, `UPDATE {db}.outbox_run SET audience = 4, approved_by = USER()`)
	s.awaitEvent("alert", 1)
	s.await("sending 4 3 0 0 0", runSum)
	if note := s.db.Read(t, runNote); !strings.Contains(note, "does not add up: the audience had 4 rows, and 3 mails have an end") {
		t.Errorf("note %q", note)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_run SET audience = 3`)
	s.await("done 3 3 0 0 0", runSum)
	if n := s.events("alert"); n != 1 {
		t.Errorf("told %d times", n)
	}
}
