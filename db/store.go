package db

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
)

// Store is the outbox of one company.
type Store struct {
	pool      *Pool
	database  string
	sql       statements
	marks     group[Mark]
	settles   group[Settlement]
	questions group[*question]
	guard     atomic.Pointer[guard]
	newest    atomic.Bool // the tables have what this program's newest step adds
	oneByOne  atomic.Bool // the server numbers the rows of one INSERT in a way of its own
	backs     backs

	beatEvery time.Duration // how often the lease of a statement's run is prolonged; 0 for the usual
}

// Store returns the outbox in the named database. The name is checked; the database is not looked at.
func (p *Pool) Store(database string) (*Store, error) {
	quoted, err := quote(database)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: p, database: database, sql: p.queries.of(quoted)}
	s.marks = group[Mark]{most: groupSize, run: s.runMarks}
	s.settles = group[Settlement]{most: groupSize, run: s.runSettles}
	s.questions = group[*question]{most: groupSize, run: s.runQuestions}
	return s, nil
}

// lookForStep looks whether the tables have what the newest step adds, and has the statements fit. Once they have it is not
// asked again: steps only add.
func (s *Store) lookForStep(ctx context.Context) error {
	if s.newest.Load() {
		return nil
	}
	var there bool
	err := retry(ctx, func() error { return s.pool.db.GetContext(ctx, &there, hasRun, s.database) })
	if err != nil {
		return fmt.Errorf("look for the newest columns: %w", err)
	}
	s.newest.Store(there)
	s.sql.older.Store(!there)
	return nil
}

// hasRun asks for the column that comes last.
const hasRun = `SELECT COUNT(*) > 0 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'outbox' AND COLUMN_NAME = 'run_id'`

// groupSize bounds a group of marks or settlements, so that no transaction is long.
const groupSize = 500

// Database returns the unquoted name of the company's database.
func (s *Store) Database() string { return s.database }

// Lease names one taking of one row: the token is fresh for every claim and stays in the row as proof.
type Lease struct {
	ID    uint64
	Token string
}

// Instance is who holds leases: the same for a daemon that restarts in the same place, so that it takes its own rows
// back at once, and different for any other.
type Instance struct {
	ID   string // eight hexadecimal digits, the head of each token
	Host string // the computer's name, for people
}

// token returns a fresh token: the instance, then 64 random bits.
func (i Instance) token() string {
	var b [8]byte
	rand.Read(b[:]) // never fails: see crypto/rand
	return i.ID + "-" + hex.EncodeToString(b[:])
}

// leaseTime is how long a claim is valid without a heartbeat. A daemon beats several times in it.
const leaseTime = 60 * time.Second

// micros is a duration as TIMESTAMPADD takes it.
func micros(d time.Duration) int64 { return d.Microseconds() }

// Heartbeat prolongs the leases by leaseTime. Leases that were lost meanwhile are left alone: the mark finds out.
func (s *Store) Heartbeat(ctx context.Context, leases []Lease) error {
	for chunk := range chunks(leases, 500) {
		args := append([]any{int(leaseTime / time.Second)}, leaseArgs(chunk)...)
		if _, err := s.pool.write(ctx, s.sql.list("heartbeat", len(chunk)), args...); err != nil {
			return fmt.Errorf("heartbeat in %s: %w", s.database, err)
		}
	}
	return nil
}

// ProbeWrite tells whether the server takes writes, without changing anything.
func (s *Store) ProbeWrite(ctx context.Context) error {
	return s.exec(ctx, "try to write", s.sql.text("write-probe"))
}

// leaseArgs are the values of {ids} followed by those of {pairs}. The ids alone let the server find the rows by primary
// key; the pairs guard each against its own token.
func leaseArgs(leases []Lease) []any {
	args := make([]any, 0, 3*len(leases))
	for _, l := range leases {
		args = append(args, l.ID)
	}
	for _, l := range leases {
		args = append(args, l.ID, l.Token)
	}
	return args
}

func idArgs(ids []uint64) []any {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return args
}

// chunks yields the items in runs of at most n.
func chunks[T any](items []T, n int) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		for len(items) > 0 {
			k := min(n, len(items))
			if !yield(items[:k]) {
				return
			}
			items = items[k:]
		}
	}
}

// selectAll reads rows by a named statement, again after a conflict; within a transaction only once: a conflict has rolled it
// back, and what came after would be committed by itself.
func selectAll[T any](ctx context.Context, q sqlx.QueryerContext, statement string, args ...any) ([]T, error) {
	var rows []T
	read := func() error {
		rows = nil
		return sqlx.SelectContext(ctx, q, &rows, statement, args...)
	}
	if _, within := q.(*sqlx.Tx); within {
		err := read()
		return rows, err
	}
	err := retry(ctx, read)
	return rows, err
}
