package db

import (
	"fmt"
	"regexp"
	"slices"
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
	alterHead  = regexp.MustCompile(`^ALTER TABLE {db}\.([a-z_]+) (?:ADD|MODIFY) (?:COLUMN )?`)
	viewHead   = regexp.MustCompile(`^CREATE OR REPLACE VIEW {db}\.([a-z_]+) AS`)
	columnLine = regexp.MustCompile(`^([a-z_]+)\s+(([A-Z]+(?:\([^)]*\))?(?: UNSIGNED)?).*)$`)
	keyLine    = regexp.MustCompile(`^(PRIMARY KEY|UNIQUE KEY|KEY)\s*([a-z_]*) ?\(([a-z_, ]+)\)$`)
	checkLine  = regexp.MustCompile(`^CONSTRAINT ([a-z_]+) (CHECK .+)$`)
)

// shapeOf reads the statements of a step. They are written in one style: a line for each column and key, what goes on has a
// deeper indent; a column or key that is added has a statement of its own. A table that gets some comes with these alone.
func shapeOf(s step) (shape, error) {
	var all shape
	for _, statement := range s.statements("{db}") {
		if m := viewHead.FindStringSubmatch(statement); m != nil {
			all.views = append(all.views, m[1])
			continue
		}
		var t tableShape
		var err error
		if m := tableHead.FindStringSubmatch(statement); m != nil {
			t, err = tableOf(m[1], strings.TrimPrefix(statement, m[0]))
		} else if m := alterHead.FindStringSubmatch(statement); m != nil {
			t.name = m[1]
			err = t.item(strings.TrimPrefix(statement, m[0]))
		} else {
			err = fmt.Errorf("neither table nor column nor view: %.60s", statement)
		}
		if err != nil {
			return all, fmt.Errorf("step %s %d: %w", s.part, s.number, err)
		}
		t.later = s.number > 1 && t.name != attachmentTable
		all.tables = join(all.tables, t)
	}
	return all, nil
}

// attachmentTable is looked into at every claim, so no mail can be sent without it.
const attachmentTable = "outbox_attachment"

// join adds a table, or its columns and keys to those that it has already. A column that was changed is as the later step has it.
func join(tables []tableShape, t tableShape) []tableShape {
	i := slices.IndexFunc(tables, func(known tableShape) bool { return known.name == t.name })
	if i < 0 {
		return append(tables, t)
	}
	kept := slices.DeleteFunc(slices.Clone(tables[i].columns), func(old columnShape) bool {
		return slices.ContainsFunc(t.columns, func(c columnShape) bool { return c.name == old.name })
	})
	tables[i].columns = slices.Concat(kept, t.columns)
	tables[i].keys = slices.Concat(tables[i].keys, t.keys)
	return tables
}

func tableOf(name, body string) (tableShape, error) {
	t := tableShape{name: name}
	body, _, ended := strings.Cut(body, "\n) ENGINE=InnoDB")
	if !ended {
		return t, fmt.Errorf("table %s is not of InnoDB", name)
	}
	for item := range strings.SplitSeq(strings.ReplaceAll("\n"+body, "\n   ", "\v"), "\n  ") {
		if err := t.item(item); err != nil {
			return t, err
		}
	}
	return t, nil
}

// item adds what one line of a table says.
func (t *tableShape) item(text string) error {
	text = strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ",")
	key, check, column := keyLine.FindStringSubmatch(text), checkLine.FindStringSubmatch(text), columnLine.FindStringSubmatch(text)
	switch {
	case text == "":
	case key != nil && key[1] == "PRIMARY KEY":
		t.keys = append(t.keys, keyShape{"PRIMARY", true, key[3]})
	case key != nil:
		t.keys = append(t.keys, keyShape{key[2], key[1] == "UNIQUE KEY", key[3]})
	case check != nil:
		t.checks = append(t.checks, checkShape{check[1], check[2]})
	case column != nil:
		kind := strings.ToLower(column[3])
		t.columns = append(t.columns, columnShape{column[1], kind, strings.Contains(column[2], " AS ("), column[2]})
	default:
		return fmt.Errorf("table %s: %q is no column or key", t.name, text)
	}
	return nil
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
			for _, t := range one.tables {
				sum.tables = join(sum.tables, t)
			}
			for _, v := range one.views {
				if !slices.Contains(sum.views, v) { // a later step makes it anew
					sum.views = append(sum.views, v)
				}
			}
		}
	}
	return sum
}
