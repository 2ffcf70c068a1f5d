package jobs_test

import (
	"strings"
	"testing"
	"time"

	"outboxd/db/dbtest"
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
	s.start(text, "one")
	s.awaitEvent("reader_down", 1)
	s.await("running", runState)
	s.db.Exec(t, "CREATE USER "+user)
	t.Cleanup(func() { s.db.Exec(t, "DROP USER "+user) })
	s.db.Exec(t, "GRANT SELECT ON {db}.customer TO "+user)
	s.awaitIn(time.Minute, "done 3 3 0 0 0", runSum)
	s.awaitEvent("reader_up", 1)
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
	s.awaitIn(time.Minute, "held", runState)
	s.await("4000 4000 4000", `SELECT CONCAT_WS(' ', COUNT(*), COUNT(DISTINCT identity), (SELECT enqueued FROM {db}.outbox_run)) FROM {db}.outbox_run_mail`)
	s.await("4000", `SELECT COUNT(DISTINCT recipients) FROM {db}.outbox WHERE run_id IS NOT NULL AND state = 'queued' AND held = 2`)
}
