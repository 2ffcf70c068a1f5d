package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Content is what a row has beside its own columns, with the sizes of what is not read yet.
type Content struct {
	Params      string // JSON; "" for none
	RawSize     int64  // octets of a finished message
	Attachments []Attachment
}

// Attachment is one file of a row, from exactly one of four sources: its own content (Stored), a shared content (Hash), File
// or Query.
type Attachment struct {
	ID        uint64 `db:"id"`
	Name      string `db:"name"`
	Type      string `db:"type"`
	Hash      string `db:"hash"` // SHA-256 of a shared content, in hexadecimal digits
	File      string `db:"file"`
	Query     string `db:"query"`
	Format    string `db:"format"`
	Options   string `db:"options"`
	ContentID string `db:"content_id"`
	Stored    bool   `db:"has_content"` // the row has the content
	Size      int64  `db:"size"`        // octets of a stored or shared content; -1 when it is not known yet, or gone
}

// ContentError says what is wrong with what belongs to a row. It is that row's own fault: waiting does not help.
type ContentError struct {
	ID            uint64 // outbox.id; 0 when it is not one row's
	Place         string // params, raw, or attachment and its name
	Problem, Hint string
}

// Error names the place, the problem and what to do.
func (e *ContentError) Error() string { return e.Place + ": " + e.Problem + ": " + e.Hint }

const (
	maxParams      = 4 << 20 // octets
	maxAttachments = 250
	maxTemplates   = 1000 // rows of one look
	pieceSize      = 2 << 20
)

// Content looks at what belongs to a row: params, attachments, and how large they are. What is wrong in itself is a
// *ContentError. A row without template, finished message and attachments costs nothing.
func (s *Store) Content(ctx context.Context, row Row) (Content, error) {
	var c Content
	if row.Template != "" || row.Raw || row.Attached {
		var found struct {
			ParamsSize int64  `db:"params_size"`
			Params     string `db:"params"`
			RawSize    int64  `db:"raw_size"`
		}
		err := retry(ctx, func() error { return s.pool.db.GetContext(ctx, &found, s.sql.text("content"), maxParams, row.ID) })
		if errors.Is(err, sql.ErrNoRows) {
			err = &NoRowError{s.database, row.ID}
		}
		if err != nil {
			return c, fmt.Errorf("read params of row %d of %s: %w", row.ID, s.database, err)
		}
		if found.ParamsSize > maxParams {
			return c, &ContentError{row.ID, "params", fmt.Sprintf("%d octets, at most %d are read", found.ParamsSize, maxParams), "give the template less"}
		}
		c.Params, c.RawSize = found.Params, found.RawSize
	}
	if !row.Attached {
		return c, nil
	}
	var err error
	c.Attachments, err = s.attachments(ctx, row.ID)
	return c, err
}

// attachments lists those of a row, each with one source.
func (s *Store) attachments(ctx context.Context, id uint64) ([]Attachment, error) {
	type attached struct {
		Attachment
		Sources int  `db:"sources"`
		Purged  bool `db:"purged"`
	}
	found, err := selectAll[attached](ctx, s.pool.db, s.sql.text("attachments"), id, maxAttachments+1)
	if err != nil {
		return nil, fmt.Errorf("read attachments of row %d of %s: %w", id, s.database, err)
	}
	if len(found) > maxAttachments {
		return nil, &ContentError{id, "attachments", fmt.Sprintf("the row has more than %d", maxAttachments), "send fewer in one mail"}
	}
	all := make([]Attachment, len(found))
	for i, a := range found {
		all[i] = a.Attachment
		switch {
		case a.Purged:
			return nil, a.wrong(id, "its content was purged", "insert the mail again with its attachments")
		case a.Sources == 1 && !a.Stored && a.Hash+a.File+a.Query == "":
			a.Sources = 0
			fallthrough
		case a.Sources != 1:
			return nil, a.wrong(id, fmt.Sprintf("%d of content, hash, file and query are given", a.Sources), "give exactly one of them")
		}
	}
	return all, nil
}

func (a Attachment) wrong(row uint64, problem, hint string) *ContentError {
	return &ContentError{row, fmt.Sprintf("attachment %q", cut(a.Name, 100)), problem, hint}
}

// Raw reads a row's finished message. A row that has none is a *ContentError.
func (s *Store) Raw(ctx context.Context, id uint64) ([]byte, error) {
	content, err := s.pieces(ctx, "piece-raw", id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &ContentError{id, "raw", "it is gone", "insert the mail again"}
	}
	return content, wrap(err, fmt.Sprintf("read raw of row %d of %s", id, s.database))
}

// AttachmentContent reads the content that an attachment has in its own row or shares; one that is gone is a *ContentError.
func (s *Store) AttachmentContent(ctx context.Context, a Attachment) ([]byte, error) {
	name, key, hint := "piece-attachment", any(a.ID), "insert the mail again with its attachments"
	if !a.Stored {
		name, key = "piece-shared", a.Hash
		hint = fmt.Sprintf("there is no row in outbox_content with the hash %q: insert the content, in the same transaction as the mail", cut(a.Hash, 64))
	}
	content, err := s.pieces(ctx, name, key)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, a.wrong(0, "its content is not there", hint)
	}
	return content, wrap(err, fmt.Sprintf("read attachment %d of %s", a.ID, s.database))
}

// pieces reads a long value two megabytes at a time, so that neither the driver nor the server has it in memory more than
// once, and max_allowed_packet does not bound it. No value is sql.ErrNoRows, also when it goes meanwhile.
func (s *Store) pieces(ctx context.Context, name string, key any) ([]byte, error) {
	var all []byte
	for {
		before, size := len(all), 0
		err := retry(ctx, func() (err error) {
			all, size, err = s.piece(ctx, name, key, all[:before])
			return err
		})
		switch {
		case err != nil:
			return nil, err
		case len(all) >= size:
			return all, nil
		case len(all) == before:
			return nil, sql.ErrNoRows
		}
	}
}

// piece reads on behind what is known, and returns the size of the whole. The driver's octets are copied once.
func (s *Store) piece(ctx context.Context, name string, key any, known []byte) (all []byte, size int, err error) {
	rows, err := s.pool.db.QueryContext(ctx, s.sql.text(name), len(known)+1, pieceSize, key)
	if err != nil {
		return known, 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return known, 0, cmp.Or(rows.Err(), sql.ErrNoRows)
	}
	var next sql.RawBytes
	if err := rows.Scan(&size, &next); err != nil {
		return known, 0, err
	}
	if known == nil {
		known = make([]byte, 0, size)
	}
	return append(known, next...), size, rows.Err()
}

// TemplateRow is one language of a template that stands in outbox_template.
type TemplateRow struct {
	Name     string `db:"name"`
	Language string `db:"language"` // "" for any
	Subject  string `db:"subject"`
	Text     string `db:"text"`
	HTML     string `db:"html"`
	Queries  string `db:"queries"` // JSON object: name and SQL
}

// AllTemplates reads the first rows of outbox_template, at most so many.
func (s *Store) AllTemplates(ctx context.Context, limit int) ([]TemplateRow, error) {
	rows, err := selectAll[TemplateRow](ctx, s.pool.db, s.sql.text("all-templates"), limit)
	if err != nil && !NoTable(err) {
		return nil, fmt.Errorf("read templates of %s: %w", s.database, err)
	}
	return rows, nil
}

// Templates reads a template in all its languages, and the parts for others, whose names begin with _. None is no error.
func (s *Store) Templates(ctx context.Context, name string) ([]TemplateRow, error) {
	rows, err := selectAll[TemplateRow](ctx, s.pool.db, s.sql.text("templates"), name, maxTemplates+1)
	if err != nil && !NoTable(err) {
		return nil, fmt.Errorf("read template %s of %s: %w", name, s.database, err)
	}
	if len(rows) > maxTemplates {
		return nil, &ContentError{0, "template", fmt.Sprintf("outbox_template has more than %d rows of this name and of parts", maxTemplates), "remove those that no template uses"}
	}
	return rows, nil
}
