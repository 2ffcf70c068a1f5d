package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"outboxd/jobs"
	"outboxd/mail/page"
)

// maxParams is the most of --params, in octets: with the rest of the request it has to fit on the control socket.
const maxParams = 900 << 10

type messagePreviewCommand struct {
	Row      string `arg:"" optional:"" help:"As acme/17, whatever its state."`
	Company  string `help:"In place of a row: a message of this company." placeholder:"NAME"`
	Template string `help:"With --company: the template that makes it." placeholder:"NAME"`
	Params   string `help:"With --template: what it is filled with, a JSON object or @FILE." placeholder:"JSON"`
	Language string `help:"With --template: the language, as sk." placeholder:"LANGUAGE"`
	To       string `help:"With --template: the recipients (the sender)." placeholder:"ADDRESS"`
	From     string `help:"With --template: the sender (the account's own)." placeholder:"ADDRESS"`
	Out      string `help:"Write the message into this file, in place of standard output." placeholder:"FILE"`
	HTML     string `help:"Write a page for the browser into this file." placeholder:"FILE"`
	JSON     bool   `help:"Print JSON: the envelope, the account, warnings, and what was written where."`
}

// preview is the reply with what was made of it.
type preview struct {
	jobs.PreviewReply
	Out  string `json:"out,omitempty"`
	HTML string `json:"html,omitempty"`
}

// Run writes the message as it would be sent. Nothing is taken, changed or sent.
func (c messagePreviewCommand) Run(i *invocation) error {
	q, err := c.request()
	if err != nil {
		return err
	}
	reply, err := ask(i, opMessagePreview, q)
	if err != nil {
		return err
	}
	p := preview{PreviewReply: reply}
	if c.Out != "" {
		if p.Out, err = writeFile(c.Out, func(w io.Writer) error { _, err := w.Write(reply.Message); return err }); err != nil {
			return err
		}
	}
	if c.HTML != "" {
		if p.HTML, err = writeFile(c.HTML, func(w io.Writer) error { return page.Read(reply.Message).Write(w, p.view(c.HTML)) }); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(i.stdout, p, "  ")
	}
	return p.print(i)
}

// request refuses what does not belong together.
func (c messagePreviewCommand) request() (q jobs.PreviewRequest, err error) {
	made := c.Company + c.Template + c.Params + c.Language + c.To + c.From
	switch {
	case c.Row == "" && c.Template == "":
		return q, &usageError{"nothing is named to be shown", "name a row, as acme/17, or a template: --company NAME --template NAME --params JSON"}
	case c.Row != "" && made != "":
		return q, &usageError{"a row says itself what its message is made from", "name either a row, or a template with --company, --template, --params, --language, --to and --from"}
	}
	q = jobs.PreviewRequest{Row: c.Row, Company: c.Company, Template: c.Template, Params: c.Params, Language: c.Language, To: c.To, From: c.From}
	if file, ok := strings.CutPrefix(c.Params, "@"); ok {
		content, err := os.ReadFile(file)
		if err != nil {
			return q, &usageError{"--params: " + err.Error(), "name a file that holds a JSON object"}
		}
		q.Params = string(content)
	}
	if len(q.Params) > maxParams {
		return q, &usageError{fmt.Sprintf("--params: %d octets, at most %d are passed on", len(q.Params), maxParams), "insert a row that is held (held = 1), and look at that"}
	}
	return q, nil
}

// writeFile makes or overwrites a file that nobody else may read: what it holds is somebody's mail.
func writeFile(path string, write func(io.Writer) error) (absolute string, err error) {
	if absolute, err = filepath.Abs(path); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	return absolute, errors.Join(write(f), f.Close())
}

// view is what the page tells beside the message.
func (p preview) view(path string) page.View {
	v := page.View{Facts: []page.Field{{Name: "envelope from", Value: p.EnvelopeFrom}, {Name: "envelope to", Value: strings.Join(p.EnvelopeTo, ", ")},
		{Name: "account", Value: p.Account}, {Name: "size", Value: counted(int(p.Size), "octet")}}}
	if p.Row != "" {
		v.Facts = append([]page.Field{{Name: "row", Value: p.Row}}, v.Facts...)
	}
	for _, w := range p.Warnings {
		v.Facts = append(v.Facts, page.Field{Name: "note", Value: w})
	}
	if to, err := filepath.Rel(filepath.Dir(path), p.Out); err == nil && p.Out != "" {
		v.Links = []page.Link{{Text: "As it would be sent", To: to}}
	}
	return v
}

// print writes the message to standard output when no file was named, and says what was written where.
func (p preview) print(i *invocation) error {
	for _, w := range p.Warnings {
		fmt.Fprintln(i.stderr, clean(w))
	}
	w := &errorWriter{w: i.stdout}
	if p.Out != "" {
		fmt.Fprintf(w, "The message is in %s\n", clean(p.Out))
	}
	if p.HTML != "" {
		fmt.Fprintf(w, "Open in a browser: %s\n", page.FileURL(p.HTML))
	}
	if p.Out != "" || p.HTML != "" {
		return w.err
	}
	if f, ok := i.stdout.(*os.File); ok && acts(p.Message) {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &usageError{"the message holds control characters, which a terminal would obey", "write it into a file: --out FILE, or look at it in a browser: --html FILE"}
		}
	}
	_, err := i.stdout.Write(p.Message)
	return err
}

// acts tells whether a terminal would do more with the message than show it.
func acts(message []byte) bool {
	return bytes.ContainsFunc(message, func(r rune) bool {
		return r < ' ' && r != '\r' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\uFFFD'
	})
}
