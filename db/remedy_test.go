package db

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestRemedies: each kind of trouble has its own, also behind other words.
func TestRemedies(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"tables of another step": {&SchemaError{Have: 1, Want: 2}, "outboxd migrate"},
		"altered tables":         {&ShapeError{Faults: []Fault{{Remedy: "ALTER TABLE x"}}}, "ALTER TABLE x"},
		"wrong password":         {number(1045), "its password and its rights"},
		"replica":                {number(1290), "is it a replica?"},
		"full disk":              {number(1021), "make room"},
		"shutdown":               {number(1053), "can this computer reach it?"},
		"anything else":          {errors.New("?"), "outboxd check --online"},
	} {
		if got := Remedy(fmt.Errorf("count: %w", c.err)); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
