package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/go-sql-driver/mysql"

	"outboxd/db"
)

// copies are the statements that make a schema as the migration has made the first one on the shared server. They make each table at
// once as it is after all steps, which takes a fraction of the time.
var copies struct {
	sync.Mutex
	all []string
}

// stand is where a schema's name stands in them.
const stand = "`{schema}`"

// copyTables makes all tables in an empty schema of the shared server.
func copyTables(ctx context.Context, pool *db.Pool, server db.Server, schema string) error {
	copies.Lock()
	all := copies.all
	if all == nil {
		defer copies.Unlock()
		err := migrate(ctx, pool, server, schema)
		if err == nil {
			copies.all, err = readTables(ctx, server, schema)
		}
		return err
	}
	copies.Unlock()
	for _, one := range all {
		if err := pool.Exec(ctx, strings.ReplaceAll(one, stand, "`"+schema+"`")); err != nil {
			return fmt.Errorf("%.80s: %w", one, err)
		}
	}
	return nil
}

func migrate(ctx context.Context, pool *db.Pool, _ db.Server, schema string) error {
	_, err := pool.Migrate(ctx, schema, db.CompanyPart, db.BucketPart, db.ControlPart)
	return err
}

// readTables returns what makes the tables of a schema, then its views, then what the migration notes about itself.
func readTables(ctx context.Context, server db.Server, schema string) (all []string, err error) {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = server.Username, server.Password, "tcp", net.JoinHostPort(server.Host, strconv.Itoa(server.Port))
	c.Params = map[string]string{"sql_mode": "''"} // names in backquotes
	pool, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	names, err := texts(ctx, pool, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? ORDER BY TABLE_TYPE, TABLE_NAME", schema)
	for _, name := range names {
		made, err := texts(ctx, pool, "SHOW CREATE TABLE `"+schema+"`.`"+name+"`")
		if err != nil {
			return nil, err
		}
		text := strings.Replace(made[1], "CREATE TABLE `", "CREATE TABLE "+stand+".`", 1)
		all = append(all, strings.ReplaceAll(text, "`"+schema+"`", stand)) // a view names its schema
	}
	if err != nil {
		return nil, err
	}
	notes, err := texts(ctx, pool, "SELECT CONCAT('(', QUOTE(name), ', ', QUOTE(value), ')') FROM `"+schema+"`.outbox_meta")
	return append(all, "INSERT INTO "+stand+".outbox_meta (name, value) VALUES "+strings.Join(notes, ", ")), err
}

// texts are all values of a query, row by row.
func texts(ctx context.Context, pool *sql.DB, query string, args ...any) (all []string, err error) {
	rows, err := pool.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values := make([]string, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		all = append(all, values...)
	}
	return all, rows.Err()
}
