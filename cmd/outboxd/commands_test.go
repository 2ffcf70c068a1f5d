package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail/smtptest"
)

const someRows = `INSERT INTO {db}.outbox (recipients, subject, reference, state, held, attempts, last_error) VALUES
	('Eva <a@kunde.example>', 'first', 'invoice:1', 'queued', 0, 0, NULL),
	('b@kunde.example', 'held', 'invoice:2', 'queued', 1, 0, 'held by eva(1000): wrong text'),
	('c@kunde.example', 'evil \x1b[31m', NULL, 'uncertain', 0, 1, 'answer lost'),
	('d@kunde.example', 'failed', NULL, 'failed', 0, 1, '550 no such user')`

func TestQueueCommands(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, strings.ReplaceAll(someRows, `\x1b`, "\x1b"))
	s.must(exitDone, "queue list", "acme/4", "No daemon is running", "INSERTED", "held by eva(1000)", `evil \x1b[31m`)
	s.must(exitDone, "queue list --company acme --state uncertain --since 1h --limit 1", "acme/3")
	s.must(exitDone, "queue list --reference nothing", "No rows.")
	s.must(exitWrong, "queue list --state lost", "there is no state", "uncertain")
	s.must(exitFailed, "queue list --company nemo", "What to do: the companies are acme")
	s.must(exitDone, "queue show 1", "recipients    Eva <a@kunde.example>", "reference")
	s.must(exitFailed, "queue show acme/99", "there is no row acme/99", "What to do:")
	s.must(exitDone, "queue why acme/3", "acme/3 is uncertain.", "answer lost", "What to do:")
	s.must(exitDone, "queue hold 1", "acme/1: held until it is released")
	s.must(exitDone, "queue release acme/1 acme/2 --reason=checked", "acme/1: released", "acme/2: released")
	s.must(exitDone, "queue settle acme/3 --as sent --reason=asked", "acme/3: settled as sent")
	s.must(exitDone, "queue retry acme/4", "acme/4: queued again")
	s.must(exitFailed, "queue cancel acme/1 acme/3", "acme/1: cancelled", "acme/3: not done: acme/3 is sent", "What to do:")
	s.must(exitDone, "audit --limit 9", "queue settle", "acme/3", "asked")
	if got := s.db.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', id, state, held) ORDER BY id) FROM {db}.outbox`); got != "1 cancelled 0,2 queued 0,3 sent 0,4 queued 0" {
		t.Error(got)
	}
}

// TestHeldRowsTogether: many rows by what they are, in steps.
func TestHeldRowsTogether(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, held) WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 59)
		SELECT 'a@kunde.example', 1 FROM n a JOIN n b LIMIT 3500`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_surplus (outbox_id, job) SELECT id, 'send' FROM {db}.outbox WHERE id <= 2700`)
	s.must(exitDone, "status", "Company acme holds rows (3500)", "What to do: outboxd queue list --company acme --held")
	s.must(exitWrong, "queue release --surplus", "--reason TEXT")
	s.must(exitWrong, "queue release acme/1 --surplus --reason=x", "either rows are named")
	s.must(exitWrong, "queue release --reason=x", "no row is named")
	s.must(exitFailed, "queue release --company nemo --held --reason=x", "the companies are acme")
	s.must(exitDone, "queue release --company acme --surplus --reason=wanted", "2700 rows released")
	s.must(exitDone, "queue cancel --held", "800 rows cancelled")
	s.must(exitDone, "queue cancel --held --json", `"results"`)
	s.must(exitDone, "audit --limit 9", "surplus rows after number", "wanted")
	if got := s.db.Read(t, `SELECT CONCAT_WS(' ', SUM(state = 'queued' AND held = 0), SUM(state = 'cancelled')) FROM {db}.outbox`); got != "2700 800" {
		t.Error(got)
	}
}

func TestJSONOutput(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, strings.ReplaceAll(someRows, `\x1b`, "\x1b"))
	for command, key := range map[string]string{
		"queue list --json": `"rows"`, "queue show 1 --json": `"available_at"`, "queue why 1 --json": `"reasons"`, "queue hold 1 --json": `"results"`,
		"status --json": `"sent_last_hour"`, "account list --json": `"used_last_hour"`, "audit --json": `"entries"`, "account test main --json": `"steps"`,
	} {
		out := s.must(exitDone, command, key)
		if strings.Contains(out, "\x1b") || !json.Valid([]byte(out)) {
			t.Errorf("%s: %q", command, out)
		}
	}
}

func TestCompanyThatCannotBeAsked(t *testing.T) {
	s := newSite(t)
	s.write(s.file("  gone: {server: main, database: not_there, jobs: {send: {kind: deliver}}}"))
	s.db.Exec(t, someRows)
	s.must(exitFailed, "queue list", "acme/1", "Company gone could not be asked", "outboxd check --online")
	s.must(exitDone, "status", "gone     down", "Company gone is down", "What to do:")
	s.must(exitFailed, "migrate", "not_there", "CREATE DATABASE")
	s.must(exitFailed, "check --online", "fail  company gone", "ok    company acme", "ok    account main")
}

func TestCheckTellsHowTheHostsOfAClusterStand(t *testing.T) {
	s := newSite(t)
	host := fmt.Sprintf("host: %s, port: %d", s.db.Server.Host, s.db.Server.Port)
	s.write(strings.Replace(s.file(""), host, fmt.Sprintf("hosts: [%q, %q]", "127.0.0.1:1", fmt.Sprintf("%s:%d", s.db.Server.Host, s.db.Server.Port)), 1))
	s.must(exitDone, "check --online", "warn  server main, host 127.0.0.1:1: passed over: dial tcp", fmt.Sprintf("ok    server main, host 127.0.0.1:%d: serves", s.db.Server.Port), "ok    company acme")
	s.must(exitDone, "migrate --print", fmt.Sprintf("on server main (127.0.0.1:1, 127.0.0.1:%d)", s.db.Server.Port))
	s.write(strings.Replace(s.file(""), host, `hosts: ["127.0.0.1:1", "localhost:1"]`, 1))
	s.must(exitFailed, "check --online", "fail  company acme, database", "no host of the cluster serves: 127.0.0.1:1: dial tcp", "; localhost:1: dial tcp")
}

func TestStatusCommand(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, someRows)
	s.must(exitDone, "status", "No outboxd is running on this computer.", "COMPANY", "acme     up     1", "300/hour", "unlimited", "at once")
	buckets, err := s.db.Pool.Buckets(s.db.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := buckets.Pause(t.Context(), fmt.Sprintf("account:127.0.0.1:%d", s.smtp.Port()), time.Hour, db.Trouble{Scope: "account", Reason: "535 wrong password"}); err != nil {
		t.Fatal(err)
	}
	s.must(exitDone, "status", "main     paused", "Account main is paused until", "535 wrong password")
}

func TestAccountPauseCommand(t *testing.T) {
	s := newSite(t)
	s.must(exitDone, "account pause main --for 2h --reason moving", "main, system: paused until ", "Account main was paused by ", ": moving", "outboxd account resume main")
	s.must(exitDone, "status", "main     held")
	s.must(exitDone, "account list", "main     held", ": moving")
	s.must(exitDone, "account pause main", "main, system: paused until outboxd account resume main")
	s.must(exitDone, "account list --json", `"state": "held"`, `"held_by"`)
	s.must(exitDone, "account resume main --reason moved", "main, system: not paused any more")
	s.must(exitDone, "status", "main     ok")
	s.must(exitDone, "audit", "account pause", "for 2h0m0s", "moving", "account resume", "moved")
	s.must(exitWrong, "account pause main --for 99999h", "up to a year")
	s.must(exitFailed, "account pause nobody", "the accounts are")
}

func TestStatusWatch(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs output
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"--config", s.config, "status", "--watch", "--every", "100ms", "--json"}, s.outside(&out, &errs))
	}()
	out.await(t, "\n", 2)
	cancel()
	if code := <-ended; code != exitDone {
		t.Errorf("exit status %d: %s", code, &errs)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%q", line)
		}
	}
	if n := strings.Count(errs.String(), "No daemon is running"); n != 1 {
		t.Errorf("said %d times: %s", n, &errs)
	}
}

func TestStatusText(t *testing.T) {
	now := time.Now()
	var out, errs output
	i := &invocation{outside: outside{stdout: &out, stderr: &errs}}
	r := jobs.StatusReply{
		Daemon: &jobs.Live{Started: now, Host: "mail1", ReloadRefused: "jobs.yaml:1:1: bad", Stuck: []string{"alerts"},
			Companies: map[string]jobs.Health{"acme": {Down: "no right", Since: now}}},
		Companies: []jobs.CompanyStatus{{Company: "acme", Up: true, Counts: &db.Counts{Queued: db.CountLimit + 1},
			Jobs: []jobs.JobStatus{{Job: "purge", Kind: "purge", Scheduled: "2026-11-21 03:30", State: db.RunFailed, Contents: 7, Error: "archive: full", Next: now}}}},
		LeftOut: []jobs.LeftOut{{File: "beta.yaml", Companies: []string{"beta"}, Problems: []string{"beta.yaml:1:1: bad"}}},
		Accounts: []jobs.AccountStatus{{Account: "a", State: jobs.AccountOK, Reason: "450 busy"}, {Account: "b", State: jobs.AccountUnknown, Reason: "no database"},
			{Account: "c", State: jobs.AccountInactive, LimitHour: 300}},
		Keys: []jobs.KeyTrouble{{Domain: "acme.example", Reason: "no such file", Hint: "mend it"}},
	}
	if err := (statusCommand{}).print(i, r); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"outboxd on mail1, running since", ">10000", "The last reload was refused", "  jobs.yaml:1:1: bad", "no progress: alerts",
		"Company acme has stood still since", "Left out with all its companies (beta): beta.yaml", "Account a was in trouble and tries again: 450 busy",
		"Mails of acme.example wait, for they cannot be signed: no such file\n  What to do: mend it", "Account b sends nothing: no database", "c        inactive", "acme/purge  2026-11-21 03:30  failed  7         0     "} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("lacks %q:\n%s", text, &out)
		}
	}
}

func TestAccountCommands(t *testing.T) {
	s := newSite(t)
	s.must(exitDone, "account list", "main", "ok", "127.0.0.1:", "300/hour", "all")
	s.must(exitDone, "account test main", "connect", "hello", "The server offers:")
	s.must(exitDone, "account test bulk --to it@acme.example --reason=new", "mail", "250")
	if n := len(s.smtp.Messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
	s.must(exitDone, "audit", "account test", "account bulk", "mail from bulk@acme.example to it@acme.example", "new")
	s.must(exitFailed, "account test nemo", "the accounts are main, bulk")
	s.smtp.On(smtptest.Rule{Step: smtptest.StepConnect, Do: smtptest.ReplyAndHangup("554 5.7.1 go away")})
	s.must(exitFailed, "account test main", "connect   failed", "554 5.7.1 go away", "What to do:")
	s.must(exitFailed, "check --online", "fail  account main: connect: 554 5.7.1 go away", "What to do:")
}

func TestCheckCommand(t *testing.T) {
	s := newSite(t)
	s.must(exitDone, "check", "jobs.yaml: 0 errors, 0 warnings")
	s.must(exitDone, "check --online", "the tables fit this program", "has all rights", "server version", "ok    account main")
	s.write(s.file("  beta: {server: nowhere}"))
	s.must(exitWrong, "check", "2 errors", s.config+":15:18: companies.beta.server")
	s.must(exitWrong, "check --online", "2 errors")
	more := filepath.Join(filepath.Dir(s.config), "more.yaml")
	if err := os.WriteFile(more, []byte("companies: {beta: {server: nowhere, database: b}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.write("include: [more.yaml]\n" + s.file(""))
	s.must(exitWrong, "check", more+":1:", "1 error")
	s.must(exitWrong, "migrate --print", more+":1:", "company acme")
	s.must(exitDone, "status", "Left out with all its companies (beta)")
	s.write("include: [nothing.yaml]\n" + s.file(""))
	s.must(exitDone, "check", "warning:", "0 errors, 1 warning")
}

// TestCheckOfTemplates: mistakes in files are found without a network, together with those of jobs.yaml; those of rows with one.
func TestCheckOfTemplates(t *testing.T) {
	s := newSite(t)
	templates := filepath.Join(filepath.Dir(s.config), "templates")
	body := filepath.Join(templates, "invoice", "body.txt")
	if err := os.MkdirAll(filepath.Dir(body), 0o750); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{filepath.Join(templates, "invoice", "subject.txt"): "Invoice", body: "Dear\n{{.name"} {
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	with := func(more string) string {
		return strings.Replace(s.file(more), "    jobs:", "    templates: templates\n    reader: {username: root}\n    jobs:", 1)
	}
	s.write(with(""))
	s.must(exitWrong, "check", body+":2:1: ", "1 error")
	s.write(with("  beta: {server: nowhere}"))
	s.must(exitWrong, "check", "companies.beta.server", body+":2:1: ", "3 errors")
	if err := os.WriteFile(body, []byte("Dear {{.name}}"), 0o640); err != nil {
		t.Fatal(err)
	}
	s.write(with(""))
	s.db.Exec(t, `INSERT INTO {db}.outbox_template (name, subject, text) VALUES ('good', 'x', 'x'), ('bad', 'x', '{{nowhere .x}}')`)
	s.must(exitFailed, "check --online", "fail  company acme", "outbox_template/bad", "nowhere")
	s.db.Exec(t, `DELETE FROM {db}.outbox_template WHERE name = 'bad'`)
	s.must(exitDone, "check --online", "1 template in outbox_template", "reader root")
}

func TestMigrateCommand(t *testing.T) {
	s := newSite(t)
	for _, table := range []string{"outbox", "outbox_audit", "outbox_bucket", "outbox_usage", "outbox_meta", "outbox_lane", "outbox_attempt", "outbox_recipient"} {
		s.db.Exec(t, "DROP TABLE {db}."+table)
	}
	s.must(exitFailed, "check --online", "outboxd migrate")
	s.must(exitDone, "migrate", s.db.Name+": 8 steps applied")
	s.must(exitDone, "migrate", s.db.Name+": up to date")
	s.must(exitDone, "check --online", "the tables fit this program")
	s.must(exitDone, "migrate --print", "-- company acme: database "+s.db.Name+" on server main (127.0.0.1:", "CREATE TABLE", "GRANT INSERT (recipients", "CREATE DATABASE IF NOT EXISTS")
}

func TestPrintedSchemasAreTheWorlds(t *testing.T) {
	s := newSite(t)
	for _, more := range []string{
		"",
		"  beta: {server: main, database: beta, login: {username: root}, jobs: {send: {kind: deliver}}}",
	} {
		for _, control := range []string{s.db.Name, "outboxd_control"} {
			s.write(strings.Replace(s.file(more), "control: {server: main, database: "+s.db.Name, "control: {server: main, database: "+control, 1))
			file, problems := jobfile.Load(s.config)
			if file == nil {
				t.Fatal(problems)
			}
			world, err := jobs.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			want, got := world.Schemas(), jobs.Schemas(file)
			if len(want) != len(got) {
				t.Fatalf("%v, want %v", got, want)
			}
			for n := range want {
				want[n].Pool = nil
				if a, b := mustJSON(t, want[n]), mustJSON(t, got[n]); a != b {
					t.Errorf("%s, want %s", b, a)
				}
			}
			if err := world.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every right that db.Grants gives to the daemon is tried, and nothing else.
func TestProbesAreTheGrants(t *testing.T) {
	for _, c := range []struct {
		needs db.Needs
		part  db.Part
	}{{db.Needs{}, db.CompanyPart}, {db.Needs{Purges: true}, db.CompanyPart}, {db.Needs{Mailings: true}, db.CompanyPart}, {db.Needs{}, db.BucketPart}, {db.Needs{}, db.ControlPart}} {
		text, err := db.Grants("acme", "outboxd", c.needs, c.part)
		if err != nil {
			t.Fatal(err)
		}
		granted := map[string]bool{}
		for line := range strings.Lines(text) {
			if verbs, ok := strings.CutPrefix(line, "GRANT "); ok && strings.Contains(line, "TO `outboxd`") {
				verbs, rest, _ := strings.Cut(verbs, " ON `acme`.")
				table, _, _ := strings.Cut(rest, " ")
				for verb := range strings.SplitSeq(verbs, ", ") {
					granted[table+" "+verb] = true
				}
			}
		}
		delete(granted, "outbox_meta SELECT") // the look at the schema tries it
		for _, p := range probesOf(c.needs, c.part) {
			if !granted[p.table+" "+p.verb] {
				t.Errorf("%s on %s is not granted", p.verb, p.table)
			}
			delete(granted, p.table+" "+p.verb)
		}
		if len(granted) > 0 {
			t.Errorf("not tried: %v", granted)
		}
	}
}

func TestMissingRights(t *testing.T) {
	s := newSite(t)
	s.db.Exec(t, `DROP USER IF EXISTS poor@'%'`)
	s.db.Exec(t, `CREATE USER poor@'%' IDENTIFIED BY ''`)
	t.Cleanup(func() { s.db.Exec(t, `DROP USER poor@'%'`) })
	s.db.Exec(t, `GRANT SELECT ON {db}.* TO poor@'%'`)
	s.db.Exec(t, `GRANT UPDATE ON {db}.outbox TO poor@'%'`)
	s.write(strings.Replace(s.file(""), "username: root", "username: poor", 1))
	s.must(exitFailed, "check --online", "user poor lacks rights: INSERT on outbox_recipient, UPDATE on outbox_recipient", "INSERT on outbox_audit", "migrate --print")
	s.must(exitFailed, "queue hold acme/1", "the audit cannot be written, so nothing was done")
}

func TestOldServer(t *testing.T) {
	for version, old := range map[string]bool{
		"10.11.6-MariaDB-0+deb12u1": false, "10.6.0-MariaDB": false, "10.5.9-MariaDB": true, "11.4.2-MariaDB": false, "8.0.36": false, "5.7.44": true,
		"8.4.0": false, "9.1.0": false, "": true, "x.y": true, "8.x": true,
	} {
		if got := oldServer(version); got != old {
			t.Errorf("%s: %v", version, got)
		}
	}
}
