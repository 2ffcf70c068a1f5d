package jobs_test

import (
	"strings"
	"testing"
	"time"

	"outboxd/db/dbtest"
	"outboxd/jobs"
)

// While the user that reads audiences cannot be used a run waits, a person is told, and it goes on by itself.
func TestRunWaitsForItsReader(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	s.patience = time.Second
	user := "r" + s.db.Name[len(s.db.Name)-12:]
	text := strings.Replace(s.mailingFile(""), "    people:", "    reader: {username: "+user+"}\n    people:", 1)
	s.begin(text)
	d := s.start(text, "one")
	s.awaitEvent("reader_down", 1)
	s.await("running 1", `SELECT CONCAT(state, ' ', note LIKE 'waits: %Access denied%') FROM {db}.outbox_run`)
	list, err := d.engine.Desk().MailingList(t.Context(), jobs.MailingListRequest{})
	if err != nil || len(list.Runs) != 1 || !strings.Contains(list.Runs[0].Waits, "0 rows so far: ") || !strings.Contains(list.Runs[0].Waits, "Access denied") {
		t.Errorf("a person is told %+v %v", list.Runs, err)
	}
	s.db.Exec(t, "CREATE USER "+user)
	t.Cleanup(func() { s.db.Exec(t, "DROP USER "+user) })
	s.db.Exec(t, "GRANT SELECT ON {db}.customer TO "+user)
	s.await("done 3 3 0 0 0", runSum)
	s.awaitEvent("reader_up", 1)
	if note := s.db.Read(t, runNote); strings.Contains(note, "Access denied") {
		t.Errorf("afterwards: %q", note)
	}
}

// A database that dies while rows are made is waited for: the run goes on, and nobody is enqueued twice.
func TestRunOutlivesItsDatabase(t *testing.T) {
	t.Parallel()
	server := dbtest.Own(t, dbtest.Options{})
	s := newSite(t)
	s.db = dbtest.On(t, server.Server)
	s.customers(4000)
	text := s.mailingFile("approval: {by: [jan]}")
	s.begin(text)
	s.start(text, "one")
	for _, reached := range []string{"1000", "2000"} {
		s.await("1", `SELECT enqueued >= `+reached+` FROM {db}.outbox_run`)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	s.await("held", runState)
	s.await("4000 4000 4000", `SELECT CONCAT_WS(' ', COUNT(*), COUNT(DISTINCT identity), (SELECT enqueued FROM {db}.outbox_run)) FROM {db}.outbox_run_mail`)
	s.await("4000", `SELECT COUNT(DISTINCT recipients) FROM {db}.outbox WHERE run_id IS NOT NULL AND state = 'queued' AND held = 2`)
}
