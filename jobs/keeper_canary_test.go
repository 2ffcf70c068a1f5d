package jobs_test

import (
	"fmt"
	"testing"

	"outboxd/db"
)

// A run that is stopped while its first mails are waited for, and resumed, is judged by them as if it had not been stopped.
func TestCanaryOfARunThatWasStoppedAndResumed(t *testing.T) {
	t.Parallel()
	for stopAbove, want := range map[string]string{"15%": "stopped 20 8 2 0 0", "50%": "done 20 18 2 0 0"} {
		t.Run(stopAbove, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.customers(20)
			for i := range 2 {
				s.smtp.On(rcpt(fmt.Sprintf("c%d@kunde.example", i+1), "550 5.1.1 no such user"))
			}
			text := s.mailingFile("canary: {first: 10, wait: 1h, stop_above: " + stopAbove + "}")
			s.begin(text)
			s.start(text, "one")
			s.await("sending 20 8 2 0 0", runSum)
			s.change(text, db.RunChange{State: db.RunStopped, From: []db.RunState{db.RunSending}})
			s.await("1", `SELECT released_id > 0 FROM {db}.outbox_run`) // all are held
			s.change(text, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunStopped}})
			s.db.Exec(t, `UPDATE {db}.outbox SET updated_at = updated_at - INTERVAL 2 HOUR WHERE sent_at IS NOT NULL OR state = 'failed'`)
			s.await(want, runSum)
		})
	}
}

// First mails that were deleted by hand keep nobody waiting for ever.
func TestCanaryOfARunWhoseFirstMailsWereDeleted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(6)
	text := s.mailingFile("canary: {first: 3, wait: 1s, stop_above: 15%}, approval: {by: [jan]}")
	s.begin(text)
	s.start(text, "one")
	s.await("held", runState)
	s.db.Exec(t, `UPDATE {db}.outbox SET send_after = UTC_TIMESTAMP(6) + INTERVAL 1 DAY WHERE id <= 3`)
	s.db.Exec(t, `UPDATE {db}.outbox_run SET approved_by = USER()`)
	s.await("3", `SELECT released FROM {db}.outbox_run`)
	s.db.Exec(t, `DELETE FROM {db}.outbox WHERE id <= 3`)
	s.await("done 6 3 0 0 0", runSum)
}
