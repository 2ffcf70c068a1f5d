package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
)

// mailingSite is a site whose company has people, audiences and a mailing. Who runs the tests is the person named me.
func mailingSite(t *testing.T, me string) *site {
	s := newSite(t)
	s.db.Exec(t, `CREATE TABLE {db}.customer (id INT PRIMARY KEY, email VARCHAR(100) NULL, name VARCHAR(100), total DECIMAL(10,2), mailed_at TIMESTAMP NULL)`)
	s.db.Exec(t, `INSERT INTO {db}.customer (id, email, name, total) VALUES (1, 'a@kunde.example', 'Ann', 10.50), (2, 'b@kunde.example', 'Bob', 20), (3, NULL, 'Cid', 30), (4, 'no address', 'Dan', 40)`)
	templates := filepath.Join(filepath.Dir(s.config), "templates", "statement")
	if err := os.MkdirAll(templates, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"subject.txt": "Statement of {{.name}}", "body.txt": "Dear {{.name}},\nyou owe {{.total}}.\n"} {
		if err := os.WriteFile(filepath.Join(templates, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	s.db.Exec(t, `INSERT INTO {db}.outbox_template (name, subject, text) VALUES ('wants-more', 'x', 'Dear {{.title}} {{.name}}')`)
	s.as(me)
	return s
}

// as writes a jobs.yaml in which the user of this process is the named person.
func (s *site) as(me string) {
	s.t.Helper()
	u, err := user.Current()
	if err != nil {
		s.t.Fatal(err)
	}
	is := map[string]string{"eva": "nobody_eva", "jan": "nobody_jan", "ida": "nobody_ida"}
	is[me] = u.Username
	company := fmt.Sprintf(`    templates: templates
    reader: {username: %s}
    timezone: Europe/Bratislava
    people:
      eva: {email: eva@acme.example, user: %s, may: [start]}
      jan: {email: jan@acme.example, user: %s, may: [start, approve], database_user: jan_db}
      ida: {email: ida@acme.example, user: %s}
    audiences:
      customers: SELECT email AS recipients, id AS customer_id, name, total FROM customer WHERE total >= :min ORDER BY id
    mailing: {account: bulk, approval: {by: [jan]}}
    jobs:
      statements:
        kind: mailing
        schedule: 0 8 1 * *
        audience: {name: customers, with: {min: 1}}
        template: statement
        key: [customer_id]
        once_per: month
        account: bulk
        approval: {by: [jan], within: 8h}
        on_sent: UPDATE customer SET mailed_at = :sent_at WHERE id = :customer_id
      owed: {kind: report, to: [board@acme.example], subject: "Owed, week {week}", attach: [{name: owed.csv, as: csv, query: "SELECT name, total FROM customer WHERE total > 20"}]}
      none: {kind: report, to: [board@acme.example], subject: None, if_empty: skip, attach: [{name: none.csv, as: csv, query: "SELECT name FROM customer WHERE total > 99"}]}
      remind: {kind: sql, schedule: 0 6 * * *, statement: CALL enqueue_reminders()}
      send: {kind: deliver, poll: 100ms}
`, s.db.Server.Username, is["eva"], is["jan"], is["ida"])
	s.write(strings.Replace(strings.Replace(s.file(""), "    jobs: {send: {kind: deliver, poll: 100ms}}\n", company, 1), "accounts: [bulk, main]", "accounts: [bulk, main, system]", 1))
}

// seedRun inserts a run as a keeper would have it by now, with a mail in each of some states, and returns its name.
func (s *site) seedRun(t *testing.T, state, more string) string {
	t.Helper()
	spec := `{"kind":"mailing","job":"statements","account":"bulk","priority":4,"approval":{"by":["jan"],"within":28800000000000,"else":"cancel"},"canary":{"first":2,"wait":1800000000000,"stop_above":5}}`
	s.db.Exec(t, `INSERT INTO {db}.outbox_run (job, kind, scheduled_at, state, daemon, spec, period, started_by, audience, enqueued, changed_at)
		SELECT 'statements', 'mailing', TIMESTAMPADD(MONTH, COUNT(*), '2026-01-01 08:00:00'), ?, 'host', ?, '2026-11', 'eva', 4, 4, NOW(6) FROM {db}.outbox_run`, state, spec)
	id := s.db.Read(t, `SELECT MAX(id) FROM {db}.outbox_run`)
	if more != "" {
		s.db.Exec(t, `UPDATE {db}.outbox_run SET `+more+` WHERE id = `+id)
	}
	return "acme/" + id
}

func TestMailingListAndStatus(t *testing.T) {
	s := mailingSite(t, "eva")
	s.must(exitDone, "mailing list", "No runs.")
	held := s.seedRun(t, "held", `decide_until = '2026-11-22 16:00:00'`)
	sending := s.seedRun(t, "sending", `sent = 1, failed = 1, allowed = 2, approved_by = 'jan', approved_at = NOW(6) - INTERVAL 30 MINUTE`)
	done := s.seedRun(t, "done", `sent = 3, skipped = 1, finished_at = '2026-07-01 08:00:00', note = 'All 4 have an end: 3 sent, 1 skipped.'`)
	asked := s.seedRun(t, "asked", `note = 'its time was missed', audience = NULL, enqueued = 0`)
	out := s.must(exitDone, "mailing list", "RUN", "EXPECTED END", held, sending, done, "It waits for approval by jan until 2026-11-22 17:00:00 CET; then it is cancelled.",
		"What to do: look at the proof, then: outboxd mailing approve "+held, "The first 2 go; the others follow 30m after they all have ended, unless more than 5% of them fail or come back.",
		"It waits to be told whether it is to run: its time was missed.", "outboxd mailing resume "+asked, "4/hour", "ended 2026-07-01 10:00:00")
	if strings.Index(out, done) > strings.Index(out, held) {
		t.Errorf("the newest is not the first:\n%s", out)
	}
	if out := s.must(exitDone, "mailing list --open --job acme/statements", held); strings.Contains(out, "done") {
		t.Errorf("one that has ended:\n%s", out)
	}
	s.must(exitDone, "mailing list --company acme --before 2", held)
	s.must(exitDone, "mailing list --job @customers", "No runs.")
	s.must(exitFailed, "mailing list --company nemo", "the companies are acme")
	var listed jobs.MailingListReply
	if err := json.Unmarshal([]byte(s.must(exitDone, "mailing list --json --limit 1")), &listed); err != nil || len(listed.Runs) != 1 || !listed.More || listed.Runs[0].RunName != asked {
		t.Errorf("%+v, %v", listed, err)
	}
	s.db.Exec(t, `INSERT INTO {db}.outbox_writeback (outbox_id, run_id, event, tries, last_error) VALUES (9, 3, 'sent', 4, 'Lock wait timeout exceeded')`)
	s.must(exitDone, "mailing list", "1 write-back into the company's tables is tried again by itself: Lock wait timeout exceeded.")
	s.must(exitDone, "status", held, "acme/statements", "EXPECTED END", "have not been told of 1 outcome yet", "Lock wait timeout exceeded")
	s.must(exitDone, "status --json", `"mailings"`, `"write_backs": 1`)
}

// TestRunThatWaitsForAPersonsWord: a run with uncertain mails says that it does not end by itself; one whose mails were purged, that they are gone.
func TestRunThatWaitsForAPersonsWord(t *testing.T) {
	s := mailingSite(t, "eva")
	run := s.seedRun(t, "sending", `sent = 2, allowed = 2`)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, state, run_id) VALUES ('a@kunde.example', 'uncertain', 1), ('b@kunde.example', 'uncertain', 9), ('c@kunde.example', 'queued', 1)`)
	s.must(exitDone, "mailing list", "The first 2 go", "Nobody knows of 1 mail whether it went (uncertain)", "outboxd mailing report "+run+" --failed", "outboxd queue settle ROW")
	purged := s.seedRun(t, "done", `sent = 4`)
	s.must(exitDone, "mailing report "+purged, "4 sent", "Its mails are gone from the outbox")
	s.must(exitDone, "mailing report --failed "+purged, "No mails.")
}

// TestRowsThatWaitForTheirRun: a row says which run it is of, what that waits for, and the next step.
func TestRowsThatWaitForTheirRun(t *testing.T) {
	s := mailingSite(t, "eva")
	held, sending, stopped := s.seedRun(t, "held", ""), s.seedRun(t, "sending", "allowed = 2"), s.seedRun(t, "stopped", "note = 'stopped by eva: typo'")
	s.db.Exec(t, `INSERT INTO {db}.outbox (id, recipients, held, run_id) VALUES (1, 'a@kunde.example', 2, 1), (2, 'a@kunde.example', 2, 2), (3, 'a@kunde.example', 2, 3),
		(4, 'a@kunde.example', 2, 99), (5, 'a@kunde.example', 1, 1), (6, 'a@kunde.example', 0, NULL)`)
	s.must(exitDone, "status", "Company acme holds rows (1)")
	s.must(exitDone, "queue show 1", "run           "+held)
	s.must(exitDone, "queue why 1", "acme/1 is held.", "It is held by its run "+held+" (statements for 2026-01-01 08:00), which is held.", "It waits for approval by jan.",
		"outboxd mailing approve "+held, "or end this mail alone: outboxd queue cancel acme/1")
	s.must(exitDone, "queue why 2", "It is held by its run "+sending, "The first 2 go; the others follow")
	s.must(exitDone, "queue why 3", "It is stopped by eva: typo.", "outboxd mailing resume "+stopped)
	s.must(exitFailed, "queue release 1 --reason x", "acme/1 is held: its run 1 waits for approval: outboxd mailing approve 1", "it goes with its run; what that waits for: outboxd queue why acme/1")
	s.must(exitFailed, "queue retry 3", "its run 3 was stopped", "outboxd queue why acme/3")
	s.must(exitDone, "queue why 4", "its run acme/99, which cannot be read")
	s.must(exitDone, "queue why 5", "outboxd queue release acme/5")
	if out := s.must(exitDone, "queue show 6", "acme/6"); strings.Contains(out, "run ") {
		t.Errorf("%s", out)
	}
}

func TestMailingApprove(t *testing.T) {
	s := mailingSite(t, "eva")
	run := s.seedRun(t, "held", "")
	s.must(exitFailed, "mailing approve "+run, "may not approve mailings of acme: eva has not the right approve", "ask who may: jan", "people: eva: may: [approve]")
	s.as("ida")
	s.must(exitFailed, "mailing stop "+run+" --cancel", "ida has not the right start or approve")
	s.as("jan")
	s.db.Exec(t, `UPDATE {db}.outbox_run SET started_by = 'jan'`)
	s.must(exitFailed, "mailing approve "+run, "jan has started this run, and whoever starts one may not approve it", "approval: {starter: yes}")
	s.db.Exec(t, `UPDATE {db}.outbox_run SET started_by = 'eva', spec = REPLACE(spec, '"jan"', '"otto"')`)
	s.must(exitFailed, "mailing approve "+run, "jan may approve mailings of acme, but is not named for this run")
	s.db.Exec(t, `UPDATE {db}.outbox_run SET spec = REPLACE(spec, '"otto"', '"jan"')`)
	if got := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox_audit`); got != "0" {
		t.Errorf("%s entries for what nobody did", got)
	}
	s.must(exitDone, "mailing approve "+run+" --reason=checked", "No daemon is running on this computer: "+run+" goes on as soon as one does")
	if got := s.db.Read(t, `SELECT CONCAT_WS(' ', state, allowed, approved_by, approved_at IS NOT NULL) FROM {db}.outbox_run`); got != "sending 2 jan 1" {
		t.Error(got)
	}
	s.must(exitDone, "audit", "mailing approve", run, "checked", "by command as jan; the first 2 go")
	s.must(exitFailed, "mailing approve "+run, "is sending: only a held run can be approved")
	s.must(exitFailed, "mailing approve acme/99", "there is no run acme/99", "outboxd mailing list")
	s.must(exitWrong, "mailing approve x", "is no run", "a run is named acme/12")
}

func TestMailingStopAndResume(t *testing.T) {
	s := mailingSite(t, "eva")
	state := func(run string) string {
		t.Helper()
		return s.db.Read(t, `SELECT CONCAT_WS(' ', state, ends_as, COALESCE(allowed, 'all'), note) FROM {db}.outbox_run WHERE id = `+strings.TrimPrefix(run, "acme/"))
	}
	is := func(run, want string) {
		t.Helper()
		if got := state(run); got != want {
			t.Errorf("%s is %q, want %q", run, got, want)
		}
	}
	held, asked := s.seedRun(t, "held", ""), s.seedRun(t, "asked", "audience = NULL, enqueued = 0")
	s.must(exitFailed, "mailing stop "+held, "nothing of it is going, so there is nothing to stop", "outboxd mailing stop "+held+" --cancel")
	s.must(exitFailed, "mailing resume "+held, "only a stopped run can be resumed")
	s.must(exitDone, "mailing stop "+held+" --cancel --reason wrong", "cancelled")
	is(held, "cancelling cancelled all cancelled by eva: wrong")
	s.must(exitFailed, "mailing stop "+held+" --cancel", "only a run that has not ended can be cancelled")
	s.must(exitDone, "mailing resume "+asked, "it goes on")
	is(asked, "running all resumed by eva")
	s.must(exitDone, "mailing stop "+asked, "stopped: what is on its way ends")
	s.must(exitDone, "mailing resume "+asked)
	is(asked, "running all resumed by eva")
	left := s.seedRun(t, "asked", "audience = NULL, enqueued = 0")
	s.must(exitDone, "mailing stop "+left+" --cancel")
	is(left, "skipped all left out by eva")
	sending := s.seedRun(t, "sending", "allowed = 2")
	s.must(exitDone, "mailing stop "+sending+" --reason=typo", "stopped by eva: typo", "outboxd mailing resume "+sending)
	is(sending, "stopped 2 stopped by eva: typo")
	s.must(exitDone, "mailing resume "+sending)
	is(sending, "sending 2 resumed by eva")
	s.must(exitDone, "mailing resume "+s.seedRun(t, "stopped", "")+" --json", `"state": "sending"`)
	s.must(exitDone, "audit --limit 20", "mailing cancel", "mailing stop", "mailing resume", "as eva; it is stopped, then sending")
}

func TestMailingStart(t *testing.T) {
	s := mailingSite(t, "eva")
	body := filepath.Join(t.TempDir(), "body.html")
	if err := os.WriteFile(body, []byte("<p>Dear {{.name}}</p>"), 0o600); err != nil {
		t.Fatal(err)
	}
	for command, text := range map[string]string{
		"mailing start": "either an audience or a job",
		"mailing start customers --job statements":                           "either an audience or a job",
		"mailing start customers --subject x":                                "the mailing says nothing",
		"mailing start customers --body " + body:                             "has no subject",
		"mailing start customers --template x --subject x --body " + body:    "both a template and a body",
		"mailing start customers --subject x --body nowhere":                 "nowhere",
		"mailing start customers --at 2026-11-01 --subject x --body " + body: "starts now",
		"mailing start --job statements --subject x":                         "stands in jobs.yaml",
		"mailing start --job statements --at 2099-01-01T08:00":               "2099-01-01 08:00 has not come yet",
		"mailing start --job statements --at tomorrow":                       "is no time",
	} {
		s.must(exitWrong, command, text)
	}
	s.must(exitFailed, "mailing start --job nothing", `acme has no job "nothing"`, "the jobs are statements, owed")
	s.must(exitFailed, "mailing start nobody --subject x --body "+body, `acme has no audience "nobody"`, "the audiences are customers")
	s.must(exitDone, "mailing start acme/customers --with min=1.50 --subject Offer --reason=new --body "+body, "acme/1: begun", "goes on as soon as one does")
	if got := s.db.Read(t, `SELECT CONCAT_WS(' ', job, kind, state, started_by, JSON_VALUE(spec, '$.html'), REGEXP_SUBSTR(spec, '"min":[^,}]+')) FROM {db}.outbox_run`); got != `@customers mailing running eva <p>Dear {{.name}}</p> "min":1.50` {
		t.Error(got)
	}
	s.must(exitDone, "mailing start --job statements --at 2026-11-01T08:00 --no-wait", "acme/2: begun")
	s.must(exitFailed, "mailing start --job statements", "acme/statements has a run that has not ended: acme/2 is running", "two runs of a job never overlap")
	s.db.Exec(t, `UPDATE {db}.outbox_run SET state = 'done', audience = 0, finished_at = NOW(6) WHERE id = 2`)
	s.must(exitFailed, "mailing start --job acme/statements --at 2026-11-01T08:00", "acme/statements has a run for 2026-11-01 08:00 already", "mailing list --job acme/statements")
	s.must(exitDone, "audit", "mailing start", "acme/@customers", `as eva, for `, `subject "Offer"`, "new")
	s.db.Exec(t, `UPDATE {db}.outbox_run SET scheduled_at = '2026-11-01 09:00:00' WHERE id = 1`)
	s.must(exitDone, "mailing start customers --no-wait --json --subject Again --body "+body, "another mailing to the same audience, is running", `"state": "running"`)
	s.as("ida")
	s.must(exitFailed, "mailing start --job statements", "ida has not the right start", "ask who may: eva, jan")
}

func TestWhoeverIsNobodyMayNothing(t *testing.T) {
	s := mailingSite(t, "nobody")
	run := s.seedRun(t, "held", "")
	for _, command := range []string{"start --job statements", "approve " + run, "stop " + run + " --cancel", "resume " + run} {
		s.must(exitFailed, "mailing "+command, "it is the user of none of its people", "people: NAME: {email: ADDRESS, user: ")
	}
	s.must(exitDone, "mailing list", run)
	s.must(exitDone, "mailing report "+run)
	if got := s.db.Read(t, `SELECT COUNT(*) FROM {db}.outbox_audit`); got != "0" {
		t.Errorf("%s entries", got)
	}
}

func TestValueOf(t *testing.T) {
	for text, want := range map[string]any{"1": json.Number("1"), "0.10": json.Number("0.10"), "true": true, "null": nil, "007": "007", "x": "x", `"1"`: `"1"`, "": "", "1 2": "1 2",
		" 1": " 1", "[1]": "[1]", "2026-11-22": "2026-11-22", "-3": json.Number("-3"), "1e3": json.Number("1e3")} {
		if got := valueOf(text); got != want {
			t.Errorf("%q is %#v, want %#v", text, got, want)
		}
	}
}

func TestProgressLine(t *testing.T) {
	var out bytes.Buffer
	p := &progress{w: &out, on: true}
	audience, end := int64(10_000), time.Date(2026, 11, 22, 13, 20, 0, 0, time.UTC)
	r := jobs.RunInfo{RunName: "acme/12", Timezone: "Europe/Bratislava", Rate: 1180, Finish: &end}
	r.State, r.Enqueued = "running", 1234567
	p.draw(r)
	r.State, r.Audience, r.Sent = "sending", &audience, 5_000
	p.draw(r)
	p.clear()
	want := []string{"", "acme/12 running: 1\u00a0234\u00a0567 rows made",
		"acme/12 sending [########........] 5\u00a0000 of 10\u00a0000 ended, until 22 Nov 14:20", strings.Repeat(" ", 76), ""}
	if got := strings.Split(out.String(), "\r"); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q", got)
	}
	out.Reset()
	(&progress{w: &out}).draw(r)
	if out.Len() > 0 {
		t.Errorf("drawn where there is no terminal: %q", &out)
	}
	if barOf(0, 0) != "["+strings.Repeat(".", barWidth)+"]" || barOf(9, 3) != "["+strings.Repeat("#", barWidth)+"]" {
		t.Error(barOf(0, 0), barOf(9, 3))
	}
}

// TestMailingsOnOlderTables: what needs the newest tables says so; all else goes on.
func TestMailingsOnOlderTables(t *testing.T) {
	s := mailingSite(t, "jan")
	s.db.Exec(t, `ALTER TABLE {db}.outbox DROP COLUMN run_id`)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, held) VALUES ('a@kunde.example', 1)`)
	s.must(exitFailed, "mailing list", "outboxd migrate")
	for _, command := range []string{"start --job statements --no-wait", "approve 1", "stop 1", "resume 1", "report 1"} {
		s.must(exitFailed, "mailing "+command, "outboxd migrate")
	}
	s.must(exitDone, "status", "acme     up", "Company acme holds rows (1)")
	s.must(exitDone, "queue list", "acme/1")
	s.must(exitDone, "queue why 1", "It is held.")
	s.must(exitDone, "queue show 1", "held")
}

// TestMailingFromStartToReport: the whole way through the running daemon.
func TestMailingFromStartToReport(t *testing.T) {
	s := mailingSite(t, "jan")
	text := contents(t, s.config)
	s.write(strings.ReplaceAll(text, "approval: {by: [jan]", "approval: {starter: yes, by: [jan]"))
	d := s.start()
	out := s.must(exitDone, "mailing start --job statements --at 2026-11-01T08:00 --reason test", ": begun", " is held: ", "not ended, of 4", "It waits for approval by jan until",
		"outboxd mailing approve acme/")
	name, _, _ := strings.Cut(out, ":") // other jobs may have noted theirs before
	if strings.ContainsAny(out, "\r\x1b") {
		t.Errorf("a bar where there is no terminal: %q", out)
	}
	s.must(exitDone, "status", name, "held")
	s.must(exitDone, "queue why 1", "It is held by its run "+name+" (statements for 2026-11-01 08:00), which is held.")
	s.must(exitDone, "mailing approve "+name, name+" is done: 2 sent, 2 skipped, of 4", "outboxd mailing report "+name+" --failed")
	s.must(exitDone, "mailing report "+name, "a@kunde.example", "250 ", "recipients is empty", "done")
	if got := s.db.Read(t, `SELECT GROUP_CONCAT(id ORDER BY id) FROM {db}.customer WHERE mailed_at IS NOT NULL`); got != "1,2" {
		t.Errorf("written back: %s", got)
	}
	s.must(exitDone, "mailing list --job statements", "done", "ended ")
	s.must(exitDone, "mailing plan statements --at 2026-11-01T08:00", "mailed before  2", "Note: "+name+" is the run of this time already, and is done: a time has one run.")
	s.must(exitDone, "mailing plan statements --at 2026-12-01T08:00", "mailed before  0", "audience       4 (the last time 4: +0)")
	s.must(exitFailed, "mailing start --job statements --at 2026-11-01T08:00", "has a run for 2026-11-01 08:00 already")
	body := filepath.Join(t.TempDir(), "body.txt")
	if err := os.WriteFile(body, []byte("Dear {{.name}}, it is off."), 0o600); err != nil {
		t.Fatal(err)
	}
	begun, _, _ := strings.Cut(s.must(exitDone, "mailing start customers --with min=11.000000000000000001 --subject Off --body "+body, " is held: ", "not ended, of 3"), ":")
	if got := s.db.Read(t, `SELECT REGEXP_SUBSTR(spec, '"min":[^,}]+') FROM {db}.outbox_run ORDER BY id DESC LIMIT 1`); got != `"min":11.000000000000000001` {
		t.Errorf("the daemon was given %s", got)
	}
	s.must(exitDone, "mailing stop "+begun+" --cancel", begun+": cancelled")
	d.log.await(t, `"event":"run_`, 1)
	s.must(exitDone, "audit", "mailing start", "mailing approve", "mailing cancel", "test")
	n := 0
	for _, m := range s.smtp.Messages() {
		if strings.Contains(string(m.Data), "Dear ") && strings.Contains(string(m.Data), "you owe") {
			n++
		}
	}
	if n < 2 {
		t.Errorf("%d statements arrived", n)
	}
}
