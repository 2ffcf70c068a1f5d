package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Told lists the troubles that a person was told of by the daemon, not longer ago than most, and not yet that they are over.
func (s *Store) Told(ctx context.Context, instance string, most time.Duration) ([]string, error) {
	names, err := selectAll[string](ctx, s.pool.db, s.sql.text("told"), instance, int64(most/time.Second))
	return names, wrap(err, "read in "+s.database+" what was told")
}

// Tell notes that a person was told of a trouble.
func (s *Store) Tell(ctx context.Context, instance, name, subject string) error {
	return s.exec(ctx, "note what was told", s.sql.text("tell"), instance, cut(name, 255), cut(subject, maxReply))
}

// Untell notes that a person was told that the trouble is over.
func (s *Store) Untell(ctx context.Context, instance, name string) error {
	return s.exec(ctx, "note what is over", s.sql.text("untell"), instance, cut(name, 255))
}

// Present writes down which computer the daemon runs on.
func (s *Store) Present(ctx context.Context, i Instance) error {
	return s.exec(ctx, "write down the daemon", s.sql.text("present"), i.ID, cut(i.Host, 255))
}

// HostOf is the computer of a daemon, by the head of its lease tokens; "" when it is not known.
func (s *Store) HostOf(ctx context.Context, instance string) (string, error) {
	var host string
	err := s.pool.db.GetContext(ctx, &host, s.sql.text("host-of"), instance)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look in %s for the daemon %s: %w", s.database, instance, err)
	}
	return host, nil
}
