package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// Purged is the proof of content that was removed: the SHA-256 of each part, "" where there was none.
type Purged struct {
	ID      uint64    `db:"id" json:"-"`
	Text    string    `db:"text_hash" json:"text_hash,omitempty"`
	HTML    string    `db:"html_hash" json:"html_hash,omitempty"`
	Headers string    `db:"headers_hash" json:"headers_hash,omitempty"`
	Params  string    `db:"params_hash" json:"params_hash,omitempty"`
	Raw     string    `db:"raw_hash" json:"raw_hash,omitempty"`
	At      time.Time `db:"purged_at" json:"purged_at"`
}

// PurgedError says that a row has no content any more and so cannot be sent.
type PurgedError struct {
	ID uint64
	At time.Time
}

// Error names the row and says when its content was removed.
func (e *PurgedError) Error() string {
	return fmt.Sprintf("the content of row %d was purged at %s", e.ID, e.At.Format(time.DateTime+" UTC"))
}

// KeyUsedError says that a row's dedupe_key was used up by a row that is gone.
type KeyUsedError struct {
	First uint64    // the row that had the key
	At    time.Time // when that row was inserted
}

// Error names the row that had the key.
func (e *KeyUsedError) Error() string {
	return fmt.Sprintf("its dedupe_key was used by row %d of %s, which is gone by now", e.First, e.At.Format(time.DateTime+" UTC"))
}

// spent finds rows that are never to be sent: those with a dedupe_key that is used up, and those without content because
// it was purged, which somebody has queued again by hand.
func (s *Store) spent(ctx context.Context, keyed, empty []uint64) (map[uint64]error, error) {
	all := map[uint64]error{}
	purged, err := s.purged(ctx, s.pool.db, empty)
	if err != nil {
		return nil, err
	}
	for id, p := range purged {
		all[id] = &PurgedError{id, p.At}
	}
	if len(keyed) == 0 {
		return all, nil
	}
	type used struct {
		ID    uint64    `db:"id"`
		First uint64    `db:"first"`
		At    time.Time `db:"at"`
	}
	found, err := selectAll[used](ctx, s.pool.db, s.sql.list("used-keys", len(keyed)), idArgs(keyed)...)
	if err != nil && !neverPurged(err) {
		return nil, err
	}
	for _, u := range found {
		all[u.ID] = &KeyUsedError{u.First, u.At}
	}
	return all, nil
}

// purged reads what stays of the rows' content, of those that had some purged.
func (s *Store) purged(ctx context.Context, q sqlx.QueryerContext, ids []uint64) (map[uint64]Purged, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := selectAll[Purged](ctx, q, s.sql.list("purged", len(ids)), idArgs(ids)...)
	if err != nil && !neverPurged(err) {
		return nil, err
	}
	all := make(map[uint64]Purged, len(found))
	for _, p := range found {
		all[p.ID] = p
	}
	return all, nil
}

// neverPurged tells that the tables of a purge are not there yet, or not this user's to read: whoever purges has both.
func neverPurged(err error) bool { return NoTable(err) || NoRight(err) }

// NoRight tells whether a table is not this user's to use as it was: of a company without such jobs it need not be.
func NoRight(err error) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my) && my.Number == noRight
}

const noRight = 1142

// NoTable tells whether a table is missing: that of a step of the schema which was not applied yet.
func NoTable(err error) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my) && my.Number == noSuchTable
}
