package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// Health is how an account is: shared by all daemons, so that together they do not hammer a server, and written down, so
// that a restart knows it.
type Health struct {
	Left                 time.Duration // of the pause because of trouble; 0 when there is none or it is over
	Scope, Class, Reason string        // of the trouble
	Failures             int           // troubles in a row

	Pace Pace
	Warm int // mails an hour that the warm-up allows now; 0: none restricts

	Held              bool          // paused by hand
	HeldLeft          time.Duration // 0: until a person resumes it
	HeldBy            string
	HeldReason        string
	LastSuccess       time.Time // zero: never, or before the tables could tell
	LastError         time.Time
	Error, ErrorClass string // the last one, with the remedy
}

type healthRow struct {
	Left     int64  `db:"pause_left"` // µs, as all lengths here
	Scope    string `db:"pause_scope"`
	Reason   string `db:"pause_reason"`
	Failures int    `db:"failures"`
	Class    string `db:"pause_class"`
	pacing
	HoldLeft    int64        `db:"hold_left"` // -1 without an end
	HeldBy      string       `db:"held_by"`
	HeldReason  string       `db:"held_reason"`
	LastSuccess sql.NullTime `db:"last_success"`
	LastErrorAt sql.NullTime `db:"last_error_at"`
	LastError   string       `db:"last_error"`
	ErrorClass  string       `db:"last_error_class"`
	Clock       int64        `db:"clock"` // the bucket's
}

// Health reads how the account of a bucket is. One that was never used is well.
func (b *Buckets) Health(ctx context.Context, k Bucket) (Health, error) {
	if err := b.lookForStep(ctx); err != nil {
		return Health{}, err
	}
	rows, err := selectAll[healthRow](ctx, b.pool.db, b.sql.text("bucket-health"), k.Name)
	if err != nil {
		b.note(err)
		return Health{}, fmt.Errorf("read the health of %s in %s: %w", k.Name, b.database, err)
	}
	if len(rows) == 0 {
		rows = []healthRow{{}}
	}
	return rows[0].health(b.fitting(k)), nil
}

func (r healthRow) health(k Bucket) Health {
	h := Health{Left: time.Duration(r.Left) * time.Microsecond, Scope: r.Scope, Class: r.Class, Reason: r.Reason, Failures: r.Failures,
		Pace: k.paceOf(r.pacing, r.Clock), Warm: r.warm(k.Warmup, k.full(), r.Clock),
		Held: r.HoldLeft != 0, HeldLeft: time.Duration(max(0, r.HoldLeft)) * time.Microsecond,
		LastSuccess: r.LastSuccess.Time, LastError: r.LastErrorAt.Time, Error: r.LastError, ErrorClass: r.ErrorClass}
	if h.Left > longestPause {
		h.Left = 0
	}
	if h.Held {
		h.HeldBy, h.HeldReason = r.HeldBy, r.HeldReason
	}
	return h
}

// longestPause is longer than any because of trouble: of one that seems longer, the server's clock was set back since it began.
const longestPause = 6 * time.Hour

// Trouble is why an account is paused.
type Trouble struct {
	Scope  string // account or server
	Class  string // of the reply, as auth
	Reason string // what the server said, with the remedy
}

// Pause keeps every daemon from using the account for so long, counts the trouble, and notes it as the last error. Whoever
// had the turn to log in has it no more.
func (b *Buckets) Pause(ctx context.Context, name string, wait time.Duration, o Trouble) error {
	if err := b.lookForStep(ctx); err != nil {
		return err
	}
	reason := cut(o.Reason, maxReply)
	err := b.pool.tx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, b.sql.text("bucket-pause"), name, micros(wait), o.Scope, reason)
		if err == nil && b.isNewest() {
			_, err = tx.ExecContext(ctx, b.sql.text("bucket-note-pause"), cut(o.Class, maxClass), cut(o.Class, maxClass), reason, name)
		}
		return err
	})
	b.note(err)
	return wrap(err, "pause "+name+" in "+b.database)
}

// maxClass is how many characters a class of trouble has at most.
const maxClass = 32

// Heal ends the account's troubles, and the turn to log in: it works again.
func (b *Buckets) Heal(ctx context.Context, name string) error {
	if err := b.lookForStep(ctx); err != nil {
		return err
	}
	return b.exec(ctx, "heal "+name, b.sql.text("bucket-heal"), name)
}

// Hold keeps every daemon from beginning mails of the account, for so long or, with 0, until Unhold: a person's word.
func (b *Buckets) Hold(ctx context.Context, name string, wait time.Duration, by, reason string) error {
	return b.newer(ctx, "pause "+name, b.sql.text("bucket-hold"), name, cut(by, 255), cut(reason, maxReply), wait <= 0, micros(wait))
}

// Unhold ends a person's pause. The bucket may have none.
func (b *Buckets) Unhold(ctx context.Context, name string) error {
	return b.newer(ctx, "resume "+name, b.sql.text("bucket-unhold"), name)
}

// held is for how long to wait because of a person's pause: at most a minute, then it is looked at anew.
func (e *locked) held() time.Duration {
	if e.row.HoldLeft < 0 {
		return time.Minute
	}
	return min(time.Minute, time.Duration(e.row.HoldLeft)*time.Microsecond)
}

// NoteSuccess notes that the server has accepted a mail. To be called at most once a minute.
func (b *Buckets) NoteSuccess(ctx context.Context, name string) error {
	return b.keep(ctx, "note a success of "+name, b.sql.text("bucket-note-success"), name)
}

// NoteError notes an error of the account, or of its server, for which it does not pause.
func (b *Buckets) NoteError(ctx context.Context, name, class, text string) error {
	return b.keep(ctx, "note an error of "+name, b.sql.text("bucket-note-error"), name, cut(class, maxClass), cut(text, maxReply))
}

// LoginTurn asks for the turn to log in to an account that is not known to be well: of all daemons one has it, for as long
// as hold says, or until Pause or Heal. 0 gives it; else it is somebody's for so long: wait, but ask Health again soon.
func (b *Buckets) LoginTurn(ctx context.Context, name string, hold time.Duration) (wait time.Duration, err error) {
	if err := b.create(ctx, []Bucket{{Name: name}}); err != nil {
		return 0, err
	}
	if !b.isNewest() {
		return 0, nil
	}
	n, err := b.pool.write(ctx, b.sql.text("bucket-login"), micros(hold), name, micros(2*hold))
	if err == nil && n == 0 {
		var left []int64
		left, err = selectAll[int64](ctx, b.pool.db, b.sql.text("bucket-login-left"), name)
		wait = time.Millisecond // it ended between the two statements, or the row is gone
		for _, µs := range left {
			wait = max(wait, time.Duration(µs)*time.Microsecond)
		}
	}
	b.note(err)
	return wait, wrap(err, "ask for the turn to log in to "+name+" in "+b.database)
}

// EndLoginTurn gives the turn to log in back: the login went well, or there was none.
func (b *Buckets) EndLoginTurn(ctx context.Context, name string) error {
	return b.keep(ctx, "end the turn to log in to "+name, b.sql.text("bucket-login-end"), name)
}
