package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// prepared makes connections ready for use.
type prepared struct{ driver.Connector }

// Connect returns a session as the statements expect it.
func (c prepared) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	session, ok := conn.(nodeConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver connection %T lacks a method", conn), conn.Close())
	}
	if err := prepare(ctx, session); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

const (
	// The one statement that every server knows: the name of the variable differs between MariaDB and MySQL.
	isolation = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE"
	// On a node of Galera each statement sees what was committed before it on any node: reads (1), UPDATE and DELETE (2),
	// INSERT (4). Without Galera it does nothing, and many servers do not know it.
	hasSyncWait = "SHOW SESSION VARIABLES LIKE 'wsrep_sync_wait'"
	syncWait    = "SET SESSION wsrep_sync_wait = 7"
)

// prepare sets what the DSN cannot.
func prepare(ctx context.Context, session nodeConn) error {
	if _, err := session.ExecContext(ctx, isolation, nil); err != nil {
		return fmt.Errorf("set isolation level: %w", err)
	}
	known := nodeState{}
	err := known.read(ctx, session, hasSyncWait)
	if err == nil && len(known) > 0 {
		_, err = session.ExecContext(ctx, syncWait, nil)
	}
	return wrap(err, "set wsrep_sync_wait")
}
