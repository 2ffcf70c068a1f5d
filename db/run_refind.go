package db

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// RefindMails looks at rows of the outbox behind a number, at most limit, for mails of a run that it does not know any more, as somebody
// has deleted them from outbox_run_mail, and notes them again. It returns where the next look begins, 0 when this one came to the end, and
// how many it found. Their keys are not known any more: they stay used up.
func (s *Store) RefindMails(ctx context.Context, id, after uint64, limit int) (next uint64, found int, err error) {
	var rows []struct {
		ID   uint64 `db:"id"`
		Lost bool   `db:"lost"`
	}
	if err = s.needNewest(ctx); err == nil {
		err = retry(ctx, func() error {
			rows = rows[:0]
			return s.pool.db.SelectContext(ctx, &rows, s.sql.text("run-mails-lost"), id, after, limit)
		})
	}
	var lost []uint64
	for _, r := range rows {
		if next = r.ID; r.Lost {
			lost = append(lost, r.ID)
		}
	}
	if len(rows) < limit {
		next = 0
	}
	if err == nil && len(lost) > 0 {
		err = s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.refind(ctx, tx, id, lost) })
	}
	return next, len(lost), wrap(err, fmt.Sprintf("look for mails of run %d in %s", id, s.database))
}

// refind notes mails of a run that has lost them. Whoever lets go, holds or cancels its mails begins with the first one again.
func (s *Store) refind(ctx context.Context, tx *sqlx.Tx, id uint64, lost []uint64) error {
	if _, err := s.lockRunRow(ctx, tx, id); err != nil {
		return err
	}
	args := make([]any, 0, 3*len(lost))
	for _, mail := range lost {
		var identity [16]byte // no row of an audience has it
		binary.BigEndian.PutUint64(identity[8:], mail)
		args = append(args, id, mail, identity[:])
	}
	if _, err := tx.ExecContext(ctx, s.sql.rows("run-mails-refound", len(lost), "(?, ?, ?)"), args...); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, s.sql.text("run-released"), 0, 0, false, id)
	return err
}
