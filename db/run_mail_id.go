package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// RunMailID returns the number of a run's mail by what tells it from the others of the run. A *NoRowError says that there is none.
func (s *Store) RunMailID(ctx context.Context, run uint64, identity [16]byte) (id uint64, err error) {
	err = retry(ctx, func() error { return s.pool.db.GetContext(ctx, &id, s.sql.text("run-mail-id"), run, identity[:]) })
	if errors.Is(err, sql.ErrNoRows) {
		return 0, &NoRowError{s.database, 0}
	}
	return id, wrap(err, fmt.Sprintf("look for a mail of run %d of %s", run, s.database))
}
