package db_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"outboxd/db"
	"outboxd/db/dbtest"
)

// empty is a database without tables, dropped when the test ends.
func empty(t *testing.T, d *dbtest.Database, suffix string) string {
	t.Helper()
	name := d.Name + suffix
	d.Exec(t, "CREATE DATABASE `"+name+"`")
	t.Cleanup(func() { d.Exec(t, "DROP DATABASE `"+name+"`") })
	return name
}

// stepsOf counts the files that make the parts.
func stepsOf(t *testing.T, parts ...db.Part) (n int) {
	t.Helper()
	for _, part := range parts {
		files, err := filepath.Glob("schema/" + string(part) + "_*.sql")
		must(t, err)
		n += len(files)
	}
	return n
}

func TestMigrateTwiceIsHarmless(t *testing.T) {
	d := dbtest.New(t)
	d.Exec(t, shortest)
	for range 2 {
		if n, err := d.Pool.Migrate(deadline(t), d.Name, db.CompanyPart, db.BucketPart, db.ControlPart); err != nil || n != 0 {
			t.Errorf("migrated again: %d steps, %v", n, err)
		}
	}
	one(t, d.Store)
}

func TestEachPartStandsAlone(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for i, parts := range [][]db.Part{{db.CompanyPart}, {db.BucketPart}, {db.ControlPart}, {db.BucketPart, db.ControlPart}, {db.CompanyPart, db.BucketPart}} {
		name := empty(t, d, fmt.Sprintf("_%d", i))
		if n, err := d.Pool.Migrate(ctx, name, parts...); err != nil || n != stepsOf(t, parts...) {
			t.Errorf("%v: %d steps, %v", parts, n, err)
		}
		if err := d.Pool.CheckSchema(ctx, name, parts...); err != nil {
			t.Errorf("%v: %v", parts, err)
		}
	}
}

func TestMigrateManyAtOnce(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for _, many := range []int{2, 8} {
		name := empty(t, d, fmt.Sprintf("_at_once_%d", many))
		steps := make([]int, many)
		var wait sync.WaitGroup
		for i := range many {
			wait.Go(func() {
				pool, err := db.Open(d.Server) // a program of its own
				if err != nil {
					t.Error(err)
					return
				}
				defer pool.Close()
				if steps[i], err = pool.Migrate(ctx, name, db.CompanyPart, db.BucketPart); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		sum := 0
		for _, n := range steps {
			sum += n
		}
		if sum != stepsOf(t, db.CompanyPart, db.BucketPart) {
			t.Errorf("%d at once applied %v steps", many, steps)
		}
	}
}

// What --print shows, run by a client as it stands, makes the same tables; and migrate finds them done.
func TestPrintedSchemaIsWhatMigrateApplies(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	name := empty(t, d, "_printed")
	parts := []db.Part{db.CompanyPart, db.BucketPart, db.ControlPart}
	text, err := db.Schema(name, parts...)
	must(t, err)
	if strings.Contains(text, "{") {
		t.Error("a placeholder is left in the printed schema")
	}
	for _, statement := range strings.SplitAfter(text, ";\n") {
		if strings.TrimSpace(statement) != "" {
			d.Exec(t, statement)
		}
	}
	if n, err := d.Pool.Migrate(ctx, name, parts...); err != nil || n != 0 {
		t.Errorf("migrate after the printed statements: %d steps, %v", n, err)
	}
	if printed, applied := shape(t, d, name), shape(t, d, d.Name); printed != applied {
		t.Errorf("the printed tables are\n%s\nthe applied ones\n%s", printed, applied)
	}
}

// shape describes the tables of a database as the server shows them, without its name.
func shape(t *testing.T, d *dbtest.Database, database string) string {
	n, err := strconv.Atoi(d.Read(t, `SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?`, database))
	must(t, err)
	var all strings.Builder
	for i := range n {
		all.WriteString(d.Read(t, `SELECT CONCAT_WS('|', TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, GENERATION_EXPRESSION, COLUMN_COMMENT)
			FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, ORDINAL_POSITION LIMIT 1 OFFSET ?`, database, i) + "\n")
	}
	return strings.ReplaceAll(all.String(), database, "DATABASE")
}

func TestCheckSchemaSaysWhatToDo(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	must(t, d.Pool.CheckSchema(ctx, d.Name, db.CompanyPart, db.BucketPart, db.ControlPart))
	for _, c := range []struct{ statement, want string }{
		{"UPDATE {db}.outbox_meta SET value = '77' WHERE name = 'company'", fmt.Sprintf("newer than this program's %d: install the newer outboxd", stepsOf(t, db.CompanyPart))},
		{"DELETE FROM {db}.outbox_meta WHERE name = 'company'", "has no company tables of outboxd: run outboxd migrate"},
		{"DROP TABLE {db}.outbox_meta", "has no company tables of outboxd: run outboxd migrate"},
	} {
		d.Exec(t, c.statement)
		err := d.Pool.CheckSchema(ctx, d.Name, db.CompanyPart)
		var schema *db.SchemaError
		if !errors.As(err, &schema) || schema.Database != d.Name || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.statement, err)
		}
	}
	if err := d.Pool.CheckSchema(ctx, d.Name+"_missing", db.CompanyPart); err == nil {
		t.Error("a missing database passed")
	}
	older := &db.SchemaError{Database: "acme", Part: db.CompanyPart, Have: 1, Want: 3}
	if got := older.Error(); got != "database acme has company tables of step 1, this program wants 3: run outboxd migrate" {
		t.Error(got)
	}
}

func TestMigrateStopsWithItsContext(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	holder := session(t, d)
	_, err := holder.ExecContext(ctx, "SELECT GET_LOCK(?, 10)", "outboxd migrate "+d.Name)
	must(t, err)
	stopped, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := d.Pool.Migrate(stopped, d.Name, db.CompanyPart)
		ended <- err
	}()
	stop()
	if err := <-ended; err == nil {
		t.Error("migrated although another one holds the lock")
	}
}

func TestStrangeDatabaseNamesAreRefused(t *testing.T) {
	d := dbtest.New(t)
	ctx := deadline(t)
	for _, name := range []string{"", "a`b", "a b", "a.b", "a;b", "schön", strings.Repeat("x", 65), "a\x00"} {
		if _, err := d.Pool.Store(name); err == nil {
			t.Errorf("store of %q", name)
		}
		if _, err := d.Pool.Buckets(name, nil); err == nil {
			t.Errorf("buckets of %q", name)
		}
		if _, err := d.Pool.Migrate(ctx, name, db.CompanyPart); err == nil {
			t.Errorf("migrated %q", name)
		}
		if err := d.Pool.CheckSchema(ctx, name, db.CompanyPart); err == nil {
			t.Errorf("checked %q", name)
		}
		if _, err := db.Schema(name, db.CompanyPart); err == nil {
			t.Errorf("schema of %q", name)
		}
	}
	long := empty(t, d, "-"+strings.Repeat("x", 63-len(d.Name))) // 64 characters, with a dash
	if _, err := d.Pool.Migrate(ctx, long, db.CompanyPart, db.BucketPart); err != nil {
		t.Errorf("the longest name: %v", err)
	}
	s, err := d.Pool.Store(long)
	must(t, err)
	d.Exec(t, "INSERT INTO `"+long+"`.outbox (recipients) VALUES ('a@b.example')")
	one(t, s)
}
