package db

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// shared is a content that mails share.
type shared struct {
	Hash      string    `db:"hash"`
	Size      int64     `db:"size"`
	CreatedAt time.Time `db:"created_at"`
}

const sharedBatch = 100 // contents of one step

// purgeShared removes, in one step, shared contents that are old and that no attachment refers to any more. It walks once
// along all that are old.
func (s *Store) purgeShared(ctx context.Context, p *Purge) (PurgeStep, error) {
	if p.shared.CreatedAt.IsZero() {
		p.shared.CreatedAt = time.Unix(1, 0) // as for what was remembered
	}
	found, err := selectAll[shared](ctx, s.pool.db, s.sql.text("purge-shared"), p.before(), p.shared.CreatedAt, p.shared.CreatedAt, p.shared.Hash, sharedBatch)
	if err != nil {
		return PurgeStep{}, fmt.Errorf("look for shared contents in %s: %w", s.database, err)
	}
	octets := int64(0)
	for i, f := range found {
		if octets += f.Size; octets > purgeOctets && i > 0 {
			found = found[:i]
			break
		}
	}
	if len(found) == 0 {
		p.alone = true
		return PurgeStep{}, nil
	}
	err = s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.unshare(ctx, tx, p, found) })
	if err != nil {
		return PurgeStep{}, fmt.Errorf("purge shared contents of %s: %w", s.database, err)
	}
	p.shared = found[len(found)-1]
	return PurgeStep{}, nil
}

// unshare removes those that nobody uses. Whoever shares one in a transaction of this server has its row locked: such a one is
// passed over, and from then on an attachment refers to it.
func (s *Store) unshare(ctx context.Context, tx *sqlx.Tx, p *Purge, found []shared) error {
	if err := s.lockRun(ctx, tx, p); err != nil {
		return err
	}
	var locked, used []string
	args := make([]any, len(found))
	for i, f := range found {
		args[i] = f.Hash
	}
	if err := tx.SelectContext(ctx, &locked, s.sql.list("purge-lock-shared", len(args)), append(args, p.before())...); err != nil {
		return err
	}
	if err := tx.SelectContext(ctx, &used, s.sql.list("purge-used", len(args)), args...); err != nil {
		return err
	}
	free := []any{}
	for _, hash := range locked {
		if !slices.Contains(used, hash) {
			free = append(free, hash)
		}
	}
	if len(free) > 0 {
		if _, err := tx.ExecContext(ctx, s.sql.list("purge-unshare", len(free)), free...); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, s.sql.text("run-step"), int(leaseTime/time.Second), 0, 0, p.Run.ID)
	return err
}
