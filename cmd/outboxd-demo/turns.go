package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
)

// turns gives the in-memory database to one transaction at a time. It has no row locks: of two transactions that run at
// once, the later COMMIT puts back whole tables as it saw them and so undoes the earlier one.
type turns struct {
	mysql.Handler
	turn chan struct{} // holds one item while somebody's turn lasts

	mu    sync.Mutex
	owner *mysql.Conn
}

// patience is how long a connection waits for its turn before it is told so, as MySQL tells of a row lock.
const patience = 10 * time.Second

func oneAtATime(h mysql.Handler) (mysql.Handler, error) {
	return &turns{Handler: h, turn: make(chan struct{}, 1)}, nil
}

// ComQuery runs a statement when it is the connection's turn.
func (t *turns) ComQuery(ctx context.Context, c *mysql.Conn, query string, result mysql.ResultSpoolFn) error {
	if waits(query) {
		return t.Handler.ComQuery(ctx, c, query, result)
	}
	return t.inTurn(ctx, c, func() error { return t.Handler.ComQuery(ctx, c, query, result) })
}

// ComMultiQuery runs the first of several statements when it is the connection's turn.
func (t *turns) ComMultiQuery(ctx context.Context, c *mysql.Conn, query string, result mysql.ResultSpoolFn) (rest string, err error) {
	if waits(query) {
		return t.Handler.ComMultiQuery(ctx, c, query, result)
	}
	err = t.inTurn(ctx, c, func() error {
		rest, err = t.Handler.ComMultiQuery(ctx, c, query, result)
		return err
	})
	return rest, err
}

// ComStmtExecute runs a prepared statement when it is the connection's turn.
func (t *turns) ComStmtExecute(ctx context.Context, c *mysql.Conn, p *mysql.PrepareData, result func(*sqltypes.Result) error) error {
	return t.inTurn(ctx, c, func() error { return t.Handler.ComStmtExecute(ctx, c, p, result) })
}

// ComResetConnection ends the connection's session, and with it its transaction and its turn.
func (t *turns) ComResetConnection(c *mysql.Conn) error {
	defer t.leave(c)
	return t.Handler.ComResetConnection(c)
}

// ConnectionClosed ends the connection's transaction, and with it its turn.
func (t *turns) ConnectionClosed(c *mysql.Conn) {
	defer t.leave(c)
	t.Handler.ConnectionClosed(c)
}

// inTurn runs f. A turn lasts for a statement or, after BEGIN, until the transaction ends.
func (t *turns) inTurn(ctx context.Context, c *mysql.Conn, f func() error) error {
	if err := t.enter(ctx, c); err != nil {
		return err
	}
	defer func() {
		if !inTransaction(c) {
			t.leave(c)
		}
	}()
	err := f()
	if err != nil && !inTransaction(c) {
		// The server leaves the failed statement's view of the tables in the session; the next COMMIT would put it back.
		_ = t.Handler.ComQuery(context.WithoutCancel(ctx), c, "ROLLBACK", func(*sqltypes.Result, bool) error { return nil })
	}
	return err
}

func (t *turns) enter(ctx context.Context, c *mysql.Conn) error {
	if t.holds(c) {
		return nil
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-limit.C:
		return mysql.NewSQLError(mysql.ERLockWaitTimeout, mysql.SSUnknownSQLState, "Lock wait timeout exceeded; try restarting transaction")
	}
	t.mu.Lock()
	t.owner = c
	t.mu.Unlock()
	return nil
}

func (t *turns) leave(c *mysql.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.owner == c {
		t.owner = nil
		<-t.turn
	}
}

func (t *turns) holds(c *mysql.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owner == c
}

func inTransaction(c *mysql.Conn) bool { return c.StatusFlags&uint16(mysql.ServerInTransaction) != 0 }

// waits tells whether a statement waits for another connection, which could then never have its turn.
func waits(query string) bool {
	q := strings.ToUpper(query)
	return strings.HasPrefix(q, "SELECT GET_LOCK(") || strings.HasPrefix(q, "SELECT SLEEP(")
}
