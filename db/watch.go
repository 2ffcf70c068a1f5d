package db

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Watched is a company of which nothing is due.
type Watched struct {
	Store *Store
	Known []uint32 // routes of its rows that wait for their time, in lane 0
}

// Stirred tells in which of the companies, by their places, something may have to be done: a row is due, is being sent,
// waits in a lane, or has a route that is not known. It is one statement for all of them, which fails as a whole when one
// of their databases cannot be read. A row with a wrong priority does not count.
func (p *Pool) Stirred(ctx context.Context, companies []Watched) (places []int, err error) {
	var parts []string
	var args []any
	for i, c := range companies {
		ranges, values := c.ranges()
		parts = append(parts, strings.Replace(strings.TrimSpace(c.Store.sql.text("stirred")), "{ranges}", ranges, 1))
		args = append(append(args, i), values...)
	}
	places, err = selectAll[int](ctx, p.db, union(parts), args...)
	if err != nil {
		return nil, fmt.Errorf("look for due rows in %d databases: %w", len(companies), err)
	}
	return places, nil
}

// ranges are the parts of the claim index in which nothing was found. A range for each is what lets the server skip what
// lies between them, however much that is.
func (w Watched) ranges() (text string, args []any) {
	if len(w.Known) == 0 {
		return "qlane IS NOT NULL", nil
	}
	known := slices.Sorted(slices.Values(w.Known))
	ranges := []string{"qlane > 0", "qlane = 0 AND route < ?"}
	args = append(args, known[0])
	for i, route := range known {
		ranges = append(ranges, "qlane = 0 AND route = ? AND priority IN (1, 2, 3, 4, 5) AND available_at <= UTC_TIMESTAMP(6)")
		args = append(args, route)
		if i+1 < len(known) {
			ranges = append(ranges, "qlane = 0 AND route > ? AND route < ?")
			args = append(args, route, known[i+1])
		}
	}
	return strings.Join(append(ranges, "qlane = 0 AND route > ?"), " OR "), append(args, known[len(known)-1])
}
