package main

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
)

// openSQL connects to the demo's database as any program of a company would, or a person: plain driver, plain SQL.
func openSQL(address, user string) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr = user, "tcp", address
	c.ParseTime, c.Loc = true, time.UTC
	c.InterpolateParams = true
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return sql.OpenDB(connector), nil
}
