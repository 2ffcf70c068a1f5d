package jobs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"strings"

	"outboxd/db"
	"outboxd/mail/compose/table"
	"outboxd/mail/compose/template"
)

// query runs a statement of the row or of its template as the company's reader.
func (k *packer) query(ctx context.Context, l *letter, statement string) (*table.Result, error) {
	c := k.place.Company
	if k.place.Reader == nil {
		return nil, &rowError{"a query needs a database user that works for this company alone: give the company a reader, or a login, in jobs.yaml"}
	}
	values, err := l.values()
	if err != nil {
		return nil, err
	}
	text, args, err := db.Bind(statement, values)
	if err != nil {
		return nil, err
	}
	found, err := k.place.Reader.ReadOnly(ctx, c.Database, text, args, db.ReadLimits{Time: c.Reader.Time, Rows: c.Reader.Rows})
	k.sources.noteQuery(ctx, err)
	if err != nil {
		return nil, err
	}
	r := &table.Result{Rows: found.Rows}
	for _, column := range found.Columns {
		r.Columns = append(r.Columns, table.Column{Name: column.Name, Kind: table.Kind(column.Kind)})
	}
	return r, nil
}

// values are what a query may name: the row's params, with numbers as they are written, and the row's own columns where params have
// nothing of that name.
func (l *letter) values() (map[string]any, error) {
	row := l.row
	all := map[string]any{"id": row.ID, "reference": row.Reference, "recipients": row.Recipients, "cc": row.Cc, "bcc": row.Bcc, "from_address": row.From,
		"reply_to": row.ReplyTo, "subject": row.Subject, "template": row.Template, "language": row.Language, "account": row.Account, "priority": int64(row.Priority)}
	if l.run != nil {
		maps.Copy(all, l.run.values())
	}
	params, err := template.ParseParams(l.params)
	maps.Copy(all, params)
	return all, err
}

// queried is an attachment that a query makes.
func (k *packer) queried(ctx context.Context, l *letter, a db.Attachment) ([]byte, error) {
	return k.written(ctx, a, func(ctx context.Context, statement string) (*table.Result, error) { return k.query(ctx, l, statement) })
}

// written is an attachment that a query makes, asked by ask.
func (k *packer) written(ctx context.Context, a db.Attachment, ask func(context.Context, string) (*table.Result, error)) ([]byte, error) {
	o, err := table.ParseOptions(a.Options)
	if err != nil {
		return nil, &rowError{err.Error()}
	}
	o.Zone = k.place.Company.Timezone
	write := map[string]func(io.Writer, *table.Result, table.Options) error{"csv": table.WriteCSV, "xlsx": table.WriteXLSX}[strings.ToLower(a.Format)]
	if write == nil {
		return nil, &rowError{fmt.Sprintf("format %q: write csv or xlsx", a.Format)}
	}
	r, err := ask(ctx, a.Query)
	switch {
	case err != nil:
		return nil, err
	case len(r.Rows) == 0 && o.IfEmpty == table.Skip:
		return nil, &skipError{"its query found nothing, and its options say not to send the mail then"}
	case len(r.Rows) == 0 && o.IfEmpty == table.Fail:
		return nil, &rowError{"its query found nothing, and its options say that this is an error"}
	}
	var b bytes.Buffer
	if err := write(&b, r, o); err != nil {
		return nil, &rowError{err.Error()}
	}
	return b.Bytes(), nil
}
