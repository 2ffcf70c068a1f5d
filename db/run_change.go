package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// AllMails is what RunChange.Allowed is when all mails of a run may go.
const AllMails = -1

// RunChange is what changes about a run. Empty fields leave what is there.
type RunChange struct {
	State       RunState
	From        []RunState // the run is in one of these, else nothing changes; none means in any that is open
	Token       string     // the run is held by this lease, else nothing changes; "" for a change that no lease guards
	Note        string
	Audience    *int64
	Templates   *string
	Allowed     *int64         // so many mails may go, or AllMails
	DecideUntil *time.Duration // from the database's now on
	ApprovedBy  string         // the approval counts, as of now
	Unapprove   bool           // what stands in approved_by is no approval that counts
	EndsAs      RunState
	LinkKey     []byte
}

// RunSumError says that a run cannot end as its mails do not add up: some have not ended, or their sum is not the audience.
type RunSumError struct {
	Run  Run
	Open int64 // mails that have not ended
}

// Error tells the numbers.
func (e *RunSumError) Error() string {
	if e.Open > 0 {
		return fmt.Sprintf("the run %d cannot end: of its %d mails %d have not ended", e.Run.ID, e.Run.Enqueued, e.Open)
	}
	audience := int64(0)
	if e.Run.Audience != nil {
		audience = *e.Run.Audience
	}
	return fmt.Sprintf("the run %d cannot end: its audience has %d rows, and %d mails have ended", e.Run.ID, audience, e.Run.Sum())
}

// ChangeRun changes a run, and inserts mails of outboxd's own, all in one transaction or nothing. It returns whether it did: false
// says that the run is not, or not any more, as the change wants it. So of two that want the same change one makes it, and its mails
// are inserted once. Mails want a change of state: by it is told, when the reply to a COMMIT gets lost, whether it was made.
//
// A run of mails cannot end before all of them have: a *RunSumError.
func (s *Store) ChangeRun(ctx context.Context, id uint64, c RunChange, mails ...NewMail) (changed bool, err error) {
	if err := s.needNewest(ctx); err != nil {
		return false, fmt.Errorf("change run %d of %s: %w", id, s.database, err)
	}
	if len(mails) > 0 && c.State == "" {
		return false, fmt.Errorf("change run %d of %s: mails without a change of state", id, s.database)
	}
	var at time.Time
	err = s.pool.tx(ctx, func(tx *sqlx.Tx) (err error) {
		at, changed, err = s.changeRunIn(ctx, tx, id, c, mails)
		return err
	})
	var unknown *commitUnknownError
	if !errors.As(err, &unknown) {
		return changed, wrap(err, fmt.Sprintf("change run %d of %s", id, s.database))
	}
	if !changed { // there was nothing to commit
		return false, nil
	}
	var now Run
	readErr := s.pool.tx(ctx, func(tx *sqlx.Tx) (err error) { // under a lock: so it waits for that COMMIT
		now, err = s.lockRunRow(ctx, tx, id)
		return err
	})
	switch {
	case readErr != nil:
		return false, fmt.Errorf("change run %d of %s: %w", id, s.database, errors.Join(err, readErr))
	case now.ChangedAt != nil && now.ChangedAt.Equal(at):
		return true, nil
	}
	return false, fmt.Errorf("change run %d of %s: %w", id, s.database, err)
}

// changeRunIn changes the run if it is as the change wants it, and tells by when the change of state is known.
func (s *Store) changeRunIn(ctx context.Context, tx *sqlx.Tx, id uint64, c RunChange, mails []NewMail) (at time.Time, changed bool, err error) {
	r, err := s.lockRunRow(ctx, tx, id)
	if err != nil {
		return at, false, err
	}
	from := c.From
	if len(from) == 0 {
		from = openStates
	}
	if !slices.Contains(from, r.State) || c.Token != "" && c.Token != r.Token || len(mails) > 0 && c.State == r.State {
		return at, false, nil
	}
	if c.State != "" && c.State != r.State && !c.State.Open() {
		if err := s.adds(ctx, tx, r, c.State); err != nil {
			return at, false, err
		}
	}
	if err := tx.GetContext(ctx, &at, s.sql.text("clock")); err != nil {
		return at, false, err
	}
	set, args := c.assignments(r, at)
	if _, err := tx.ExecContext(ctx, s.sql.text("run-change")+strings.Join(set, ", ")+" WHERE id = ?", append(args, id)...); err != nil {
		return at, false, err
	}
	_, err = s.insertMails(ctx, tx, 0, slices.Clone(mails)) // the transaction may be run again
	return at, err == nil, err
}

// lockRunRow reads a run under a lock.
func (s *Store) lockRunRow(ctx context.Context, tx *sqlx.Tx, id uint64) (Run, error) {
	all, err := s.runs(ctx, tx, "WHERE id = ? FOR UPDATE", id)
	if err == nil && len(all) == 0 {
		err = &NoRunError{s.database, id}
	}
	if err != nil {
		return Run{}, err
	}
	return all[0], nil
}

// adds makes sure that all mails of a run have ended, and that they are its audience where it has been done.
func (s *Store) adds(ctx context.Context, tx *sqlx.Tx, r Run, end RunState) error {
	var open int64
	if err := tx.GetContext(ctx, &open, s.sql.text("run-mails-open"), r.ID); err != nil {
		return err
	}
	if open > 0 || end == RunDone && r.Audience != nil && *r.Audience != r.Sum() {
		return &RunSumError{r, open}
	}
	return nil
}

// assignments are what SET sets, with the values. at is the time of the change.
func (c RunChange) assignments(r Run, at time.Time) (set []string, args []any) {
	add := func(column string, value any) { set, args = append(set, column+" = ?"), append(args, value) }
	if c.State != "" && c.State != r.State {
		add("state", c.State)
		add("changed_at", at)
		add("released_id", 0) // what is let go, held or cancelled begins with the first mail
		set = append(set, "lease_until = NULL")
		if c.State.Open() {
			add("finished_at", nil)
		} else {
			add("finished_at", at)
		}
	}
	if c.Note != "" {
		add("note", cut(c.Note, maxError))
	}
	if c.Audience != nil {
		add("audience", *c.Audience)
	}
	if c.Templates != nil {
		add("templates", null(*c.Templates))
	}
	if c.Allowed != nil {
		allowed := any(*c.Allowed)
		if *c.Allowed < 0 {
			allowed = nil
		}
		add("allowed", allowed)
	}
	if c.DecideUntil != nil {
		add("decide_until", at.Add(*c.DecideUntil))
	}
	switch {
	case c.ApprovedBy != "":
		add("approved_by", cut(c.ApprovedBy, 255))
		add("approved_at", at)
	case c.Unapprove:
		add("approved_by", nil)
		add("approved_at", nil)
	}
	if c.EndsAs != "" {
		add("ends_as", c.EndsAs)
	}
	if c.LinkKey != nil {
		add("link_key", c.LinkKey)
	}
	if len(set) == 0 {
		add("state", r.State)
	}
	return set, args
}
