package db

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// Archive takes what is going to be removed.
type Archive interface {
	// File is the name of the file, unique over all computers.
	File() string
	// Append puts entries, each a value for JSON, behind the first octets of the file, in place of whatever stands there,
	// and returns the new length once all of it is safe on disk.
	Append(octets int64, entries []any) (int64, error)
}

// ArchiveError says that what was to be removed could not be archived first; nothing was removed.
type ArchiveError struct{ Err error }

// Error tells what went wrong.
func (e *ArchiveError) Error() string { return "archive: " + e.Err.Error() }

// Unwrap returns what happened below.
func (e *ArchiveError) Unwrap() error { return e.Err }

// fields are the columns of one row, without those that are NULL.
type fields map[string]any

// archived is one entry of an archive: all that is removed of one mail.
type archived struct {
	Removed    string   `json:"removed"` // content, row, or remains of a row that was deleted by hand
	ID         uint64   `json:"id"`
	Mail       fields   `json:"mail,omitempty"`
	Attached   []fields `json:"attachments,omitempty"` // without the contents, which are told by their hashes
	Recipients []fields `json:"recipients,omitempty"`
	Tries      []fields `json:"tries,omitempty"`
	Hashes     fields   `json:"hashes,omitempty"` // of content that was removed before
}

// Archived tells how much of an archive file counts: octets, and entries in them.
func (s *Store) Archived(ctx context.Context, file string) (octets, entries int64, err error) {
	octets, entries, err = s.archivedIn(ctx, s.pool.db, file)
	return octets, entries, wrap(err, "read the length of an archive of "+s.database)
}

func (s *Store) archivedIn(ctx context.Context, q sqlx.QueryerContext, file string) (octets, entries int64, err error) {
	err = q.QueryRowxContext(ctx, s.sql.text("archived"), file).Scan(&octets, &entries)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return octets, entries, err
}

// archive writes what is going to be removed. The length of the file is committed with the removal: what a step that was
// never committed has written is overwritten by the next one, so that nothing stands there twice.
func (s *Store) archive(ctx context.Context, tx *sqlx.Tx, p *Purge, ids, gone []uint64) error {
	if p.Archive == nil || len(ids)+len(gone) == 0 {
		return nil
	}
	file := p.Archive.File()
	octets, count, err := s.archivedIn(ctx, tx, file)
	if err != nil {
		return err
	}
	entries, err := s.entries(ctx, tx, p.Pass, ids, gone)
	if err != nil {
		return err
	}
	if octets, err = p.Archive.Append(octets, entries); err != nil {
		return &ArchiveError{err}
	}
	_, err = tx.ExecContext(ctx, s.sql.text("archive-note"), file, p.Run.ID, octets, count+int64(len(entries)))
	return err
}

// entries reads what is going to be removed.
func (s *Store) entries(ctx context.Context, tx *sqlx.Tx, pass Pass, ids, gone []uint64) ([]any, error) {
	what, mails := "content", "archive-content"
	if pass == PassRows {
		what, mails = "row", "archive-rows"
	}
	all, by := []any{}, map[uint64]*archived{}
	add := func(removed string, id uint64) {
		by[id] = &archived{Removed: removed, ID: id}
		all = append(all, by[id])
	}
	for _, id := range ids {
		add(what, id)
	}
	for _, id := range gone {
		add("remains", id)
	}
	both := append(gone[:len(gone):len(gone)], ids...)
	err := s.eachRow(ctx, tx, mails, ids, func(id uint64, f fields) { by[id].Mail = f })
	if err == nil {
		err = s.eachRow(ctx, tx, "archive-attachments", both, func(id uint64, f fields) { by[id].Attached = append(by[id].Attached, f) })
	}
	if err != nil || pass == PassBodies {
		return all, err
	}
	return all, errors.Join(
		s.eachRow(ctx, tx, "archive-recipients", both, func(id uint64, f fields) { by[id].Recipients = append(by[id].Recipients, f) }),
		s.eachRow(ctx, tx, "archive-tries", both, func(id uint64, f fields) { by[id].Tries = append(by[id].Tries, f) }),
		s.eachRow(ctx, tx, "archive-hashes", both, func(id uint64, f fields) { by[id].Hashes = f }),
	)
}

// eachRow reads rows as they are, with the number of the mail that each belongs to.
func (s *Store) eachRow(ctx context.Context, tx *sqlx.Tx, name string, ids []uint64, take func(id uint64, f fields)) (err error) {
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.QueryxContext(ctx, s.sql.list(name, len(ids)), idArgs(ids)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	for rows.Next() {
		f := fields{}
		if err := rows.MapScan(f); err != nil {
			return err
		}
		var id uint64
		if _, err := fmt.Sscan(fmt.Sprint(f["id"]), &id); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		delete(f, "id")
		for column, value := range f {
			switch v := value.(type) {
			case nil:
				delete(f, column)
			case []byte:
				f[column] = string(v)
				if column == "raw" { // octets of any kind
					f[column] = base64.StdEncoding.EncodeToString(v)
				}
			}
		}
		take(id, f)
	}
	return nil
}
