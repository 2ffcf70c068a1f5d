package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Known is what a witness outside of a company's database knows about it, from one daemon.
type Known struct {
	Identity string
	Instance string
	Company  string
	Beat
}

// HandedFor is how long it is kept which mails were handed over.
const HandedFor = 40 * 24 * time.Hour

// Witness reads what the control database knows of a database, and of others that the company had. known is false where
// it has no such tables yet.
func (s *Store) Witness(ctx context.Context, identity, company string) (all []Known, known bool, err error) {
	if known, err = s.has(ctx, ControlPart); err != nil || !known {
		return nil, known, err
	}
	found, err := selectAll[struct {
		Identity string `db:"identity"`
		Instance string `db:"instance"`
		Company  string `db:"company"`
		N        uint64 `db:"beat"`
		Nonce    string `db:"nonce"`
	}](ctx, s.pool.db, s.sql.text("witness"), identity, company, identity)
	for _, f := range found {
		all = append(all, Known{f.Identity, f.Instance, f.Company, Beat{f.N, f.Nonce}})
	}
	return all, true, wrap(err, "read the witness of "+company)
}

// NoteWitness writes into the control database how far a company's database has come.
func (s *Store) NoteWitness(ctx context.Context, k Known) error {
	return s.exec(ctx, "write the witness of "+k.Company, s.sql.text("witness-write"), k.Identity, k.Instance, k.Company, k.N, k.Nonce)
}

// Handed is a packed list of mails that a daemon handed over.
type Handed struct {
	ID       uint64 `db:"id"`
	Identity string `db:"identity"`
	Records  []byte `db:"records"`
}

// NoteHanded keeps a list in the control database.
func (s *Store) NoteHanded(ctx context.Context, of Known, mails int, records []byte) error {
	return s.exec(ctx, "write what was handed over for "+of.Company, s.sql.text("handed-write"), of.Company, of.Identity, of.Instance, mails, records)
}

const handedBatch = 200

// Handed gives f the lists of a company after the given number, the oldest first, and returns the last one's number.
func (s *Store) Handed(ctx context.Context, company string, after uint64, f func(Handed) error) (uint64, error) {
	for {
		lists, err := selectAll[Handed](ctx, s.pool.db, s.sql.text("handed-read"), company, after, handedBatch)
		if err != nil {
			return after, fmt.Errorf("read what was handed over for %s: %w", company, err)
		}
		for _, one := range lists {
			if err := f(one); err != nil {
				return after, err
			}
			after = one.ID
		}
		if len(lists) < handedBatch {
			return after, nil
		}
	}
}

// HandedBefore returns the number before the newest so many lists of a company, 0 when there are not more.
func (s *Store) HandedBefore(ctx context.Context, company string, newest int) (uint64, error) {
	var id uint64
	err := s.pool.db.GetContext(ctx, &id, s.sql.text("handed-newest"), company, newest)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, wrap(err, "look for what was handed over for "+company)
}

const handedPurge = 1000

// PurgeHanded drops some lists older than HandedFor.
func (s *Store) PurgeHanded(ctx context.Context) error {
	if known, err := s.has(ctx, ControlPart); err != nil || !known {
		return err
	}
	return s.exec(ctx, "drop old lists of what was handed over", s.sql.text("handed-purge"), int(HandedFor/time.Second), handedPurge)
}
