package jobs_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
	"outboxd/jobs"
)

// purging is a jobs.yaml with a purge; the site's database says that it is due.
func (s *site) purging(more string) string {
	s.t.Helper()
	return s.company("  main: "+s.account(unlimited), "send: {kind: deliver, poll: 100ms}\npurge: {kind: purge, schedule: \"30 3 * * *\", "+more+"}")
}

// due makes the last run one of long ago, so that one is due at once.
func (s *site) due() {
	s.t.Helper()
	s.db.Exec(s.t, `INSERT INTO {db}.outbox_run (job, scheduled_at, state, daemon) VALUES ('purge', '2020-01-01 03:30:00', 'skipped', 'here')`)
}

// old inserts n mails that were sent so many days ago, each with a try.
func (s *site) old(n, days int) {
	s.t.Helper()
	s.db.Exec(s.t, `INSERT INTO {db}.outbox (recipients, subject, body_text, state, dedupe_key, created_at, updated_at)
		SELECT CONCAT('r', seq, '@kunde.example'), 'Invoice', 'Dear <you> & them', 'sent', CONCAT(?, '-', seq), NOW() - INTERVAL ? DAY, NOW() - INTERVAL ? DAY
		FROM `+dbtest.Numbers(n), days, days, days)
	s.db.Exec(s.t, `INSERT IGNORE INTO {db}.outbox_attempt (outbox_id, lease_token, marked_at, finished_at, account, daemon)
		SELECT id, 'x', updated_at, updated_at, 'main', 'here' FROM {db}.outbox`)
}

const runsQuery = `SELECT GROUP_CONCAT(CONCAT_WS(' ', job, state, contents, removed) ORDER BY id SEPARATOR ', ') FROM {db}.outbox_run WHERE state <> 'skipped'`

// archived reads all files of a folder and counts the entries by what they are of; each must stand there once.
func archived(t *testing.T, dir string) (content, rows int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 || !strings.HasSuffix(path, ".jsonl.gz") {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		packed, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(packed)
		for lines.Scan() {
			var e struct {
				Removed string
				ID      uint64
				Mail    map[string]any
			}
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprint(e.Removed, e.ID)
			if seen[name] {
				t.Errorf("%s stands there twice", name)
			}
			seen[name] = true
			if e.Removed == "row" {
				rows++
			} else if content++; !strings.Contains(lines.Text(), "Dear <you> & them") {
				t.Fatal(lines.Text())
			}
		}
		if lines.Err() != nil {
			t.Errorf("%s: %v", path, lines.Err())
		}
	}
	return content, rows
}

func TestPurgeWithAnArchive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	s.old(20, 500)
	s.old(30, 100)
	s.old(10, 10)
	s.mail("a@kunde.example")
	s.due()
	s.start(s.purging("bodies: 90d, rows: 400d, archive: "+dir), "one")
	s.await("purge done 30 20", runsQuery)
	if content, rows := archived(t, dir); content != 30 || rows != 20 {
		t.Errorf("archived %d contents, %d rows", content, rows)
	}
	s.await("11 30 20", `SELECT CONCAT_WS(' ', SUM(size > 0), (SELECT COUNT(*) FROM {db}.outbox_purged), (SELECT COUNT(*) FROM {db}.outbox_key)) FROM {db}.outbox`)
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox WHERE state = 'sent' AND sent_at IS NOT NULL`)
	status, err := s.engine.Desk().Status(t.Context(), jobs.StatusRequest{})
	if err != nil || len(status.Companies[0].Jobs) != 1 {
		t.Fatalf("%+v, %v", status, err)
	}
	if j := status.Companies[0].Jobs[0]; j.Job != "purge" || j.State != db.RunDone || j.Contents != 30 || j.Rows != 20 || j.Error != "" || !j.Next.After(time.Now()) {
		t.Errorf("%+v", j)
	}
	// Another run has nothing to do and makes no file.
	s.end()
	s.db.Exec(t, `UPDATE {db}.outbox_run SET scheduled_at = scheduled_at - INTERVAL 1 DAY ORDER BY scheduled_at`)
	s.start(s.purging("bodies: 90d, rows: 400d, archive: "+dir), "one")
	s.await("purge done 30 20, purge done 0 0", runsQuery)
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

// P1: a stop ends a run between two steps, whoever comes next goes on with it, and the archive has every mail once, whatever
// a step that was never committed has left in the file.
func TestP1_PurgeThatIsInterruptedGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	const n = 6000
	s.old(n, 100)
	s.due()
	text := s.purging("bodies: 90d, archive: " + dir)
	d := s.start(text, "one")
	s.await("1", `SELECT COUNT(*) FROM {db}.outbox_run WHERE contents > 0`)
	d.end()
	if got := s.db.Read(t, `SELECT CONCAT_WS(' ', state, lease_until IS NULL) FROM {db}.outbox_run WHERE state <> 'skipped'`); got != "running 1" {
		t.Fatalf("the run is %s", got)
	}
	parts, err := filepath.Glob(filepath.Join(dir, "acme.purge.*.here.jsonl.gz.part"))
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	f, err := os.OpenFile(parts[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("\x1f\x8bhalf a step"); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	d = s.start(text, "two")
	s.await("1", `SELECT SUM(octets > 0) > 1 FROM {db}.outbox_archive`)
	s.reload(s.purging("bodies: 80d, archive: " + dir)) // the run is handed over
	s.await(fmt.Sprintf("purge done %d 0", n), runsQuery)
	d.end()
	if content, _ := archived(t, dir); content != n {
		t.Errorf("archived %d contents", content)
	}
	if got := s.db.Read(t, `SELECT SUM(entries) FROM {db}.outbox_archive`); got != fmt.Sprint(n) {
		t.Errorf("noted %s entries", got)
	}
}

func TestPurgeWithoutItsArchiveRemovesNothing(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "missing")
	s.old(5, 500)
	s.due()
	s.start(s.purging("rows: 400d, archive: "+dir), "one")
	s.await("purge failed 0 0", runsQuery)
	s.awaitEvent("run_failed", 1)
	s.awaitEvent("alert", 1)
	text := s.logs.FilterMessage("alert").All()[0].ContextMap()["text"].(string)
	if !strings.Contains(text, "removes nothing") || !strings.Contains(text, "must be able to write into "+dir) {
		t.Error(text)
	}
	if got := s.db.Read(t, `SELECT CONCAT_WS(' ', COUNT(*), (SELECT last_error FROM {db}.outbox_run WHERE state = 'failed')) FROM {db}.outbox`); !strings.HasPrefix(got, "5 archive: open ") {
		t.Error(got)
	}
}

func TestPurgeOverSeveralDaemonsRunsOnce(t *testing.T) {
	s := newSite(t)
	s.old(700, 500)
	s.due()
	text := s.purging("rows: 400d")
	for _, name := range []string{"one", "two", "three"} {
		s.start(text, name)
	}
	s.await("purge done 0 700", runsQuery)
	if n := s.events("run_started"); n != 1 {
		t.Errorf("%d runs began", n)
	}
}

func TestPurgeOnTheSchemaOneStepOlder(t *testing.T) {
	s := newSite(t)
	s.db.OneStepOlder(t)
	s.old(3, 500)
	s.old(2, 100)
	s.mail("a@kunde.example")
	s.due()
	s.start(s.purging("rows: 400d, bodies: 30d"), "one")
	s.await("purge done 2 3", runsQuery)
	s.await("sent", `SELECT state FROM {db}.outbox ORDER BY id DESC LIMIT 1`)
	if n := s.events("company_down"); n > 0 {
		t.Error("the company counts as down")
	}
}

// P8: what was due in a database that is adopted is not made up for.
func TestP8_AdoptionSkipsDueRuns(t *testing.T) {
	s := newSite(t)
	s.due()
	s.db.Exec(t, `INSERT INTO {db}.outbox_run (job, scheduled_at, daemon, lease_token) VALUES ('purge', '2020-01-02 03:30:00', 'here', 'x')`)
	world, err := jobs.Open(s.write(s.purging("rows: 400d")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := world.Close(); err != nil {
			t.Error(err)
		}
	})
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, want := range []int{1, 0} {
		if n, err := jobs.SkipRuns(t.Context(), world.Place("acme"), now); err != nil || n != want {
			t.Errorf("%d jobs, %v", n, err)
		}
	}
	if got := s.db.Read(t, `SELECT GROUP_CONCAT(CONCAT_WS(' ', DATE(scheduled_at), state) ORDER BY id SEPARATOR ', ') FROM {db}.outbox_run`); got != "2020-01-01 skipped, 2020-01-02 skipped, 2026-11-21 skipped" {
		t.Error(got)
	}
}
