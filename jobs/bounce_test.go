package jobs_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/jobs"
)

// bouncesLater notes bounces of some mails, and that all that has ended did so two hours ago.
const bouncesLater = `UPDATE {db}.outbox SET bounced_at = IF(FIND_IN_SET(id, ?), NOW(6), NULL), bounce = IF(FIND_IN_SET(id, ?), '550 5.1.1 no such user', NULL),
	sent_at = sent_at - INTERVAL 2 HOUR, updated_at = NOW(6) - INTERVAL 2 HOUR WHERE run_id IS NOT NULL`

// TestCanaryCountsBounces: the first mails of a run that came back count like those that were refused, and nothing but mails that were sent can
// come back.
func TestCanaryCountsBounces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ refused, bounced, state, note string }{
		"bounces alone": {"", "2,3", "stopped", "stopped: of the first 10 mails 2 came back, more than 15 % (canary)"},
		"both":          {"c1@kunde.example", "2", "stopped", "stopped: of the first 10 mails 1 was refused and 1 came back, more than 15 % (canary)"},
		"below":         {"", "2", "done", "The counts add up: 20 sent = 20, the rows of the audience. Every one has an end"},
		"not sent":      {"c1@kunde.example", "1,11,12", "done", "The counts add up: 19 sent + 1 failed = 20, the rows of the audience. Every one has an end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.customers(20)
			if c.refused != "" {
				s.smtp.On(rcpt(c.refused, "550 5.1.1 no such user"))
			}
			text := s.mailingFile("canary: {first: 10, wait: 1h, stop_above: 15%}")
			s.begin(text)
			s.start(text, "one")
			s.await("10", `SELECT COUNT(*) FROM {db}.outbox WHERE state IN ('sent', 'failed') AND run_id IS NOT NULL`)
			s.db.Exec(t, bouncesLater, c.bounced, c.bounced)
			s.await(c.state, runState)
			s.await(c.note, runNote)
		})
	}
}

// TestP10_AMailThatCameBackSaysWhatToDo: the report of a run that has closed, and the row itself, say that a mail came back, why, and what to
// do; the summary of one that closes says so too.
func TestP10_AMailThatCameBackSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.customers(3)
	s.smtp.On(rcpt("c3@kunde.example", "550 5.1.1 no such user"))
	text := s.mailingFile("")
	id := s.begin(text)
	s.start(text, "one")
	s.await("done 3 2 1 0 0", runSum)
	d := s.desk(text, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report := func(failed bool) jobs.MailingReportReply {
		t.Helper()
		r, err := d.MailingReport(ctx, jobs.MailingReportRequest{Run: "acme/1", Failed: failed})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := report(true); len(r.Mails) != 1 || r.Mails[0].BouncedAt != nil {
		t.Errorf("before: %+v", r.Mails)
	}
	s.db.Exec(t, `UPDATE {db}.outbox SET bounced_at = NOW(6), bounce = 'smtp; 552 5.2.2 mailbox full' WHERE id IN (1, 3)`)
	r := report(true)
	if r.Info.Sent != 2 || len(r.Mails) != 2 {
		t.Fatalf("after: %d sent, %+v", r.Info.Sent, r.Mails)
	}
	m, refused := r.Mails[0], r.Mails[1]
	if m.State != db.Sent || m.BouncedAt == nil || m.Cause != "came back: smtp; 552 5.2.2 mailbox full" || !strings.Contains(m.Remedy, "mailbox is full") {
		t.Errorf("%+v", m)
	}
	if refused.State != db.Failed || refused.BouncedAt != nil || !strings.Contains(refused.Remedy, "does not exist") || strings.Contains(refused.Cause, "came back") {
		t.Errorf("%+v", refused)
	}
	if all := report(false); len(all.Mails) != 3 || all.Mails[1].Cause != "" {
		t.Errorf("%+v", all.Mails)
	}
	why, err := d.QueueWhy(ctx, jobs.RowRequest{Row: "acme/1"})
	if err != nil || len(why.Reasons) != 2 || !strings.Contains(why.Reasons[1].Text, "came back") || why.Reasons[1].Cause != "mailbox_full" || !strings.Contains(why.Next, "mailbox is full") {
		t.Errorf("%+v, %v", why, err)
	}
	w, p := s.world(text)
	defer w.Close()
	run, err := p.Store.Run(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	spec := letterSpec()
	spec.Summary = []string{"eva@acme.example"}
	mails, err := jobs.SummaryMails(ctx, p, run, spec)
	if err != nil || len(mails) != 1 {
		t.Fatal(mails, err)
	}
	wantParts(t, mails[0].Subject+"\n"+mails[0].Text, "2 of 3 mails sent, 1 came back", "has taken 2. Of these 1 came back.", "Of those sent came back", "2 sent + 1 failed = 3",
		"c1@kunde.example: sent, came back", "came back: smtp; 552 5.2.2 mailbox full", "The recipient's mailbox is full", "What came back counts as sent.")
}
