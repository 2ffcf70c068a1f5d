package db

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// ledger is what stands between the decision over a take and the tables. From lock on nobody else changes the rows of
// the locked buckets until the transaction ends.
type ledger interface {
	create(name string) error
	lock(names []string) ([]bucketRow, error) // by name; those that there are
	read(name string) ([]bucketRow, error)    // lock without the lock
	clock() (int64, error)                    // the server's, in µs since 1970
	write(row bucketRow) error
	writePacing(name string, p pacing) error
	sum(name string, from int64) (usage, error)     // of the slots from the given one on; Slot is the newest, 0 without any
	slots(name string, from int64) ([]usage, error) // oldest first
	add(all []usage) error
	remove(u usage) error // unless its slot has less
	dropBefore(name string, slot int64) error
	dropAfter(name string, slot int64) error
	dropAbandoned(prefix string, now int64) error // some of what buckets with such names have not used for long
}

// bucketRow is one row of outbox_bucket.
type bucketRow struct {
	Name string `db:"name"`
	tats
	ClockOffset int64 `db:"clock_offset"`
	pacing
	HoldLeft int64 `db:"hold_left"` // µs of a pause by hand, -1 until a person ends it
}

// usage is one row of outbox_usage.
type usage struct {
	Name       string `db:"name"`
	Slot       int64  `db:"slot"`
	Mails      int    `db:"mails"`
	Recipients int    `db:"recipients"`
}

func (u usage) of(w Window) int {
	if w.Recipients {
		return u.Recipients
	}
	return u.Mails
}

// tables is the ledger of a transaction in the database.
type tables struct {
	ctx context.Context
	q   sqlx.ExtContext
	sql statements
}

func (t tables) exec(statement string, args ...any) error {
	_, err := t.q.ExecContext(t.ctx, statement, args...)
	return err
}

func (t tables) create(name string) error { return t.exec(t.sql.text("bucket-create"), name) }

func (t tables) lock(names []string) (rows []bucketRow, err error) {
	args := make([]any, len(names))
	for i, name := range names {
		args[i] = name
	}
	err = sqlx.SelectContext(t.ctx, t.q, &rows, t.sql.list("bucket-lock", len(names)), args...)
	return rows, err
}

func (t tables) read(name string) (rows []bucketRow, err error) {
	err = sqlx.SelectContext(t.ctx, t.q, &rows, t.sql.text("bucket-read"), name)
	return rows, err
}

func (t tables) clock() (µs int64, err error) {
	err = sqlx.GetContext(t.ctx, t.q, &µs, t.sql.text("bucket-clock"))
	return µs, err
}

func (t tables) write(r bucketRow) error {
	return t.exec(t.sql.text("bucket-write"), r.HourMails, r.MinuteMails, r.MinuteRecipients, r.ClockOffset, r.Name)
}

func (t tables) writePacing(name string, p pacing) error {
	return t.exec(t.sql.text("bucket-write-pacing"), p.SlowRefused, p.SlowSince, p.WarmSince, name)
}

func (t tables) sum(name string, from int64) (u usage, err error) {
	err = sqlx.GetContext(t.ctx, t.q, &u, t.sql.text("usage-sum"), name, from)
	return u, err
}

func (t tables) slots(name string, from int64) (all []usage, err error) {
	err = sqlx.SelectContext(t.ctx, t.q, &all, t.sql.text("usage-since"), name, from)
	return all, err
}

func (t tables) add(all []usage) error {
	var args []any
	for _, u := range all {
		args = append(args, u.Name, u.Slot, u.Mails, u.Recipients)
	}
	return t.exec(t.sql.rows("usage-add", len(all), "(?, ?, ?, ?)"), args...)
}

func (t tables) remove(u usage) error {
	return t.exec(t.sql.text("usage-remove"), u.Mails, u.Recipients, u.Name, u.Slot, u.Mails, u.Recipients)
}

func (t tables) dropBefore(name string, slot int64) error {
	return t.exec(t.sql.text("usage-drop-before"), name, slot)
}

func (t tables) dropAfter(name string, slot int64) error {
	return t.exec(t.sql.text("usage-drop-after"), name, slot)
}

func (t tables) dropAbandoned(prefix string, now int64) error {
	return t.exec(t.sql.text("usage-drop-abandoned"), append([]any{prefix, prefix + "\U0010FFFF"}, abandonedSlots(now)...)...)
}
