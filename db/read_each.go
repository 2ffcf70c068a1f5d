package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ReadEach runs one statement that reads, with the named database as default, and hands over its columns, once, then its rows as they
// arrive: a million take no more memory than one. The values are those of ReadResult, the slice is valid until row returns. args are
// those of Bind. An error of columns or row ends the statement and is returned as it is. Any other failure is a *ReadError; that of
// ReadUnreachable makes whoever asks wait. Rows that were handed over before a failure are a part of the answer and no more.
//
// Each query has a connection of its own, which ends with it: whatever the statement or a function that it calls leaves behind
// (locks, variables, temporary tables, the default database) ends too, and the pool's other connections never see it. The
// session is read-only. The server ends the statement at its time limit where it can; where it does not, or when ctx ends, the
// statement is killed. Time that columns and row take counts too: they keep the server's snapshot open.
// A company has at most two such connections at a time, a pool eight; who comes later waits for a place until ctx ends.
func (p *Pool) ReadEach(ctx context.Context, database, statement string, args []any, l ReadLimits,
	columns func([]ReadColumn) error, row func([]any) error) error {
	text, err := checkRead(statement)
	if err != nil {
		return err
	}
	quoted, err := quote(database)
	if err != nil {
		return noWay(err)
	}
	leave, err := p.seats.take(ctx, database)
	if err != nil {
		return unreachable(err)
	}
	defer leave()
	l = l.orDefault()
	r, err := p.reader(ctx, quoted, l.Time)
	if err != nil {
		return noWay(fmt.Errorf("connect to %s: %w", database, err))
	}
	defer r.close()
	return r.read(ctx, text, args, l, columns, row)
}

// takerError is of whoever takes the rows.
type takerError struct{ err error }

func (e *takerError) Error() string { return e.err.Error() }

// read runs the statement. What it leaves running is killed.
func (r *reader) read(caller context.Context, text string, args []any, l ReadLimits, columns func([]ReadColumn) error, row func([]any) error) error {
	ctx, cancel := context.WithTimeout(caller, l.Time+readGrace)
	defer cancel()
	rows, err := r.query(ctx, text, args)
	if err == nil {
		if err = handOver(rows, l, columns, row); err == nil {
			err = rows.Close()
		}
	}
	if err == nil {
		err = r.whole(ctx)
	}
	if err != nil {
		failure := r.failure(caller, ctx, err, l)
		cancel() // before the rows are closed: what is left of them is not read
		if rows != nil {
			_ = rows.Close() // the connection is gone
		}
		return failure
	}
	return nil
}

// whole looks whether the server has cut the result short: it does not call that an error.
func (r *reader) whole(ctx context.Context) error {
	rows, err := r.conn.QueryContext(ctx, "SHOW WARNINGS")
	if err != nil {
		return err
	}
	for rows.Next() && err == nil {
		var level, text string
		var number uint16
		if err = rows.Scan(&level, &number, &text); err == nil {
			err = cutShort(number, text)
		}
	}
	return errors.Join(err, rows.Err(), rows.Close())
}

// handOver reads the rows, up to the limits.
func handOver(rows *sql.Rows, l ReadLimits, columns func([]ReadColumn) error, row func([]any) error) error {
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	s := newScanner(types)
	if err := columns(s.names()); err != nil {
		return &takerError{err}
	}
	octets := int64(0)
	for n := 0; rows.Next(); n++ {
		if l.Rows >= 0 && n == l.Rows {
			return tooLarge(fmt.Sprintf("it has more than %d rows", l.Rows))
		}
		size, err := s.scan(rows)
		if err != nil {
			return err
		}
		if octets += size; l.Octets >= 0 && octets > l.Octets {
			return tooLarge(fmt.Sprintf("its first %d rows have more than %d octets", n+1, l.Octets))
		}
		if err := row(s.values); err != nil {
			return &takerError{err}
		}
	}
	return rows.Err()
}

// scanner reads one row after the other into the same values.
type scanner struct {
	columns []column
	values  []any
	targets []any
}

func newScanner(types []*sql.ColumnType) *scanner {
	s := &scanner{columns: make([]column, len(types)), values: make([]any, len(types)), targets: make([]any, len(types))}
	for i, t := range types {
		s.columns[i] = newColumn(t)
		s.targets[i] = &s.values[i]
	}
	return s
}

func (s *scanner) names() []ReadColumn {
	all := make([]ReadColumn, len(s.columns))
	for i, c := range s.columns {
		all[i] = c.ReadColumn
	}
	return all
}

// scan reads a row and counts its octets.
func (s *scanner) scan(rows *sql.Rows) (octets int64, err error) {
	if err := rows.Scan(s.targets...); err != nil {
		return 0, err
	}
	for i, c := range s.columns {
		var n int64
		if s.values[i], n, err = c.value(s.values[i]); err != nil {
			return 0, err
		}
		octets += n
	}
	return octets, nil
}
