package db

import (
	"context"
	"fmt"
	"time"
)

// RunFirst is what became of the mails of a run that were let go first.
type RunFirst struct {
	Open    int64         // have not ended
	Ended   int64         // sent, or tried to be
	Refused int64         // of these: refused by somebody, or given up
	Bounced int64         // of these: sent, and came back
	Rest    time.Duration // since the last of them ended
}

// RunFirst tells how the mails of a run did that have been let go so far.
func (s *Store) RunFirst(ctx context.Context, id uint64) (RunFirst, error) {
	var found struct {
		Open    int64 `db:"open"`
		Ended   int64 `db:"ended"`
		Refused int64 `db:"refused"`
		Bounced int64 `db:"bounced"`
		Rest    int64 `db:"rest"` // µs
	}
	err := s.needNewest(ctx)
	if err == nil {
		err = retry(ctx, func() error { return s.pool.db.GetContext(ctx, &found, s.sql.text("run-first"), id) })
	}
	if err != nil {
		return RunFirst{}, fmt.Errorf("look at the first mails of run %d of %s: %w", id, s.database, err)
	}
	return RunFirst{found.Open, found.Ended, found.Refused, found.Bounced, time.Duration(found.Rest) * time.Microsecond}, nil
}

// RunOpen tells whether a run has mails that have not ended.
func (s *Store) RunOpen(ctx context.Context, id uint64) (bool, error) {
	err := s.needNewest(ctx)
	var open []uint64
	if err == nil {
		open, err = selectAll[uint64](ctx, s.pool.db, s.sql.text("run-mail-open"), id)
	}
	return len(open) > 0, wrap(err, fmt.Sprintf("look for open mails of run %d of %s", id, s.database))
}
