package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Part is a set of tables with steps of its own.
type Part string

// The parts: a company's database has Company and Bucket, the control database Bucket and Control.
const (
	CompanyPart Part = "company"
	BucketPart  Part = "bucket"
	ControlPart Part = "control"
)

// step is one file of the schema: applied once, in the order of its number, never changed after a release.
type step struct {
	part   Part
	number int
	text   string
}

var stepName = regexp.MustCompile(`^schema/([a-z]+)_([0-9]{4})\.sql$`)

// steps lists the files of a part by number.
func steps(part Part) ([]step, error) {
	names, err := fs.Glob(schemaFiles, "schema/"+string(part)+"_*.sql")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("list schema of %s (%d files): %w", part, len(names), err)
	}
	var all []step
	for _, name := range names { // Glob sorts
		m := stepName.FindStringSubmatch(name)
		if m == nil {
			return nil, fmt.Errorf("schema file %s: not named PART_NUMBER.sql", name)
		}
		text, err := fs.ReadFile(schemaFiles, name)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return nil, err
		}
		all = append(all, step{part, n, string(text)})
	}
	return all, nil
}

// statements returns the step's statements without comments, with the database's quoted name in place of {db}.
func (s step) statements(quoted string) []string {
	var code strings.Builder
	for line := range strings.Lines(s.text) {
		if !strings.HasPrefix(line, "--") {
			code.WriteString(line)
		}
	}
	var all []string
	for one := range strings.SplitSeq(strings.ReplaceAll(code.String(), "{db}", quoted), ";\n") {
		if one = strings.TrimSpace(one); one != "" {
			all = append(all, one)
		}
	}
	return all
}

// metaFile makes the table that done writes into; it comes before any part.
const metaFile = "schema/meta.sql"

func meta() (step, error) {
	text, err := fs.ReadFile(schemaFiles, metaFile)
	return step{text: string(text)}, err
}

// done notes that a step was applied; going back is not possible.
const done = `INSERT INTO {db}.outbox_meta (name, value) VALUES ('{part}', '{number}') ON DUPLICATE KEY UPDATE value = IF(CAST(value AS UNSIGNED) < {number}, '{number}', value)`

func (s step) done(quoted string) string {
	return strings.NewReplacer("{db}", quoted, "{part}", string(s.part), "{number}", strconv.Itoa(s.number)).Replace(done)
}

// Schema returns the statements that make the parts in a database, for a person to read or to run.
func Schema(database string, parts ...Part) (string, error) {
	quoted, err := quote(database)
	if err != nil {
		return "", err
	}
	first, err := meta()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("-- The statements mean the same whatever the server's own sql_mode is.\nSET SESSION sql_mode = " + sqlMode + ";\n\n")
	b.WriteString(strings.ReplaceAll(first.text, "{db}", quoted) + "\n")
	for _, part := range parts {
		all, err := steps(part)
		if err != nil {
			return "", err
		}
		for _, s := range all {
			b.WriteString(strings.ReplaceAll(s.text, "{db}", quoted))
			b.WriteString("\n" + s.done(quoted) + ";\n\n")
		}
	}
	return b.String(), nil
}

// Migrate applies the steps that a database lacks. Twice is harmless, and so are two at once: each statement may be
// repeated, and a lock lets one go after the other.
func (p *Pool) Migrate(ctx context.Context, database string, parts ...Part) (applied int, err error) {
	quoted, err := quote(database)
	if err != nil {
		return 0, err
	}
	conn, err := p.db.Connx(ctx)
	if err != nil {
		return 0, fmt.Errorf("migrate %s: %w", database, err)
	}
	defer conn.Close()
	unlock, err := lockMigration(ctx, conn, database, quoted)
	if err != nil {
		return 0, fmt.Errorf("migrate %s: %w", database, err)
	}
	defer func() { err = errors.Join(err, unlock(context.WithoutCancel(ctx))) }()
	for _, part := range parts {
		n, err := migratePart(ctx, conn, quoted, part)
		applied += n
		if err != nil {
			return applied, fmt.Errorf("migrate %s: %w", database, err)
		}
	}
	return applied, nil
}

func migratePart(ctx context.Context, conn *sqlx.Conn, quoted string, part Part) (applied int, err error) {
	have, err := version(ctx, conn, quoted, part)
	if err != nil {
		return 0, err
	}
	all, err := steps(part)
	if err != nil {
		return 0, err
	}
	first, err := meta()
	if err != nil {
		return 0, err
	}
	for _, s := range all {
		if s.number <= have {
			continue
		}
		for _, one := range slices.Concat(first.statements(quoted), s.statements(quoted), []string{s.done(quoted)}) {
			if err := again(ctx, conn, one); err != nil && !isThere(err) {
				return applied, fmt.Errorf("step %s %d, %s: %w", part, s.number, strings.SplitN(one, "\n", 2)[0], err)
			}
		}
		applied++
	}
	return applied, nil
}

// isThere tells that an ALTER TABLE was applied before, and its column or key is there: it has no IF NOT EXISTS that all servers
// know.
func isThere(err error) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my) && (my.Number == 1060 || my.Number == 1061)
}

// version returns the number of the last applied step of a part, 0 for none.
func version(ctx context.Context, q sqlx.QueryerContext, quoted string, part Part) (int, error) {
	var n int
	err := sqlx.GetContext(ctx, q, &n, "SELECT CAST(value AS UNSIGNED) FROM "+quoted+".outbox_meta WHERE name = ?", string(part))
	if errors.Is(err, sql.ErrNoRows) || NoTable(err) {
		return 0, nil
	}
	return n, err
}

const noSuchTable = 1146

// SchemaError says that a database's tables do not fit this program.
type SchemaError struct {
	Database   string
	Part       Part
	Have, Want int
}

// Error tells which step the tables are of, and which ones fit.
func (e *SchemaError) Error() string {
	switch {
	case e.Have == 0:
		return fmt.Sprintf("database %s has no %s tables of outboxd: %s", e.Database, e.Part, e.Remedy())
	case e.Have > e.Want:
		return fmt.Sprintf("database %s has %s tables of step %d, newer than this program's %d: %s", e.Database, e.Part, e.Have, e.Want, e.Remedy())
	}
	return fmt.Sprintf("database %s has %s tables of step %d, this program wants %d: %s", e.Database, e.Part, e.Have, e.Want, e.Remedy())
}

// Remedy says what to do about it.
func (e *SchemaError) Remedy() string {
	if e.Have > e.Want {
		return "install the newer outboxd"
	}
	return "run outboxd migrate"
}
