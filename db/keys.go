package db

import (
	"context"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
)

// dedupeKind is outbox_key.kind of the keys that senders write themselves.
const dedupeKind = "dedupe"

// keyKind is outbox_key.kind of a job's keys: its name, but for that of the keys that senders write themselves.
func keyKind(job string) string {
	if job == dedupeKind {
		return "job:" + dedupeKind
	}
	return job
}

// keyKinds are those of the run's keys: its own, in which they are noted, then that of the name that its job had before.
func (r Run) keyKinds() []string {
	kinds := r.names()
	for i, name := range kinds {
		kinds[i] = keyKind(name)
	}
	return kinds
}

// keysAtOnce bounds the keys of one statement.
const keysAtOnce = 1000

// KeysUsed returns those of the keys that a mail has used up in the period of a run, each with the mail's number. For a run that is
// there its own mails are none. It takes a statement for each name of the job and thousand keys, whatever the number of keys that
// are used up.
func (s *Store) KeysUsed(ctx context.Context, r Run, keys []string) (map[string]uint64, error) {
	used := map[string]uint64{}
	for some := range slices.Chunk(keys, keysAtOnce) {
		for _, kind := range r.keyKinds() {
			args := []any{r.ID, kind, r.Period}
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
				used[sameKey(f.Value)] = f.ID
			}
		}
	}
	return used, nil
}

// freeKeys frees the keys of mails that have ended as not mailed, but for those that somebody has, or may have, all the same.
func (s *Store) freeKeys(ctx context.Context, tx *sqlx.Tx, r Run, mails []runMail) error {
	if r.Period == "" {
		return nil
	}
	had, err := s.someHave(ctx, tx, idsOf(mails, func(runMail) bool { return true }))
	if err != nil {
		return err
	}
	if gone := idsOf(mails, func(m runMail) bool { return m.State == stateGone }); len(gone) > 0 {
		sent, err := selectAll[uint64](ctx, tx, s.sql.list("gone-had", len(gone)), idArgs(gone)...)
		if err != nil {
			return err
		}
		had = append(had, sent...)
	}
	var keys, pairs []any
	for _, m := range mails {
		if !slices.Contains(had, m.ID) {
			keys, pairs = append(keys, m.Key), append(pairs, m.Key, m.ID)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	_, err = tx.ExecContext(ctx, s.sql.list("run-keys-free", len(keys)), slices.Concat([]any{keyKind(r.Job), r.Period}, keys, pairs)...)
	return err
}

// someHave returns the mails that some of their recipients have, or may have.
func (s *Store) someHave(ctx context.Context, tx *sqlx.Tx, ids []uint64) ([]uint64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return selectAll[uint64](ctx, tx, s.sql.list("some-have", len(ids)), idArgs(ids)...)
}

// keepKey uses up the key of a mail again. Nobody gets what another mail of the period has brought meanwhile.
func (s *Store) keepKey(ctx context.Context, tx *sqlx.Tx, r Run, m runMail, row lockedRow) error {
	if r.Period == "" || m.Key == "" {
		return nil
	}
	kinds := r.keyKinds()
	if _, err := tx.ExecContext(ctx, s.sql.text("run-key-keep"), kinds[0], m.Key, r.Period, m.ID); err != nil {
		return err
	}
	args := []any{m.Key, r.Period, m.ID}
	for _, kind := range kinds {
		args = append(args, kind)
	}
	others, err := selectAll[uint64](ctx, tx, s.sql.list("run-key-others", len(kinds)), args...)
	if err != nil || len(others) == 0 {
		return err
	}
	return &StateError{ID: row.ID, State: row.State, Final: true, Hint: fmt.Sprintf("its key %s was mailed in %s by mail %d, and nobody gets it twice; if it has to go, insert it by itself", m.Key, r.Period, others[0])}
}
