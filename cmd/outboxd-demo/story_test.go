package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
)

// testStory has acme's books and a table that looks like outbox_run; no daemon works on it.
func testStory(t *testing.T) (*story, *strings.Builder) {
	t.Helper()
	pool := testDatabase(t)
	run(t, pool, "CREATE DATABASE acme", "CREATE TABLE acme.outbox_tag (tag VARCHAR(63), address VARCHAR(255), name VARCHAR(255), language VARCHAR(35))",
		`CREATE TABLE acme.outbox_run (id BIGINT UNSIGNED PRIMARY KEY, job VARCHAR(63), state VARCHAR(16), note TEXT, audience BIGINT, sent BIGINT, failed BIGINT, skipped BIGINT, approved_by VARCHAR(255))`,
		"CREATE TABLE acme.outbox_writeback (run_id BIGINT UNSIGNED)", "CREATE TABLE acme.outbox_suppression (address VARCHAR(320), reason TEXT)")
	must(t, insertBooks(t.Context(), pool))
	out := new(strings.Builder)
	return &story{pool: pool, eva: pool, say: func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }}, out
}

func TestStory(t *testing.T) {
	s, out := testStory(t)
	asked := 0
	s.report = func(_ context.Context, run string) ([]jobs.MailReport, error) {
		asked++
		m := jobs.MailReport{Row: "acme/21", Cause: "550 5.1.1 No such user", Remedy: "correct the address"}
		m.Key, m.Recipients, m.State = "1008", "left-the-company@example.org", "failed"
		return []jobs.MailReport{m}, nil
	}
	look := func(mails ...caught) {
		t.Helper()
		must(t, s.look(t.Context(), mails))
	}
	look() // there is no run yet
	run(t, s.pool, "INSERT INTO acme.outbox_run VALUES (1, 'weekly-sales', 'done', NULL, 1, 1, 0, 0, NULL), (3, 'statements', 'skipped', NULL, NULL, 0, 0, 0, NULL), (2, 'statements', 'running', NULL, NULL, 0, 0, 0, NULL)")
	look()
	run(t, s.pool, "UPDATE acme.outbox_run SET state = 'held', audience = 10, note = 'waits for eva' WHERE id = 2")
	look(caught{Envelope: []string{board}})
	if n := number(t, s.pool, "SELECT COUNT(*) FROM acme.outbox_run WHERE approved_by IS NOT NULL"); n != 0 {
		t.Error("approved without a proof")
	}
	for range 2 {
		look(caught{Envelope: []string{accountant}})
	}
	if n := number(t, s.pool, "SELECT COUNT(*) FROM acme.outbox_run WHERE id = 2 AND approved_by LIKE 'root@%'"); n != 1 {
		t.Error("not approved")
	}
	if n := number(t, s.pool, "SELECT COUNT(*) FROM acme.v_open_items WHERE id = 1005"); n != 0 {
		t.Error("nobody has paid")
	}
	run(t, s.pool, "UPDATE acme.outbox_run SET state = 'done', sent = 6, failed = 1, skipped = 3, note = 'adds up' WHERE id = 2", "UPDATE acme.customer SET mailed_at = NOW() WHERE id IN (1001, 1002)", "INSERT INTO acme.outbox_writeback VALUES (2)")
	look()
	if asked != 0 {
		t.Error("four customers have not been written back, and it told of all")
	}
	run(t, s.pool, "UPDATE acme.customer SET mailed_at = NOW() WHERE id IN (1003, 1004, 1012, 1013)", "DELETE FROM acme.outbox_writeback")
	for range 2 {
		look()
	}
	if asked != 1 {
		t.Errorf("asked for the report %d times", asked)
	}
	for _, part := range []string{"run acme/2 running", "run acme/2 held", "10 rows are made, none may go. waits for eva", "INSERT INTO acme.payment", "approved_by = USER() WHERE id = 2",
		"run acme/2 done" + indent + "adds up", "6 customers", "acme/21   failed   1008   left-the-company@example.org", "correct the address"} {
		if n := strings.Count(out.String(), part); n != 1 {
			t.Errorf("%q was printed %d times:\n%s", part, n, out)
		}
	}
}

func TestStoryDiffers(t *testing.T) {
	mail := func(to string) caught { return caught{Envelope: []string{to}} }
	all := []caught{mail(accountant), mail(accountant), mail(board), mail("faktury@panorama.example"), mail("faktury@panorama.example"), mail("accounts@obrien.example")}
	good := story{run: standing{id: 2, state: "done", audience: 10, sent: 6, failed: 1, skipped: 3, written: 6}, reported: make([]jobs.MailReport, 10)}
	if wrong := good.differences(all); len(wrong) > 0 {
		t.Errorf("as it should be: %q", wrong)
	}
	for name, c := range map[string]struct {
		change func(*story)
		mails  []caught
	}{
		"not closed":            {func(s *story) { s.run.state = "sending" }, all},
		"does not sum up":       {func(s *story) { s.run.sent = 5 }, all},
		"nothing written":       {func(s *story) { s.run.written = 0 }, all},
		"no run":                {func(s *story) { s.run = standing{} }, all},
		"no report":             {func(s *story) { s.reported = nil }, all},
		"no summary":            {func(*story) {}, all[1:]},
		"one customer twice":    {func(*story) {}, append(all[:6:6], all[5])},
		"who has paid is asked": {func(*story) {}, append(all[:6:6], mail("accounts@greendeli.example"))},
	} {
		s := good
		if c.change(&s); len(s.differences(c.mails)) == 0 {
			t.Errorf("%s: no difference", name)
		}
	}
}

func TestSchedulesFireAtAFullMinute(t *testing.T) {
	day := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for now, want := range map[time.Duration]time.Duration{time.Second: time.Minute, 55 * time.Second: time.Minute, 57 * time.Second: 2 * time.Minute, 0: time.Minute} {
		if got := nextMinute(day.Add(now)); !got.Equal(day.Add(want)) {
			t.Errorf("at %s: %s", now, got)
		}
	}
}
