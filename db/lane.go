package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Lane is a set of rows that wait together, such as those to a recipient domain that throttles.
type Lane struct {
	ID        uint32     `db:"id"`
	Name      string     `db:"name"`
	WaitUntil *time.Time `db:"wait_until"`
	Open      bool       `db:"open"` // the pause is over
	Failures  int        `db:"failures"`
	Reason    string     `db:"reason"`
}

// Lanes lists all lanes by ID; there are as many as domains that have throttled and still have rows waiting. A lane that
// was dropped while a row found its way into it comes as an open one without a name, so that no row is left in it.
func (s *Store) Lanes(ctx context.Context) ([]Lane, error) {
	var lost []Lane
	for {
		lanes, err := selectAll[Lane](ctx, s.pool.db, s.sql.text("lanes"))
		if err != nil {
			return nil, fmt.Errorf("read lanes of %s: %w", s.database, err)
		}
		// One that seemed lost may just have been made.
		lost = slices.DeleteFunc(lost, func(l Lane) bool {
			return slices.ContainsFunc(lanes, func(there Lane) bool { return there.ID == l.ID })
		})
		if len(lost) > 0 {
			lanes = append(lanes, lost...)
			slices.SortFunc(lanes, func(a, b Lane) int { return cmp.Compare(a.ID, b.ID) })
		}
		id, err := s.lostLane(ctx, lanes)
		if err != nil {
			return nil, fmt.Errorf("look for lost lanes of %s: %w", s.database, err)
		}
		if id == 0 {
			return lanes, nil
		}
		lost = append(lost, Lane{ID: id, Open: true})
	}
}

// lostLane finds a lane that rows wait in and that is none of the given ones; 0 when there is none.
func (s *Store) lostLane(ctx context.Context, lanes []Lane) (uint32, error) {
	var gaps [][]any
	last := uint32(0)
	for _, l := range append(lanes, Lane{ID: sendingLane}) {
		if l.ID > last+1 {
			gaps = append(gaps, []any{last, l.ID})
		}
		last = l.ID
	}
	for some := range slices.Chunk(gaps, gapsAtOnce) {
		ranges := strings.TrimSuffix(strings.Repeat("qlane > ? AND qlane < ? OR ", len(some)), " OR ")
		statement := strings.Replace(s.sql.text("lost-lane"), "{gaps}", ranges, 1)
		found, err := selectAll[uint32](ctx, s.pool.db, statement, slices.Concat(some...)...)
		if err != nil || len(found) > 0 {
			return append(found, 0)[0], err
		}
	}
	return 0, nil
}

// gapsAtOnce is how many spans without a lane are looked into by one statement.
const gapsAtOnce = 500

// PauseLane makes the rows of the lane wait; the lane is made when it is new.
func (s *Store) PauseLane(ctx context.Context, name string, wait time.Duration, reason string) (Lane, error) {
	return s.setLane(ctx, s.sql.text("lane-pause"), name, wait, reason)
}

func (s *Store) setLane(ctx context.Context, statement, name string, wait time.Duration, reason string) (Lane, error) {
	if _, err := s.pool.write(ctx, statement, name, micros(wait), cut(reason, maxReply)); err != nil {
		return Lane{}, fmt.Errorf("set lane %s of %s: %w", name, s.database, err)
	}
	lanes, err := selectAll[Lane](ctx, s.pool.db, s.sql.text("lane"), name)
	switch {
	case err != nil:
		return Lane{}, fmt.Errorf("read lane %s of %s: %w", name, s.database, err)
	case len(lanes) == 0:
		return Lane{}, fmt.Errorf("set lane %s of %s: it is gone", name, s.database)
	}
	return lanes[0], nil
}

// HealLane forgets the lane's troubles: a mail went through.
func (s *Store) HealLane(ctx context.Context, id uint32) error {
	return s.exec(ctx, "heal lane", s.sql.text("lane-heal"), id)
}

// DropLane removes the lane when no row waits in it any more.
func (s *Store) DropLane(ctx context.Context, id uint32) error {
	var used int
	err := s.pool.db.GetContext(ctx, &used, s.sql.text("lane-used"), id)
	if err == nil {
		return nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("look into lane %d of %s: %w", id, s.database, err)
	}
	return s.exec(ctx, "drop lane", s.sql.text("lane-drop"), id)
}

func (s *Store) exec(ctx context.Context, what, statement string, args ...any) error {
	_, err := s.pool.write(ctx, statement, args...)
	return wrap(err, what+" in "+s.database)
}

// WaitLane sets the time that people see on the lane's rows; the lane is made when it is new. It counts no failure.
func (s *Store) WaitLane(ctx context.Context, name string, wait time.Duration, reason string) (Lane, error) {
	return s.setLane(ctx, s.sql.text("lane-wait"), name, wait, reason)
}

// Queue is one line of waiting rows: those of a route with a priority, in a lane.
type Queue struct {
	Lane     uint32
	Route    uint32
	Priority int
}

const (
	scanBatch  = 20000
	asideBatch = 1000
	// newestBatch is how many rows are looked at where new ones come in.
	newestBatch = 500
)

// place is where a row stands in a queue.
type place struct {
	ID     uint64    `db:"id"`
	At     time.Time `db:"available_at"`
	Domain uint32    `db:"rdom"`
	From   string    `db:"from_address"` // "" where it was not asked for, or the row names an account
}

// Sorting tells which rows are put aside, by Row.Domain, and where to: the lane is asked for right before rows are put into it.
type Sorting struct {
	Waits func(domain uint32) bool
	Lane  func(domain uint32) (uint32, error)
	Free  func(ids []uint64) // hears of rows that may go
}

// SortAside puts the rows of domains that wait into their lanes: once, and for all rows of the queue. It looks along the
// index faster than it writes, and again and again at its end, where new rows are. Rows that may go are reported as soon
// as they are seen, so that nobody waits behind the others meanwhile; some are reported twice.
func (s *Store) SortAside(ctx context.Context, q Queue, by Sorting) error {
	var at, end place
	waiting := map[uint32][]uint64{} // by domain
	for more := true; more || len(waiting) > 0; {
		newest, err := s.along(ctx, s.sql.text("aside-newest"), q, end, newestBatch)
		if err != nil {
			return err
		}
		if len(newest) > 0 {
			end = newest[0]
		}
		entries, err := s.along(ctx, s.sql.text("aside-scan"), q, at, scanBatch)
		if err != nil {
			return err
		}
		for _, e := range entries {
			at = e
			if by.Waits(e.Domain) {
				waiting[e.Domain] = append(waiting[e.Domain], e.ID)
			}
		}
		by.free(newest)
		by.free(entries)
		more = len(entries) == scanBatch
		if err := s.putSome(ctx, q.Lane, waiting, by); err != nil {
			return err
		}
	}
	return nil
}

// free reports those of the rows that may go.
func (by Sorting) free(entries []place) {
	var ids []uint64
	for _, e := range entries {
		if !by.Waits(e.Domain) {
			ids = append(ids, e.ID)
		}
	}
	if len(ids) > 0 {
		by.Free(ids)
	}
}

// putSome puts rows of some of the domains into their lanes: it is back soon, however many domains there are.
func (s *Store) putSome(ctx context.Context, from uint32, waiting map[uint32][]uint64, by Sorting) error {
	domains := 0
	for domain, ids := range waiting {
		if domains++; domains > domainsAtOnce {
			return nil
		}
		lane, err := by.Lane(domain)
		if err != nil {
			return err
		}
		n := min(asideBatch, len(ids))
		if err := s.PutAside(ctx, from, lane, ids[:n]); err != nil {
			return err
		}
		if waiting[domain] = ids[n:]; n == len(ids) {
			delete(waiting, domain)
		}
	}
	return nil
}

// domainsAtOnce is of how many domains rows are put aside until new rows are looked for again.
const domainsAtOnce = 50

// PutAside puts rows from one lane into another, at any number. Those that were taken meanwhile stay as they are.
func (s *Store) PutAside(ctx context.Context, from, to uint32, ids []uint64) error {
	for some := range slices.Chunk(ids, asideBatch) {
		args := append(append([]any{to}, idArgs(some)...), from)
		if err := s.exec(ctx, "sort aside", s.sql.list("aside-write", len(some)), args...); err != nil {
			return err
		}
	}
	return nil
}

// SortSenders puts rows into the lanes of their senders' own accounts: laneOf tells which, 0 for a row that stays. It looks at what
// came due in the queue after a time, the zero time for all, and returns when the last of that did.
func (s *Store) SortSenders(ctx context.Context, q Queue, after time.Time, laneOf func(from string) (uint32, error)) (time.Time, error) {
	at := place{At: after}
	for more := true; more; {
		entries, err := s.along(ctx, s.sql.text("aside-senders"), q, at, scanBatch)
		if err != nil {
			return after, err
		}
		apart := map[uint32][]uint64{} // by lane
		for _, e := range entries {
			at = e
			lane, err := laneOf(e.From)
			if err != nil {
				return after, err
			}
			if lane != 0 {
				apart[lane] = append(apart[lane], e.ID)
			}
		}
		for lane, ids := range apart {
			if err := s.PutAside(ctx, q.Lane, lane, ids); err != nil {
				return after, err
			}
		}
		more = len(entries) == scanBatch
	}
	return at.At, nil
}

// along reads due entries of the queue behind a place; the zero place is before them all.
func (s *Store) along(ctx context.Context, statement string, q Queue, after place, limit int) ([]place, error) {
	at := after.At
	if at.IsZero() {
		at = time.Unix(1, 0).UTC() // the first that a TIMESTAMP can be: MySQL compares with no other
	}
	entries, err := selectAll[place](ctx, s.pool.db, statement, q.Lane, q.Route, q.Priority, at, at, after.ID, limit)
	return entries, wrap(err, "look along a queue of "+s.database)
}
