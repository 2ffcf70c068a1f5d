package fence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"outboxd/db"
	"outboxd/jobs/witness"
)

// Company is a company with what knows of its database: the database itself, and two witnesses outside of it.
type Company struct {
	Name     string
	Store    *db.Store        // the database
	Control  *db.Store        // a witness: the control database
	Memory   *witness.Company // the other one: the state directory
	Instance string           // the daemon's identity, which stays the same over restarts
	Reached  []string         // how jobs.yaml says that the database is reached: as host:port/database for each of its server's hosts
}

// Error says that a company's database is a copy, and that nothing is sent from it.
type Error struct {
	Company, Why string
	Since        time.Time // when this was found
}

// Error names the company and the reason.
func (e *Error) Error() string {
	return fmt.Sprintf("company %s sends nothing, for its database is not the one it was: %s", e.Company, e.Why)
}

// Remedy says what a person can do about a company that is fenced.
func Remedy(company string) string {
	return fmt.Sprintf("if this database is to go on: outboxd adopt %[1]s marks as sent what is known to be sent, holds all else and shows how much that is; then outboxd adopt %[1]s --send lets it go. If it is a copy to test with: give the company divert: ADDRESS before. If it is a mistake: put back the database that it was, and outboxd goes on by itself", company)
}

// Examine tells why the company's database is a copy, "" when it is none. It looks once and changes nothing: for commands that
// work without a daemon. The error says why it cannot be told.
func (c Company) Examine(ctx context.Context) (string, error) {
	ask := func(ctx context.Context, identity string) ([]db.Known, error) {
		known, _, err := c.Control.Witness(ctx, identity, c.Name)
		return known, err
	}
	e, err := c.gather(ctx, ask, new(error))
	return e.judge().fenced, err
}

// gather asks the company's database and its witnesses. A witness that does not answer is told of in silent; where it
// is the only one that might know something, that is the error.
func (c Company) gather(ctx context.Context, control func(context.Context, string) ([]db.Known, error), silent *error) (evidence, error) {
	e := evidence{company: c.Name, instance: c.Instance, reached: c.Reached}
	var err error
	if e.said, err = c.Store.Fence(ctx); err != nil {
		return e, err
	}
	remembered, err := c.Memory.Known()
	if err != nil {
		*silent = err
	}
	said, err := control(ctx, e.said.Identity)
	if err != nil {
		if len(remembered) == 0 {
			return e, fmt.Errorf("ask the control database about %s, which nobody else knows: %w", c.Name, err)
		}
		if !errors.Is(err, errSilent) {
			*silent = errors.Join(*silent, err)
		}
	}
	e.control, e.known = said, append(remembered, said...)
	if own, there := c.Memory.Own(e.said.Identity); there {
		e.own = &own
		e.again, err = waitAgain(ctx, c.Store, own.Again)
	}
	return e, err
}

// waitAgain returns one of the mails that waits, 0 for none.
func waitAgain(ctx context.Context, s *db.Store, mails []witness.Mail) (uint64, error) {
	if len(mails) == 0 {
		return 0, nil
	}
	var ids []uint64
	for _, m := range mails {
		ids = append(ids, m.ID)
	}
	waiting, err := s.Waiting(ctx, ids)
	for _, m := range mails {
		if at, there := waiting[m.ID]; there && at.UnixMicro() == m.Created {
			return m.ID, err
		}
	}
	return 0, err
}
