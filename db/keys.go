package db

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// keysAtOnce bounds the keys of one statement.
const keysAtOnce = 1000

// KeysUsed returns those of the keys that a mail has used up in a period, each with the mail's number: keys of the kinds, which are a
// job's names, and of no mail of the run except, for which a run's own keys are none. It takes a statement for each kind and thousand
// keys, whatever the number of keys that are used up.
func (s *Store) KeysUsed(ctx context.Context, kinds []string, period string, keys []string, except uint64) (map[string]uint64, error) {
	used := map[string]uint64{}
	for some := range slices.Chunk(keys, keysAtOnce) {
		for _, kind := range kinds {
			args := []any{except, kind, period}
			for _, key := range some {
				args = append(args, key)
			}
			found, err := selectAll[struct {
				Value string `db:"value"`
				ID    uint64 `db:"outbox_id"`
			}](ctx, s.pool.db, s.sql.list("keys-used", len(some)), args...)
			if err != nil {
				return nil, fmt.Errorf("look for keys that are used up in %s: %w", s.database, err)
			}
			for _, f := range found {
				used[strings.TrimRight(f.Value, " ")] = f.ID // spaces at the end are none to the table
			}
		}
	}
	return used, nil
}

// WaitingBefore counts the rows of a route that wait, due or not, and that go before new ones of a priority, at most limit.
func (s *Store) WaitingBefore(ctx context.Context, r Route, priority, limit int) (n int64, err error) {
	err = retry(ctx, func() error {
		return s.pool.db.GetContext(ctx, &n, s.sql.text("waiting-before"), r.Lane, r.Hash, priority, limit)
	})
	return n, wrap(err, "count rows of "+s.database)
}
