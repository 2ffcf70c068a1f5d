package jobs_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"outboxd/jobs"
)

// approvers is a company with people who may approve.
func (s *site) approvers() string {
	return s.servers("") + `control: {server: main, database: ` + s.db.Name + `}
accounts:
  system: ` + s.account(unlimited) + `
companies:
  acme:
    server: main
    database: ` + s.db.Name + `
    people:
      eva: {email: eva@acme.example, may: [start]}
      jan: {email: jan@acme.example, may: [approve]}
      ida: {email: ida@acme.example, may: [approve]}
    jobs: {send: {kind: deliver}}
`
}

// heldRun inserts a run that waits for an approval.
func (s *site) heldRun() {
	s.db.Exec(s.t, `INSERT INTO {db}.outbox_run (job, kind, scheduled_at, state, daemon, spec, started_by, audience, enqueued) VALUES ('statements', 'mailing', '2026-11-01 08:00:00', 'held', 'host',
		'{"kind":"mailing","job":"statements","approval":{"by":["jan","ida"]},"canary":{"first":5,"wait":1800000000000,"stop_above":5}}', 'eva', 100, 100)`)
}

// TestARunIsApprovedOnce: of two people who approve at the same time one has done it, and the other is told.
func TestARunIsApprovedOnce(t *testing.T) {
	s := newSite(t)
	d := s.desk(s.approvers(), nil)
	s.heldRun()
	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		all.Go(func() {
			who := []string{"jan(1)", "ida(2)"}[i%2]
			_, errs[i] = d.MailingApprove(t.Context(), jobs.MailingApproveRequest{By: jobs.By{Actor: who}, Run: "acme/1"})
		})
	}
	all.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if ask := askError(t, err); !strings.Contains(ask.Text, "only a held run can be approved") {
			t.Error(err)
		}
	}
	if got := s.db.Read(t, `SELECT SUM(IF(detail LIKE 'not done: %', -1, 1)) FROM {db}.outbox_audit`); got != "1" {
		t.Errorf("the audit tells of %s approvals", got)
	}
	if got := s.db.Read(t, `SELECT CONCAT_WS(' ', state, allowed, approved_by IN ('jan', 'ida')) FROM {db}.outbox_run`); done != 1 || got != "sending 5 1" {
		t.Errorf("%d have approved it: %s", done, got)
	}
}

// TestP8_NothingBeginsInACopy: a run of a restored or copied database is neither begun, nor let go, nor resumed. It can be stopped.
func TestP8_NothingBeginsInACopy(t *testing.T) {
	s := newSite(t)
	live := func() jobs.Live {
		return jobs.Live{Companies: map[string]jobs.Health{"acme": {Fenced: &jobs.Fenced{Why: "it was restored", Hint: "outboxd adopt acme"}}}}
	}
	d := s.desk(s.approvers(), live)
	s.heldRun()
	by := func(name string) jobs.By { return jobs.By{Actor: name} }
	_, start := d.MailingStart(t.Context(), jobs.MailingStartRequest{By: by("eva(1)"), Job: "send"})
	_, approve := d.MailingApprove(t.Context(), jobs.MailingApproveRequest{By: by("jan(1)"), Run: "1"})
	s.db.Exec(t, `UPDATE {db}.outbox_run SET state = 'stopped'`)
	_, resume := d.MailingResume(t.Context(), jobs.MailingResumeRequest{By: by("eva(1)"), Run: "1"})
	for name, err := range map[string]error{"approve": approve, "resume": resume} {
		if ask := askError(t, err); !strings.Contains(ask.Text, "it was restored") || ask.Hint != "outboxd adopt acme" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if askError(t, start); s.db.Read(t, `SELECT CONCAT_WS(' ', COUNT(*), MAX(state)) FROM {db}.outbox_run`) != "1 stopped" {
		t.Errorf("something has begun: %v", start)
	}
	if _, err := d.MailingStop(t.Context(), jobs.MailingStopRequest{By: by("eva(1)"), Run: "1", Cancel: true}); err != nil {
		t.Errorf("cancel: %v", err)
	}
}

// TestNothingIsDoneWithoutTheAudit: what cannot be written down is not done.
func TestNothingIsDoneWithoutTheAudit(t *testing.T) {
	s := newSite(t)
	d := s.desk(s.approvers(), nil)
	s.heldRun()
	s.db.Exec(t, `RENAME TABLE {db}.outbox_audit TO {db}.away`)
	by := jobs.By{Actor: "jan(1)"}
	_, approve := d.MailingApprove(t.Context(), jobs.MailingApproveRequest{By: by, Run: "acme/1"})
	_, cancel := d.MailingStop(t.Context(), jobs.MailingStopRequest{By: by, Run: "acme/1", Cancel: true})
	for _, err := range []error{approve, cancel} {
		var ask *jobs.AskError
		if !errors.As(err, &ask) || !strings.Contains(ask.Text, "the audit cannot be written, so nothing was done") {
			t.Errorf("%v", err)
		}
	}
	if got := s.db.Read(t, `SELECT state FROM {db}.outbox_run`); got != "held" {
		t.Errorf("it is %s", got)
	}
}

func TestParseRun(t *testing.T) {
	if n, err := jobs.ParseRun("acme/12"); err != nil || n != (jobs.RowName{Company: "acme", ID: 12}) {
		t.Errorf("%v, %v", n, err)
	}
	for _, name := range []string{"", "acme", "acme/x", "acme/0", "/1"} {
		if _, err := jobs.ParseRun(name); !strings.Contains(askError(t, err).Hint, "outboxd mailing list") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// P7: the run of a missed time that a holiday had moved stands for the month that was meant, as the scheduler's would have.
func TestP7_AMissedTimeThatAHolidayMovedStartedByHand(t *testing.T) {
	s := newSite(t)
	text := strings.Replace(s.mailingFile(`schedule: "0 8 1 * *", shift: previous, once_per: month`), "    accounts: [main, system]\n", "    accounts: [main, system]\n    holidays: [2026-11-01]\n", 1)
	d := s.desk(text, nil)
	if _, err := d.MailingStart(t.Context(), jobs.MailingStartRequest{By: jobs.By{Actor: "eva(1)"}, Job: "statements", At: "2026-10-30 08:00"}); err != nil {
		t.Fatal(err)
	}
	if got := s.db.Read(t, `SELECT CONCAT_WS(' ', scheduled_at, period) FROM {db}.outbox_run`); got != "2026-10-30 08:00:00 2026-11" {
		t.Error(got)
	}
}

// TestARunThatNobodyMayApprove: whoever starts one of which they alone are the approver learns it at once, and wherever it is shown.
func TestARunThatNobodyMayApprove(t *testing.T) {
	s := newSite(t)
	d := s.desk(s.mailingFile("approval: {by: [jan], within: 8h}"), nil)
	reply, err := d.MailingStart(t.Context(), jobs.MailingStartRequest{By: jobs.By{Actor: "jan(1)"}, Job: "statements"})
	if err != nil || len(reply.Warnings) != 1 || !strings.Contains(reply.Warnings[0], "Nobody may approve this run: its approval names jan alone") {
		t.Errorf("%q, %v", reply.Warnings, err)
	}
	s.db.Exec(t, `UPDATE {db}.outbox_run SET state = 'held', decide_until = '2026-12-01 16:00:00'`)
	list, err := d.MailingList(t.Context(), jobs.MailingListRequest{})
	if err != nil || list.Runs[0].Waits != "It waits for approval by nobody (whoever starts a run may not approve it) until 2026-12-01 16:00:00 UTC; then it is cancelled." {
		t.Errorf("%+v, %v", list.Runs, err)
	}
}

// TestHowFarARunIs: mails that were never to be sent are no part of its pace, and an end that nobody lives to see is none.
func TestHowFarARunIs(t *testing.T) {
	s := newSite(t)
	d := s.desk(strings.Replace(s.approvers(), unlimited, "rate: 1000/hour, limits: [1/day]", 1), nil)
	s.db.Exec(t, `INSERT INTO {db}.outbox_run (job, kind, scheduled_at, state, daemon, spec, audience, enqueued, sent, skipped, suppressed, started_at) VALUES ('statements', 'mailing', '2026-11-01 08:00:00', 'sending', 'host',
		'{"kind":"mailing","job":"statements","account":"system","priority":4}', 5000, 5000, 20, 2000, 400, NOW(6) - INTERVAL 2 HOUR)`)
	list, err := d.MailingList(t.Context(), jobs.MailingListRequest{})
	if err != nil || len(list.Runs) != 1 {
		t.Fatal(list, err)
	}
	if r := list.Runs[0]; r.Rate != 10 || r.Left != 2580 || r.Finish != nil {
		t.Errorf("%d an hour, %d left, until %v", r.Rate, r.Left, r.Finish)
	}
}
