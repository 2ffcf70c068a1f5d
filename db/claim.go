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

// Route stands for the rows that name the same account, or the same sender domain and no account.
type Route struct {
	Lane    uint32
	Hash    uint32
	Account string `db:"account"`      // of some row of the route
	From    string `db:"from_address"` // of the same row
}

// Priorities are all of them, the most urgent first.
var Priorities = []int{1, 2, 3, 4, 5}

// Claim says which rows to take.
type Claim struct {
	Instance   Instance
	Routes     []uint32
	Priorities []int
	Lanes      []uint32             // 0 and lanes whose pause is over
	Aside      map[uint32][]uint32  // further lanes, each with the routes that are looked for in it alone
	Limit      int                  // most rows: the free senders
	Octets     int64                // most octets of bodies together; the first row goes in any case
	MaxSize    int64                // bodies and headers over this stay unread: Row.Size tells
	Domain     string               // of a fresh Message-ID, where from_address has none that is plain
	Paused     []uint32             // recipient domains (Row.Domain) that wait: not taken
	Single     func(uint32) bool    // tells of which recipient domains (Row.Domain) one row is taken at a time; nil of none
	Hints      []uint64             // rows that a SortAside found behind those of paused domains
	Admit      func(id uint64) bool // tells whether a row may be taken yet; nil admits all
	LowFirst   bool                 // below priority 1 the longest waiting first, so that low priorities do not starve
}

// Claimed is what a claim took and what it passed over.
type Claimed struct {
	Rows   []Row
	Paused []uint32 // domains of Claim.Paused whose rows stand in the way: SortAside puts them into their lanes
	Missed bool     // there were due rows, and others were faster
}

// lockedAhead is how many rows at the head of a queue may be locked by somebody else before the rest has to wait.
const lockedAhead = 32

type candidate struct {
	ID          uint64    `db:"id"`
	Route       uint32    `db:"route"` // of a hint
	Priority    int       `db:"priority"`
	AvailableAt time.Time `db:"available_at"`
	Domain      uint32    `db:"rdom"`
	Size        int64     `db:"size"`
	First       bool      `db:"first"` // it was never taken
}

// Claim takes up to Limit due rows and commits that before it returns: state sending, claims + 1, a fresh token, the
// lease. It returns only rows that are its own, with their bodies. Its cost does not grow with the rows that wait.
func (s *Store) Claim(ctx context.Context, c Claim) (Claimed, error) {
	var out Claimed
	found, err := s.candidates(ctx, c)
	if err != nil {
		return out, fmt.Errorf("claim in %s: %w", s.database, err)
	}
	chosen, err := s.choose(ctx, c, found, &out)
	if err != nil {
		return out, fmt.Errorf("claim in %s: %w", s.database, err)
	}
	if len(chosen) == 0 {
		return out, nil
	}
	ids := make([]uint64, len(chosen))
	for i, f := range chosen {
		ids[i] = f.ID
	}
	token := c.Instance.token()
	if err := s.take(ctx, ids, token, c.Domain); err != nil {
		return out, fmt.Errorf("claim in %s: %w", s.database, err)
	}
	out.Rows, err = s.claimed(ctx, ids, token, c.MaxSize)
	if Kind(err) == KindSetup { // tables that were restored may be of an older step
		s.newest.Store(false)
		out.Rows, err = s.claimed(ctx, ids, token, c.MaxSize)
	}
	if err != nil {
		return out, fmt.Errorf("read claimed rows in %s: %w", s.database, err)
	}
	out.Missed = len(out.Rows) == 0
	for i := range out.Rows {
		out.Rows[i].First = chosen[slices.Index(ids, out.Rows[i].ID)].First
	}
	// In the order of the candidates: most urgent first.
	slices.SortFunc(out.Rows, func(a, b Row) int { return cmp.Compare(slices.Index(ids, a.ID), slices.Index(ids, b.ID)) })
	return out, nil
}

// choose picks the rows to take, and anew without those that somebody else has locked.
func (s *Store) choose(ctx context.Context, c Claim, found []candidate, out *Claimed) ([]candidate, error) {
	for {
		chosen := pick(c, found, out)
		if len(chosen) == 0 {
			return nil, nil
		}
		args := make([]any, len(chosen))
		for i, f := range chosen {
			args[i] = f.ID
		}
		free, err := selectAll[candidate](ctx, s.pool.db, s.sql.list("free", len(args)), args...)
		if err != nil {
			return nil, err
		}
		first := make(map[uint64]bool, len(free))
		for _, f := range free {
			first[f.ID] = f.First
		}
		locked := map[uint64]bool{}
		for i, f := range chosen {
			is, known := first[f.ID]
			chosen[i].First, locked[f.ID] = is, !known
		}
		if len(first) == len(chosen) {
			return chosen, nil
		}
		found = slices.DeleteFunc(found, func(f candidate) bool { return locked[f.ID] })
	}
}

// pick takes candidates in their order while they fit, and leaves out those of paused domains, and what is one too many of a
// domain.
func pick(c Claim, found []candidate, out *Claimed) []candidate {
	chosen, known, single := make([]candidate, 0, c.Limit), map[uint64]bool{}, map[uint32]bool{}
	octets := int64(0)
	for _, f := range found {
		if slices.Contains(c.Paused, f.Domain) {
			if !slices.Contains(out.Paused, f.Domain) {
				out.Paused = append(out.Paused, f.Domain)
			}
			continue
		}
		if known[f.ID] || single[f.Domain] || c.Admit != nil && !c.Admit(f.ID) {
			continue
		}
		size := f.Size
		if size > c.MaxSize {
			size = 0
		}
		if len(chosen) == c.Limit || len(chosen) > 0 && octets+size > c.Octets {
			break
		}
		octets += size
		chosen = append(chosen, f)
		known[f.ID] = true
		single[f.Domain] = c.Single != nil && c.Single(f.Domain)
	}
	return chosen
}

// Due tells whether Claim would find a row now.
func (s *Store) Due(ctx context.Context, c Claim) (bool, error) {
	c.Limit = 1
	found, err := s.candidates(ctx, c)
	return len(found) > 0, wrap(err, "look for due rows in "+s.database)
}

// candidates reads the heads of all wanted queues and merges them.
func (s *Store) candidates(ctx context.Context, c Claim) ([]candidate, error) {
	var parts []string
	var args []any
	one := strings.TrimSpace(s.sql.text("candidates"))
	look := func(lane uint32, routes []uint32) {
		for _, route := range routes {
			for _, priority := range c.Priorities {
				parts = append(parts, one)
				args = append(args, lane, route, priority, c.Limit+lockedAhead)
			}
		}
	}
	for _, lane := range c.Lanes {
		look(lane, c.Routes)
	}
	for lane, routes := range c.Aside {
		look(lane, routes)
	}
	if len(parts) == 0 {
		return nil, nil
	}
	found, err := selectAll[candidate](ctx, s.pool.db, union(parts), args...)
	if err != nil {
		return nil, err
	}
	if len(c.Hints) > 0 {
		more, err := selectAll[candidate](ctx, s.pool.db, s.sql.list("hinted", len(c.Hints)), idArgs(c.Hints)...)
		if err != nil {
			return nil, err
		}
		for _, m := range more {
			if slices.Contains(c.Routes, m.Route) && slices.Contains(c.Priorities, m.Priority) {
				found = append(found, m)
			}
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		rank := cmp.Compare(a.Priority, b.Priority)
		if c.LowFirst && a.Priority > 1 && b.Priority > 1 {
			rank = 0
		}
		return cmp.Or(rank, a.AvailableAt.Compare(b.AvailableAt), cmp.Compare(a.ID, b.ID))
	})
	return found, nil
}

// union joins selects that have an ORDER BY of their own.
func union(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, ") UNION ALL (") + ")"
}

// take commits the lease. A lost connection leaves it open whether the rows were taken: the read that follows tells. A row
// that breaks a rule of the table, inserted with the rules switched off, must not keep back the others.
func (s *Store) take(ctx context.Context, ids []uint64, token, domain string) error {
	if err := s.lookForStep(ctx); err != nil {
		return err
	}
	args := slices.Concat([]any{token, int(leaseTime / time.Second)}, s.messageID(domain), idArgs(ids))
	_, err := s.pool.write(ctx, s.sql.list("claim", len(ids)), args...)
	switch {
	case err == nil, Kind(err) == KindLost:
		return nil
	case Kind(err) != KindData:
		return err
	case len(ids) == 1:
		return s.refuse(ctx, ids[0], err.Error())
	}
	for _, id := range ids {
		if err := s.take(ctx, []uint64{id}, token, domain); err != nil {
			return err
		}
	}
	return nil
}

// Routes lists the routes of the rows that wait in a lane, at most limit of them, those after a given one first come.
// It hops along the claim index: its cost grows with the routes, not with the rows.
func (s *Store) Routes(ctx context.Context, lane uint32, after int64, limit int) ([]Route, error) {
	var routes []Route
	for len(routes) < limit {
		var next uint32
		err := s.pool.db.GetContext(ctx, &next, s.sql.text("next-route"), lane, after+1)
		if errors.Is(err, sql.ErrNoRows) {
			return routes, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list routes of %s: %w", s.database, err)
		}
		r := Route{}
		err = s.pool.db.GetContext(ctx, &r, s.sql.text("route-sample"), lane, next)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("read a route of %s: %w", s.database, err)
		}
		if err == nil {
			r.Lane, r.Hash = lane, next
			routes = append(routes, r)
		}
		after = int64(next)
	}
	return routes, nil
}
