package db

import (
	"context"
	"fmt"
	"strings"
)

// Waiting tells of which stores a row waits or is being sent. It is one statement for all of them, which fails as a
// whole when one of the databases cannot be read.
func (p *Pool) Waiting(ctx context.Context, stores []*Store) ([]*Store, error) {
	parts, args := make([]string, len(stores)), make([]any, len(stores))
	for i, s := range stores {
		parts[i], args[i] = strings.TrimSpace(s.sql.text("waiting")), i
	}
	found, err := selectAll[int](ctx, p.db, union(parts), args...)
	if err != nil {
		return nil, fmt.Errorf("look for waiting rows in %d databases: %w", len(stores), err)
	}
	waiting := make([]*Store, len(found))
	for i, place := range found {
		waiting[i] = stores[place]
	}
	return waiting, nil
}
