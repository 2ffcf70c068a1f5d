package db

import (
	"context"

	"github.com/jmoiron/sqlx"
)

type recipientRow struct {
	RowID uint64 `db:"outbox_id"`
	Recipient
}

// recipients returns the known recipients of the rows, by row and in order.
func (s *Store) recipients(ctx context.Context, ids []uint64) (map[uint64][]Recipient, error) {
	return s.recipientsIn(ctx, s.pool.db, ids)
}

func (s *Store) recipientsIn(ctx context.Context, q sqlx.QueryerContext, ids []uint64) (map[uint64][]Recipient, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var found []recipientRow
	if err := sqlx.SelectContext(ctx, q, &found, s.sql.list("recipients", len(ids)), idArgs(ids)...); err != nil {
		return nil, err
	}
	by := map[uint64][]Recipient{}
	for _, r := range found {
		by[r.RowID] = append(by[r.RowID], r.Recipient)
	}
	return by, nil
}

// writeRecipients inserts the recipients or gives them their new state.
func (s *Store) writeRecipients(ctx context.Context, tx *sqlx.Tx, rows []recipientRow) error {
	for chunk := range chunks(rows, 200) {
		var args []any
		for _, r := range chunk {
			args = append(args, r.RowID, r.Position, r.Kind, r.Address, r.State, null(r.Token), null(r.Code),
				null(cut(r.Enhanced, maxEnhanced)), null(cut(r.LastError, maxError)))
		}
		if _, err := tx.ExecContext(ctx, s.sql.rows("recipient-write", len(chunk), "("+repeat("?", 9)+")"), args...); err != nil {
			return err
		}
	}
	return nil
}

// null makes the zero value of a column NULL: nothing is known is not the same as empty.
func null[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}
