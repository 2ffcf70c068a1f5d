package jobs

import (
	"context"
	"slices"
	"strings"

	"outboxd/db"
	"outboxd/mail/compose/template"
)

// checkedTemplates bounds how many rows of outbox_template are looked at.
const checkedTemplates = 10_000

// CheckTemplateRows compiles the templates of outbox_template. It returns how many there are and what is wrong with those that have errors.
func (p *Place) CheckTemplateRows(ctx context.Context) (n int, wrong []error, err error) {
	rows, err := p.Store.AllTemplates(ctx, checkedTemplates)
	if err != nil || len(rows) == 0 {
		return 0, nil, err
	}
	all, err := p.templates()
	if err != nil {
		return 0, nil, err
	}
	by, parts := map[string][]template.Row{}, []template.Row{}
	var names []string
	for _, r := range templateRows(rows) {
		switch {
		case strings.HasPrefix(r.Name, "_"):
			parts = append(parts, r)
		case by[r.Name] == nil:
			names = append(names, r.Name)
			fallthrough
		default:
			by[r.Name] = append(by[r.Name], r)
		}
	}
	for _, name := range names {
		if _, err := all.set.Compile(name, slices.Concat(by[name], parts)); err != nil {
			wrong = append(wrong, err)
		}
	}
	return len(names), wrong, nil
}

// CheckReader asks the database as the company's reader, and returns the other companies' databases that it can see.
func (w *World) CheckReader(ctx context.Context, p *Place) (others []string, err error) {
	c := p.Company
	found, err := p.Reader.ReadOnly(ctx, c.Database, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA", nil, db.ReadLimits{Time: c.Reader.Time})
	if err != nil {
		return nil, err
	}
	for _, other := range w.File.Companies {
		sees := slices.ContainsFunc(found.Rows, func(row []any) bool { return row[0] == other.Database })
		if sees && other != c && other.Server == c.Server {
			others = append(others, other.Database)
		}
	}
	return others, nil
}
