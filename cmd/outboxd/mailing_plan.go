package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"outboxd/jobs"
	"outboxd/jobs/mailing"
	"outboxd/mail/page"
)

type mailingPlanCommand struct {
	Job     string `arg:"" help:"A job, as acme/statements; or an audience, as acme/staff, with what a mailing to it would say."`
	IsGroup bool   `name:"audience" help:"It is an audience, also if there is a job of that name."`
	At      string `help:"For this time, as clocks show it in the company's zone: '2026-12-01 08:00' (the next one)." placeholder:"TIME"`
	contentFlags
	Samples string `help:"Write the samples into this folder: each as .eml and as a page for the browser." placeholder:"DIR"`
	JSON    bool   `help:"Print JSON."`
}

// plan is the reply with what was written where.
type plan struct {
	jobs.MailingPlanReply
	Files []string `json:"files,omitempty"`
}

// Run tells what a run would do. Nothing is changed.
func (c mailingPlanCommand) Run(i *invocation) error {
	content, err := c.content()
	if err != nil {
		return err
	}
	q := jobs.MailingPlanRequest{Name: c.Job, Audience: c.IsGroup, At: c.At, MailingContent: content}
	done := busy(i, "reading the audience")
	reply, err := ask(i, opMailingPlan, q)
	done()
	if err != nil {
		return err
	}
	p := plan{MailingPlanReply: reply}
	if c.Samples != "" {
		if p.Files, err = writeSamples(c.Samples, reply); err != nil {
			return err
		}
	}
	if c.JSON {
		err = printJSON(i.stdout, p, "  ")
	} else {
		err = p.print(i.stdout)
	}
	if err != nil {
		return err
	}
	if p.Trouble != "" {
		return exitError(exitFailed)
	}
	return nil
}

// writeSamples writes each sample as .eml and as a page, for nobody else to read: they are somebody's mails.
func writeSamples(dir string, r jobs.MailingPlanReply) (files []string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for n, s := range r.Samples {
		if s.Trouble != "" {
			continue
		}
		name := filepath.Join(dir, fmt.Sprintf("sample-%d", n+1))
		message := r.Message(n)
		eml, err := writeFile(name+".eml", func(w io.Writer) error { _, err := w.Write(message); return err })
		if err != nil {
			return nil, err
		}
		view := preview{PreviewReply: s.PreviewReply, Out: eml}
		html, err := writeFile(name+".html", func(w io.Writer) error { return page.Read(message).Write(w, view.view(name+".html")) })
		if err != nil {
			return nil, err
		}
		files = append(files, eml, html)
	}
	return files, nil
}

// print writes the plan as a person reads it.
func (p plan) print(to io.Writer) error {
	w := &errorWriter{w: to}
	fmt.Fprintf(w, "%s/%s, for %s (%s). Nothing is changed by a plan.\n\n", clean(p.Company), clean(p.Job), jobs.OnClocks(p.For), clean(p.Timezone))
	t := newTable(w)
	if len(p.Next) > 0 {
		t.row("schedule", p.Schedule)
		t.row("next times", walls(p.Next))
	}
	if p.Figures != nil {
		p.figureRows(t, *p.Figures)
	}
	for _, line := range []struct{ name, text string }{{"by account", p.accounts()}, {"approval", p.Approval}} {
		if line.text != "" {
			t.row(line.name, line.text)
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	if p.Figures != nil {
		if err := printPlanTroubles(w, *p.Figures); err != nil {
			return err
		}
	}
	p.printSamples(w)
	for _, text := range p.Warnings {
		fmt.Fprintln(w, "\nNote:", clean(text))
	}
	if p.Trouble != "" {
		fmt.Fprintln(w, "\nThe run would fail, and send nothing:", clean(p.Trouble))
	}
	return w.err
}

func walls(all []time.Time) string {
	var texts []string
	for _, t := range all {
		texts = append(texts, t.Format("Mon ")+jobs.OnClocks(t))
	}
	return strings.Join(texts, ", ")
}

// figureRows are the figures, as a proof shows them too.
func (p plan) figureRows(t *table, f mailing.Figures) {
	size := jobs.Grouped(f.Audience)
	if f.Previous != nil {
		size += fmt.Sprintf(" (the last time %s: %+d)", jobs.Grouped(*f.Previous), f.Audience-*f.Previous)
	}
	t.row("audience", size)
	t.row("would get it", jobs.Grouped(f.Sendable))
	for _, line := range []struct {
		name string
		n    int64
	}{{"no address", f.NoAddress}, {"bad address", f.BadAddress}, {"unusable", f.Unusable}, {"suppressed", f.Suppressed}, {"duplicate key", f.Duplicate}, {"mailed before", f.Already}} {
		t.row(line.name, jobs.Grouped(line.n))
	}
	if f.Finish != nil {
		t.row("would end", strings.TrimSpace(f.Finish.In(zoneOf(p.Timezone)).Format("2006-01-02 15:04")+" "+f.FinishNote))
	} else if f.FinishNote != "" {
		t.row("would end", f.FinishNote)
	}
}

func (p plan) accounts() string {
	var texts []string
	if p.Figures != nil {
		for _, a := range p.Figures.Accounts {
			texts = append(texts, fmt.Sprintf("%s %s", a.Account, jobs.Grouped(a.Mails)))
		}
	}
	return strings.Join(texts, ", ")
}

// printPlanTroubles lists rows that would not be mailed.
func printPlanTroubles(w io.Writer, f mailing.Figures) error {
	if len(f.Troubles) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := newTable(w, "LINE", "KEY", "ADDRESS", "WHY IT WOULD NOT BE MAILED")
	for _, one := range f.Troubles {
		t.row(one.Line, one.Key, short(one.Address, 40), short(one.Reason, 120))
	}
	return t.end()
}

// sampleLines is how much of a sample's text is shown.
const sampleLines = 12

// printSamples shows the samples' heads and how their texts begin, or where they were written.
func (p plan) printSamples(w io.Writer) {
	for n, s := range p.Samples {
		m := page.Read(p.Message(n))
		fmt.Fprintf(w, "\nSample %d of %d, line %d of the audience", n+1, len(p.Samples), s.Line)
		if s.Key != "" {
			fmt.Fprintf(w, ", key %s", clean(s.Key))
		}
		if s.Trouble != "" {
			fmt.Fprintf(w, ", to %s: not mailed: %s\n", clean(s.To), clean(s.Trouble))
			continue
		}
		fmt.Fprintf(w, ", by account %s, %s:\n", clean(s.Account), counted(int(s.Size), "octet"))
		for _, f := range m.Header {
			switch f.Name {
			case "From", "To", "Cc", "Subject":
				fmt.Fprintf(w, "  %s: %s\n", f.Name, clean(f.Value))
			}
		}
		for _, text := range s.Warnings {
			fmt.Fprintf(w, "  (%s)\n", clean(text))
		}
		lines := strings.Split(strings.TrimSpace(m.Text), "\n")
		if m.Text != "" {
			fmt.Fprintln(w)
			for _, line := range lines[:min(len(lines), sampleLines)] {
				fmt.Fprintln(w, "  "+clean(strings.TrimSuffix(line, "\r")))
			}
			if len(lines) > sampleLines {
				fmt.Fprintf(w, "  (%d more lines: --samples DIR)\n", len(lines)-sampleLines)
			}
		}
	}
	for _, file := range p.Files {
		if strings.HasSuffix(file, ".html") {
			fmt.Fprintf(w, "Open in a browser: %s\n", page.FileURL(file))
		}
	}
}
