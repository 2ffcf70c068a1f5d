package db

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Fault is one difference between what a database holds and what the schema makes.
type Fault struct {
	Text   string // what is missing or other than it was made, with its name
	Remedy string // the statement that mends it
	Stops  bool   // the work rests on it; else it only makes things slow, or was a safeguard
}

// ShapeError says that somebody has altered the tables, and that nothing can be sent until it is mended.
type ShapeError struct {
	Database string
	Faults   []Fault
}

// Error names every fault.
func (e *ShapeError) Error() string {
	var all []string
	for _, f := range e.Faults {
		all = append(all, f.Text)
	}
	return fmt.Sprintf("the tables in %s were altered: %s", e.Database, strings.Join(all, "; "))
}

// Remedy is the statements that mend it.
func (e *ShapeError) Remedy() string {
	var all []string
	for _, f := range e.Faults {
		if !slices.Contains(all, f.Remedy) {
			all = append(all, f.Remedy)
		}
	}
	return strings.Join(all, ";\n")
}

// CheckSchema returns a *SchemaError unless the parts are of this program's step or the one before, and a *ShapeError when
// what the work rests on was altered.
func (p *Pool) CheckSchema(ctx context.Context, database string, parts ...Part) error {
	_, err := p.Examine(ctx, database, parts...)
	return err
}

// Examine is CheckSchema, and returns the faults with which the work can go on. Tables, columns, keys and views that are
// nobody's but the DBA's are none.
func (p *Pool) Examine(ctx context.Context, database string, parts ...Part) ([]Fault, error) {
	quoted, err := quote(database)
	if err != nil {
		return nil, err
	}
	var want shape
	for _, part := range parts {
		newest := p.shapes.newest(part)
		have, err := version(ctx, p.db, quoted, part)
		if err != nil {
			return nil, fmt.Errorf("read the schema version of %s: %w", database, err)
		}
		if have > newest || have < max(1, newest-1) {
			return nil, &SchemaError{database, part, have, newest}
		}
		made := p.shapes.upTo(part, have)
		want.tables, want.views = append(want.tables, made.tables...), append(want.views, made.views...)
	}
	found, err := selectAll[foundItem](ctx, p.db, whatIsThere, database, database, database)
	if err != nil {
		return nil, fmt.Errorf("read the shape of the tables of %s: %w", database, err)
	}
	if found, err = p.addRules(ctx, quoted, want, found); err != nil {
		return nil, fmt.Errorf("read the rules of the tables of %s: %w", database, err)
	}
	var stops, goesOn []Fault
	for _, f := range compare(quoted, want, found) {
		if f.Stops {
			stops = append(stops, f)
		} else {
			goesOn = append(goesOn, f)
		}
	}
	if len(stops) > 0 {
		return goesOn, &ShapeError{database, stops}
	}
	return goesOn, nil
}

// Behind tells whether the tables of a part are of an older step than this program's.
func (p *Pool) Behind(ctx context.Context, database string, parts ...Part) (bool, error) {
	quoted, err := quote(database)
	if err != nil {
		return false, err
	}
	for _, part := range parts {
		have, err := version(ctx, p.db, quoted, part)
		if err != nil {
			return false, fmt.Errorf("read the schema version of %s: %w", database, err)
		}
		if have < p.shapes.newest(part) {
			return true, nil
		}
	}
	return false, nil
}

// whatIsThere reads in one statement what a database holds: tables and views, columns and keys.
const whatIsThere = `
SELECT 'table' AS what, TABLE_NAME AS tab, '' AS name, COALESCE(ENGINE, '') AS kind, '' AS extra, '' AS flag
  FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME LIKE 'outbox%'
UNION ALL SELECT 'column', TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, CONCAT(EXTRA, ' ', COLUMN_KEY), IF(IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL, '1', '')
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME LIKE 'outbox%'
UNION ALL SELECT 'key', TABLE_NAME, INDEX_NAME, COLUMN_NAME, CAST(SEQ_IN_INDEX AS CHAR), IF(NON_UNIQUE = 0, '', '1')
  FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME LIKE 'outbox%'`

type foundItem struct {
	What  string `db:"what"`
	Table string `db:"tab"`
	Name  string `db:"name"`
	Kind  string `db:"kind"`  // engine, type, or a key's column
	Extra string `db:"extra"` // what a column is beside its type; a key column's place
	Flag  string `db:"flag"`  // "1" for a column without a default that takes no NULL; a key that is not unique
}

// addRules adds the CHECKs of the tables that are to have some. Servers list them elsewhere too, but to few users.
func (p *Pool) addRules(ctx context.Context, quoted string, want shape, found []foundItem) ([]foundItem, error) {
	for _, t := range want.tables {
		there := slices.ContainsFunc(found, func(f foundItem) bool { return f.What == "table" && f.Table == t.name })
		if len(t.checks) == 0 || !there {
			continue
		}
		var name, text string
		if err := p.db.QueryRowContext(ctx, "SHOW CREATE TABLE "+quoted+"."+t.name).Scan(&name, &text); err != nil {
			return nil, err
		}
		for _, r := range t.checks {
			if strings.Contains(text, "CONSTRAINT `"+r.name+"` CHECK") {
				found = append(found, foundItem{What: "check", Table: t.name, Name: r.name})
			}
		}
	}
	return found, nil
}

// comparison is one database's tables beside those that the schema makes.
type comparison struct {
	database string // quoted
	found    map[string][]foundItem
	primary  bool // the server lists primary keys; one that does not tells no computed columns either
	faults   []Fault
}

func compare(database string, want shape, found []foundItem) []Fault {
	c := &comparison{database: database, found: map[string][]foundItem{}}
	for _, f := range found {
		c.found[f.What+" "+f.Table] = append(c.found[f.What+" "+f.Table], f)
		c.primary = c.primary || f.What == "key" && f.Name == "PRIMARY"
	}
	for _, t := range want.tables {
		c.table(t)
	}
	for _, v := range want.views {
		if len(c.found["table "+v]) == 0 {
			c.add(false, "the view "+v+" is missing, or the user may not see it", "run its CREATE OR REPLACE VIEW and GRANT, which outboxd migrate --print shows")
		}
	}
	return c.faults
}

func (c *comparison) add(stops bool, text, remedy string) {
	c.faults = append(c.faults, Fault{text, remedy, stops})
}

// alter is a fault that an ALTER TABLE mends.
func (c *comparison) alter(stops bool, text, table, change string) {
	c.add(stops, text, fmt.Sprintf("ALTER TABLE %s.%s %s", c.database, table, change))
}

func (c *comparison) table(t tableShape) {
	if t.later {
		begun := len(c.faults)
		defer func() {
			for i := range c.faults[begun:] {
				c.faults[begun+i].Stops = false
			}
		}()
	}
	there := c.found["table "+t.name]
	switch {
	case len(there) == 0 && t.later:
		return // or the user has no right to it, as it does not need it: what needs it says so
	case len(there) == 0:
		c.add(true, "the table "+t.name+" is missing, or the user has no right to it", "restore it, or run its CREATE TABLE and GRANT, which outboxd migrate --print shows")
		return
	}
	if engine := there[0].Kind; !strings.EqualFold(engine, "InnoDB") {
		c.alter(true, fmt.Sprintf("the table %s is of engine %s, which has no transactions", t.name, engine), t.name, "ENGINE=InnoDB")
	}
	for _, col := range t.columns {
		c.column(t, col)
	}
	for _, k := range t.keys {
		c.key(t, k)
	}
	for _, r := range t.checks {
		if !slices.ContainsFunc(c.found["check "+t.name], func(f foundItem) bool { return f.Name == r.name }) {
			c.alter(false, fmt.Sprintf("the rule %s of table %s is missing", r.name, t.name), t.name, "ADD CONSTRAINT "+r.name+" "+r.definition)
		}
	}
	// Columns of the DBA's own are no fault, but where outboxd inserts rows they must not ask for a value.
	for _, f := range c.found["column "+t.name] {
		own := slices.ContainsFunc(t.columns, func(col columnShape) bool { return col.name == f.Name })
		if !own && f.Flag != "" && t.name != outboxTable && strings.TrimSpace(f.Extra) == "" {
			c.alter(true, fmt.Sprintf("the added column %s of table %s has no default, so nothing can be written", f.Name, t.name), t.name,
				"ALTER COLUMN "+f.Name+" SET DEFAULT …")
		}
	}
}

const outboxTable = "outbox"

func (c *comparison) column(t tableShape, want columnShape) {
	all := c.found["column "+t.name]
	i := slices.IndexFunc(all, func(f foundItem) bool { return strings.EqualFold(f.Name, want.name) })
	switch {
	case i < 0 && t.name == outboxTable && want.name == "state":
		// With its own default every mail that ever was would be queued again.
		c.alter(true, "the column state of table outbox is missing", t.name, "ADD COLUMN state "+strings.Replace(want.definition, "DEFAULT 'queued'", "DEFAULT 'cancelled'", 1)+
			", then ALTER COLUMN state SET DEFAULT 'queued'; or, as that cancels what waits, restore the table from a backup")
	case i < 0:
		c.alter(true, fmt.Sprintf("the column %s of table %s is missing", want.name, t.name), t.name, "ADD COLUMN "+want.name+" "+want.definition)
	case want.computed && c.primary && !strings.Contains(all[i].Extra, "GENERATED"):
		c.alter(true, fmt.Sprintf("the column %s of table %s is not computed any more", want.name, t.name), t.name, "MODIFY COLUMN "+want.name+" "+want.definition)
	case !holds(plainKind(all[i].Kind), want.kind):
		c.alter(true, fmt.Sprintf("the column %s of table %s is %s instead of %s", want.name, t.name, plainKind(all[i].Kind), want.kind), t.name, "MODIFY COLUMN "+want.name+" "+want.definition)
	case all[i].Flag != "" && strings.Contains(want.definition, " NOT NULL DEFAULT "):
		c.alter(t.name != outboxTable, fmt.Sprintf("the column %s of table %s has lost its default", want.name, t.name), t.name, "MODIFY COLUMN "+want.name+" "+want.definition)
	}
}

// key looks for a key. A unique one may have any name, as INSERT needs it; of the others claim is asked for by its name.
func (c *comparison) key(t tableShape, want keyShape) {
	if want.name == "PRIMARY" {
		for column := range strings.SplitSeq(want.columns, ", ") {
			if !slices.ContainsFunc(c.found["column "+t.name], func(f foundItem) bool { return f.Name == column && strings.HasSuffix(f.Extra, " PRI") }) {
				c.alter(true, "the primary key of table "+t.name+" is missing", t.name, "ADD PRIMARY KEY ("+want.columns+")")
				return
			}
		}
		return
	}
	there := map[string][]string{}
	for _, f := range c.found["key "+t.name] {
		if place, err := strconv.Atoi(f.Extra); err == nil && place > 0 && (!want.unique || f.Flag == "") {
			list := append(there[f.Name], make([]string, max(0, place-len(there[f.Name])))...)
			list[place-1] = f.Kind
			there[f.Name] = list
		}
	}
	for name, columns := range there {
		if strings.Join(columns, ", ") == want.columns && (want.unique || name == want.name) {
			return
		}
	}
	kind := "KEY"
	if want.unique {
		kind = "UNIQUE KEY"
	}
	text := fmt.Sprintf("the index %s (%s) of table %s is missing", want.name, want.columns, t.name)
	change := "ADD " + kind + " " + want.name + " (" + want.columns + ")"
	if slices.ContainsFunc(c.found["key "+t.name], func(f foundItem) bool { return f.Name == want.name }) {
		text = fmt.Sprintf("the index %s of table %s is other than %s (%s)", want.name, t.name, kind, want.columns)
		change = "DROP KEY " + want.name + ", " + change
	}
	c.alter(want.unique || want.name == "claim", text, t.name, change)
}

var (
	displayWidth = regexp.MustCompile(`\b((?:tiny|small|medium|big)?int)\(\d+\)`)
	remark       = regexp.MustCompile(` ?/\*.*\*/`)
)

// plainKind is a type as information_schema has it, without what servers add to it.
func plainKind(kind string) string {
	return displayWidth.ReplaceAllString(remark.ReplaceAllString(strings.ToLower(kind), ""), "$1")
}

// holds tells whether a column of type have takes all that one of type want does: the same, or a larger one of its family.
func holds(have, want string) bool {
	if have == want {
		return true
	}
	if strings.HasPrefix(have, "enum(") && strings.HasPrefix(want, "enum(") {
		values := strings.Split(strings.TrimSuffix(strings.TrimPrefix(have, "enum("), ")"), ",")
		for one := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(want, "enum("), ")"), ",") {
			if !slices.Contains(values, one) {
				return false
			}
		}
		return true
	}
	h, w := widthOf(have), widthOf(want)
	return h.family != "" && h.family == w.family && h.size >= w.size
}

type width struct {
	family string
	size   int
}

// widthOf sorts a type into its family; the family is empty for those that have no larger ones.
func widthOf(kind string) width {
	if n, ok := strings.CutPrefix(kind, "varchar("); ok {
		size, err := strconv.Atoi(strings.TrimSuffix(n, ")"))
		if err != nil {
			return width{}
		}
		return width{"text", size}
	}
	name, unsigned := strings.CutSuffix(kind, " unsigned")
	family := "int"
	if unsigned {
		family = "unsigned"
	}
	switch name {
	case "tinytext":
		return width{"text", 63} // in characters of four octets, as varchar counts
	case "text":
		return width{"text", 1<<14 - 1}
	case "mediumtext":
		return width{"text", 1<<22 - 1}
	case "longtext":
		return width{"text", 1<<30 - 1}
	case "tinyint":
		return width{family, 1}
	case "smallint":
		return width{family, 2}
	case "mediumint":
		return width{family, 3}
	case "int":
		return width{family, 4}
	case "bigint":
		return width{family, 8}
	}
	return width{}
}
