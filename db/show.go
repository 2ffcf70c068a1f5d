package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Tried is one attempt of a row.
type Tried struct {
	Token      string     `db:"lease_token" json:"lease_token"`
	MarkedAt   *time.Time `db:"marked_at" json:"marked_at,omitempty"`
	FinishedAt *time.Time `db:"finished_at" json:"finished_at,omitempty"`
	Account    string     `db:"account" json:"account"`
	Daemon     string     `db:"daemon" json:"daemon"`
	Step       string     `db:"step" json:"step,omitempty"`
	Verdict    string     `db:"verdict" json:"verdict,omitempty"`
	Code       int        `db:"smtp_code" json:"smtp_code,omitempty"`
	Enhanced   string     `db:"smtp_enhanced" json:"smtp_enhanced,omitempty"`
	Reply      string     `db:"reply" json:"reply,omitempty"`
}

// Attached is an attachment as people see it.
type Attached struct {
	Name   string `db:"name" json:"name"`
	Type   string `db:"type" json:"type,omitempty"`
	Source string `db:"source" json:"source"` // content, shared, file, query, or purged
	Size   int64  `db:"size" json:"size"`     // octets; -1 when it is not known
}

// Detail is all that the store knows about a row, but for its contents.
type Detail struct {
	ID          uint64     `db:"id" json:"id"`
	Recipients  string     `db:"recipients" json:"recipients"`
	Cc          string     `db:"cc" json:"cc,omitempty"`
	Bcc         string     `db:"bcc" json:"bcc,omitempty"`
	From        string     `db:"from_address" json:"from_address,omitempty"`
	Subject     string     `db:"subject" json:"subject"`
	Template    string     `db:"template" json:"template,omitempty"`
	Language    string     `db:"language" json:"language,omitempty"`
	Raw         int64      `db:"raw" json:"raw,omitempty"` // octets of a finished message
	State       State      `db:"state" json:"state"`
	Held        bool       `db:"held" json:"held"`
	Run         uint64     `db:"run_id" json:"run,omitempty"`              // of which run it is
	HeldByRun   bool       `db:"held_by_run" json:"held_by_run,omitempty"` // until the run lets it go, not a person
	Priority    int        `db:"priority" json:"priority"`
	Claims      int        `db:"claims" json:"claims"`
	Attempts    int        `db:"attempts" json:"attempts"`
	Reference   string     `db:"reference" json:"reference,omitempty"`
	Account     string     `db:"account" json:"account,omitempty"`
	DedupeKey   string     `db:"dedupe_key" json:"dedupe_key,omitempty"`
	MessageID   string     `db:"message_id" json:"message_id,omitempty"`
	SentVia     string     `db:"sent_via" json:"sent_via,omitempty"`
	SentAt      *time.Time `db:"sent_at" json:"sent_at,omitempty"`
	SendAfter   *time.Time `db:"send_after" json:"send_after,omitempty"`
	ExpiresAt   *time.Time `db:"expires_at" json:"expires_at,omitempty"`
	AvailableAt time.Time  `db:"available_at" json:"available_at"`
	LeaseUntil  *time.Time `db:"lease_until" json:"lease_until,omitempty"`
	Token       string     `db:"lease_token" json:"lease_token,omitempty"`
	Code        int        `db:"smtp_code" json:"smtp_code,omitempty"`
	Enhanced    string     `db:"smtp_enhanced" json:"smtp_enhanced,omitempty"`
	LastError   string     `db:"last_error" json:"last_error,omitempty"`
	BouncedAt   *time.Time `db:"bounced_at" json:"bounced_at,omitempty"` // when it came back
	Bounce      string     `db:"bounce" json:"bounce,omitempty"`         // what the bounce says, its beginning
	Size        int64      `db:"size" json:"size"`
	CreatedAt   time.Time  `db:"created_at" json:"created_at"`
	UpdatedAt   time.Time  `db:"updated_at" json:"updated_at"`
	Route       uint32     `db:"route" json:"-"`
	LaneID      uint32     `db:"lane_id" json:"-"`
	Lane        string     `db:"lane" json:"lane,omitempty"`
	LaneUntil   *time.Time `db:"lane_until" json:"lane_until,omitempty"`
	LaneReason  string     `db:"lane_reason" json:"lane_reason,omitempty"`
	Clock       time.Time  `db:"clock" json:"clock"` // the database's time

	Attachments []Attached  `json:"attachments,omitempty"` // at most so many as are sent, and one
	Purged      *Purged     `json:"purged,omitempty"`      // when its content was removed
	Each        []Recipient `json:"each,omitempty"`        // of a row with several recipients that has been tried
	Tries       []Tried     `json:"tries,omitempty"`
}

// NoRowError says that there is no row with this number.
type NoRowError struct {
	Database string
	ID       uint64
}

// Error names the row and the database.
func (e *NoRowError) Error() string {
	return fmt.Sprintf("no row %d in %s (deleted, or another company's)", e.ID, e.Database)
}

// Show reads one row with its attachments, recipients and tries. A missing one is a *NoRowError.
func (s *Store) Show(ctx context.Context, id uint64) (Detail, error) {
	var d Detail
	if err := s.lookForStep(ctx); err != nil {
		return d, fmt.Errorf("read row %d of %s: %w", id, s.database, err)
	}
	err := retry(ctx, func() error { return s.pool.db.GetContext(ctx, &d, s.sql.text("show"), id) })
	if errors.Is(err, sql.ErrNoRows) {
		return d, &NoRowError{s.database, id}
	}
	if err != nil {
		return d, fmt.Errorf("read row %d of %s: %w", id, s.database, err)
	}
	if d.Attachments, err = selectAll[Attached](ctx, s.pool.db, s.sql.text("shown-attachments"), id, maxAttachments+1); err != nil {
		return d, fmt.Errorf("read attachments of row %d of %s: %w", id, s.database, err)
	}
	if d.Each, err = selectAll[Recipient](ctx, s.pool.db, s.sql.text("shown-recipients"), id); err != nil {
		return d, fmt.Errorf("read recipients of row %d of %s: %w", id, s.database, err)
	}
	purged, err := s.purged(ctx, s.pool.db, []uint64{id})
	if err != nil {
		return d, fmt.Errorf("read what was purged of row %d of %s: %w", id, s.database, err)
	}
	if p, is := purged[id]; is {
		d.Purged = &p
	}
	d.Tries, err = selectAll[Tried](ctx, s.pool.db, s.sql.text("attempts"), id)
	return d, wrap(err, fmt.Sprintf("read attempts of row %d of %s", id, s.database))
}

// LastTries reads what servers said last of some rows, by the row's number. A row that was never tried is not in it.
func (s *Store) LastTries(ctx context.Context, ids []uint64) (map[uint64]Tried, error) {
	last := map[uint64]Tried{}
	for chunk := range chunks(ids, groupSize) {
		all, err := selectAll[triedRow](ctx, s.pool.db, s.sql.list("tries-of", len(chunk)), idArgs(chunk)...)
		if err != nil {
			return nil, wrap(err, "read attempts of "+s.database)
		}
		for _, t := range all {
			last[t.Row] = t.Tried
		}
	}
	return last, nil
}

type triedRow struct {
	Row uint64 `db:"outbox_id"`
	Tried
}
