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

// MailedKeys reads which business keys of jobs were mailed in a period before, each with the number of the mail. It locks nothing: a
// run that enqueues looks again.
func (s *Store) MailedKeys(ctx context.Context, kinds []string, period string, keys []string) (map[string]uint64, error) {
	mailed := map[string]uint64{}
	for _, kind := range kinds {
		for chunk := range chunks(keys, groupSize) {
			args := []any{kind, period}
			for _, key := range chunk {
				args = append(args, key)
			}
			all, err := selectAll[keyRow](ctx, s.pool.db, s.sql.list("keys-mailed", len(chunk)), args...)
			if err != nil {
				return nil, wrap(err, "read mailed keys of "+s.database)
			}
			for _, k := range all {
				mailed[k.Value] = k.Row
			}
		}
	}
	return mailed, nil
}

type keyRow struct {
	Value string `db:"value"`
	Row   uint64 `db:"outbox_id"`
}
