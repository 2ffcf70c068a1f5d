package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// ownUse says what a company's own connections are for: statements of its people, which name no database, beside those of
// outboxd in one transaction.
type ownUse struct {
	lock      time.Duration // to wait for a lock
	statement time.Duration // to run, where the server can end it by itself (MariaDB)
	open      int           // connections at most
	silent    bool          // a statement may be silent for as long as its context lets it
}

var (
	// settling keeps a sender waiting.
	settling = ownUse{lock: time.Second, statement: 2 * time.Second, open: 4}
	// retrying keeps nobody waiting; but what it waits for, or holds, is the company's.
	retrying = ownUse{lock: time.Second, statement: 30 * time.Second, open: 1}
)

const ownRest = time.Minute // after which a connection that nobody used ends

// owns are the connections of companies by their use. They are opened when they are first needed.
type owns struct {
	mu  sync.Mutex
	all map[ownKey]*sqlx.DB
}

type ownKey struct {
	database string // quoted
	use      ownUse
}

// own returns the connections of a company for a use.
func (p *Pool) own(quoted string, use ownUse) *sqlx.DB {
	p.owns.mu.Lock()
	defer p.owns.mu.Unlock()
	key := ownKey{quoted, use}
	d := p.owns.all[key]
	if d == nil {
		d = sqlx.NewDb(sql.OpenDB(ownConnector{p, quoted, use}), "mysql")
		d.SetMaxOpenConns(use.open)
		d.SetMaxIdleConns(use.open)
		d.SetConnMaxIdleTime(ownRest)
		d.SetConnMaxLifetime(4 * time.Minute)
		if p.owns.all == nil {
			p.owns.all = map[ownKey]*sqlx.DB{}
		}
		p.owns.all[key] = d
	}
	return d
}

func (o *owns) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range o.all {
		_ = d.Close() // as with the pool's
	}
}

// ownConnector connects as the pool does, to the node that it uses, with the company's database as default.
type ownConnector struct {
	pool   *Pool
	quoted string
	use    ownUse
}

// Driver is that of all connections.
func (c ownConnector) Driver() driver.Driver { return mysql.MySQLDriver{} }

// Connect returns a session that is ready for a statement.
func (c ownConnector) Connect(ctx context.Context) (driver.Conn, error) {
	way := c.pool.home
	if c.use.silent {
		way = readConnector{c.pool}
	}
	conn, err := way.Connect(ctx)
	if err != nil {
		return nil, err
	}
	s, ok := conn.(nodeConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver connection %T lacks a method", conn), conn.Close())
	}
	own := &ownSession{nodeConn: s, home: c.pool.reading}
	if n, ok := conn.(*nodeSession); ok {
		own.home = n.node.reading
	}
	if err := own.prepare(ctx, c.quoted, c.use); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return own, nil
}

// ownSession is a session with a company's database as default.
type ownSession struct {
	nodeConn
	home     driver.Connector // the way to the same server
	id       int64            // its number there
	client   string           // what it is the other end of there
	zoned    bool             // it is in another zone than outboxd's own statements want
	nameless bool             // the server does not know the names of zones
}

const ownLimits = "SHOW SESSION VARIABLES WHERE Variable_name IN ('max_statement_time')"

func (s *ownSession) prepare(ctx context.Context, quoted string, use ownUse) error {
	statements := []string{"USE " + quoted}
	if use.lock > 0 {
		wait := strconv.Itoa(int(use.lock / time.Second))
		statements = append(statements, "SET SESSION lock_wait_timeout = "+wait)
		// An engine that knows it for all sessions only is bounded by the context.
		if _, err := s.ExecContext(ctx, "SET SESSION innodb_lock_wait_timeout = "+wait, nil); err != nil && Kind(err) != KindOther {
			return err
		}
	}
	known := nodeState{}
	if err := known.read(ctx, s, ownLimits); err != nil {
		return fmt.Errorf("look for limits: %w", err)
	}
	if len(known) > 0 && use.statement > 0 {
		statements = append(statements, "SET SESSION max_statement_time = "+strconv.FormatFloat(use.statement.Seconds(), 'f', 3, 64))
	}
	for _, statement := range statements {
		if _, err := s.ExecContext(ctx, statement, nil); err != nil {
			return err
		}
	}
	known = nodeState{}
	err := known.read(ctx, s, "SELECT ID, HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()")
	for id, client := range known {
		s.client = client
		s.id, err = strconv.ParseInt(id, 10, 64)
	}
	return wrap(err, "ask for the session's number")
}

// ResetSession is called before the session is used again.
func (s *ownSession) ResetSession(ctx context.Context) error {
	if s.zoned {
		return driver.ErrBadConn // nothing was sent: database/sql takes another
	}
	return s.nodeConn.ResetSession(ctx)
}

// run runs a statement of the company's people, in their zone, in which its times are too.
func (s *ownSession) run(ctx context.Context, tx *sqlx.Tx, zone *time.Location, statement string, args []any) error {
	if zone == nil || zone == time.UTC {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	}
	for i, a := range args {
		if at, ok := a.(time.Time); ok {
			args[i] = at.In(zone).Format("2006-01-02 15:04:05.999999")
		}
	}
	s.zoned = true
	if err := s.enter(ctx, tx, zone); err != nil {
		return fmt.Errorf("set the zone %s: %w", zone, err)
	}
	if _, err := tx.ExecContext(ctx, statement, args...); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "SET time_zone = '+00:00'")
	s.zoned = err != nil
	return err
}

var zoneName = regexp.MustCompile(`^[A-Za-z0-9_+/-]+$`)

// enter has the session be in a zone; by how far its clocks are from UTC now, where the server's tables of zones are empty.
func (s *ownSession) enter(ctx context.Context, tx *sqlx.Tx, zone *time.Location) error {
	const set = "SET time_zone = "
	var my *mysql.MySQLError
	if !s.nameless && zoneName.MatchString(zone.String()) {
		_, err := tx.ExecContext(ctx, set+"'"+zone.String()+"'")
		if !errors.As(err, &my) {
			return err
		}
		s.nameless = true
	}
	_, err := tx.ExecContext(ctx, set+time.Now().In(zone).Format("'-07:00'"))
	return err
}

// ended sees to it that what a session was doing has ended, and what it held is free, when nobody waits for its answer any more. It
// gives up after killTime. A server behind a balancer may be another: there the session's number has another client. The statement's
// text does not tell, since within a procedure it is that of the procedure.
func (s *ownSession) ended() {
	ctx, cancel := context.WithTimeout(context.Background(), killTime)
	defer cancel()
	d := sql.OpenDB(s.home)
	defer d.Close()
	for ctx.Err() == nil {
		var id int64
		err := d.QueryRowContext(ctx, "SELECT ID FROM information_schema.PROCESSLIST WHERE ID = ? AND HOST = ?", s.id, s.client).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return
		}
		if err == nil {
			_, _ = d.ExecContext(ctx, "KILL "+strconv.FormatInt(id, 10)) // the next look tells what came of it
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// onSession runs f in a transaction on one of the connections. When ctx has ended, what still runs there is ended before it
// returns, so that nothing is locked any more. A COMMIT whose reply was lost is a *commitUnknownError.
func onSession(ctx context.Context, d *sqlx.DB, f func(ctx context.Context, tx *sqlx.Tx, own *ownSession) error) error {
	conn, err := d.Connx(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	var session *ownSession
	err = conn.Raw(func(c any) error {
		session = c.(*ownSession)
		return nil
	})
	if err != nil {
		return err
	}
	tx, err := conn.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err = f(ctx, tx, session); err != nil {
		_ = tx.Rollback() // the first error is the one to tell
		if ctx.Err() != nil {
			session.ended()
			return errors.Join(ctx.Err(), err)
		}
		return err
	}
	if err = tx.Commit(); err == nil || rolledBack(err) {
		return err
	}
	return &commitUnknownError{err}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
