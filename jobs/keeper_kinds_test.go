package jobs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
	"outboxd/jobs/mailing"
)

// withJob is mailingFile with another job in place of the mailing.
func (s *site) withJob(job string) string {
	s.t.Helper()
	text := s.mailingFile("")
	return text[:strings.Index(text, "      statements:")] + "      " + job + "\n"
}

// beginReport begins a run of the report of a jobs.yaml now.
func (s *site) beginReport(text string) {
	s.t.Helper()
	file := s.write(text)
	s.beginSpec(text, mailing.FromReport(file.Companies[0], file.Companies[0].Jobs.Report[0]), time.Now())
}

func TestRunOfAReport(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, query, more, sum string
		mails                  int
	}{
		{"with rows", "SELECT id, email FROM customer", "", "done 1 1 0 0 0", 1},
		{"empty and sent", "SELECT id FROM customer WHERE id < 0", "", "done 1 1 0 0 0", 1},
		{"empty and skipped", "SELECT id FROM customer WHERE id < 0", "if_empty: skip", "done 1 0 0 1 0", 0},
		{"empty and failed", "SELECT id FROM customer WHERE id < 0", "if_empty: fail", "failed 0 0 0 0 0", 0},
		{"wrong", "SELECT nothing FROM customer", "", "failed 0 0 0 0 0", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.customers(3)
			text := s.withJob(fmt.Sprintf(`customers: {kind: report, to: [board@acme.example], subject: "Customers, week {week}", attach: [{name: customers.csv, as: csv, query: %q}], %s}`, c.query, c.more))
			s.beginReport(text)
			s.start(text, "one")
			s.await(c.sum, runSum)
			s.messages(c.mails)
			if n := s.got("board@acme.example"); n != c.mails {
				t.Errorf("the board got it %d times", n)
			}
			if failed := strings.HasPrefix(c.sum, "failed"); (s.events("run_failed") == 1) != failed || (s.events("alert") == 1) != failed {
				t.Errorf("%d failed, %d alerts", s.events("run_failed"), s.events("alert"))
			}
		})
	}
}

func TestJobThatRunsAStatement(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	text := s.withJob(`remind: {kind: sql, schedule: "0 6 * * *", statement: "INSERT INTO outbox (recipients, subject, body_text) SELECT email, 'x', 'x' FROM customer"}`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_run (job, kind, scheduled_at, state, daemon) VALUES ('remind', 'sql', '2026-10-31 06:00:00', 'done', 'here')`)
	s.now = clockAt("2026-11-01 06:00:01")
	for i := range 3 {
		s.start(text, fmt.Sprint("daemon ", i))
	}
	s.await("10-31 06:00 done, 11-01 06:00 done", runTimes)
	s.messages(3)
	s.await("3", `SELECT COUNT(*) FROM {db}.outbox`)
	if n := s.events("run_done"); n != 1 {
		t.Errorf("it ran %d times", n)
	}
}

func TestJobWhoseStatementFails(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	text := s.withJob(`remind: {kind: sql, schedule: "0 6 * * *", statement: "INSERT INTO outbox (recipients, nothing) SELECT email, 'x' FROM customer"}`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_run (job, kind, scheduled_at, state, daemon) VALUES ('remind', 'sql', '2026-10-31 06:00:00', 'done', 'here')`)
	s.now = clockAt("2026-11-01 06:00:01")
	s.start(text, "one")
	s.await("failed", runState)
	if why := s.db.Read(t, `SELECT last_error FROM {db}.outbox_run WHERE state = 'failed'`); !strings.Contains(why, "nothing") {
		t.Errorf("failed for %q", why)
	}
	s.awaitEvent("alert", 1)
}

// A person starts a job of kind sql: with a schedule or without, it runs at once.
func TestStatementThatAPersonStarts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	text := s.withJob(`remind: {kind: sql, statement: "UPDATE customer SET mailed_at = NOW()"}`)
	d := s.start(text, "one")
	reply, err := d.engine.Desk().MailingStart(t.Context(), jobs.MailingStartRequest{By: jobs.By{Actor: "eva(1000)"}, Job: "remind"})
	if err != nil {
		t.Fatal(reply, err)
	}
	s.await("done", runState)
	s.await("3", `SELECT COUNT(mailed_at) FROM {db}.customer`)
}

// What became of mails stands in the company's own tables; where they are locked the mails go all the same, and it is written later.
func TestRunIsWrittenBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(20)
	s.db.Exec(t, `ALTER TABLE {db}.customer ADD COLUMN mail_error VARCHAR(500) NULL`)
	s.smtp.On(rcpt("c3@kunde.example", "550 5.1.1 no such user"))
	text := s.mailingFile(`on_sent: "UPDATE customer SET mailed_at = :sent_at WHERE id = :id", on_failed: "UPDATE customer SET mail_error = :last_error WHERE id = :id"`)
	erp := s.sender()
	for _, statement := range []string{"START TRANSACTION", "UPDATE " + s.db.Name + ".customer SET email = email WHERE id <= 10"} {
		if _, err := erp.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	s.begin(text)
	begun := time.Now()
	s.start(text, "one")
	s.await("done 20 19 1 0 0", runSum)
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("a lock of somebody else held up mail for %s", took)
	}
	if n := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox_writeback`); n == "0" {
		t.Error("nothing waits to be written back")
	}
	if _, err := erp.ExecContext(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_writeback SET next_at = UTC_TIMESTAMP(6)`)
	s.await("0", `SELECT COUNT(*) FROM {db}.outbox_writeback`)
	s.await("19 1", `SELECT CONCAT_WS(' ', COUNT(mailed_at), COUNT(mail_error)) FROM {db}.customer`)
}

// A run goes on by what stood in jobs.yaml when it began: a reload that takes its job away, and one that changes the company while its rows
// are made, change nothing about it.
func TestRunGoesOnThroughReloads(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(1200)
	text := s.mailingFile("approval: {by: [jan]}")
	s.begin(text)
	s.start(text, "one")
	s.reload(strings.Replace(text, "poll: 100ms", "poll: 200ms", 1))
	s.await("held", runState)
	without := text[:strings.Index(text, "      statements:")]
	s.reload(without[:strings.Index(without, "    audiences:")] + without[strings.Index(without, "    jobs:"):])
	s.db.Exec(t, `UPDATE {db}.outbox_run SET approved_by = USER()`)
	s.await("done 1200 1200 0 0 0", runSum)
	s.onceEach(1202) // with the proof for jan and eva
}

// P7: an engine that ends at once while rows are made leaves its run to the next one, and nobody is enqueued twice, nor what goes with a mail.
func TestP7_RunOutlivesItsDaemons(t *testing.T) {
	t.Parallel()
	for name, attached := range map[string]bool{"mails alone": false, "with files": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.customers(2500)
			text, files := s.mailingFile("approval: {by: [jan]}"), "0"
			if attached {
				dir := t.TempDir()
				for i := range 2500 {
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.txt", i+1)), fmt.Appendf(nil, "customer %d", i+1), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				text = strings.Replace(s.mailingFile(`approval: {by: [jan]}, attach: [{file: "{id}.txt"}]`), "    people:", "    attachments: "+dir+"\n    people:", 1)
				files = "2500"
			}
			s.begin(text)
			for _, enqueued := range []string{"0", "1000", "2000"} {
				d := s.start(text, "one")
				s.await("1", `SELECT enqueued >= `+enqueued+` FROM {db}.outbox_run`)
				d.stop()
				d.kill()
				_ = d.run() // that it was ended at once, or that it had laid its run down by then
			}
			s.start(text, "one")
			s.await("held", runState)
			s.await("2500 2500 2500", `SELECT CONCAT_WS(' ', COUNT(*), COUNT(DISTINCT identity), (SELECT enqueued FROM {db}.outbox_run)) FROM {db}.outbox_run_mail`)
			s.await("2500", `SELECT COUNT(DISTINCT recipients) FROM {db}.outbox WHERE run_id IS NOT NULL AND state = 'queued' AND held = 2`)
			s.await(files+" "+files, `SELECT CONCAT_WS(' ', COUNT(*), COUNT(DISTINCT a.outbox_id)) FROM {db}.outbox_attachment a JOIN {db}.outbox o ON o.id = a.outbox_id WHERE o.run_id IS NOT NULL`)
		})
	}
}

// P4: while a mailing is made and let go, single mails of priority 1 go at once.
func TestP4_AMailingDoesNotHoldUpSingleMails(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(20_000)
	text := s.mailingFile("")
	s.begin(text)
	s.start(text, "one")
	s.await("1", `SELECT enqueued > 0 FROM {db}.outbox_run`)
	for i := range 20 {
		to := fmt.Sprintf("urgent%d@kunde.example", i)
		begun := time.Now()
		s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text, priority) VALUES (?, 'x', 'x', 1)`, to)
		s.await("sent", `SELECT state FROM {db}.outbox WHERE recipients = ? AND priority = 1`, to)
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("mail %d took %s", i, took)
		}
	}
	if n := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox WHERE run_id IS NOT NULL AND state = 'queued'`); n == "0" {
		t.Error("the mailing was over before the single mails had gone")
	}
}

// On tables one step older the daemon sends, and says what mailings need.
func TestMailingOnOlderTables(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	s.db.OneStepOlder(t)
	s.now = clockAt("2026-11-01 08:00:01")
	s.start(s.mailingFile(`schedule: "0 8 1 * *"`), "one")
	s.mail("one@kunde.example")
	s.messages(1)
	s.awaitEvent("alert", 1)
	if text := fmt.Sprint(s.logs.FilterMessage("alert").All()[0].ContextMap()); !strings.Contains(text, "outboxd migrate") {
		t.Error(text)
	}
}

// TestAProofShowsAsManySamplesAsItsJobSays: however few, one mail is made before any goes.
func TestAProofShowsAsManySamplesAsItsJobSays(t *testing.T) {
	t.Parallel()
	for _, samples := range []string{"0", "1", "4"} {
		t.Run(samples, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.customers(5)
			text := s.mailingFile("proof: {to: [eva], samples: " + samples + "}, approval: {by: [jan]}")
			s.begin(text)
			s.start(text, "one")
			s.await("held", runState)
			if got := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox o JOIN {db}.outbox_attachment a ON a.outbox_id = o.id WHERE o.recipients = 'eva@acme.example'`); got != samples {
				t.Errorf("the proof has %s samples", got)
			}
		})
	}
}
