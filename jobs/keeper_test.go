package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/mail/smtptest"
)

// mailingFile is a jobs.yaml with a mailing to all customers, with more keys of the job; system sends what is outboxd's own. The templates are
// rows of outbox_template.
func (s *site) mailingFile(more string) string {
	s.t.Helper()
	return s.servers("") + fmt.Sprintf(`accounts:
  main: %s
  system: %s
companies:
  acme:
    server: main
    database: %s
    accounts: [main, system]
    people:
      eva: {email: eva@acme.example, may: [start], database_user: eva}
      jan: {email: jan@acme.example, may: [start, approve], database_user: root}
    audiences:
      all: "SELECT email AS recipients, id FROM customer ORDER BY id"
    jobs:
      send: {kind: deliver, poll: 100ms, retry: {attempts: 2, first: 1s, max: 1s, give_up_after: 1h}}
      statements: {kind: mailing, audience: {name: all}, template: statement, key: [id], %s}
`, s.account(unlimited), accountOn("localhost", s.smtp, unlimited), s.db.Name, more)
}

// customers makes the table of n customers, c1@kunde.example and so on, and the template.
func (s *site) customers(n int) {
	s.t.Helper()
	s.db.Exec(s.t, `CREATE TABLE {db}.customer (id INT PRIMARY KEY, email VARCHAR(200) NOT NULL, mailed_at DATETIME(6) NULL)`)
	if n > 0 {
		s.db.Exec(s.t, `INSERT INTO {db}.customer (id, email) SELECT seq, CONCAT('c', seq, '@kunde.example') FROM `+dbtest.Numbers(n))
	}
	s.db.Exec(s.t, `INSERT INTO {db}.outbox_template (name, language, subject, text) VALUES ('statement', '', 'Statement {{.id}}', 'Dear customer {{.id}}')`)
}

// begin begins a run of the job, as outboxd mailing start does.
func (s *site) begin(text string) (id uint64) {
	s.t.Helper()
	file := s.write(text)
	conf := file.Companies[0].Jobs.Mailing[0]
	return s.beginSpec(text, mailing.FromJob(file.Companies[0], conf), time.Now())
}

func (s *site) beginSpec(text string, spec mailing.Spec, at time.Time) (id uint64) {
	s.t.Helper()
	w, err := jobs.Open(s.write(text))
	if err != nil {
		s.t.Fatal(err)
	}
	defer w.Close()
	at = jobfile.Wall(at, time.UTC).Truncate(time.Second)
	r, err := w.Companies[0].Store.BeginRun(s.t.Context(), db.NewRun{Job: spec.Job, Kind: spec.Kind, Scheduled: at, State: db.RunRunning,
		Spec: spec.JSON(), Period: spec.Period(at), StartedBy: "eva"}, db.Instance{Host: "test"})
	if err != nil || r == nil {
		s.t.Fatal(r, err)
	}
	return r.ID
}

const (
	runState = `SELECT state FROM {db}.outbox_run ORDER BY id DESC LIMIT 1`
	runSum   = `SELECT CONCAT_WS(' ', state, audience, sent, failed, skipped, cancelled) FROM {db}.outbox_run ORDER BY id DESC LIMIT 1`
	runNote  = `SELECT note FROM {db}.outbox_run ORDER BY id DESC LIMIT 1`
	runHeld  = `SELECT GROUP_CONCAT(CONCAT_WS(' ', id, state, held) ORDER BY id SEPARATOR ', ') FROM {db}.outbox WHERE run_id IS NOT NULL`
)

// got counts the mails that the server has accepted to an address.
func (s *site) got(address string) (n int) {
	for _, m := range s.smtp.Messages() {
		for _, to := range m.To {
			if to == address {
				n++
			}
		}
	}
	return n
}

func TestRunOfAMailing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(5)
	s.db.Exec(t, `UPDATE {db}.customer SET email = 'nobody' WHERE id = 3`)
	s.smtp.On(rcpt("c5@kunde.example", "550 5.1.1 no such user"))
	text := s.mailingFile("once_per: month")
	s.begin(text)
	s.start(text, "one")
	s.await("done 5 3 1 1 0", runSum)
	s.await("The counts add up: 3 sent + 1 failed + 1 skipped = 5, the rows of the audience. Every one has an end", runNote)
	if m := s.smtp.Messages(); len(m) != 3 || !strings.Contains(string(m[0].Data), "Dear customer ") {
		t.Errorf("%d messages", len(m))
	}
	for _, event := range []string{"run_enqueued", "run_released", "run_closed"} {
		if n := s.events(event); n != 1 {
			t.Errorf("event %s came %d times", event, n)
		}
	}
	// Another run of the month mails those that were not mailed, and nobody else.
	s.db.Exec(t, `UPDATE {db}.customer SET email = 'c3@kunde.example' WHERE id = 3`)
	s.smtp.ClearScript()
	s.beginSpec(text, mailing.FromJob(s.write(text).Companies[0], s.write(text).Companies[0].Jobs.Mailing[0]), time.Now().Add(time.Second))
	s.await("done 5 2 0 3 0", runSum)
	for i := range 5 {
		if n := s.got(fmt.Sprintf("c%d@kunde.example", i+1)); n != 1 {
			t.Errorf("c%d got it %d times", i+1, n)
		}
	}
}

// P10: what is wrong with an audience or a template ends the run with cause and remedy, before any mail has gone.
func TestRunThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ audience, template, note string }{
		"wrong SQL":     {"SELECT email AS recipients, nothing FROM customer", "", "nothing"},
		"no address":    {"SELECT id, email FROM customer", "", "recipients"},
		"writing":       {"UPDATE customer SET email = 'x'", "", "SELECT"},
		"missing value": {"", "Dear {{.name}}", "name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.customers(3)
			if c.template != "" {
				s.db.Exec(t, `UPDATE {db}.outbox_template SET text = ?`, c.template)
			}
			text := s.mailingFile("")
			spec := mailing.FromJob(s.write(text).Companies[0], s.write(text).Companies[0].Jobs.Mailing[0])
			if c.audience != "" {
				spec.Statement = c.audience
			}
			s.beginSpec(text, spec, time.Now())
			s.start(text, "one")
			s.await("failed", runState)
			if note := s.db.Read(t, runNote); !strings.Contains(note, c.note) || strings.Contains(note, "The audience had no rows") {
				t.Errorf("note %q", note)
			}
			s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state <> 'cancelled' AND run_id IS NOT NULL`)
			if n := len(s.smtp.Messages()); n != 0 {
				t.Errorf("%d messages went", n)
			}
			if alert := s.logs.FilterMessage("alert").All(); len(alert) != 1 || !strings.Contains(fmt.Sprint(alert[0].ContextMap()["text"]), c.note) {
				t.Errorf("alerts %v", alert)
			}
		})
	}
}

func TestRunWithAnEmptyAudience(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(0)
	text := s.mailingFile("approval: {by: [jan]}")
	s.begin(text)
	s.start(text, "one")
	s.await("done 0 0 0 0 0", runSum)
	s.await("The audience had no rows", runNote)
}

func TestRunWaitsForAnApprovalBySQL(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	text := s.mailingFile("approval: {by: [jan], within: 8h}")
	s.begin(text)
	s.start(text, "one")
	s.await("held", runState)
	s.await("1 queued 2, 2 queued 2, 3 queued 2", runHeld)
	s.db.Exec(t, `UPDATE {db}.outbox_run SET approved_by = 'eva@localhost'`)
	s.awaitEvent("approval_refused", 1)
	s.await("1", `SELECT approved_by IS NULL FROM {db}.outbox_run`)
	if note := s.db.Read(t, runNote); !strings.Contains(note, "eva@localhost") || !strings.Contains(note, "waits for the approval of jan") {
		t.Errorf("note %q", note)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_run SET approved_by = 'somebody@localhost'`)
	s.awaitEvent("approval_refused", 2)
	if n := s.got("c1@kunde.example"); n != 0 {
		t.Fatal("a mail has gone without an approval")
	}
	s.db.Exec(t, `UPDATE {db}.outbox_run SET approved_by = USER()`)
	s.await("done 3 3 0 0 0", runSum)
	s.await("1", `SELECT approved_at IS NOT NULL AND approved_by LIKE 'root@%' FROM {db}.outbox_run`)
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox_audit WHERE action = 'mailing approve' AND actor LIKE 'root@%'`)
}

func TestRunThatNobodyApproves(t *testing.T) {
	t.Parallel()
	for otherwise, want := range map[string]string{"cancel": "cancelled 3 0 0 0 3", "go": "done 3 3 0 0 0"} {
		t.Run(otherwise, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.customers(3)
			text := s.mailingFile("approval: {by: [jan], within: 1h, else: " + otherwise + "}")
			s.begin(text)
			s.start(text, "one")
			s.await("held", runState)
			s.db.Exec(t, `UPDATE {db}.outbox_run SET decide_until = decide_until - INTERVAL 61 MINUTE`)
			s.await(want, runSum)
			if n := s.events("run_decided"); n != 1 {
				t.Errorf("decided %d times", n)
			}
		})
	}
}

func TestCanaryStopsTheRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(20)
	for i := range 2 {
		s.smtp.On(rcpt(fmt.Sprintf("c%d@kunde.example", i+1), "550 5.1.1 no such user"))
	}
	text := s.mailingFile("canary: {first: 10, wait: 1s, stop_above: 15%}")
	s.begin(text)
	s.start(text, "one")
	s.await("stopped", runState)
	s.await("stopped: of the first 10 mails 2 were refused, more than 15 % (canary)", runNote)
	s.await("10", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND held = 2`)
	s.change(text, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunStopped}})
	s.await("done 20 18 2 0 0", runSum)
}

func TestCanaryThatDoesWell(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(20)
	s.smtp.On(rcpt("c1@kunde.example", "550 5.1.1 no such user"))
	text := s.mailingFile("canary: {first: 10, wait: 1s, stop_above: 15%}")
	s.begin(text)
	s.start(text, "one")
	s.await("done 20 19 1 0 0", runSum)
	if n := s.events("run_released"); n != 2 {
		t.Errorf("released %d times", n)
	}
}

// change changes the open run as a person's command does.
func (s *site) change(text string, c db.RunChange) {
	s.t.Helper()
	w, err := jobs.Open(s.write(text))
	if err != nil {
		s.t.Fatal(err)
	}
	defer w.Close()
	runs, err := w.Companies[0].Store.OpenRuns(s.t.Context())
	if err != nil || len(runs) != 1 {
		s.t.Fatal(runs, err)
	}
	if changed, err := w.Companies[0].Store.ChangeRun(s.t.Context(), runs[0].ID, c); err != nil || !changed {
		s.t.Fatal(changed, err)
	}
}

func TestRunIsStoppedAndResumed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hold, open := s.gate()
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.Action{Wait: hold}})
	s.customers(200)
	text := s.mailingFile("")
	s.begin(text)
	s.start(text, "one")
	s.await("200", `SELECT released FROM {db}.outbox_run`)
	s.change(text, db.RunChange{State: db.RunStopped, From: []db.RunState{db.RunSending}, Note: "stopped by jan"})
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued' AND held = 0`)
	open()
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sending'`)
	sent := len(s.smtp.Messages())
	if sent == 0 || sent == 200 {
		t.Fatalf("%d went before the stop", sent)
	}
	s.change(text, db.RunChange{State: db.RunSending, From: []db.RunState{db.RunStopped}})
	s.await("done 200 200 0 0 0", runSum)
	s.onceEach(200)
}

func TestRunIsCancelled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hold, open := s.gate()
	s.smtp.On(smtptest.Rule{Step: smtptest.StepDot, Do: smtptest.Action{Wait: hold}})
	s.customers(200)
	text := s.mailingFile("")
	s.begin(text)
	s.start(text, "one")
	s.await("200", `SELECT released FROM {db}.outbox_run`)
	s.await("1", `SELECT COUNT(*) > 0 FROM {db}.outbox WHERE state = 'sending'`)
	s.change(text, db.RunChange{State: db.RunCancelling, EndsAs: db.RunCancelled, Note: "cancelled by jan"})
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'queued'`)
	open()
	s.await("cancelled", runState)
	sent := len(s.smtp.Messages())
	s.await(fmt.Sprintf("cancelled 200 %d 0 0 %d", sent, 200-sent), runSum)
	if note := s.db.Read(t, runNote); !strings.HasPrefix(note, "cancelled by jan. The counts add up: ") {
		t.Errorf("note %q", note)
	}
}

// What is enqueued before a restart stays, also when the audience has changed since; the run's note says so.
func TestRunWhoseAudienceChangesInARestart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(50)
	text := s.mailingFile("approval: {by: [jan]}")
	s.begin(text)
	s.start(text, "one")
	s.await("held", runState)
	s.end()
	// As if it had died with its last row.
	s.db.Exec(t, `UPDATE {db}.outbox_run SET state = 'running', audience = NULL, note = NULL, lease_until = NULL`)
	s.db.Exec(t, `DELETE FROM {db}.customer WHERE id BETWEEN 1 AND 10`)
	s.start(text, "one")
	s.await("held", runState)
	s.await("50 50", `SELECT CONCAT_WS(' ', audience, enqueued) FROM {db}.outbox_run`)
	const again = "the audience was read again after a restart and has 40 rows by now"
	if note := s.db.Read(t, runNote); !strings.HasPrefix(note, again) {
		t.Errorf("note %q", note)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_run SET approved_by = USER()`)
	s.await("done 50 50 0 0 0", runSum)
	if note := s.db.Read(t, runNote); !strings.HasPrefix(note, again) || !strings.Contains(note, "The counts add up") || strings.Contains(note, "waits") {
		t.Errorf("note %q", note)
	}
}
