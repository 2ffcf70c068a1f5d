package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"outboxd/acme"
)

// insertBooks makes acme's own tables, as the company's program has them: customers, invoices, payments.
func insertBooks(ctx context.Context, pool *sql.DB) (err error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for _, statement := range append([]string{"USE acme"}, strings.Split(acme.Sample, ";\n")...) {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("insert the customers and invoices: %w", err)
		}
	}
	return nil
}
