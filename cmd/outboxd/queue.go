package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"outboxd/db"
	"outboxd/jobs"
)

type queueListCommand struct {
	Company   string `help:"Only this company's." placeholder:"NAME"`
	Recipient string `help:"Only those with this recipient." placeholder:"ADDRESS"`
	Reference string `help:"Only those with this reference." placeholder:"TEXT"`
	State     string `help:"Only those in this state: queued, sending, sent, partial, failed, skipped, cancelled, expired, uncertain." placeholder:"STATE"`
	Held      bool   `help:"Only held ones."`
	Since     string `help:"Only those inserted at this time or later: 2026-11-21, '2026-11-21 18:30', or how long ago: 2h, 3d." placeholder:"TIME"`
	Until     string `help:"Only those inserted before this time." placeholder:"TIME"`
	Before    uint64 `help:"Only numbers below this one: the next page of one company." placeholder:"N"`
	Limit     int    `help:"Most rows, up to 1000." default:"50" placeholder:"N"`
	JSON      bool   `help:"Print JSON."`
}

// Run lists rows. When a company could not be asked the exit status is 1.
func (c queueListCommand) Run(i *invocation) error {
	since, err := parseWhen("since", c.Since, i.now())
	if err != nil {
		return err
	}
	until, err := parseWhen("until", c.Until, i.now())
	if err != nil {
		return err
	}
	reply, err := ask(i, opQueueList, jobs.QueueListRequest{Company: c.Company, Recipient: c.Recipient, Reference: c.Reference, State: db.State(c.State),
		Held: c.Held, Since: since, Until: until, Before: c.Before, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(i.stdout, reply, "  ")
	} else {
		err = printRows(i.stdout, reply)
	}
	if err != nil {
		return err
	}
	for _, m := range reply.Missing {
		fmt.Fprintf(i.stderr, "Company %s could not be asked: %s\nWhat to do: %s\n", clean(m.Company), clean(m.Error), clean(m.Hint))
	}
	if len(reply.Missing) > 0 {
		return exitError(exitFailed)
	}
	return nil
}

func printRows(to io.Writer, r jobs.QueueListReply) error {
	w := &errorWriter{w: to}
	if len(r.Rows) == 0 {
		if len(r.Missing) == 0 {
			fmt.Fprintln(w, "No rows.")
		}
		return w.err
	}
	t := newTable(w, "ROW", "STATE", "PRIORITY", "TRIES", "INSERTED", "SENT OR DUE", "RECIPIENTS", "SUBJECT", "REFERENCE", "ERROR")
	for _, s := range r.Rows {
		at := s.SentAt
		if at == nil && s.State == db.Queued {
			at = &s.AvailableAt
		}
		t.row(s.Row, jobs.WithBounce(jobs.StateText(s.State, s.Held), s.BouncedAt), s.Priority, s.Attempts, clock(s.CreatedAt), clockOf(at), short(s.Recipients, 40), short(subjectOf(s), 30),
			short(s.Reference, 24), short(cmp.Or(s.LastError, s.Bounce), 60))
	}
	if err := t.end(); err != nil {
		return err
	}
	if r.More {
		fmt.Fprintln(w, "There are more: --limit N, narrower filters, or --before NUMBER of one company.")
	}
	return w.err
}

// subjectOf is a row's subject, or what makes it.
func subjectOf(s jobs.ListedRow) string {
	if s.Subject == "" && s.Template != "" {
		return "(template " + s.Template + ")"
	}
	return s.Subject
}

type queueShowCommand struct {
	Row  string `arg:"" help:"As acme/17."`
	JSON bool   `help:"Print JSON."`
}

// Run shows a row.
func (c queueShowCommand) Run(i *invocation) error {
	reply, err := ask(i, opQueueShow, jobs.RowRequest{Row: c.Row})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(i.stdout, reply, "  ")
	}
	return printRow(i.stdout, reply)
}

func printRow(to io.Writer, r jobs.QueueShowReply) error {
	w := &errorWriter{w: to}
	t := newTable(w)
	for _, line := range []struct {
		name  string
		value any
	}{
		{"row", r.Row}, {"state", jobs.StateText(r.State, r.Held)}, {"run", r.RunName}, {"recipients", r.Recipients}, {"cc", r.Cc}, {"bcc", r.Bcc}, {"from", r.From},
		{"subject", r.Subject}, {"template", r.Template}, {"language", r.Language}, {"raw", octetsText(r.Raw)}, {"reference", r.Reference}, {"priority", r.Priority}, {"account", r.Account}, {"dedupe_key", r.DedupeKey},
		{"size", counted(int(r.Size), "octet")}, {"inserted", clock(r.CreatedAt)}, {"changed", clock(r.UpdatedAt)}, {"send_after", clockOf(r.SendAfter)},
		{"expires_at", clockOf(r.ExpiresAt)}, {"available_at", clock(r.AvailableAt)}, {"claims", r.Claims}, {"attempts", r.Attempts},
		{"message_id", r.MessageID}, {"sent_at", clockOf(r.SentAt)}, {"sent_via", r.SentVia}, {"smtp", strings.TrimSpace(codeText(r.Code) + " " + r.Enhanced)},
		{"lane", r.Lane}, {"lease_until", clockOf(r.LeaseUntil)}, {"last_error", r.LastError}, {"bounced_at", clockOf(r.BouncedAt)}, {"bounce", r.Bounce}, {"content", purgedText(r.Purged)},
	} {
		if text := fmt.Sprint(line.value); text != "" && text != "-" {
			t.row(line.name, text)
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	if len(r.Attachments) > 0 {
		fmt.Fprintln(w)
		t = newTable(w, "ATTACHMENT", "TYPE", "FROM", "SIZE")
		for _, one := range r.Attachments {
			t.row(one.Name, one.Type, one.Source, octetsText(one.Size))
		}
		if err := t.end(); err != nil {
			return err
		}
	}
	if len(r.Each) > 0 {
		fmt.Fprintln(w)
		t = newTable(w, "RECIPIENT", "KIND", "STATE", "SMTP", "ERROR")
		for _, one := range r.Each {
			t.row(one.Address, one.Kind, jobs.WithBounce(string(one.State), one.BouncedAt), strings.TrimSpace(codeText(one.Code)+" "+one.Enhanced), cmp.Or(one.LastError, one.Bounce))
		}
		if err := t.end(); err != nil {
			return err
		}
	}
	if len(r.Tries) > 0 {
		fmt.Fprintln(w)
		t = newTable(w, "MARKED", "FINISHED", "ACCOUNT", "COMPUTER", "STEP", "VERDICT", "REPLY")
		for _, one := range r.Tries {
			t.row(clockOf(one.MarkedAt), clockOf(one.FinishedAt), one.Account, one.Daemon, one.Step, one.Verdict, one.Reply)
		}
		if err := t.end(); err != nil {
			return err
		}
	}
	return w.err
}

// octetsText is a size, "" where there is none or it is not known.
func octetsText(n int64) string {
	if n <= 0 {
		return ""
	}
	return counted(int(n), "octet")
}

// purgedText tells of content that was removed, with the proof of what it was.
func purgedText(p *db.Purged) string {
	if p == nil {
		return ""
	}
	text := "purged at " + clock(p.At)
	for _, part := range []struct{ name, hash string }{{"body_text", p.Text}, {"body_html", p.HTML}, {"headers", p.Headers}, {"params", p.Params}, {"raw", p.Raw}} {
		if part.hash != "" {
			text += ", SHA-256 of " + part.name + " " + part.hash
		}
	}
	return text
}

func codeText(code int) string {
	if code == 0 {
		return ""
	}
	return fmt.Sprint(code)
}

type queueWhyCommand struct {
	Row  string `arg:"" help:"As acme/17."`
	JSON bool   `help:"Print JSON."`
}

// Run tells in sentences what a row waits for.
func (c queueWhyCommand) Run(i *invocation) error {
	reply, err := ask(i, opQueueWhy, jobs.RowRequest{Row: c.Row})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(i.stdout, reply, "  ")
	}
	w := &errorWriter{w: i.stdout}
	fmt.Fprintf(w, "%s is %s.\n", clean(reply.Row), jobs.StateText(reply.State, reply.Held))
	for _, r := range reply.Reasons {
		fmt.Fprintln(w, clean(r.Text))
	}
	if reply.Next != "" {
		fmt.Fprintln(w, "What to do:", clean(reply.Next))
	}
	return w.err
}
