package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// lockWait is shorter than the connection's ioTimeout, so that the server's answer comes first.
const lockWait = 20 * time.Second

// lockMigration lets one migration of a database go after the other, and returns what ends the lock. On a single server it
// is a lock of the connection, which ends with it. That one does not reach the other nodes of Galera, where two that
// change the same tables at once can make nodes stand still: there it is a row of outbox_meta.
func lockMigration(ctx context.Context, conn *sqlx.Conn, database, quoted string) (unlock func(context.Context) error, err error) {
	var name, value string
	err = conn.QueryRowxContext(ctx, "SHOW GLOBAL VARIABLES LIKE 'wsrep_on'").Scan(&name, &value)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("look for a cluster: %w", err)
	case strings.EqualFold(value, "ON"):
		return lockByRow(ctx, conn, quoted)
	}
	lock := lockName(database)
	var got sql.NullInt64
	if err := conn.GetContext(ctx, &got, "SELECT GET_LOCK(?, ?)", lock, int(lockWait/time.Second)); err != nil {
		return nil, fmt.Errorf("take the lock: %w", err)
	}
	if got.Int64 != 1 {
		return nil, fmt.Errorf("another migration has been running for %s", lockWait)
	}
	return func(ctx context.Context) error {
		_, err := conn.ExecContext(ctx, "SELECT RELEASE_LOCK(?)", lock)
		return err
	}, nil
}

// lockName names the lock of a database's migration. MySQL allows 64 characters; two long names may share one.
func lockName(database string) string {
	name := "outboxd migrate " + database
	return name[:min(len(name), 64)]
}

// The row of the lock: until when it is held, in seconds since 1970, 0 for not at all. Who took it and died keeps it no longer.
const (
	makeLock = "INSERT INTO {db}.outbox_meta (name, value) VALUES ('migrating', '0') ON DUPLICATE KEY UPDATE name = VALUES(name)"
	takeLock = "UPDATE {db}.outbox_meta SET value = UNIX_TIMESTAMP() + 600 WHERE name = 'migrating' AND CAST(value AS UNSIGNED) < UNIX_TIMESTAMP()"
	freeLock = "UPDATE {db}.outbox_meta SET value = '0' WHERE name = 'migrating'"
)

// lockByRow takes the lock of a cluster: of two nodes that write the row one fails its certification, and tries again.
func lockByRow(ctx context.Context, conn *sqlx.Conn, quoted string) (unlock func(context.Context) error, err error) {
	first, err := meta()
	if err != nil {
		return nil, err
	}
	in := func(statement string) string { return strings.ReplaceAll(statement, "{db}", quoted) }
	for _, one := range append(first.statements(quoted), in(makeLock)) {
		if err := again(ctx, conn, one); err != nil {
			return nil, fmt.Errorf("make the lock: %w", err)
		}
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(lockWait); ; {
		var taken int64
		err := retry(ctx, func() error {
			r, err := conn.ExecContext(ctx, in(takeLock))
			if err == nil {
				taken, err = r.RowsAffected()
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("take the lock: %w", err)
		}
		if taken == 1 {
			return func(ctx context.Context) error { return again(ctx, conn, in(freeLock)) }, nil
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("another migration has been running for %s; one that was killed stands in the way for ten minutes", lockWait)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// again runs a statement on the connection, anew after a conflict.
func again(ctx context.Context, conn *sqlx.Conn, statement string) error {
	return retry(ctx, func() error {
		_, err := conn.ExecContext(ctx, statement)
		return err
	})
}
