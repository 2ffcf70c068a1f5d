package db_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// unbounded are the limits of what is streamed.
var unbounded = db.ReadLimits{Time: time.Minute, Rows: -1, Octets: -1}

func TestReadEachHandsOverEveryRowBeyondTheLimitsOfAResult(t *testing.T) {
	d := dbtest.New(t)
	const all = 250_000
	var names []string
	n, sum := 0, int64(0)
	err := d.Pool.ReadEach(deadline(t), d.Name, "SELECT a.seq * 10000 + b.seq AS n, REPEAT('x', 100) AS filler FROM "+many("b")+" JOIN "+many("a")+" ON a.seq <= 25 ORDER BY n", nil, unbounded,
		func(columns []db.ReadColumn) error {
			for _, c := range columns {
				names = append(names, c.Name+" "+string(c.Kind))
			}
			return nil
		},
		func(values []any) error {
			if len(values) != 2 || len(values[1].(string)) != 100 {
				return fmt.Errorf("row %d is %v", n, values)
			}
			n++
			sum += values[0].(int64)
			return nil
		})
	must(t, err)
	if got := strings.Join(names, ", "); got != "n integer, filler text" {
		t.Error(got)
	}
	want := d.Read(t, "SELECT CONCAT(COUNT(*), ' ', SUM(a.seq * 10000 + b.seq)) FROM "+many("b")+" JOIN "+many("a")+" ON a.seq <= 25")
	if got := fmt.Sprint(n, " ", sum); got != want || n != all {
		t.Errorf("%s, not %s", got, want)
	}
}

// Whoever takes the rows ends the statement, and gets to see its own error.
func TestReadEachEndsWhenItsTakerSaysSo(t *testing.T) {
	d := dbtest.New(t)
	enough := errors.New("enough")
	all := "SELECT a.seq AS %s, REPEAT('x', 1000) FROM " + many("a") + ", " + many("b")
	n := 0
	for name, c := range map[string]struct{ columns, row error }{"after_columns": {columns: enough}, "after_a_row": {row: enough}} {
		err := d.Pool.ReadEach(deadline(t), d.Name, fmt.Sprintf(all, name), nil, unbounded,
			func([]db.ReadColumn) error { return c.columns }, func([]any) error { n++; return c.row })
		if err != enough {
			t.Errorf("%s: %v", name, err)
		}
		gone(t, d, name)
	}
	if n != 1 {
		t.Errorf("%d rows were handed over, not one", n)
	}
}

// The time limit holds also for a statement that returns rows for ever.
func TestReadEachIsEndedAtItsTimeLimitWhileRowsArrive(t *testing.T) {
	d := dbtest.New(t)
	l := unbounded
	l.Time = 300 * time.Millisecond
	n := 0
	err := d.Pool.ReadEach(deadline(t), d.Name, "SELECT a.seq AS ever_more FROM "+many("a")+", "+many("b")+", "+many("c"), nil, l,
		func([]db.ReadColumn) error { return nil }, func([]any) error { n++; return nil })
	var e *db.ReadError
	if !errors.As(err, &e) || e.Reason != db.ReadSlow || n == 0 {
		t.Errorf("after %d rows: %v", n, err)
	}
	gone(t, d, "ever_more")
}
