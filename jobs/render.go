package jobs

import (
	"cmp"
	"context"
	"fmt"

	"outboxd/db"
	"outboxd/mail/compose/table"
	"outboxd/mail/compose/template"
)

// render fills the letter from the row's template. A subject of the row's own stands.
func (k *packer) render(ctx context.Context, l *letter) error {
	row := l.row
	if row.Text != "" || row.HTML != "" {
		return &rowError{"template: the row has body_text or body_html too: leave them NULL, or the template"}
	}
	t, err := k.template(ctx, l)
	if err != nil {
		return fmt.Errorf("template: %w", err)
	}
	made, err := t.Render(ctx, template.Request{Language: row.Language, Params: l.params,
		Query: func(ctx context.Context, statement string) (*table.Result, error) {
			return k.query(ctx, l, statement)
		}})
	if err != nil {
		return fmt.Errorf("template: %w", err)
	}
	l.Subject, l.Text, l.HTML, l.Inline = cmp.Or(row.Subject, made.Subject), made.Text, made.HTML, made.Inline
	l.octets += int64(len(made.Text) + len(made.HTML))
	for _, image := range made.Inline {
		l.octets += int64(len(image.Content))
	}
	return nil
}

// template finds the row's template: among what its run has kept, else in the company's folder, else in outbox_template.
func (k *packer) template(ctx context.Context, l *letter) (*template.Template, error) {
	name := l.row.Template
	if l.run != nil {
		kept, err := l.run.templates(ctx, k.place)
		if err != nil {
			return nil, err
		}
		return kept.template(name)
	}
	all, err := k.place.templates()
	if err != nil {
		return nil, err
	}
	if all.set.Has(name) {
		return all.set.Template(name)
	}
	found, err := k.place.Store.Templates(ctx, name)
	if err != nil {
		return nil, err
	}
	return all.set.Compile(name, templateRows(found))
}

func templateRows(found []db.TemplateRow) []template.Row {
	rows := make([]template.Row, len(found))
	for i, r := range found {
		rows[i] = template.Row{Name: r.Name, Language: r.Language, Subject: r.Subject, Text: r.Text, HTML: r.HTML, Queries: r.Queries}
	}
	return rows
}
