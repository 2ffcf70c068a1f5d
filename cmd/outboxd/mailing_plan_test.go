package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"outboxd/jobs"
)

func TestMailingPlan(t *testing.T) {
	s := mailingSite(t, "nobody")
	out := s.must(exitDone, "mailing plan statements --at 2026-12-01T08:00", "acme/statements, for 2026-12-01 08:00 (Europe/Bratislava). Nothing is changed by a plan.", "0 8 1 * *", "next times",
		"jan, within 8h, else it is cancelled", "bulk 2", "LINE", "no address",
		"Sample 1 of 2, line 1 of the audience, key 1, by account bulk", "To: a@kunde.example", "Subject: Statement of Ann", "you owe 10.50.")
	for row, want := range map[string]string{"audience": "4", "would get it": "2", "no address": "1", "bad address": "1", "duplicate key": "0", "mailed before": "0"} {
		if got := figureOf(out, row); got != want {
			t.Errorf("%s: %q, want %q\n%s", row, got, want, out)
		}
	}
	s.seedRun(t, "done", "audience = 9")
	s.db.Exec(t, `INSERT INTO {db}.outbox_key (kind, value, period, outbox_id, at) VALUES ('statements', '1', '2026-12', 7, NOW(6))`)
	s.db.Exec(t, `INSERT INTO {db}.customer SELECT 1000 + id, email, name, total, NULL FROM {db}.customer WHERE id = 2`)
	out = s.must(exitDone, "mailing plan acme/statements --at 2026-12-01T08:00", "was mailed in this period: mail 7")
	for row, want := range map[string]string{"audience": "5 (the last time 9: -4)", "would get it": "2", "mailed before": "1"} {
		if got := figureOf(out, row); got != want {
			t.Errorf("%s: %q, want %q\n%s", row, got, want, out)
		}
	}
	var plan jobs.MailingPlanReply
	if err := json.Unmarshal([]byte(s.must(exitDone, "mailing plan statements --json")), &plan); err != nil || len(plan.Next) != 5 || plan.Next[0] != plan.For || plan.Figures.Audience != 5 {
		t.Errorf("%+v, %v", plan, err)
	}
	dir := filepath.Join(t.TempDir(), "samples")
	s.must(exitDone, "mailing plan statements --samples "+dir, "Open in a browser: file://"+dir+"/sample-1.html")
	if eml := contents(t, filepath.Join(dir, "sample-2.eml")); !strings.Contains(eml, "Subject: Statement of Bob") || strings.Contains(eml, "Ann") {
		t.Errorf("%s", eml)
	}
	for _, name := range []string{"sample-1.eml", "sample-1.html", "sample-2.html"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	s.must(exitFailed, "mailing plan acme/customers --with min=1 --template wants-more", "would get it   3", "The run would fail, and send nothing: ", "title")
	s.must(exitFailed, "mailing plan customers --with min=1 --template wants-more --json", `"trouble"`)
	s.must(exitDone, "mailing plan owed", "acme/owed, for ", "audience       1\n", "system 1", "To: board@acme.example", "Subject: Owed, week ")
	s.must(exitDone, "mailing plan none", "unusable       1", "none")
	s.must(exitDone, "mailing plan remind", "0 6 * * *", "Note: The job runs a statement.")
	s.must(exitWrong, "mailing plan statements --subject x", "stands in jobs.yaml")
	s.must(exitWrong, "mailing plan statements --at soon", "is no time")
	s.must(exitFailed, "mailing plan nothing", `acme has no job and no audience "nothing"`, "the jobs are statements, owed, none, remind; the audiences are customers")
	s.must(exitFailed, "mailing plan --audience nothing", "the audiences are customers")
	s.must(exitFailed, "mailing plan customers --subject x --template statement", "audience customers: ", "min", "What to do:")
	if out := s.must(exitDone, "mailing plan customers --with min=1", "acme/@customers, for ", "audience       5\n", "would get it   3", "by account     ", "Note: It has no content yet, so there are no samples: "); strings.Contains(out, "Sample 1") {
		t.Error(out)
	}
	if got := s.db.Read(t, `SELECT CONCAT_WS(' ', (SELECT COUNT(*) FROM {db}.outbox_run), (SELECT COUNT(*) FROM {db}.outbox), (SELECT COUNT(*) FROM {db}.outbox_audit), (SELECT COUNT(*) FROM {db}.outbox_pin))`); got != "1 0 0 0" {
		t.Errorf("a plan has changed something: %s", got)
	}
}

// figureOf is what stands in the row of a plan that begins with a name.
func figureOf(out, name string) string {
	for line := range strings.Lines(out) {
		if rest, found := strings.CutPrefix(line, name+"  "); found {
			return strings.TrimSpace(rest)
		}
	}
	return "(none)"
}
