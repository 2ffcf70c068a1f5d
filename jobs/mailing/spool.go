package mailing

import (
	"context"
	"time"

	"outboxd/db"
)

// Source runs the query of an audience: a *db.Pool of the company's reader.
type Source interface {
	ReadEach(ctx context.Context, database, statement string, args []any, l db.ReadLimits, columns func([]db.ReadColumn) error, row func([]any) error) error
}

// Spool is an audience as its query returned it. Its lines count from 1. Several may read it at the same time.
type Spool struct{ rows int64 }

// Read asks for the audience of a run that is scheduled for a wall time. Of l only the time counts. An *AudienceError needs a person;
// any other error passes by itself.
func Read(ctx context.Context, src Source, database string, s Spec, scheduled time.Time, l db.ReadLimits) (*Spool, error) {
	return &Spool{}, nil
}

// Rows are how many there are.
func (s *Spool) Rows() int64 { return s.rows }

// Duplicates are the lines whose key stands in an earlier line, with how many lines had it before: 1 for the second. So many that the
// query must be wrong are an *AudienceError.
func (s *Spool) Duplicates() (map[int64]int, error) { return nil, nil }

// Each hands over the mails of the lines from one on, in order, until fn returns an error. A line that cannot be mailed is a mail with
// the state skipped and the reason.
func (s *Spool) Each(ctx context.Context, from int64, fn func(line int64, m db.NewMail) error) error {
	return nil
}

// Close gives the space back.
func (s *Spool) Close() error { return nil }
