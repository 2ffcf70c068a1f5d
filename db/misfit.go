package db

import (
	"context"
	"fmt"
)

// refuse fails a queued row that breaks a rule of the table, and mends what breaks it: the server would not take the row
// back otherwise. What stood in headers goes into last_error.
func (s *Store) refuse(ctx context.Context, id uint64, why string) error {
	return s.exec(ctx, "refuse a row", s.sql.text("refuse"), "headers must be JSON and priority 1 to 5; the row was inserted with the table's rules switched off ("+why+"). headers: ", id)
}

// RefuseMisfits fails rows whose priority no claim would ever look for, and returns how many.
func (s *Store) RefuseMisfits(ctx context.Context, routes []Route) (int, error) {
	n := 0
	for _, r := range routes {
		ids, err := selectAll[uint64](ctx, s.pool.db, s.sql.text("misfits"), r.Hash)
		if err != nil {
			return n, fmt.Errorf("look for wrong priorities in %s: %w", s.database, err)
		}
		for _, id := range ids {
			if err := s.refuse(ctx, id, "priority"); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

const (
	statelessBack  = 10000 // how far back the first look goes
	statelessBatch = 5000  // rows of one look
	lateIDs        = 1000  // rows with lower numbers may be committed later
)

// EndStateless fails rows that have no state: a session without strict rules wrote one that there is not, and the table
// took it as empty. It looks at rows behind the given number, 0 at first, and returns where the next look begins.
func (s *Store) EndStateless(ctx context.Context, after uint64) (next uint64, ended int64, err error) {
	if after == 0 {
		var newest uint64
		if err := s.pool.db.GetContext(ctx, &newest, s.sql.text("newest")); err != nil {
			return after, 0, fmt.Errorf("look for rows without a state in %s: %w", s.database, err)
		}
		after = newest - min(newest, statelessBack)
	}
	var look struct {
		Seen  uint64 `db:"seen"`
		First uint64 `db:"first"`
	}
	if err := s.pool.db.GetContext(ctx, &look, s.sql.text("stateless"), after, statelessBatch); err != nil {
		return after, 0, fmt.Errorf("look for rows without a state in %s: %w", s.database, err)
	}
	if look.First > 0 {
		if ended, err = s.pool.write(ctx, s.sql.text("end-stateless"), errStateless, look.First, look.Seen); err != nil {
			return after, 0, fmt.Errorf("end rows without a state in %s: %w", s.database, err)
		}
	}
	return max(after, look.Seen-min(look.Seen, lateIDs)), ended, nil
}

const errStateless = "the row was written with a state that there is not, in a session whose sql_mode is not strict, which made it empty; set sql_mode = 'STRICT_ALL_TABLES' there. Is the mail to go? outboxd queue retry"
