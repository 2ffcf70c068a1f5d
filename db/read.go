package db

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"strconv"
	"time"
)

// ReadLimits bound a query. What is zero has the value of DefaultReadLimits.
type ReadLimits struct {
	Time   time.Duration // for the statement and its rows
	Rows   int           // less than zero: any number
	Octets int64         // of all values; a number counts as 8; less than zero: any number
}

// DefaultReadLimits are a statement of account by a wide margin, and nothing that keeps a server busy.
var DefaultReadLimits = ReadLimits{Time: 30 * time.Second, Rows: 100_000, Octets: 16 << 20}

func (l ReadLimits) orDefault() ReadLimits {
	d := DefaultReadLimits
	return ReadLimits{cmp.Or(l.Time, d.Time), cmp.Or(l.Rows, d.Rows), cmp.Or(l.Octets, d.Octets)}
}

// ReadResult is what a query returned.
type ReadResult struct {
	Columns []ReadColumn
	Rows    [][]any // values: nil, int64, uint64, Decimal, float64, string, []byte, time.Time; the column's kind says which
}

const (
	readGrace = time.Second      // the server ends a statement itself; it is killed when it has not by then
	killTime  = 15 * time.Second // to kill it, on a server that may be very busy
)

// ReadOnly runs one statement that reads, as ReadEach does, and returns its rows.
func (p *Pool) ReadOnly(ctx context.Context, database, statement string, args []any, l ReadLimits) (*ReadResult, error) {
	result := &ReadResult{}
	columns := func(all []ReadColumn) error {
		result.Columns = all
		return nil
	}
	row := func(values []any) error {
		result.Rows = append(result.Rows, slices.Clone(values))
		return nil
	}
	if err := p.ReadEach(ctx, database, statement, args, l, columns, row); err != nil {
		return nil, err
	}
	return result, nil
}

// reader is the connection of one query.
type reader struct {
	db   *sql.DB
	conn *sql.Conn
	home driver.Connector // the way to the same server
	id   int64            // the connection's number there
	mark string           // begins the statement's text, so that it is known in the list of processes
}

// reader connects, and makes the session ready for a statement.
func (p *Pool) reader(ctx context.Context, quoted string, limit time.Duration) (*reader, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*nodeTime)
	defer cancel()
	r := &reader{db: sql.OpenDB(readConnector{p}), home: p.reading, mark: "/* outboxd query " + rand.Text() + " */ "}
	err := r.prepare(ctx, quoted, limit)
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *reader) prepare(ctx context.Context, quoted string, limit time.Duration) (err error) {
	if r.conn, err = r.db.Conn(ctx); err != nil {
		return err
	}
	err = r.conn.Raw(func(session any) error {
		if s, ok := session.(*nodeSession); ok {
			r.home = s.node.reading
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range []string{"USE " + quoted, "SET SESSION TRANSACTION READ ONLY"} {
		if _, err := r.conn.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	if err := r.limit(ctx, limit); err != nil {
		return err
	}
	if err := r.conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&r.id); err != nil {
		return err
	}
	_, err = r.conn.ExecContext(ctx, "START TRANSACTION READ ONLY")
	return err
}

// limit tells the server how long a statement may take, if it knows how: MariaDB in seconds, MySQL in milliseconds.
func (r *reader) limit(ctx context.Context, limit time.Duration) error {
	rows, err := r.conn.QueryContext(ctx, "SHOW SESSION VARIABLES WHERE Variable_name IN ('max_statement_time', 'max_execution_time')")
	if err != nil {
		return err
	}
	var name, value string
	for rows.Next() && err == nil {
		err = rows.Scan(&name, &value)
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return err
	}
	switch name {
	case "max_statement_time":
		value = strconv.FormatFloat(max(limit, time.Millisecond).Seconds(), 'f', 3, 64)
	case "max_execution_time":
		value = strconv.FormatInt(max(limit.Milliseconds(), 1), 10)
	default:
		return nil
	}
	_, err = r.conn.ExecContext(ctx, "SET SESSION "+name+" = "+value)
	return err
}

// query prepares the statement on the server, so that values never become part of its text, and runs it.
func (r *reader) query(ctx context.Context, text string, args []any) (*sql.Rows, error) {
	statement, err := r.conn.PrepareContext(ctx, r.mark+text)
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args...) // the statement ends with the connection
}

// failure says what an error means, and sees to it that the statement has ended.
func (r *reader) failure(caller, ctx context.Context, err error, l ReadLimits) error {
	var own *ReadError
	var taker *takerError
	switch {
	case errors.As(err, &taker):
		r.kill()
		return taker.err
	case errors.As(err, &own):
		r.kill()
		return own
	case caller.Err() != nil:
		r.kill()
		return unreachable(caller.Err())
	case ctx.Err() != nil:
		r.kill()
		return tooSlow(l.Time)
	}
	return readFailure(err, l.Time)
}

// kill ends the statement on the server, if it still runs there. A server behind a balancer may be another: the mark tells. It is
// best effort: the server's own limit ends it too.
func (r *reader) kill() {
	ctx, cancel := context.WithTimeout(context.Background(), killTime)
	defer cancel()
	d := sql.OpenDB(r.home)
	defer d.Close()
	for ctx.Err() == nil {
		var id int64
		err := d.QueryRowContext(ctx, "SELECT ID FROM information_schema.PROCESSLIST WHERE ID = ? AND INFO LIKE ?", r.id, r.mark+"%").Scan(&id)
		if err == nil {
			_, err = d.ExecContext(ctx, "KILL "+strconv.FormatInt(id, 10))
		}
		if err == nil || errors.Is(err, sql.ErrNoRows) {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// close ends the connection, and with it the transaction.
func (r *reader) close() {
	if r.conn != nil {
		_ = r.conn.Close()
	}
	_ = r.db.Close() // as good as closed when it cannot say goodbye
}
