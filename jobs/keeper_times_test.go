package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs"
)

// clockAt is a clock that shows a time now and goes on.
func clockAt(text string) func() time.Time {
	shown, err := time.Parse(time.DateTime, text)
	if err != nil {
		panic(err)
	}
	begun := time.Now()
	return func() time.Time { return shown.Add(time.Since(begun)) }
}

// ran notes that the job ran last at a time.
func (s *site) ran(wall string) {
	s.t.Helper()
	s.db.Exec(s.t, `INSERT INTO {db}.outbox_run (job, kind, scheduled_at, state, daemon) VALUES ('statements', 'mailing', ?, 'done', 'here')`, wall)
}

const runTimes = `SELECT GROUP_CONCAT(CONCAT(DATE_FORMAT(scheduled_at, '%m-%d %H:%i'), ' ', state) ORDER BY scheduled_at SEPARATOR ', ') FROM {db}.outbox_run`

// P7: three daemons that are there at the minute of the schedule make one run of it, and mail each recipient once.
func TestP7_ThreeDaemonsMakeOneRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(300)
	s.now = clockAt("2026-11-01 07:59:58")
	text := s.mailingFile(`schedule: "0 8 1 * *"`)
	s.ran("2026-10-01 08:00:00")
	for i := range 3 {
		s.start(text, fmt.Sprint("daemon ", i))
	}
	s.await("done 300 300 0 0 0", runSum)
	s.await("10-01 08:00 done, 11-01 08:00 done", runTimes)
	s.onceEach(300)
	for event, want := range map[string]int{"run_started": 1, "run_enqueued": 1, "run_closed": 1} {
		if n := s.events(event); n != want {
			t.Errorf("event %s came %d times", event, n)
		}
	}
}

// P7: with the server off from the 31st to the 2nd the mailing of the 1st follows its policy.
func TestP7_ServerOffFollowsThePolicy(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]string{
		"missed: run":               "10-01 08:00 done, 11-01 08:00 done",
		"missed: run, late_by: 12h": "10-01 08:00 done, 11-01 08:00 skipped",
		"missed: run, late_by: 48h": "10-01 08:00 done, 11-01 08:00 done",
		"missed: skip":              "10-01 08:00 done, 11-01 08:00 skipped",
		"missed: ask":               "10-01 08:00 done, 11-01 08:00 asked",
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.customers(3)
			text := s.mailingFile(`schedule: "0 8 1 * *", ` + policy)
			s.ran("2026-10-01 08:00:00")
			s.now = clockAt("2026-10-31 12:00:00")
			s.start(text, "one")
			s.end()
			s.now = clockAt("2026-11-02 12:00:00")
			s.start(text, "one")
			s.await(want, runTimes)
			switch {
			case strings.HasSuffix(want, "done"):
				s.messages(3)
			case strings.HasSuffix(want, "skipped"):
				s.awaitEvent("alert", 1)
				if text := fmt.Sprint(s.logs.FilterMessage("alert").All()[0].ContextMap()); !strings.Contains(text, `outboxd mailing start --job acme/statements --at "2026-11-01 08:00"`) {
					t.Error(text)
				}
			default:
				s.awaitEvent("alert", 1)
				if text := fmt.Sprint(s.logs.FilterMessage("alert").All()[0].ContextMap()); !strings.Contains(text, "outboxd mailing resume acme/2") {
					t.Error(text)
				}
				s.change(text, db.RunChange{State: db.RunRunning, From: []db.RunState{db.RunAsked}})
				s.await("done 3 3 0 0 0", runSum)
				s.awaitEvent("alert", 2)
			}
		})
	}
}

// P7: a run that a person starts while no daemon is there hides no time that was missed, and a time that was left out is run by naming it.
func TestP7_StartedByHandWhileNoDaemonIsThere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	text := s.mailingFile(`schedule: "0 8 1 * *", missed: skip`)
	s.ran("2026-10-01 08:00:00")
	s.db.Exec(t, `INSERT INTO {db}.outbox_run (job, kind, scheduled_at, state, daemon, started_by) VALUES ('statements', 'mailing', '2026-11-02 10:00:00', 'done', 'here', 'eva')`)
	s.now = clockAt("2026-11-02 12:00:00")
	d := s.start(text, "one")
	s.await("10-01 08:00 done, 11-01 08:00 skipped, 11-02 10:00 done", runTimes)
	reply, err := d.engine.Desk().MailingStart(t.Context(), jobs.MailingStartRequest{By: jobs.By{Actor: "eva(1000)"}, Job: "statements", At: "2026-11-01 08:00"})
	if err != nil || reply.StartedBy != "eva" {
		t.Fatal(reply, err)
	}
	s.await("10-01 08:00 done, 11-01 08:00 done, 11-02 10:00 done", runTimes)
	s.messages(3)
	if _, err := d.engine.Desk().MailingStart(t.Context(), jobs.MailingStartRequest{By: jobs.By{Actor: "eva(1000)"}, Job: "statements", At: "2026-11-01 08:00"}); err == nil {
		t.Error("a time was run twice")
	}
}

// P7: November's run, held on 30 October as the 1st is a holiday, mails November's statements to those who had October's on the 1st.
func TestP7_AHolidayMovesTheDayAndNotThePeriod(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	s.db.Exec(t, `INSERT INTO {db}.outbox_key (kind, value, period, outbox_id, at) SELECT 'statements', id, '2026-10', id, '2026-10-01 08:00:00' FROM {db}.customer`)
	s.now = clockAt("2026-10-30 07:59:58")
	text := strings.Replace(s.mailingFile(`schedule: "0 8 1 * *", shift: previous, once_per: month`), "    accounts: [main, system]\n", "    accounts: [main, system]\n    holidays: [2026-11-01]\n", 1)
	s.ran("2026-10-01 08:00:00")
	s.start(text, "one")
	s.await("done 3 3 0 0 0", runSum)
	s.await("10-01 08:00 done, 10-30 08:00 done", runTimes)
	s.await("2026-11", `SELECT period FROM {db}.outbox_run ORDER BY id DESC LIMIT 1`)
	s.onceEach(3)
}

// P8: in a copy of the database no run begins or goes on; once it is adopted, runs that were open are stopped and those that were due are
// skipped, until a person resumes.
func TestP8_NoMailingFiresInACopy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.state = t.TempDir()
	s.customers(3)
	text := s.mailingFile(`schedule: "0 8 1 * *", approval: {by: [jan], within: 1h, else: go}`)
	s.ran("2026-10-01 08:00:00")
	s.now = clockAt("2026-11-01 08:00:01")
	s.start(text, "one")
	s.await("held", runState)
	s.mail("one@kunde.example")
	s.await("sent", `SELECT state FROM {db}.outbox WHERE recipients = 'one@kunde.example'`) // beside the proofs
	s.end()
	dump := s.dump("_dump")
	s.start(text, "one")
	s.mail("two@kunde.example")
	s.await("sent", `SELECT state FROM {db}.outbox WHERE recipients = 'two@kunde.example'`)
	s.end()
	s.restore(dump)

	s.db.Exec(t, `UPDATE {db}.outbox_run SET decide_until = decide_until - INTERVAL 2 HOUR WHERE state = 'held'`)
	s.now = clockAt("2026-12-01 08:00:01") // another time is due
	d := s.start(text, "one")
	s.awaitEvent("fenced", 1)
	const before = "10-01 08:00 done, 11-01 08:00 held"
	if got := s.db.Read(t, runTimes); got != before {
		t.Errorf("runs %s, want %s", got, before)
	}
	reply, err := d.engine.Desk().Adopt(t.Context(), jobs.AdoptRequest{By: jobs.By{Actor: "eva(1000)"}, Company: "acme"})
	if err != nil || reply.Stopped != 1 || reply.Runs != 1 {
		t.Fatalf("%+v, %v", reply, err)
	}
	s.awaitEvent("unfenced", 1)
	s.await("10-01 08:00 done, 11-01 08:00 stopped, 12-01 08:00 skipped", runTimes)
	s.change(text, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunStopped}})
	s.await("10-01 08:00 done, 11-01 08:00 held, 12-01 08:00 skipped", runTimes) // it was never approved
	s.db.Exec(t, `UPDATE {db}.outbox_run SET approved_by = USER() WHERE state = 'held'`)
	s.await("10-01 08:00 done, 11-01 08:00 done, 12-01 08:00 skipped", runTimes)
	for i := range 3 {
		if n := s.got(fmt.Sprintf("c%d@kunde.example", i+1)); n != 1 {
			t.Errorf("c%d got it %d times", i+1, n)
		}
	}
}
