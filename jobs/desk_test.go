package jobs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs"
	"outboxd/mail/smtptest"
)

// desk opens the databases of a jobs.yaml without an engine.
func (s *site) desk(text string, live func() jobs.Live) *jobs.Desk {
	s.t.Helper()
	w, err := jobs.Open(s.write(text))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := w.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return jobs.NewDesk(w, live, jobs.OpenState("", "one"))
}

// askError returns the error that it must be.
func askError(t *testing.T, err error) *jobs.AskError {
	t.Helper()
	var ask *jobs.AskError
	if !errors.As(err, &ask) {
		t.Fatalf("error %T %v", err, err)
	}
	if ask.Hint == "" {
		t.Errorf("%q has no hint", ask.Text)
	}
	return ask
}

func TestParseRow(t *testing.T) {
	for name, want := range map[string]jobs.RowName{"acme/17": {Company: "acme", ID: 17}, "17": {ID: 17}, "a-b_c/1": {Company: "a-b_c", ID: 1}} {
		got, err := jobs.ParseRow(name)
		if err != nil || got != want || got.String() != name {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "/17", "acme/", "acme", "acme/0", "acme/-1", "acme/x", "acme/17/18", "18446744073709551616"} {
		if _, err := jobs.ParseRow(name); !askError(t, err).Usage {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add("acme/17")
	f.Fuzz(func(t *testing.T, name string) {
		n, err := jobs.ParseRow(name)
		if err != nil {
			return
		}
		if again, err := jobs.ParseRow(n.String()); err != nil || again != n {
			t.Errorf("%q: %v, then %v, %v", name, n, again, err)
		}
	})
}

// rows are one of each kind, in the order of their numbers.
const rows = `INSERT INTO {db}.outbox (recipients, subject, reference, state, held, attempts, send_after, expires_at, account, last_error, sent_via, sent_at) VALUES
	('a@kunde.example', 'due', 'invoice:1', 'queued', 0, 0, NULL, NULL, NULL, NULL, NULL, NULL),
	('b@kunde.example', 'held', 'invoice:2', 'queued', 1, 0, NULL, NULL, NULL, 'held by eva(1000): wrong text', NULL, NULL),
	('c@kunde.example', 'later', NULL, 'queued', 0, 0, NOW() + INTERVAL 1 HOUR, NOW() + INTERVAL 2 HOUR, NULL, NULL, NULL, NULL),
	('d@kunde.example', 'refused', NULL, 'queued', 0, 2, NULL, NULL, NULL, '450 busy', NULL, NULL),
	('e@kunde.example', 'sent', NULL, 'sent', 0, 1, NULL, NULL, NULL, NULL, 'main', NOW()),
	('f@kunde.example', 'failed', NULL, 'failed', 0, 1, NULL, NULL, NULL, '550 no such user', 'main', NULL),
	('g@kunde.example', 'uncertain', NULL, 'uncertain', 0, 1, NULL, NULL, NULL, 'answer lost', 'main', NULL),
	('h@kunde.example', 'expired', NULL, 'expired', 0, 0, NULL, NOW() - INTERVAL 1 HOUR, NULL, NULL, NULL, NULL),
	('i@kunde.example', 'cancelled', NULL, 'cancelled', 0, 0, NULL, NULL, NULL, 'cancelled by eva(1000)', NULL, NULL),
	('j@kunde.example', 'nobody', NULL, 'queued', 0, 0, NULL, NULL, 'nobody', NULL, NULL, NULL),
	('k@kunde.example', 'resting', NULL, 'queued', 0, 0, NULL, NULL, 'resting', NULL, NULL, NULL),
	('l@kunde.example', 'gone', NULL, 'queued', 0, 0, NULL, NOW() - INTERVAL 1 HOUR, NULL, NULL, NULL, NULL)`

// deskSite has those rows and two accounts, one of them inactive.
func deskSite(t *testing.T, opts ...smtptest.Option) (*site, *jobs.Desk) {
	s := newSite(t, opts...)
	s.db.Exec(t, rows)
	s.db.Exec(t, `UPDATE {db}.outbox SET available_at = NOW() + INTERVAL 10 MINUTE WHERE id = 4`)
	text := s.file("  main: "+s.account("rate: 300/hour, limits: [500/day]")+"\n  resting: "+s.account("rate: 300/hour, limits: [500/day], active: false"), "priority: [1, 2, 3]")
	return s, s.desk(text, nil)
}

func TestQueueList(t *testing.T) {
	_, d := deskSite(t)
	all, err := d.QueueList(t.Context(), jobs.QueueListRequest{})
	if err != nil || len(all.Rows) != 12 || all.More || len(all.Missing) > 0 || all.Rows[0].Row != "acme/12" {
		t.Fatalf("%+v, %v", all, err)
	}
	for want, q := range map[string]jobs.QueueListRequest{
		"acme/2":          {Held: true},
		"acme/7":          {State: db.Uncertain, Company: "acme"},
		"acme/1":          {Reference: "invoice:1"},
		"acme/3":          {Recipient: "C@kunde.example"},
		"acme/12 acme/11": {Limit: 2},
		"acme/2 acme/1":   {Before: 3},
		"":                {Since: time.Now().Add(time.Hour)},
	} {
		got, err := d.QueueList(t.Context(), q)
		var names []string
		for _, r := range got.Rows {
			names = append(names, r.Row)
		}
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("%+v: %v, %v", q, names, err)
		}
		if got.More != (q.Limit == 2) {
			t.Errorf("%+v: more is %v", q, got.More)
		}
	}
	for text, q := range map[string]jobs.QueueListRequest{
		`there is no state "lost"`:   {State: "lost"},
		`there is no company "nemo"`: {Company: "nemo"},
	} {
		_, err := d.QueueList(t.Context(), q)
		if got := askError(t, err); got.Text != text {
			t.Errorf("%+v: %v", q, got)
		}
	}
}

func TestQueueShow(t *testing.T) {
	_, d := deskSite(t)
	got, err := d.QueueShow(t.Context(), jobs.RowRequest{Row: "1"})
	if err != nil || got.Row != "acme/1" || got.Subject != "due" || got.Timezone != "UTC" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = d.QueueShow(t.Context(), jobs.RowRequest{Row: "99"})
	if ask := askError(t, err); ask.Text != "there is no row acme/99" {
		t.Error(ask)
	}
	_, err = d.QueueShow(t.Context(), jobs.RowRequest{Row: "nemo/1"})
	if ask := askError(t, err); !strings.Contains(ask.Hint, "acme") {
		t.Error(ask)
	}
}

// why returns all that is said about a row.
func why(t *testing.T, d *jobs.Desk, row int) string {
	t.Helper()
	got, err := d.QueueWhy(t.Context(), jobs.RowRequest{Row: fmt.Sprint(row)})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range got.Reasons {
		lines = append(lines, r.Text)
	}
	return strings.Join(append(lines, got.Next), "\n")
}

func TestQueueWhy(t *testing.T) {
	_, d := deskSite(t)
	for row, want := range map[int][]string{
		1:  {"No outboxd runs on this computer"},
		2:  {"It is held: held by eva(1000): wrong text.", "outboxd queue release acme/2 --reason"},
		3:  {"Its send_after is not reached: it goes at 20", "(in 1h00m)", "it ends as expired at 20", " UTC"},
		4:  {"refused for now: 450 busy. The next try, number 3, is at 20"},
		5:  {"It was sent at 20", "ago) by account main"},
		6:  {"It failed: 550 no such user.", "outboxd queue retry acme/6"},
		7:  {"Nobody knows whether it arrived: answer lost.", "outboxd queue settle acme/7 --as sent", "outboxd queue retry acme/7"},
		8:  {"before its expires_at", "insert a new row"},
		9:  {"It was cancelled: cancelled by eva(1000)."},
		10: {`No account can send it: account "nobody" is none`},
		11: {"The account resting is not active (active: false in "},
		12: {"Its expires_at is over"},
	} {
		got := why(t, d, row)
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("row %d: %s\nlacks %q", row, got, text)
			}
		}
	}
}

// pools opens the buckets as the engine does.
func (s *site) bucketName() string { return fmt.Sprintf("account:127.0.0.1:%d", s.smtp.Port()) }

func (s *site) buckets() *db.Buckets {
	s.t.Helper()
	b, err := s.db.Pool.Buckets(s.db.Name, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func TestQueueWhyOfWaiting(t *testing.T) {
	s, d := deskSite(t)
	ctx := t.Context()
	bucket := db.Bucket{Name: s.bucketName(), Windows: []db.Window{{N: 300, Per: time.Hour}}}
	for range 3 {
		if _, err := s.buckets().Take(ctx, []db.Bucket{bucket}, 1); err != nil {
			t.Fatal(err)
		}
	}
	s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, priority) VALUES ('m@kunde.example', 3), ('n@kunde.example', 5)`)
	got := why(t, d, 13)
	for _, text := range []string{"The limit of account main (300/hour, 500/day) is used up for the moment", "2 rows of the company go before it at 300/hour, 500/day: its turn is about 20"} {
		if !strings.Contains(got, text) {
			t.Errorf("%s\nlacks %q", got, text)
		}
	}
	if got := why(t, d, 14); !strings.Contains(got, "No job takes it: it has priority 5 and goes by account main, but send takes the priorities 1 2 3.") {
		t.Error(got)
	}
	if err := s.buckets().Pause(ctx, bucket.Name, time.Hour, db.Trouble{Scope: "account", Reason: "535 wrong password. Check it."}); err != nil {
		t.Fatal(err)
	}
	if got := why(t, d, 1); !strings.Contains(got, "The account main is paused: 535 wrong password. Check it. It is tried again at 20") {
		t.Error(got)
	}
	lane, err := s.db.Store.PauseLane(ctx, "domain:kunde.example", time.Hour, "421 slow down")
	if err != nil {
		t.Fatal(err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox SET lane = ? WHERE id = 1`, lane.ID)
	if got := why(t, d, 1); !strings.Contains(got, "the recipient's domain kunde.example, which throttles: 421 slow down. The first of them tries at 20") {
		t.Error(got)
	}
}

func TestQueueWhyOfSending(t *testing.T) {
	s, d := deskSite(t)
	s.db.Exec(t, `UPDATE {db}.outbox SET state = 'sending', lease_token = 'abcdef01-1', lease_until = NOW() + INTERVAL 1 MINUTE WHERE id = 1`)
	if got := why(t, d, 1); !strings.Contains(got, "taken by the daemon abcdef01 and nothing of it has been sent") {
		t.Error(got)
	}
	s.db.Exec(t, `INSERT INTO {db}.outbox_attempt (outbox_id, lease_token, marked_at, account, daemon) VALUES (1, 'abcdef01-1', NOW(), 'main', 'mail1')`)
	s.db.Exec(t, `UPDATE {db}.outbox SET lease_until = NOW() - INTERVAL 1 MINUTE WHERE id = 1`)
	got := why(t, d, 1)
	for _, text := range []string{"being sent by main on the computer mail1", "no sign of life since 20", "systemctl status outboxd"} {
		if !strings.Contains(got, text) {
			t.Errorf("%s\nlacks %q", got, text)
		}
	}
}

func TestQueueWhyWithDaemon(t *testing.T) {
	s, _ := deskSite(t)
	down := ""
	d := s.desk(s.file("  main: "+s.account(unlimited), ""), func() jobs.Live {
		return jobs.Live{Companies: map[string]jobs.Health{"acme": {Down: down, Since: time.Now()}}}
	})
	if got := why(t, d, 1); got != "Nothing is in its way: it goes as soon as a sender is free.\n" {
		t.Error(got)
	}
	down = "no right to UPDATE"
	if got := why(t, d, 1); !strings.Contains(got, "The daemon cannot use the company's database since 20") || !strings.Contains(got, "no right to UPDATE.") {
		t.Error(got)
	}
}

func TestStatus(t *testing.T) {
	s, d := deskSite(t)
	ctx := t.Context()
	got, err := d.Status(ctx, jobs.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	c := got.Companies[0]
	if !c.Up || c.Counts == nil || c.Queued != 6 || c.Due != 4 || c.Held != 1 || c.Uncertain != 1 || c.Failed != 1 || c.Expired != 1 || c.SentHour["main"] != 1 {
		t.Errorf("%+v %+v", c, c.Counts)
	}
	if a := got.Accounts[0]; a.State != jobs.AccountOK || a.LimitHour != 300 || strings.Join(a.Limits, " ") != "300/hour 500/day" || a.NextAt != nil {
		t.Errorf("%+v", a)
	}
	if a := got.Accounts[1]; a.State != jobs.AccountInactive {
		t.Errorf("%+v", a)
	}
	if err := s.buckets().Pause(ctx, s.bucketName(), time.Hour, db.Trouble{Scope: "server", Reason: "refused. Wait."}); err != nil {
		t.Fatal(err)
	}
	if got, err = d.Status(ctx, jobs.StatusRequest{}); err != nil {
		t.Fatal(err)
	}
	if a := got.Accounts[0]; a.State != jobs.AccountPaused || a.Reason != "refused. Wait." || a.PausedUntil == nil || a.NextAt == nil {
		t.Errorf("%+v", a)
	}
	text, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(text), `"queued":6`) || strings.Contains(string(text), `"daemon"`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestStatusWithoutDatabases(t *testing.T) {
	s := newSite(t)
	text := s.file("  main: "+s.account("rate: 300/hour"), "")
	text = strings.Replace(text, fmt.Sprintf("database: %s\n", s.db.Name), fmt.Sprintf("database: %s_gone\n", s.db.Name), 1)
	got, err := s.desk(text, nil).Status(t.Context(), jobs.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Companies[0]; c.Up || c.Counts != nil || c.Error == "" || !strings.Contains(c.Hint, "outboxd check --online") {
		t.Errorf("%+v", c)
	}
	if a := got.Accounts[0]; a.State != jobs.AccountUnknown || a.Reason == "" {
		t.Errorf("%+v", a)
	}
}

func TestLeftOutCompanies(t *testing.T) {
	s := newSite(t)
	text := s.file("  main: "+s.account("rate: 300/hour"), "")
	text = strings.Replace(text, "version: 1\n", "version: 1\ninclude: [more.yaml]\ncontrol: {server: main, database: "+s.db.Name+"}\n", 1)
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.path), "more.yaml"), []byte("companies: {beta: {server: nowhere, database: b}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := s.desk(text, nil)
	got, err := d.Status(t.Context(), jobs.StatusRequest{})
	if err != nil || len(got.LeftOut) != 1 || got.LeftOut[0].Companies[0] != "beta" || len(got.LeftOut[0].Problems) == 0 {
		t.Errorf("%+v, %v", got.LeftOut, err)
	}
	_, err = d.QueueShow(t.Context(), jobs.RowRequest{Row: "beta/1"})
	if ask := askError(t, err); !strings.Contains(ask.Text, "is left out") {
		t.Error(ask)
	}
	_, err = d.QueueShow(t.Context(), jobs.RowRequest{Row: "1"})
	if ask := askError(t, err); !ask.Usage || !strings.Contains(ask.Hint, "acme") {
		t.Error(ask)
	}
}
