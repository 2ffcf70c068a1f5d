package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// AdoptedRow is a row that an adoption decides about.
type AdoptedRow struct {
	ID         uint64         `db:"id"`
	State      State          `db:"state"`
	Held       bool           `db:"held"`
	Token      string         `db:"lease_token"`
	Recipients string         `db:"recipients"`
	Cc         sql.NullString `db:"cc"`
	Bcc        sql.NullString `db:"bcc"`
	CreatedAt  time.Time      `db:"created_at"`
	LastError  string         `db:"last_error"`
	Marked     bool           `db:"-"` // it is being sent and was handed over, with nobody knowing the outcome
	Known      []Recipient    `db:"-"`
}

// Adoption is what an adoption writes into a row.
type Adoption struct {
	ID         uint64
	State      State
	Held       bool
	SentAt     time.Time // zero: not sent
	LastError  string
	Recipients []Recipient // of a row with several: those whose state is known
}

// AdoptBegin notes that the database is being adopted, and makes its row where it has none. An adoption that was not
// completed goes on.
func (s *Store) AdoptBegin(ctx context.Context) error {
	next := random()
	err := s.pool.tx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, s.sql.text("identity-add"), "", next); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, s.sql.text("adopt-begin"), next)
		return err
	})
	return wrap(err, "begin to adopt "+s.database)
}

// AdoptEnd gives the database its new identity, at the place where it is, and returns it.
func (s *Store) AdoptEnd(ctx context.Context) (identity string, err error) {
	f, err := s.Fence(ctx)
	if err != nil {
		return "", err
	}
	err = s.pool.tx(ctx, func(tx *sqlx.Tx) error {
		for _, forget := range []string{s.sql.text("adopt-forget-places"), s.sql.text("adopt-forget-beats")} {
			if _, err := tx.ExecContext(ctx, forget); err != nil {
				return err
			}
		}
		if err := s.notePlaces(ctx, tx, f.Place); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, s.sql.text("adopt-end"), f.Adopting)
		return err
	})
	return f.Adopting, wrap(err, "end the adoption of "+s.database)
}

const adoptBatch = 500

// AdoptUnfinished lists all rows that wait, are held, are being sent or are uncertain.
func (s *Store) AdoptUnfinished(ctx context.Context) ([]uint64, error) {
	ids, err := selectAll[uint64](ctx, s.pool.db, s.sql.text("adopt-unfinished"), troubleNumber[Uncertain], troubleHeld)
	return ids, wrap(err, "list unfinished rows of "+s.database)
}

// AdoptOpen lists some rows that wait or are being sent. Each must be adopted before it is asked again.
func (s *Store) AdoptOpen(ctx context.Context) ([]uint64, error) {
	ids, err := selectAll[uint64](ctx, s.pool.db, s.sql.text("adopt-open"), adoptBatch)
	return ids, wrap(err, "look for unfinished rows in "+s.database)
}

// AdoptUncertain lists some uncertain rows after a number.
func (s *Store) AdoptUncertain(ctx context.Context, after uint64) ([]uint64, error) {
	return s.adoptTrouble(ctx, troubleNumber[Uncertain], after)
}

// AdoptHeld lists some held rows after a number.
func (s *Store) AdoptHeld(ctx context.Context, after uint64) ([]uint64, error) {
	return s.adoptTrouble(ctx, troubleHeld, after)
}

func (s *Store) adoptTrouble(ctx context.Context, kind int, after uint64) ([]uint64, error) {
	ids, err := selectAll[uint64](ctx, s.pool.db, s.sql.text("adopt-trouble"), kind, after, adoptBatch)
	return ids, wrap(err, "look for rows of "+s.database)
}

// Adopt changes rows as decide says, in one transaction. A row that breaks a rule of the table fails alone.
func (s *Store) Adopt(ctx context.Context, ids []uint64, decide func([]AdoptedRow) []Adoption) error {
	err := s.lookForStep(ctx)
	if err == nil {
		err = s.pool.tx(ctx, func(tx *sqlx.Tx) error { return s.adoptIn(ctx, tx, ids, decide) })
	}
	if Kind(err) != KindData {
		return wrap(err, "adopt rows of "+s.database)
	}
	if len(ids) == 1 {
		return s.refuse(ctx, ids[0], err.Error())
	}
	for i := range ids {
		if err := s.Adopt(ctx, ids[i:i+1], decide); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) adoptIn(ctx context.Context, tx *sqlx.Tx, ids []uint64, decide func([]AdoptedRow) []Adoption) error {
	var rows []AdoptedRow
	if err := tx.SelectContext(ctx, &rows, s.sql.list("adopt-rows", len(ids)), idArgs(ids)...); err != nil {
		return err
	}
	known, err := s.recipientsIn(ctx, tx, ids)
	if err != nil {
		return err
	}
	var leases []Lease
	for _, r := range rows {
		if r.State == Sending {
			leases = append(leases, Lease{r.ID, r.Token})
		}
	}
	marked := map[Lease]bool{}
	if len(leases) > 0 {
		if err := s.readMarks(ctx, tx, leases, marked); err != nil {
			return err
		}
	}
	for i := range rows {
		rows[i].Known, rows[i].Marked = known[rows[i].ID], marked[Lease{rows[i].ID, rows[i].Token}]
	}
	return s.writeAdoptions(ctx, tx, decide(rows))
}

// writeAdoptions writes rows with the same change together.
func (s *Store) writeAdoptions(ctx context.Context, tx *sqlx.Tx, all []Adoption) error {
	type change struct {
		state  State
		held   bool
		sentAt time.Time
		text   string
	}
	same := map[change][]uint64{}
	var order []change
	var recipients []recipientRow
	for _, a := range all {
		c := change{a.State, a.Held, a.SentAt, cut(a.LastError, maxError)}
		if len(same[c]) == 0 {
			order = append(order, c)
		}
		same[c] = append(same[c], a.ID)
		for _, r := range a.Recipients {
			recipients = append(recipients, recipientRow{a.ID, r})
		}
	}
	for _, c := range order {
		args := append([]any{c.state, c.held, !c.sentAt.IsZero(), null(c.sentAt), null(c.text)}, idArgs(same[c])...)
		if _, err := tx.ExecContext(ctx, s.sql.list("adopt-write", len(same[c])), args...); err != nil {
			return err
		}
		if c.held && !s.sql.older.Load() {
			if err := s.holdByRuns(ctx, tx, same[c]); err != nil {
				return err
			}
		}
	}
	return s.writeRecipients(ctx, tx, recipients)
}

// holdByRuns has the rows of runs held by these, so that they go when the run is resumed and not before.
func (s *Store) holdByRuns(ctx context.Context, tx *sqlx.Tx, ids []uint64) error {
	var runs []struct {
		ID   uint64 `db:"run_id"`
		Rows int    `db:"mails"`
	}
	if err := tx.SelectContext(ctx, &runs, s.sql.list("adopt-run-rows", len(ids)), idArgs(ids)...); err != nil || len(runs) == 0 {
		return err
	}
	for _, r := range runs {
		if _, err := tx.ExecContext(ctx, s.sql.text("run-unreleased"), r.Rows, r.Rows, r.ID); err != nil {
			return err
		}
	}
	return s.execIDs(ctx, tx, ids, "run-adopt-hold")
}

// AdoptRelease lets go some of the rows that adoptions have held under the given note, and returns how many it found. Rows that a person
// held are left alone.
func (s *Store) AdoptRelease(ctx context.Context, note string) (released int, err error) {
	ids, err := selectAll[uint64](ctx, s.pool.db, s.sql.text("adopt-held"), troubleHeld, note, adoptBatch)
	if err != nil || len(ids) == 0 {
		return 0, wrap(err, "look for held rows of "+s.database)
	}
	if _, err = s.pool.write(ctx, s.sql.list("adopt-release", len(ids)), append(idArgs(ids), note)...); err != nil {
		return 0, fmt.Errorf("release rows of %s: %w", s.database, err)
	}
	return len(ids), nil
}
