package db

import (
	"context"
	"fmt"
	"time"
)

// lookEvery is how often tables of the step before the newest are looked at again.
const lookEvery = 30 * time.Second

// hasLastError asks for the column that comes last.
const hasLastError = `SELECT COUNT(*) > 0 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'outbox_bucket' AND COLUMN_NAME = 'last_error_class'`

// lookForStep looks whether the tables have what the newest step adds, and has the statements fit. Once they have it is not
// asked again: steps only add.
func (b *Buckets) lookForStep(ctx context.Context) error {
	b.mu.Lock()
	known := b.newest || b.looked > 0 && b.mono()-b.looked < lookEvery
	b.mu.Unlock()
	if known {
		return nil
	}
	var there bool
	err := retry(ctx, func() error { return b.pool.db.GetContext(ctx, &there, hasLastError, b.database) })
	if err != nil {
		return fmt.Errorf("look for the newest columns in %s: %w", b.database, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.newest, b.looked = there, max(1, b.mono())
	b.sql.older.Store(!there)
	return nil
}

func (b *Buckets) isNewest() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest
}

// note looks at an error: tables that were restored may be of an older step.
func (b *Buckets) note(err error) {
	if Kind(err) == KindSetup {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.newest, b.looked = false, 0
	}
}

// fitting is the bucket as the tables can serve it: those of the older step cannot remember a warm-up.
func (b *Buckets) fitting(k Bucket) Bucket {
	if !b.isNewest() {
		k.Warmup = nil
	}
	return k
}

// exec runs a statement.
func (b *Buckets) exec(ctx context.Context, what, statement string, args ...any) error {
	_, err := b.pool.write(ctx, statement, args...)
	b.note(err)
	return wrap(err, what+" in "+b.database)
}

// OlderTablesError says that tables of the step before the newest cannot keep what was to be written.
type OlderTablesError struct{ Database string }

// Error tells what to do.
func (e *OlderTablesError) Error() string {
	return fmt.Sprintf("the tables in %s are of the step before: run outboxd migrate", e.Database)
}

// newer runs a statement that needs the newest step.
func (b *Buckets) newer(ctx context.Context, what, statement string, args ...any) error {
	if err := b.lookForStep(ctx); err != nil {
		return err
	}
	if !b.isNewest() {
		return wrap(&OlderTablesError{b.database}, what)
	}
	return b.exec(ctx, what, statement, args...)
}

// keep is newer, where nothing is lost if the tables cannot keep it.
func (b *Buckets) keep(ctx context.Context, what, statement string, args ...any) error {
	if err := b.lookForStep(ctx); err != nil || !b.isNewest() {
		return err
	}
	return b.exec(ctx, what, statement, args...)
}
