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
		lanes = append(lanes, lost...)
		slices.SortFunc(lanes, func(a, b Lane) int { return cmp.Compare(a.ID, b.ID) })
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
	var gaps []string
	var args []any
	last := uint32(0)
	for _, l := range append(lanes, Lane{ID: sendingLane}) {
		gaps = append(gaps, "qlane > ? AND qlane < ?")
		args = append(args, last, l.ID)
		last = l.ID
	}
	statement := strings.Replace(s.sql.text("lost-lane"), "{gaps}", strings.Join(gaps, " OR "), 1)
	found, err := selectAll[uint32](ctx, s.pool.db, statement, args...)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0], nil
}

// PauseLane makes the rows of the lane wait; the lane is made when it is new.
func (s *Store) PauseLane(ctx context.Context, name string, wait time.Duration, reason string) (Lane, error) {
	if _, err := s.pool.write(ctx, s.sql.text("lane-pause"), name, micros(wait), cut(reason, maxReply)); err != nil {
		return Lane{}, fmt.Errorf("pause lane %s of %s: %w", name, s.database, err)
	}
	lanes, err := s.Lanes(ctx)
	if err != nil {
		return Lane{}, err
	}
	for _, l := range lanes {
		if l.Name == name {
			return l, nil
		}
	}
	return Lane{}, fmt.Errorf("pause lane %s of %s: it is gone", name, s.database)
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

// Queue is one line of waiting rows: those of a route with a priority.
type Queue struct {
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
}

// SortAside puts the rows of paused domains into their lanes: once, and for all rows of the queue. It looks along the
// index faster than it writes, and again and again at its end, where new rows are. Rows that may go are reported as soon
// as they are seen, so that nobody waits behind the others meanwhile; some are reported twice. paused maps Row.Domain to
// the lane.
func (s *Store) SortAside(ctx context.Context, q Queue, paused map[uint32]uint32, found func(ids []uint64)) error {
	start := place{At: time.Unix(1, 0).UTC()}
	at, end := start, start
	waiting := map[uint32][]uint64{} // by lane
	free := func(entries []place) {
		var ids []uint64
		for _, e := range entries {
			if _, wait := paused[e.Domain]; !wait {
				ids = append(ids, e.ID)
			}
		}
		if len(ids) > 0 {
			found(ids)
		}
	}
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
			if lane, wait := paused[e.Domain]; wait {
				waiting[lane] = append(waiting[lane], e.ID)
			}
		}
		free(newest)
		free(entries)
		more = len(entries) == scanBatch
		for lane, ids := range waiting {
			n := min(asideBatch, len(ids))
			args := append([]any{lane}, idArgs(ids[:n])...)
			if err := s.exec(ctx, "sort aside", s.sql.list("aside-write", n), args...); err != nil {
				return err
			}
			if waiting[lane] = ids[n:]; n == len(ids) {
				delete(waiting, lane)
			}
		}
	}
	return nil
}

// along reads due entries of the queue behind a place.
func (s *Store) along(ctx context.Context, statement string, q Queue, after place, limit int) ([]place, error) {
	entries, err := selectAll[place](ctx, s.pool.db, statement, q.Route, q.Priority, after.At, after.At, after.ID, limit)
	return entries, wrap(err, "look along a queue of "+s.database)
}
