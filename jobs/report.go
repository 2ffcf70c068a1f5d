package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"regexp"
	"strings"

	"outboxd/db"
	"outboxd/jobs/jobfile"
	"outboxd/jobs/mailing"
	"outboxd/mail/compose"
	"outboxd/mail/compose/table"
	"outboxd/mail/compose/template"
)

// reportMaker makes the one mail of a report's run. All its queries are asked now, so what it says does not change any more.
type reportMaker struct {
	file  *jobfile.File
	place *Place
	run   *knownRun
	k     *packer
	l     *letter
	found map[string]*table.Result // by the statement
	rows  int                      // of all queries
	asked int                      // queries
}

// reportMail makes the mail of a run of a report. One that has nothing to say, where the job wants none then, has ended as skipped. An error that
// isRowError knows fails the run; any other means that it has to wait.
func reportMail(ctx context.Context, file *jobfile.File, p *Place, r db.Run, spec mailing.Spec, s *sources) (db.NewMail, error) {
	run := &knownRun{Run: r, spec: spec}
	m := &reportMaker{file: file, place: p, run: run, found: map[string]*table.Result{}}
	mail, err := m.mail(ctx, s)
	var skip *skipError
	if errors.As(meaning(err), &skip) {
		mail.State, mail.LastError, err = db.Skipped, skip.Error(), nil
		mail.Attachments = nil
	}
	if err == nil {
		one := []db.NewMail{mail}
		err = p.list.end(ctx, one)
		mail = one[0]
	}
	return mail, err
}

// reportIdentity tells the one mail of a report's run.
var reportIdentity = sha256.Sum256([]byte("report"))

func (m *reportMaker) mail(ctx context.Context, s *sources) (db.NewMail, error) {
	spec := m.run.spec
	var to []string
	for _, a := range addressees(m.place.Company, spec.To, m.run.StartedBy) {
		to = append(to, a.address)
	}
	mail := db.NewMail{Identity: [16]byte(reportIdentity[:16]), Key: "report", Recipients: strings.Join(to, ", "), Account: cmp.Or(spec.Account, jobfile.GeneralAccount), Priority: spec.Priority, Reference: m.run.Job}
	params, err := json.Marshal(m.run.dates()) // which template and queries know
	if err == nil {
		e := newEncloser(m.file, m.place, m.run.Run, spec, s)
		m.l = &letter{row: rowOf(mail), run: m.run, params: string(params)}
		m.k, err = e.packer(m.l.row)
	}
	if err == nil {
		err = m.ask(ctx)
	}
	if err == nil {
		err = m.write(ctx, &mail)
	}
	if err == nil {
		mail.Attachments, err = m.attach(ctx, mail.Attachments)
	}
	return mail, err
}

// ask asks all queries of the spec, and looks whether they have found anything.
func (m *reportMaker) ask(ctx context.Context) error {
	for _, a := range m.run.spec.Attach {
		if a.Query == "" {
			continue
		}
		o, err := table.ParseOptions(a.Options)
		if err != nil {
			return &rowError{fmt.Sprintf("attachment %q: %v", a.Name, err)}
		}
		r, err := m.query(ctx, a.Query)
		switch {
		case err != nil:
			return fmt.Errorf("attachment %q: %w", a.Name, err)
		case len(r.Rows) == 0 && o.IfEmpty == table.Skip:
			return &skipError{fmt.Sprintf("attachment %q: its query found nothing, and its options say not to send the report then", a.Name)}
		case len(r.Rows) == 0 && o.IfEmpty == table.Fail:
			return &rowError{fmt.Sprintf("attachment %q: its query found nothing, and its options say that this is an error", a.Name)}
		}
		m.asked++
		m.rows += len(r.Rows)
	}
	switch {
	case m.rows > 0 || m.asked == 0:
	case m.run.spec.IfEmpty == string(table.Skip):
		return &skipError{"none of its queries found anything, and if_empty says not to send it then"}
	case m.run.spec.IfEmpty == string(table.Fail):
		return &rowError{"none of its queries found anything, and if_empty says that this is an error"}
	}
	return nil
}

// query asks a statement once.
func (m *reportMaker) query(ctx context.Context, statement string) (*table.Result, error) {
	if r := m.found[statement]; r != nil {
		return r, nil
	}
	r, err := m.k.query(ctx, m.l, statement)
	if err == nil {
		m.found[statement] = r
	}
	return r, err
}

// write makes subject and body.
func (m *reportMaker) write(ctx context.Context, mail *db.NewMail) error {
	spec := m.run.spec
	subject, err := m.run.fill("subject", spec.Subject, nil)
	if err != nil {
		return err
	}
	tables, err := m.tables(ctx)
	if err != nil {
		return err
	}
	if spec.Template == "" {
		mail.Subject = subject
		mail.Text, mail.HTML, err = m.plain(tables)
		return err
	}
	made, err := m.render(ctx, spec.TemplateName())
	if err != nil {
		return fmt.Errorf("template: %w", err)
	}
	mail.Subject, mail.Text, mail.HTML = cmp.Or(subject, made.Subject), made.Text, made.HTML
	if tables.HTML != "" {
		mail.HTML = intoBody(cmp.Or(mail.HTML, textHTML(mail.Text)), tables.HTML)
		if mail.Text != "" {
			mail.Text = strings.TrimRight(mail.Text, "\n") + "\n\n" + tables.Text
		}
	}
	for _, image := range made.Inline {
		mail.Attachments = append(mail.Attachments, db.NewAttachment{Name: image.Name, Type: image.Type, ContentID: image.ContentID, Content: image.Content})
	}
	return nil
}

// render fills the job's own template, as it is now.
func (m *reportMaker) render(ctx context.Context, name string) (template.Rendered, error) {
	content, err := pinNow(ctx, m.place, m.run.spec)
	if err != nil {
		return template.Rendered{}, err
	}
	kept, err := openPin(content)
	if err != nil {
		return template.Rendered{}, err
	}
	t, err := kept.template(name)
	if err != nil {
		return template.Rendered{}, err
	}
	return t.Render(ctx, template.Request{Params: m.l.params, Query: m.query})
}

// tables are the results that stand in the body, with their names as headings, in the company's language.
func (m *reportMaker) tables(ctx context.Context) (template.Rendered, error) {
	var html, text strings.Builder
	params, queries := map[string]string{}, map[string]string{}
	for i, a := range m.run.spec.Attach {
		if a.As != jobfile.HTML {
			continue
		}
		name, err := m.run.fill("attach: name", a.Name, nil)
		if err != nil {
			return template.Rendered{}, err
		}
		query, heading := fmt.Sprintf("query%d", i), fmt.Sprintf("heading%d", i)
		params[heading], queries[query] = name, a.Query
		fmt.Fprintf(&html, "<h2 style=\"font-size:16px;margin:16px 0 8px\">{{.%s}}</h2>\n{{table (query %q \"send\")}}\n", heading, query)
		fmt.Fprintf(&text, "{{.%s}}\n\n{{table (query %q \"send\")}}\n\n", heading, query)
	}
	if len(queries) == 0 {
		return template.Rendered{}, nil
	}
	all, err := m.place.templates()
	if err != nil {
		return template.Rendered{}, err
	}
	named, err := json.Marshal(queries)
	if err != nil {
		return template.Rendered{}, err
	}
	values, err := json.Marshal(params)
	if err != nil {
		return template.Rendered{}, err
	}
	t, err := all.set.Compile(tablesName, []template.Row{{Name: tablesName, Subject: "-", Text: text.String(), HTML: html.String(), Queries: string(named)}})
	if err != nil {
		return template.Rendered{}, err
	}
	made, err := t.Render(ctx, template.Request{Params: string(values), Query: m.query})
	made.Text = strings.TrimRight(made.Text, "\n") + "\n"
	return made, err
}

// tablesName is the template of the tables of a report; no other can have this name.
const tablesName = "@tables"

// plain is the body of a report without template: its text, and its tables.
func (m *reportMaker) plain(tables template.Rendered) (text, html string, err error) {
	text, err = m.run.fill("text", m.run.spec.Text, nil)
	if err != nil || tables.HTML == "" {
		return cmp.Or(text, "The report is attached.\n"), "", err
	}
	html = intoBody(textHTML(text), tables.HTML)
	if text != "" {
		text = strings.TrimRight(text, "\n") + "\n\n"
	}
	return text + tables.Text, html, nil
}

// textHTML is a plain text as HTML.
func textHTML(text string) string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html>
<html><head><meta charset="utf-8"></head><body style="font-family:Arial,Helvetica,sans-serif;font-size:15px;line-height:1.45">
`)
	if text = strings.TrimSpace(text); text != "" {
		b.WriteString(`<p style="white-space:pre-wrap">` + html.EscapeString(text) + "</p>\n")
	}
	b.WriteString("</body></html>\n")
	return b.String()
}

// endOfBody is where tables go.
var endOfBody = regexp.MustCompile(`(?i)</body\s*>`)

// intoBody puts HTML at the end of a document's body.
func intoBody(document, more string) string {
	at := len(document)
	if all := endOfBody.FindAllStringIndex(document, -1); len(all) > 0 {
		at = all[len(all)-1][0]
	}
	return document[:at] + more + document[at:]
}

// attach adds the files, and the results of queries as files.
func (m *reportMaker) attach(ctx context.Context, all []db.NewAttachment) ([]db.NewAttachment, error) {
	octets := int64(0)
	for _, a := range m.run.spec.Attach {
		if a.As == jobfile.HTML {
			continue
		}
		file, err := m.k.enclosedBy(ctx, m.run, nil, a, m.query)
		if err != nil {
			return nil, err
		}
		if octets += compose.EncodedSize(len(file.Content)); octets > m.k.maxSize {
			return nil, m.k.tooLarge(fmt.Sprintf("with attachment %q the report is %d octets", file.Name, octets))
		}
		all = append(all, db.NewAttachment{Name: file.Name, Type: file.Type, Content: file.Content})
	}
	return all, nil
}
