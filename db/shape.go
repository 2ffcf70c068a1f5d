package db

import (
	"fmt"
	"regexp"
	"strings"
)

// shape is what a schema file makes, for comparing it with what is there.
type shape struct {
	tables []tableShape
	views  []string
}

type tableShape struct {
	name    string
	later   bool // of a later step than the first: mails can be sent without it
	columns []columnShape
	keys    []keyShape
	checks  []checkShape
}

type columnShape struct {
	name       string
	kind       string // its type, in lower case: bigint unsigned
	computed   bool
	definition string // as the file has it, without the name
}

type keyShape struct {
	name    string // PRIMARY for the primary key
	unique  bool
	columns string // a, b
}

type checkShape struct{ name, definition string }

var (
	tableHead  = regexp.MustCompile("^CREATE TABLE IF NOT EXISTS {db}\\.([a-z_]+) \\(\n")
	viewHead   = regexp.MustCompile(`^CREATE OR REPLACE VIEW {db}\.([a-z_]+) AS`)
	columnLine = regexp.MustCompile(`^([a-z_]+)\s+(([A-Z]+(?:\([^)]*\))?(?: UNSIGNED)?).*)$`)
	keyLine    = regexp.MustCompile(`^(PRIMARY KEY|UNIQUE KEY|KEY)\s*([a-z_]*) ?\(([a-z_, ]+)\)$`)
	checkLine  = regexp.MustCompile(`^CONSTRAINT ([a-z_]+) (CHECK .+)$`)
)

// shapeOf reads the statements of a step. They are written in one style: a line for each column and key, what goes on has a
// deeper indent.
func shapeOf(s step) (shape, error) {
	var all shape
	for _, statement := range s.statements("{db}") {
		if m := viewHead.FindStringSubmatch(statement); m != nil {
			all.views = append(all.views, m[1])
			continue
		}
		m := tableHead.FindStringSubmatch(statement)
		if m == nil {
			return all, fmt.Errorf("step %s %d: neither table nor view: %.60s", s.part, s.number, statement)
		}
		t, err := tableOf(m[1], strings.TrimPrefix(statement, m[0]))
		if err != nil {
			return all, fmt.Errorf("step %s %d: %w", s.part, s.number, err)
		}
		t.later = s.number > 1
		all.tables = append(all.tables, t)
	}
	return all, nil
}

func tableOf(name, body string) (tableShape, error) {
	t := tableShape{name: name}
	body, _, ended := strings.Cut(body, "\n) ENGINE=InnoDB")
	if !ended {
		return t, fmt.Errorf("table %s is not of InnoDB", name)
	}
	for item := range strings.SplitSeq(strings.ReplaceAll("\n"+body, "\n   ", "\v"), "\n  ") {
		item = strings.TrimSuffix(strings.Join(strings.Fields(item), " "), ",")
		key, check, column := keyLine.FindStringSubmatch(item), checkLine.FindStringSubmatch(item), columnLine.FindStringSubmatch(item)
		switch {
		case item == "":
		case key != nil && key[1] == "PRIMARY KEY":
			t.keys = append(t.keys, keyShape{"PRIMARY", true, key[3]})
		case key != nil:
			t.keys = append(t.keys, keyShape{key[2], key[1] == "UNIQUE KEY", key[3]})
		case check != nil:
			t.checks = append(t.checks, checkShape{check[1], check[2]})
		case column != nil:
			kind := strings.ToLower(column[3])
			t.columns = append(t.columns, columnShape{column[1], kind, strings.HasPrefix(column[2][len(kind):], " AS ("), column[2]})
		default:
			return t, fmt.Errorf("table %s: %q is no column or key", name, item)
		}
	}
	return t, nil
}

// shapes are what each step of each part makes.
type shapes map[Part][]stepShape

type stepShape struct {
	number int
	shape
}

func loadShapes() (shapes, error) {
	all := shapes{}
	for _, part := range []Part{CompanyPart, BucketPart, ControlPart} {
		list, err := steps(part)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			one, err := shapeOf(s)
			if err != nil {
				return nil, err
			}
			all[part] = append(all[part], stepShape{s.number, one})
		}
	}
	return all, nil
}

// newest is the number of the part's last step.
func (s shapes) newest(part Part) int { return s[part][len(s[part])-1].number }

// upTo is what the steps of a part up to a number make together.
func (s shapes) upTo(part Part, number int) shape {
	var sum shape
	for _, one := range s[part] {
		if one.number <= number {
			sum.tables, sum.views = append(sum.tables, one.tables...), append(sum.views, one.views...)
		}
	}
	return sum
}
