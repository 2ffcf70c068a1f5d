package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"outboxd/jobs"
	sheet "outboxd/mail/compose/table"
)

type mailingReportCommand struct {
	Name   string `arg:"" name:"run" help:"As acme/12."`
	Failed bool   `help:"Only mails that have ended and that nobody, or not everybody, has got, and those that came back."`
	CSV    string `help:"Write CSV into this file; - is standard output." name:"csv" placeholder:"FILE"`
	XLSX   string `help:"Write a workbook into this file; - is standard output." name:"xlsx" placeholder:"FILE"`
	JSON   bool   `help:"Print JSON."`
}

// Run tells what became of every mail of a run, page by page: however many there are, memory stays flat.
func (c mailingReportCommand) Run(i *invocation) error {
	if _, err := jobs.ParseRun(c.Name); err != nil {
		return err
	}
	if c.JSON && c.CSV+c.XLSX != "" || c.CSV != "" && c.XLSX != "" {
		return &usageError{"a report is written in one form", "give one of --csv, --xlsx and --json"}
	}
	pages := &reportPages{i: i, q: jobs.MailingReportRequest{Run: c.Name, Failed: c.Failed, Limit: reportPage}}
	if err := pages.next(); err != nil { // before a file is made
		return err
	}
	switch {
	case c.JSON:
		return writeReportJSON(i.stdout, pages)
	case c.CSV != "":
		return c.save(i, c.CSV, pages, func(w io.Writer) (sheet.Stream, error) { return sheet.NewCSV(w, reportColumns, pages.options()) })
	case c.XLSX != "":
		return c.save(i, c.XLSX, pages, func(w io.Writer) (sheet.Stream, error) {
			return sheet.NewXLSX(w, reportColumns, reportWidths, pages.options())
		})
	}
	return printReport(i.stdout, pages)
}

// reportPage is how many mails one question brings.
const reportPage = 1000

// reportPages brings a report page by page.
type reportPages struct {
	i     *invocation
	q     jobs.MailingReportRequest
	reply jobs.MailingReportReply
	back  int // mails so far that were sent and came back
}

// next asks for the next page.
func (p *reportPages) next() (err error) {
	p.reply, err = ask(p.i, opMailingReport, p.q)
	p.q.After = p.reply.Next
	return err
}

// each hands over all mails in their order.
func (p *reportPages) each(f func(jobs.MailReport) error) error {
	for {
		for _, m := range p.reply.Mails {
			if m.BouncedAt != nil {
				p.back++
			}
			if err := f(m); err != nil {
				return err
			}
		}
		if p.reply.Next == 0 {
			return nil
		}
		if err := p.next(); err != nil {
			return err
		}
	}
}

// backText says how many of the mails that were sent came back.
func (p *reportPages) backText() string { return fmt.Sprintf("%d of those sent came back.", p.back) }

// options are for tables that a person opens: times stand in the company's zone.
func (p *reportPages) options() sheet.Options {
	return sheet.Options{BOM: true, Filter: true, Sheet: "Run " + fmt.Sprint(p.reply.Info.ID), Zone: zoneOf(p.reply.Info.Timezone)}
}

var (
	reportColumns = []sheet.Column{{Name: "row", Kind: sheet.Text}, {Name: "recipients", Kind: sheet.Text}, {Name: "key", Kind: sheet.Text}, {Name: "reference", Kind: sheet.Text},
		{Name: "subject", Kind: sheet.Text}, {Name: "state", Kind: sheet.Text}, {Name: "sent_at", Kind: sheet.Timestamp}, {Name: "bounced_at", Kind: sheet.Timestamp}, {Name: "account", Kind: sheet.Text}, {Name: "smtp_reply", Kind: sheet.Text},
		{Name: "cause", Kind: sheet.Text}, {Name: "remedy", Kind: sheet.Text}, {Name: "write_back", Kind: sheet.Text}}
	reportWidths = []int{12, 32, 20, 20, 30, 12, 20, 20, 14, 30, 50, 50, 20}
)

// reportRow is a mail in the order of reportColumns.
func reportRow(m jobs.MailReport) []any {
	return []any{m.Row, m.Recipients, m.Key, m.Reference, m.Subject, jobs.StateText(m.State, m.Held), timeOf(m.SentAt), timeOf(m.BouncedAt), m.SentVia, m.Reply, m.Cause, m.Remedy, m.WriteBack}
}

// timeOf is a time for a cell, to the second, which is empty where there is none.
func timeOf(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.Truncate(time.Second)
}

// save writes a report into a file that nobody else may read, or to standard output.
func (c mailingReportCommand) save(i *invocation, path string, pages *reportPages, begin func(io.Writer) (sheet.Stream, error)) error {
	n := 0
	write := func(w io.Writer) (err error) {
		s, err := begin(w)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		return pages.each(func(m jobs.MailReport) error { n++; return s.Row(reportRow(m)) })
	}
	if path == "-" {
		return write(i.stdout)
	}
	done := busy(i, "writing the report")
	written, err := writeFile(path, write)
	done()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(i.stdout, "%s of %s in %s\n", counted(n, "mail"), clean(pages.reply.Info.RunName), clean(written))
	if err == nil && pages.back > 0 {
		_, err = fmt.Fprintln(i.stdout, pages.backText())
	}
	return err
}

// printReport writes a table a page, so that none has to be kept as a whole.
func printReport(to io.Writer, pages *reportPages) error {
	w := &errorWriter{w: to}
	info := pages.reply.Info
	fmt.Fprintf(w, "%s, %s for %s, is %s: %s\n", clean(info.RunName), clean(info.Job), jobs.OnClocks(info.Scheduled), info.State, countsText(info))
	if info.Waits != "" {
		fmt.Fprintln(w, clean(info.Waits))
	}
	var t *table
	n := 0
	err := pages.each(func(m jobs.MailReport) error {
		if n%reportPage == 0 {
			if t != nil {
				if err := t.end(); err != nil {
					return err
				}
			}
			fmt.Fprintln(w)
			t = newTable(w, "ROW", "STATE", "SENT AT", "RECIPIENTS", "KEY", "SMTP REPLY", "WRITE-BACK", "CAUSE")
		}
		n++
		t.row(m.Row, jobs.WithBounce(jobs.StateText(m.State, m.Held), m.BouncedAt), companyClock(m.SentAt, info.Timezone), short(m.Recipients, 40), short(m.Key, 24), short(m.Reply, 40), short(m.WriteBack, 24), short(m.Cause, 80))
		return w.err
	})
	if err == nil && t != nil {
		err = t.end()
	}
	if err != nil {
		return err
	}
	if n == 0 {
		text := "No mails."
		if info.Sum() > 0 && !pages.q.Failed {
			text = "Its mails are gone from the outbox, by a purge or by hand: the counts are what is left."
		}
		fmt.Fprintln(w, text)
	}
	if pages.back > 0 {
		fmt.Fprintf(w, "\n%s\n", pages.backText())
	}
	return w.err
}

// writeReportJSON writes the run, its mails one a line, and how many of them came back.
func writeReportJSON(to io.Writer, pages *reportPages) error {
	w := &errorWriter{w: to}
	fmt.Fprint(w, "{\"run\": ")
	if err := printJSON(w, pages.reply.Info, ""); err != nil {
		return err
	}
	fmt.Fprint(w, ",\"mails\": [\n")
	comma := ""
	err := pages.each(func(m jobs.MailReport) error {
		fmt.Fprint(w, comma)
		comma = ","
		return printJSON(w, m, "")
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "],\"bounced\":%d}\n", pages.back)
	return w.err
}
