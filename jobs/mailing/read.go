package mailing

import (
	"context"
	"errors"
	"maps"
	"time"

	"outboxd/db"
)

// Source runs the query of an audience: a *db.Pool of the company's reader.
type Source interface {
	ReadEach(ctx context.Context, database, statement string, args []any, l db.ReadLimits, columns func([]db.ReadColumn) error, row func([]any) error) error
}

// Read asks for the audience of a run that is scheduled for a wall time. Of l only the time counts: an audience may have any number of
// rows. An *AudienceError needs a person; any other error passes by itself. The spool is to be closed.
func Read(ctx context.Context, src Source, database string, s Spec, scheduled time.Time, l db.ReadLimits) (*Spool, error) {
	sp, err := newSpool()
	if err != nil {
		return nil, err
	}
	var buffer []byte
	err = ask(ctx, src, database, s, scheduled, l,
		func(made *layout) { sp.layout = made },
		func(values []any) (err error) {
			buffer, err = sp.add(values, buffer)
			return err
		})
	if err == nil {
		err = errors.Join(sp.records.flush(), sp.hashes.flush())
	}
	if err != nil {
		return nil, errors.Join(err, sp.Close())
	}
	return sp, nil
}

// errEnough ends a query of which the first rows are all that is wanted.
var errEnough = errors.New("enough")

// Head is what the first rows of an audience come to.
type Head struct {
	Rows  int          // that were looked at
	Mails []db.NewMail // of those that can be mailed
	Why   string       // why the first of the others cannot
}

// headRows bounds the rows that a look at the first ones goes over.
const headRows = 1000

// ReadHead looks at the first rows of an audience, until so many of them can be mailed. Nothing is kept, and the query ends there. It returns the
// same errors as Read.
func ReadHead(ctx context.Context, src Source, database string, s Spec, scheduled time.Time, l db.ReadLimits, mails int) (Head, error) {
	var h Head
	var as *layout
	err := ask(ctx, src, database, s, scheduled, l,
		func(made *layout) { as = made },
		func(values []any) error {
			h.Rows++
			m := as.mail(values, as.hash(values, appendRecord(nil, values)), repeat{})
			if m.verdict == sendable {
				h.Mails = append(h.Mails, m.NewMail)
			} else if h.Why == "" {
				h.Why = m.LastError
			}
			if len(h.Mails) == mails || h.Rows == headRows {
				return errEnough
			}
			return nil
		})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return h, err
}

// ask runs the query of an audience.
func ask(ctx context.Context, src Source, database string, s Spec, scheduled time.Time, l db.ReadLimits, columns func(*layout), row func([]any) error) error {
	if s.Statement == "" {
		return &AudienceError{Audience: s.Audience, Kind: BadSQL, Text: "there is no audience of this name", Remedy: "the company's audiences stand in jobs.yaml, under audiences"}
	}
	params := map[string]any{"scheduled_at": scheduled, "period": s.Period(scheduled)}
	maps.Copy(params, s.With)
	text, args, err := db.Bind(s.Statement, params)
	if err != nil {
		return &AudienceError{Audience: s.Audience, Kind: NoValue, Text: err.Error(), Remedy: "its values stand under with, in jobs.yaml or at --with", Err: err}
	}
	l.Rows, l.Octets = -1, -1
	err = src.ReadEach(ctx, database, text, args, l, func(all []db.ReadColumn) error {
		made, err := newLayout(s, all)
		if err == nil {
			columns(made)
		}
		return err
	}, row)
	return s.explain(err)
}

// explain says of the query's failure what a person has to do. What passes by itself stays what it is.
func (s Spec) explain(err error) error {
	var read *db.ReadError
	if !errors.As(err, &read) || read.Reason == db.ReadUnreachable {
		return err
	}
	e := &AudienceError{Audience: s.Audience, Kind: BadSQL, Text: "its query is refused: " + read.Text, Remedy: read.Remedy, Err: err}
	switch read.Reason {
	case db.ReadSlow:
		e.Kind, e.Text = TooSlow, "its query is too slow: "+read.Text
		e.Remedy = "let it read less, add an index, or give the company's reader more time in jobs.yaml (reader: {time: 2m})"
	case db.ReadRefused:
		e.Kind, e.Text = Writes, "its query may only read: "+read.Text
		if e.Remedy == "" {
			e.Remedy = "an audience is one SELECT"
		}
	}
	return e
}
