package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
)

// Pin keeps a content, such as the templates of a run as they are now, and returns the name to have it back by: its SHA-256 in
// hexadecimal digits. Pinned again it is stored once.
func (s *Store) Pin(ctx context.Context, content []byte) (hash string, err error) {
	sum := sha256.Sum256(content)
	hash = hex.EncodeToString(sum[:])
	_, err = s.pool.write(ctx, s.sql.text("pin"), hash, content)
	return hash, wrap(err, fmt.Sprintf("pin %d octets in %s", len(content), s.database))
}

// Pinned returns what Pin was given. What is not there is a *ContentError.
func (s *Store) Pinned(ctx context.Context, hash string) ([]byte, error) {
	content, err := s.pieces(ctx, "piece-pin", hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &ContentError{0, "templates", "what the run has pinned is gone from outbox_pin", "cancel the run and start it again"}
	}
	return content, wrap(err, "read what is pinned in "+s.database)
}
