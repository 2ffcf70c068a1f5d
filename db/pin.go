package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// Pin keeps a content, such as the templates of a run as they are now, and returns the name to have it back by: its SHA-256 in
// hexadecimal digits. Pinned again it is stored once, and counts as new.
func (s *Store) Pin(ctx context.Context, content []byte) (hash string, err error) {
	sum := sha256.Sum256(content)
	hash = hex.EncodeToString(sum[:])
	err = s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.pinIn(ctx, tx, hash, content) })
	var unknown *commitUnknownError
	if errors.As(err, &unknown) { // done once or twice is the same
		err = s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.pinIn(ctx, tx, hash, content) })
	}
	return hash, wrap(err, fmt.Sprintf("pin %d octets in %s", len(content), s.database))
}

func (s *Store) pinIn(ctx context.Context, tx *sqlx.Tx, hash string, content []byte) error {
	var packet int64
	again, err := tx.ExecContext(ctx, s.sql.text("pin-again"), hash)
	if err != nil {
		return err
	}
	if n, err := again.RowsAffected(); err != nil || n > 0 {
		return err
	}
	if err := tx.GetContext(ctx, &packet, "SELECT @@max_allowed_packet"); err != nil {
		return err
	}
	if room := packet - packetSlack; int64(len(content)) > room {
		return &ContentError{0, "templates", fmt.Sprintf("%d octets, the server takes %d in one statement", len(content), packet), "raise its max_allowed_packet, or remove templates that nobody uses"}
	}
	_, err = insertID(ctx, tx, s.sql.text("pin"), true, []any{hash, content})
	return err
}

// Pinned returns what Pin was given. What is not there is a *ContentError.
func (s *Store) Pinned(ctx context.Context, hash string) ([]byte, error) {
	content, err := s.pieces(ctx, "piece-pin", hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &ContentError{0, "templates", "what the run has pinned is gone from outbox_pin", "cancel the run and start it again"}
	}
	return content, wrap(err, "read what is pinned in "+s.database)
}
