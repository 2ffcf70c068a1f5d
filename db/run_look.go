package db

import (
	"context"
)

// LastTries reads what servers said last of some rows, by the row's number. A row that was never tried is not in it.
func (s *Store) LastTries(ctx context.Context, ids []uint64) (map[uint64]Tried, error) {
	last := map[uint64]Tried{}
	for chunk := range chunks(ids, groupSize) {
		all, err := selectAll[triedRow](ctx, s.pool.db, s.sql.list("tries-of", len(chunk)), idArgs(chunk)...)
		if err != nil {
			return nil, wrap(err, "read attempts of "+s.database)
		}
		for _, t := range all {
			last[t.Row] = t.Tried
		}
	}
	return last, nil
}

type triedRow struct {
	Row uint64 `db:"outbox_id"`
	Tried
}
