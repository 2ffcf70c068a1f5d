package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"outboxd/jobs"
)

// maxBody is the most of --body, in octets: with the rest of the request it has to fit on the control socket.
const maxBody = maxParams / 2

// contentFlags are what a mailing to an audience says.
type contentFlags struct {
	Subject  string            `help:"To an audience: the subject; with --template in place of the template's." placeholder:"TEXT"`
	Body     string            `help:"To an audience: a file with what it says, as text, or as HTML if its name ends in .html." placeholder:"FILE"`
	Template string            `help:"To an audience: the template that makes it, in place of --body." placeholder:"NAME"`
	With     map[string]string `help:"To an audience: a value for a parameter of its query; several times for several." placeholder:"NAME=VALUE" mapsep:"none"`
}

// content reads what was named.
func (c contentFlags) content() (m jobs.MailingContent, err error) {
	m = jobs.MailingContent{Subject: c.Subject, Template: c.Template}
	for name, text := range c.With {
		if m.With == nil {
			m.With = map[string]any{}
		}
		m.With[name] = valueOf(text)
	}
	if c.Body == "" {
		return m, nil
	}
	text, err := os.ReadFile(c.Body)
	switch {
	case err != nil:
		return m, &usageError{"--body: " + err.Error(), "name a file that holds what the mailing says"}
	case len(text) > maxBody:
		return m, &usageError{fmt.Sprintf("--body: %d octets, at most %d are passed on", len(text), maxBody), "make a template of it: --template NAME"}
	case !utf8.Valid(text):
		return m, &usageError{fmt.Sprintf("--body: %s is no text in UTF-8", c.Body), "save it as UTF-8"}
	}
	switch strings.ToLower(filepath.Ext(c.Body)) {
	case ".html", ".htm":
		m.HTML = string(text)
	default:
		m.Text = string(text)
	}
	return m, nil
}

// valueOf is a parameter's value: a number, true, false and null are what they are in JSON, all else is a text. 007 is a text.
func valueOf(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return text
	}
	switch v.(type) {
	case json.Number, bool, nil:
		if strings.TrimSpace(text) == text {
			return v
		}
	}
	return text
}

type mailingStartCommand struct {
	Audience string `arg:"" optional:"" help:"As acme/staff: a mailing to it now."`
	Job      string `help:"In place of an audience: a run of this job, as acme/statements." placeholder:"JOB"`
	At       string `help:"With --job: for a time that was missed, as clocks show it in the company's zone: '2026-12-01 08:00' (now)." placeholder:"TIME"`
	contentFlags
	Reason string `help:"Why, for the audit." placeholder:"TEXT"`
	NoWait bool   `help:"Do not follow how it goes."`
	JSON   bool   `help:"Print JSON."`
}

// Run begins a run, and follows it until it waits for a person or has ended.
func (c mailingStartCommand) Run(i *invocation) error {
	content, err := c.content()
	if err != nil {
		return err
	}
	reply, err := ask(i, opMailingStart, jobs.MailingStartRequest{By: jobs.By{Reason: c.Reason}, Audience: c.Audience, Job: c.Job, At: c.At, MailingContent: content})
	if err != nil {
		return err
	}
	for _, text := range reply.Warnings {
		fmt.Fprintln(i.stderr, clean(text))
	}
	if c.JSON {
		return printJSON(i.stdout, reply, "  ")
	}
	fmt.Fprintf(i.stdout, "%s: begun\n", clean(reply.RunName))
	if c.NoWait {
		return nil
	}
	return follow(i, reply.RunInfo)
}
