package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"outboxd/db"
	"outboxd/jobs"
)

func TestQueueChanges(t *testing.T) {
	s, d := deskSite(t)
	ctx := t.Context()
	by := jobs.By{Actor: "eva(1000)", Reason: "checked"}
	change := func(rows ...string) jobs.ChangeRequest { return jobs.ChangeRequest{By: by, Rows: rows} }
	for _, one := range []struct {
		do    func() (jobs.ChangeReply, error)
		state string // of the row afterwards: state, held, last_error
		row   string
	}{
		{func() (jobs.ChangeReply, error) { return d.QueueHold(ctx, change("1")) }, "queued 1 held by eva(1000): checked", "acme/1"},
		{func() (jobs.ChangeReply, error) { return d.QueueRelease(ctx, change("acme/2")) }, "queued 0", "acme/2"},
		{func() (jobs.ChangeReply, error) { return d.QueueCancel(ctx, change("acme/3")) }, "cancelled 0 cancelled by eva(1000): checked", "acme/3"},
		{func() (jobs.ChangeReply, error) { return d.QueueRetry(ctx, change("acme/6")) }, "queued 0", "acme/6"},
		{func() (jobs.ChangeReply, error) {
			return d.QueueSettle(ctx, jobs.SettleRequest{ChangeRequest: change("acme/7"), As: db.Failed})
		}, "failed 0 settled as failed by eva(1000): checked", "acme/7"},
	} {
		reply, err := one.do()
		if err != nil || len(reply.Results) != 1 || reply.Results[0] != (jobs.ChangeResult{Row: one.row, Done: true}) {
			t.Errorf("%s: %+v, %v", one.row, reply, err)
		}
		_, id, _ := strings.Cut(one.row, "/")
		if got := s.db.Read(t, `SELECT CONCAT_WS(' ', state, held, last_error) FROM {db}.outbox WHERE id = ?`, id); got != one.state {
			t.Errorf("%s: %s", one.row, got)
		}
	}
	log, err := d.Audit(ctx, jobs.AuditRequest{Limit: 2})
	if err != nil || len(log.Entries) != 2 || log.Entries[0].Action != "queue settle" || log.Entries[0].Actor != "eva(1000)" ||
		log.Entries[0].Target != "acme/7" || log.Entries[0].Reason != "checked" || log.Entries[0].Detail != "as failed" {
		t.Errorf("%+v, %v", log, err)
	}
}

// TestRetryOfARunThatHasEnded: whoever asks in vain is not told to ask the same again, nor a reason that is none.
func TestRetryOfARunThatHasEnded(t *testing.T) {
	s, d := deskSite(t)
	s.db.Exec(t, `INSERT INTO {db}.outbox_run (id, job, kind, scheduled_at, state, daemon) VALUES (17, 'statements', 'mailing', '2026-11-01 08:00:00', 'cancelled', 'here')`)
	for state, want := range map[string]string{
		"failed":    "to send the mail again, insert a new row",
		"uncertain": "find out whether it arrived, then outboxd queue settle acme/%s --as sent (or failed)",
	} {
		s.db.Exec(t, `INSERT INTO {db}.outbox (recipients, subject, body_text, state, run_id) VALUES ('a@kunde.example', 'Statement', 'Text', ?, 17)`, state)
		id := s.db.Read(t, `SELECT MAX(id) FROM {db}.outbox`)
		want = strings.Replace(want, "%s", id, 1)
		reply, err := d.QueueRetry(t.Context(), jobs.ChangeRequest{By: jobs.By{Actor: "eva(1000)", Reason: "again"}, Rows: []string{"acme/" + id}})
		if err != nil || len(reply.Results) != 1 || !strings.Contains(reply.Results[0].Error, "its run 17 is cancelled") || reply.Results[0].Hint != want {
			t.Errorf("%s: %+v, %v", state, reply, err)
		}
	}
}

func TestQueueChangesEachRow(t *testing.T) {
	_, d := deskSite(t)
	ctx := t.Context()
	q := jobs.ChangeRequest{Rows: []string{"acme/1", "acme/5", "acme/99", "x", "nemo/1", "acme/7", "acme/2"}}
	reply, err := d.QueueHold(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "acme/5 is sent", "there is no row acme/99", `"x" is no row`, "no company", "acme/7 is uncertain", "acme/2 is held"} {
		r := reply.Results[i]
		if r.Done != (want == "") || !strings.Contains(r.Error, want) || !r.Done && r.Hint == "" {
			t.Errorf("%s: %+v", q.Rows[i], r)
		}
	}
	log, err := d.Audit(ctx, jobs.AuditRequest{})
	if err != nil || !strings.HasPrefix(log.Entries[0].Detail, "not done: ") || log.Entries[0].Actor != "unknown" {
		t.Errorf("%+v, %v", log, err)
	}
}

func TestEveryRefusalHasAHint(t *testing.T) {
	s, d := deskSite(t)
	ctx := t.Context()
	s.db.Exec(t, `UPDATE {db}.outbox SET state = 'sending', lease_token = 'a-1', lease_until = NOW() + INTERVAL 1 MINUTE WHERE id = 1`)
	var all []string
	for i := range 12 {
		all = append(all, fmt.Sprint(i+1))
	}
	q := jobs.ChangeRequest{By: jobs.By{Reason: "test"}, Rows: all}
	for action, do := range map[string]func() (jobs.ChangeReply, error){
		"settle": func() (jobs.ChangeReply, error) {
			return d.QueueSettle(ctx, jobs.SettleRequest{ChangeRequest: q, As: db.Sent})
		},
		"release": func() (jobs.ChangeReply, error) { return d.QueueRelease(ctx, q) },
		"hold":    func() (jobs.ChangeReply, error) { return d.QueueHold(ctx, q) },
		"cancel":  func() (jobs.ChangeReply, error) { return d.QueueCancel(ctx, q) },
		"retry":   func() (jobs.ChangeReply, error) { return d.QueueRetry(ctx, q) },
	} {
		reply, err := do()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range reply.Results {
			if !r.Done && (r.Hint == "" || r.Error == "") {
				t.Errorf("%s: %+v", action, r)
			}
			if r.Row == "acme/1" && (r.Done || !strings.Contains(r.Error, "is sending")) {
				t.Errorf("%s: %+v", action, r)
			}
		}
	}
}

func TestChangesAreRefused(t *testing.T) {
	_, d := deskSite(t)
	ctx := t.Context()
	reason := jobs.By{Reason: "why"}
	for want, do := range map[string]func() (jobs.ChangeReply, error){
		"release wants a reason": func() (jobs.ChangeReply, error) { return d.QueueRelease(ctx, jobs.ChangeRequest{Rows: []string{"1"}}) },
		"settle wants a reason": func() (jobs.ChangeReply, error) {
			return d.QueueSettle(ctx, jobs.SettleRequest{ChangeRequest: jobs.ChangeRequest{By: jobs.By{Reason: " "}, Rows: []string{"1"}}, As: db.Sent})
		},
		"not as \"lost\"": func() (jobs.ChangeReply, error) {
			return d.QueueSettle(ctx, jobs.SettleRequest{ChangeRequest: jobs.ChangeRequest{By: reason, Rows: []string{"1"}}, As: "lost"})
		},
		"no row is named": func() (jobs.ChangeReply, error) { return d.QueueHold(ctx, jobs.ChangeRequest{}) },
		"at most 1000": func() (jobs.ChangeReply, error) {
			return d.QueueHold(ctx, jobs.ChangeRequest{Rows: make([]string, 1001)})
		},
	} {
		_, err := do()
		if ask := askError(t, err); !strings.Contains(ask.Text, want) || !ask.Usage {
			t.Errorf("%v, want %s", ask, want)
		}
	}
}

func TestNothingIsChangedWithoutAudit(t *testing.T) {
	s, d := deskSite(t)
	s.db.Exec(t, `DROP TABLE {db}.outbox_audit`)
	reply, err := d.QueueHold(t.Context(), jobs.ChangeRequest{Rows: []string{"1"}})
	if err != nil || reply.Results[0].Done || !strings.Contains(reply.Results[0].Error, "nothing was done") || reply.Results[0].Hint == "" {
		t.Errorf("%+v, %v", reply, err)
	}
	if got := s.db.Read(t, `SELECT held FROM {db}.outbox WHERE id = 1`); got != "0" {
		t.Error("the row was changed")
	}
}
