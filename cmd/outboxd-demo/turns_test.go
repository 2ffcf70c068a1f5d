package main

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// testDatabase returns a server with the table t.counter, and a pool of connections to it.
func testDatabase(t *testing.T) *sql.DB {
	t.Helper()
	d, err := startDatabase(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := openSQL(d.address.String(), "root")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(pool.Close(), d.close()); err != nil {
			t.Error(err)
		}
	})
	run(t, pool,
		"CREATE DATABASE t",
		"CREATE TABLE t.counter (id INT PRIMARY KEY, n INT NOT NULL, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))",
		"INSERT INTO t.counter (id, n) VALUES (1, 0), (2, 0)")
	return pool
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func run(t *testing.T, on execer, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := on.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func number(t *testing.T, on execer, query string) (n int) {
	t.Helper()
	if err := on.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestTransactionsTakeTurns(t *testing.T) {
	pool := testDatabase(t)
	const workers, rounds = 6, 15
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for range rounds {
				if err := addOne(t.Context(), pool, 1+w%2); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := number(t, pool, "SELECT CAST(SUM(n) AS SIGNED) FROM t.counter"); n != workers*rounds {
		t.Errorf("%d of %d additions are left", n, workers*rounds)
	}
}

func addOne(ctx context.Context, pool *sql.DB, id int) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	var n int
	err = tx.QueryRowContext(ctx, "SELECT n FROM t.counter WHERE id = ? FOR UPDATE", id).Scan(&n)
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE t.counter SET n = ? WHERE id = ?", n+1, id)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func TestTurnEndsWithTheConnection(t *testing.T) {
	pool := testDatabase(t)
	tx, err := pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	run(t, tx, "UPDATE t.counter SET n = 5")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run(t, conn, "BEGIN", "UPDATE t.counter SET n = 5")
	// A connection that is closed in the middle of its transaction.
	if err := conn.Raw(func(c any) error { return c.(io.Closer).Close() }); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil && !errors.Is(err, mysql.ErrInvalidConn) {
		t.Fatal(err)
	}
	if n := number(t, pool, "SELECT n FROM t.counter WHERE id = 1"); n != 0 {
		t.Errorf("n is %d after two transactions that never committed", n)
	}
}

func TestFailedStatementLeavesNoStaleTables(t *testing.T) {
	pool := testDatabase(t)
	a, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.ExecContext(t.Context(), "INSERT INTO t.counter (id, n) VALUES (1, 0)"); err == nil {
		t.Fatal("the second row 1 was taken")
	}
	run(t, pool, "INSERT INTO t.counter (id, n) VALUES (3, 0)") // on another connection
	run(t, a, "INSERT INTO t.counter (id, n) VALUES (4, 0)")
	if n := number(t, pool, "SELECT COUNT(*) FROM t.counter"); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
}

func TestPreparedStatementsSeeTheTablesAsTheyAre(t *testing.T) {
	pool := testDatabase(t)
	a, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	insert, err := a.PrepareContext(t.Context(), "INSERT INTO t.counter (id, n) VALUES (?, 0)")
	if err != nil {
		t.Fatal(err)
	}
	defer insert.Close()
	count, err := a.PrepareContext(t.Context(), "SELECT COUNT(*) FROM t.counter WHERE id > ?")
	if err != nil {
		t.Fatal(err)
	}
	defer count.Close()
	run(t, pool, "INSERT INTO t.counter (id, n) VALUES (3, 0)") // on another connection
	if _, err := insert.ExecContext(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	run(t, pool, "INSERT INTO t.counter (id, n) VALUES (5, 0)")
	var n int
	if err := count.QueryRowContext(t.Context(), 0).Scan(&n); err != nil || n != 5 {
		t.Errorf("%d rows, want 5; %v", n, err)
	}
	if n := number(t, pool, "SELECT COUNT(*) FROM t.counter"); n != 5 {
		t.Errorf("%d rows, want 5", n)
	}
}

func TestWaitingForALockLetsOthersGo(t *testing.T) {
	pool := testDatabase(t)
	a, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if n := number(t, a, "SELECT GET_LOCK('x', 1)"); n != 1 {
		t.Fatal("no lock")
	}
	got := make(chan error, 1)
	go func() {
		var n int
		got <- pool.QueryRowContext(t.Context(), "SELECT GET_LOCK('x', 20)").Scan(&n)
	}()
	run(t, pool, "UPDATE t.counter SET n = 1")
	run(t, a, "SELECT RELEASE_LOCK('x')")
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestEverySessionIsInUTC(t *testing.T) {
	pool := testDatabase(t)
	var now, kept time.Time
	err := pool.QueryRowContext(t.Context(), "SELECT NOW(6), at FROM t.counter WHERE id = 1").Scan(&now, &kept)
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(now).Abs(); d > time.Minute {
		t.Errorf("NOW is %s away", d)
	}
	if d := time.Since(kept).Abs(); d > time.Minute {
		t.Errorf("the default time is %s away", d)
	}
}

func TestViewNeedsNoCurrentDatabase(t *testing.T) {
	pool := testDatabase(t)
	run(t, pool, "CREATE VIEW t.totals AS SELECT c.id, c.n FROM t.counter c LEFT JOIN t.counter d ON d.id = c.n")
	if n := number(t, pool, "SELECT COUNT(*) FROM t.totals"); n != 2 {
		t.Errorf("%d rows", n)
	}
}

func TestWaits(t *testing.T) {
	for query, want := range map[string]bool{
		"SELECT GET_LOCK('a', 60)":          true,
		"select sleep(1)":                   true,
		"SELECT 1":                          false,
		"UPDATE t SET a = 'SELECT SLEEP('":  false,
		"SELECT RELEASE_LOCK('a')":          false,
		strings.Repeat("x", 20) + "SELECT ": false,
	} {
		if waits(query) != want {
			t.Errorf("waits(%q) is %v", query, !want)
		}
	}
}
