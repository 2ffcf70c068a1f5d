package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"outboxd/jobs"
)

// The people of acme's mailing, and the customer who pays while it waits for its approval.
const (
	accountant = "eva@acme.example"
	board      = "board@acme.example"
	payer      = 1005
)

// headStart is what the start of the daemon takes at most: a schedule that fires before would be one that nobody keeps.
const headStart = 4 * time.Second

// nextMinute is when the demo's schedules fire.
func nextMinute(now time.Time) time.Time {
	return now.Add(headStart + time.Minute - time.Nanosecond).Truncate(time.Minute)
}

// story is the mailing of acme's statements, from its schedule to its report: what was seen of it, and what the demo does as the
// people would.
type story struct {
	pool     *sql.DB
	eva      *sql.DB // as the accountant's own user
	say      func(format string, args ...any)
	report   func(ctx context.Context, run string) ([]jobs.MailReport, error)
	fires    time.Time
	run      standing
	approved bool
	reported []jobs.MailReport
}

// standing is where the run stands, as a row of outbox_run.
type standing struct {
	id                                       uint64
	state, note                              string
	audience, sent, failed, skipped, written int
	unwritten                                int // write-backs that outboxd has left for later
}

// look tells what changed about the run, and takes part: while it is held it pays an invoice and approves.
func (s *story) look(ctx context.Context, mails []caught) error {
	now, err := s.read(ctx)
	if err != nil || now.id == 0 {
		return err
	}
	if now.state != s.run.state {
		s.say("run acme/%d %s%s", now.id, now.state, meaning(now))
	}
	s.run = now
	switch {
	case now.state == "held" && !s.approved && slices.ContainsFunc(mails, toAccountant):
		return s.approve(ctx)
	case now.state == "done" && s.reported == nil && now.unwritten == 0:
		return s.tellReport(ctx)
	}
	return nil
}

// read reads the newest run of the statements. The zero standing means that there is none; a skipped one only says from when on the
// schedule counts.
func (s *story) read(ctx context.Context) (p standing, err error) {
	err = s.pool.QueryRowContext(ctx, `SELECT id, state, COALESCE(note, ''), COALESCE(audience, 0), sent, failed, skipped FROM acme.outbox_run
		WHERE job = 'statements' AND state <> 'skipped' ORDER BY id DESC LIMIT 1`).Scan(&p.id, &p.state, &p.note, &p.audience, &p.sent, &p.failed, &p.skipped)
	if errors.Is(err, sql.ErrNoRows) {
		return standing{}, nil
	}
	if err == nil {
		err = s.pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM acme.outbox_writeback WHERE run_id = ?", p.id).Scan(&p.unwritten)
	}
	if err == nil { // afterwards: of a run that is done, what is not left for later is written
		err = s.pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM acme.customer WHERE mailed_at IS NOT NULL").Scan(&p.written)
	}
	if err != nil {
		return p, fmt.Errorf("read the run: %w", err)
	}
	return p, nil
}

// meaning is what a state means to somebody who sees it for the first time.
func meaning(p standing) string {
	switch p.state {
	case "running":
		return indent + "The schedule has fired. Each customer with open items becomes a row of the outbox; the rows are held."
	case "held":
		return indent + fmt.Sprintf("%d rows are made, none may go. %s", p.audience, p.note)
	case "sending":
		return indent + "The rows go. For each the open items are asked for again, right before it goes."
	case "done":
		return indent + p.note
	}
	return indent + p.note
}

func toAccountant(m caught) bool { return slices.Contains(m.Envelope, accountant) }

// approve does what the people do: a customer pays, and the accountant, who has seen the proof, lets the run go.
func (s *story) approve(ctx context.Context) error {
	s.approved = true
	for _, act := range []struct {
		about, statement string
		as               *sql.DB
	}{
		{"The proof has arrived. While Eva reads it, Green Deli pays what it owes:",
			fmt.Sprintf("INSERT INTO acme.payment (id, invoice_id, received, amount) SELECT 7799, invoice_id, CURRENT_DATE, amount FROM acme.v_open_invoices WHERE customer_id = %d", payer), s.pool},
		{"Eva has seen the proof, and approves it as her own user of the database (outboxd mailing approve does the same):",
			fmt.Sprintf("UPDATE acme.outbox_run SET approved_by = USER() WHERE id = %d", s.run.id), s.eva},
	} {
		s.say("run acme/%d %s%s%s", s.run.id, act.about, indent, act.statement)
		if _, err := act.as.ExecContext(ctx, act.statement); err != nil {
			return fmt.Errorf("take part in the mailing: %w", err)
		}
	}
	return nil
}

// tellReport prints the report: every recipient with its end.
func (s *story) tellReport(ctx context.Context) error {
	mails, err := s.report(ctx, rowName("acme", s.run.id))
	if err != nil {
		return fmt.Errorf("ask for the report: %w", err)
	}
	s.reported = mails
	s.say("run acme/%d Written back by on_sent: %d customers have mailed_at. What `outboxd mailing report acme/%d` tells:%s", s.run.id, s.run.written, s.run.id, table(mails))
	return nil
}

// table shows each mail of a report in a line, with the reason below where there is one.
func table(mails []jobs.MailReport) string {
	var b strings.Builder
	for _, m := range mails {
		fmt.Fprintf(&b, "%s%-9s %-8s %-6s %s", indent, m.Row, m.State, m.Key, m.Recipients)
		for _, text := range []string{m.Cause, m.Remedy} {
			if text != "" {
				fmt.Fprintf(&b, "%s          %s", indent, text)
			}
		}
	}
	return b.String()
}

// differences tells what of the mailing is not as it should be in the end.
func (s *story) differences(mails []caught) (wrong []string) {
	got := map[string]int{}
	for _, m := range mails {
		for _, to := range m.Envelope {
			got[to]++
		}
	}
	want := standing{id: s.run.id, state: "done", note: s.run.note, audience: 10, sent: 6, failed: 1, skipped: 3, written: 6}
	if s.run != want || s.run.id == 0 {
		wrong = append(wrong, fmt.Sprintf("the statements' run is %+v, expected %+v", s.run, want))
	}
	if len(s.reported) != want.audience {
		wrong = append(wrong, fmt.Sprintf("the report has %d mails, expected %d", len(s.reported), want.audience))
	}
	for to, n := range map[string]int{accountant: 2, board: 1, "faktury@panorama.example": 2, "accounts@obrien.example": 1, "accounts@greendeli.example": 0} {
		if got[to] != n {
			wrong = append(wrong, fmt.Sprintf("%d mails arrived at %s, expected %d", got[to], to, n))
		}
	}
	return wrong
}
