package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
)

// planned is a company with customers and a mailing to them.
func (s *site) planned(accounts, more string) string {
	s.db.Exec(s.t, `CREATE TABLE {db}.customer (id INT PRIMARY KEY, email VARCHAR(100), language VARCHAR(10), sender VARCHAR(100), level INT)`)
	s.db.Exec(s.t, `INSERT INTO {db}.customer VALUES (1, 'eva@kunde.example', 'sk', NULL, 1), (2, 'eva@kunde.example', 'en', NULL, 1), (3, NULL, NULL, NULL, 1), (4, 'nobody', NULL, NULL, 1),
		(5, 'jan@kunde.example', NULL, 'eva@other.example', 1), (6, 'ana@kunde.example', NULL, NULL, 1), (7, 'ida@kunde.example', NULL, NULL, NULL), (8, 'leo@kunde.example', NULL, NULL, 1)`)
	templates := folder(s.t, map[string]string{"statement/subject.txt": "Statement {{.id}}", "statement/body.txt": "For {{.id}}"})
	text := s.company(accounts, `send: {kind: deliver, poll: 100ms}
statements: {kind: mailing, was: old, schedule: "0 8 1 * *", audience: {name: customers}, template: statement, key: [id, level], once_per: month`+more+`}`)
	return strings.Replace(text, "    jobs:\n", `    reader: {username: root, time: 2s}
    timezone: Europe/Bratislava
    templates: `+templates+`
    audiences:
      customers: SELECT email AS recipients, language, sender AS from_address, id, level FROM customer UNION ALL SELECT email, NULL, NULL, id, level FROM customer WHERE id = 1
    jobs:
`, 1)
}

func TestAPlanSaysWhoGetsWhatAndWhen(t *testing.T) {
	s := newSite(t)
	text := s.planned("  system: "+s.account(unlimited)+"\n  news: "+s.account("username: news, password: {env: HOME}, rate: 100/hour, sender_domains: [acme.example]"), "")
	desk := s.desk(strings.Replace(text, "    reader:", "    accounts: [news]\n    reader:", 1), nil)
	s.db.Exec(t, `INSERT INTO {db}.outbox_key (kind, value, period, outbox_id, at) VALUES ('statements', '6 / 1', '2026-12', 4711, NOW()), ('old', '8 / 1', '2026-12', 4712, NOW()), ('statements', '1 / 1', '2026-11', 1, NOW())`)
	s.db.Exec(t, `INSERT INTO {db}.outbox_run (job, kind, scheduled_at, state, daemon, audience, period) VALUES ('old', 'mailing', '2026-11-01 08:00:00', 'done', 'here', 7, '2026-11')`)
	plan, err := desk.MailingPlan(t.Context(), jobs.MailingPlanRequest{Name: "statements", At: "2026-12-01 08:00"})
	if err != nil {
		t.Fatal(err)
	}
	f := plan.Figures
	if got, want := fmt.Sprint(f.Audience, *f.Previous, f.Sendable, f.NoAddress, f.BadAddress, f.Unusable, f.Duplicate, f.Already, f.Accounts), "9 7 2 1 1 2 1 2 [{news 2}]"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	var troubles []string
	for _, x := range f.Troubles {
		troubles = append(troubles, fmt.Sprint(x.Line, " ", x.Key, " ", x.Reason))
	}
	want := []string{"3 3 / 1 recipients is empty", "4 4 / 1 recipients: address 1", "5 5 / 1 no account of the company may send as @other.example", "6 6 / 1 was mailed in this period: mail 4711",
		"7  the key (id, level) is NULL", "8 8 / 1 was mailed in this period: mail 4712", "9 1 / 1 duplicate of line 1"}
	for i, w := range want {
		if i >= len(troubles) || !strings.HasPrefix(troubles[i], w) {
			t.Errorf("not %q: %s", w, strings.Join(troubles, "\n"))
			break
		}
	}
}

// The estimate counts what waits for the account before, and starts no earlier than the run.
func TestAPlanSaysWhenTheLastMailWouldHaveGone(t *testing.T) {
	for name, c := range map[string]struct {
		account, more string
		before        func(s *site)
		want          func(now time.Time) time.Time // zero: never
		note          string
	}{
		"now":      {"rate: 100/hour", "", func(*site) {}, func(now time.Time) time.Time { return now.Add(4 * 36 * time.Second) }, "by the limits of account system: 100/hour"},
		"behind":   {"rate: 100/hour", "", func(s *site) { s.mails(100) }, func(now time.Time) time.Time { return now.Add(time.Hour + 5*36*time.Second) }, "before them go 100 mails that wait already"},
		"in front": {"rate: 100/hour", ", priority: 2", func(s *site) { s.mails(100) }, func(now time.Time) time.Time { return now.Add(4 * 36 * time.Second) }, "100/hour"},
		"paused": {"rate: 100/hour", "", func(s *site) {
			if err := s.buckets().Hold(s.t.Context(), s.bucketName(), 0, "eva", ""); err != nil {
				s.t.Fatal(err)
			}
		}, func(now time.Time) time.Time { return now.Add(4 * 36 * time.Second) }, "paused until somebody resumes it"},
		"no limits": {unlimited, "", func(*site) {}, func(now time.Time) time.Time { return now }, "system"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			desk := s.desk(s.planned("  system: "+s.account(c.account), c.more), nil)
			c.before(s)
			now := time.Now()
			plan, err := desk.MailingPlan(t.Context(), jobs.MailingPlanRequest{Name: "statements", At: now.In(time.UTC).Add(-time.Hour).Format("2006-01-02 15:04")})
			if err != nil {
				t.Fatal(err)
			}
			f := plan.Figures
			if f.Sendable != 5 || f.Finish == nil || !strings.Contains(f.FinishNote, c.note) {
				t.Fatalf("%+v, finish %v", f, f.Finish)
			}
			if off := f.Finish.Sub(c.want(now)).Abs(); off > time.Minute {
				t.Errorf("%s, not %s: %s", f.Finish, c.want(now), f.FinishNote)
			}
		})
	}
}
